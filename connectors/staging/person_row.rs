//! The cells of a person's row and of a membership's: as they were read, with what is ours in them. Pure.

use lockstep_contract::{AccessLevelId, Cardholder, CardholderId, FaultKind, Status};

use crate::changing::{Refusal, refuse};
use crate::dates::Bound;
use crate::people::{self, card_word};
use crate::profile::{Holds, ImportProfile, Table};
use crate::rows::Row;

/// The row of a person: as it was read, with what is ours in it.
pub(crate) fn person_row(profile: &ImportProfile, now: &Cardholder, read: Option<&Row>) -> Result<Row, Refusal> {
    let (table, values) = (&profile.people, &profile.values);
    let new = || table.columns.iter().map(|column| column.value.clone()).collect();
    let mut row: Row = read.cloned().unwrap_or_else(new);
    for (column, value) in table.columns.iter().zip(row.iter_mut()) {
        if let Some(name) = &column.field {
            now.profile.get(name.as_str()).unwrap_or_default().clone_into(value);
        }
    }
    set(table, &mut row, Holds::Key, now.id.to_string());
    let bound =
        |at, bound| profile.dates.write(at, bound).map_err(|why| Refusal { kind: FaultKind::Invalid, message: why });
    if table.place(Holds::ValidFrom).is_some() && (read.is_none() || changed(profile, now, read, Bound::From)) {
        set(table, &mut row, Holds::ValidFrom, bound(now.validity.from, Bound::From)?);
    }
    let off = now.status == Status::Suspended;
    match (&values.suspended_until, off) {
        (Some(end), true) if table.place(Holds::Status).is_none() => {
            set(table, &mut row, Holds::ValidUntil, end.clone());
        }
        _ if table.place(Holds::ValidUntil).is_some()
            && (read.is_none() || changed(profile, now, read, Bound::Until)) =>
        {
            set(table, &mut row, Holds::ValidUntil, bound(now.validity.until, Bound::Until)?);
        }
        _ => {}
    }
    match &now.status {
        Status::Active => set(table, &mut row, Holds::Status, values.active.first().cloned().unwrap_or_default()),
        Status::Suspended => set(table, &mut row, Holds::Status, values.suspended.first().cloned().unwrap_or_default()),
        // What nobody here understands stays as it was read.
        Status::Other(_) => {}
    }
    let joined: Vec<&str> = now.levels.iter().map(AccessLevelId::as_str).collect();
    if joined.iter().any(|level| level.contains(values.levels_joined_by.as_str()))
        && table.place(Holds::Levels).is_some()
    {
        let message =
            format!("a level of `{}` holds `{}`, which stands between levels", now.id, values.levels_joined_by);
        return refuse(FaultKind::Invalid, message);
    }
    set(table, &mut row, Holds::Levels, joined.join(&values.levels_joined_by));
    if let (Some(card), true) = (now.credentials.first(), profile.credentials.is_none())
        && let Some(word) = card_word(values, &card.status)
    {
        set(table, &mut row, Holds::CredentialStatus, word);
    }
    Ok(row)
}

/// Whether a bound is another one than the row says: one that is not is left in the spelling of the PACS.
fn changed(profile: &ImportProfile, now: &Cardholder, read: Option<&Row>, bound: Bound) -> bool {
    let (holds, wanted) = match bound {
        Bound::From => (Holds::ValidFrom, now.validity.from),
        Bound::Until => (Holds::ValidUntil, now.validity.until),
    };
    let there = read.map(|row| people::cell(&profile.people, row, holds)).unwrap_or_default();
    profile.dates.read(there, bound) != Ok(wanted)
}

pub(crate) fn membership_row(table: &Table, person: &CardholderId, level: &AccessLevelId, word: &str) -> Row {
    let mut row: Row = table.columns.iter().map(|column| column.value.clone()).collect();
    set(table, &mut row, Holds::Key, person.to_string());
    set(table, &mut row, Holds::Level, level.to_string());
    set(table, &mut row, Holds::Member, word.to_owned());
    row
}

pub(crate) fn set(table: &Table, row: &mut Row, holds: Holds, value: String) {
    if let Some(cell) = table.place(holds).and_then(|at| row.get_mut(at)) {
        *cell = value;
    }
}
