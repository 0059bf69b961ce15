//! What an action makes of a person, and the rows that say so. Pure. Each row is the whole state of what it is about, so
//! that importing it twice is importing it once.

use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevelId, Action, Cardholder, CardholderId, CorrelationKeys, CredentialId, CredentialStatus, FaultKind,
    InactiveStatus, Profile, Reduction, Status, Step, Subject, Validity,
};
use serde::{Deserialize, Serialize};

use crate::people::{Person, Snapshot, card_word, keys};
use crate::person_row::{membership_row, person_row, set};
use crate::profile::{Holds, ImportProfile, Table, TableName};
use crate::rows::Row;

/// What a file or a row asks for. In the order in which an importer that sorts by name works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// It takes access away.
    Disable,
    /// It changes somebody who is there.
    Update,
    /// It brings somebody new.
    Create,
}

impl Kind {
    /// The word in file names; sorted, what takes access away comes first.
    pub(crate) const fn in_file_names(self) -> &'static str {
        match self {
            Self::Disable => "1-disable",
            Self::Update => "2-update",
            Self::Create => "3-create",
        }
    }
}

/// Rows for one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) table: TableName,
    pub(crate) rows: Vec<Row>,
}

/// What an action leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) target: Cardholder,
    /// What takes access away comes first.
    pub(crate) parts: Vec<Part>,
}

/// Why an action is not delivered. Nothing left this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

pub(crate) fn refuse<T>(kind: FaultKind, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { kind, message: message.into() })
}

/// What an action asks for, worked out on the person as last seen.
struct Work<'a> {
    profile: &'a ImportProfile,
    now: Cardholder,
    person_row: bool,
    created: bool,
    given: BTreeSet<AccessLevelId>,
    taken: BTreeSet<AccessLevelId>,
    cards: BTreeSet<CredentialId>,
}

/// Works an action out. `base` is the person as last seen; nobody, for somebody new.
///
/// # Errors
/// When the importer cannot do it, or it is wrong for this person.
pub(crate) fn change(
    profile: &ImportProfile,
    snapshot: &Snapshot,
    base: Option<&Person>,
    action: &Action,
) -> Result<Change, Refusal> {
    let now = match (&action.subject, base) {
        (Subject::Existing(_), Some(person)) => person.cardholder.clone(),
        (Subject::Existing(id), None) => return refuse(FaultKind::Missing, format!("there is no cardholder `{id}`")),
        (Subject::New(key), _) => match provisioned(action) {
            Some(keys) => blank(profile, keys)?,
            None => {
                return refuse(FaultKind::Invalid, format!("nobody is named, and nobody is to be created for {key}"));
            }
        },
    };
    let mut work = Work {
        profile,
        now,
        person_row: false,
        created: matches!(action.subject, Subject::New(_)),
        given: BTreeSet::new(),
        taken: BTreeSet::new(),
        cards: BTreeSet::new(),
    };
    for step in &action.steps {
        work.take(snapshot, step)?;
    }
    work.now.keys = keys(profile.key, &work.now);
    let only_reduces = action.steps.iter().all(|step| step.as_reduction().is_some());
    let parts = work.parts(base, only_reduces)?;
    Ok(Change { target: work.now, parts })
}

fn provisioned(action: &Action) -> Option<&CorrelationKeys> {
    action.steps.iter().find_map(|step| match step {
        Step::Provision { keys, .. } => Some(keys),
        Step::Reduce(_)
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => None,
    })
}

/// The id that somebody new will have, when the action names one.
pub(crate) fn new_id(profile: &ImportProfile, action: &Action) -> Option<CardholderId> {
    let key = provisioned(action)?.of(profile.key).next()?;
    CardholderId::new(key.value()).ok()
}

/// Somebody new. The key column is filled from the key that the profile names: the importer finds them by it ever after.
fn blank(profile: &ImportProfile, keys: &CorrelationKeys) -> Result<Cardholder, Refusal> {
    let Some(key) = keys.of(profile.key).next() else {
        let message = format!("a new person needs a {} key: it fills the key column of this profile", profile.key);
        return refuse(FaultKind::Invalid, message);
    };
    let id = CardholderId::new(key.value())
        .map_err(|error| Refusal { kind: FaultKind::Invalid, message: error.to_string() })?;
    Ok(Cardholder {
        id,
        keys: CorrelationKeys::new(),
        profile: Profile::new(),
        status: Status::Active,
        levels: BTreeSet::new(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    })
}

impl Work<'_> {
    fn take(&mut self, snapshot: &Snapshot, step: &Step) -> Result<(), Refusal> {
        match step {
            Step::Reduce(Reduction::Suspend) => {
                self.switch(Status::Suspended);
                Ok(())
            }
            Step::Reinstate => {
                self.switch(Status::Active);
                Ok(())
            }
            Step::Reduce(Reduction::Deactivate { credential, status }) => {
                self.set_card(credential, CredentialStatus::Inactive(*status))
            }
            Step::Activate { credential } => self.set_card(credential, CredentialStatus::Active),
            Step::Reduce(Reduction::Revoke { level }) => {
                self.levels_supported()?;
                self.now.levels.remove(level);
                self.taken.insert(level.clone());
                Ok(())
            }
            Step::Grant { level } => {
                self.levels_supported()?;
                if !snapshot.levels.contains_key(level) {
                    // Some importers create a level that they do not know: a mistake in a mapping must not.
                    return refuse(FaultKind::Invalid, format!("there is no access level `{level}`"));
                }
                self.now.levels.insert(level.clone());
                self.given.insert(level.clone());
                Ok(())
            }
            Step::Reduce(Reduction::Narrow { validity }) if !validity.within(&self.now.validity) => {
                refuse(FaultKind::Invalid, format!("the validity asked for is not within that of `{}`", self.now.id))
            }
            Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => self.set_validity(*validity),
            Step::Provision { profile, .. } => {
                if !self.created {
                    return refuse(FaultKind::Invalid, format!("`{}` exists, and cannot be created", self.now.id));
                }
                self.person_row = true;
                self.amend(profile)
            }
            Step::Amend { profile } => self.amend(profile),
        }
    }

    fn switch(&mut self, status: Status) {
        self.person_row = true;
        self.now.status = status;
    }

    fn amend(&mut self, profile: &Profile) -> Result<(), Refusal> {
        self.person_row = true;
        for (name, value) in profile.iter() {
            if !self.profile.people.columns.iter().any(|column| column.field.as_ref() == Some(name)) {
                return refuse(FaultKind::Invalid, format!("the profile has no column for the field `{name}`"));
            }
            self.now.profile.set(name.clone(), value);
        }
        Ok(())
    }

    fn set_validity(&mut self, validity: Validity) -> Result<(), Refusal> {
        if !validity_supported(self.profile) {
            return refuse(FaultKind::Unsupported, "this importer has no times for the validity of a person");
        }
        self.person_row = true;
        self.now.validity = validity;
        Ok(())
    }

    fn levels_supported(&mut self) -> Result<(), Refusal> {
        if self.profile.people.place(Holds::Levels).is_some() {
            self.person_row = true;
            return Ok(());
        }
        if self.profile.memberships.is_some() {
            return Ok(());
        }
        refuse(FaultKind::Unsupported, "this importer takes no access levels: give and take them by hand")
    }

    fn set_card(&mut self, id: &CredentialId, status: CredentialStatus) -> Result<(), Refusal> {
        if !cards_supported(self.profile) {
            return refuse(FaultKind::Unsupported, "this importer cannot switch a card: do it by hand");
        }
        let Some(card) = self.now.credentials.iter_mut().find(|card| card.id == *id) else {
            return refuse(FaultKind::Missing, format!("`{}` has no card `{id}`", self.now.id));
        };
        if let (CredentialStatus::Active, CredentialStatus::Inactive(InactiveStatus::Lost | InactiveStatus::Stolen)) =
            (&status, &card.status)
        {
            return refuse(FaultKind::Invalid, format!("card `{id}` is reported lost or stolen; it stays off"));
        }
        card.status = status;
        if self.profile.credentials.is_some() {
            self.cards.insert(id.clone());
        } else {
            self.person_row = true;
        }
        Ok(())
    }

    /// The rows, what takes access away first.
    fn parts(&self, base: Option<&Person>, only_reduces: bool) -> Result<Vec<Part>, Refusal> {
        let of_person = match (self.created, only_reduces) {
            (true, _) => Kind::Create,
            (false, true) => Kind::Disable,
            (false, false) => Kind::Update,
        };
        let mut parts = Vec::new();
        if self.person_row {
            let row = person_row(self.profile, &self.now, base.map(|person| &person.row))?;
            parts.push(Part { kind: of_person, table: TableName::People, rows: vec![row] });
        }
        if let Some(table) = &self.profile.credentials {
            for (off, kind) in [(true, Kind::Disable), (false, Kind::Update)] {
                let rows = self.card_rows(table, base, off)?;
                if !rows.is_empty() {
                    parts.push(Part { kind, table: TableName::Credentials, rows });
                }
            }
        }
        if let Some(table) = &self.profile.memberships {
            let (yes, no) = (&self.profile.values.member, &self.profile.values.not_member);
            for (levels, words, kind) in [(&self.taken, no, Kind::Disable), (&self.given, yes, Kind::Update)] {
                let word = words.first().map_or("", String::as_str);
                let rows: Vec<Row> =
                    levels.iter().map(|level| membership_row(table, &self.now.id, level, word)).collect();
                if !rows.is_empty() {
                    parts.push(Part { kind, table: TableName::Memberships, rows });
                }
            }
        }
        // Somebody who is not there yet can be in no group: the person comes before what hangs on them.
        parts.sort_by_key(|part| match part.kind {
            Kind::Disable => 0,
            Kind::Create => 1,
            Kind::Update => 2,
        });
        Ok(parts)
    }

    fn card_rows(&self, table: &Table, base: Option<&Person>, off: bool) -> Result<Vec<Row>, Refusal> {
        let touched = self.now.credentials.iter().filter(|card| self.cards.contains(&card.id));
        let of_kind = touched.filter(|card| matches!(card.status, CredentialStatus::Inactive(_)) == off);
        of_kind
            .map(|card| {
                let Some(mut row) = base.and_then(|person| person.cards.get(&card.id)).cloned() else {
                    return refuse(FaultKind::Missing, format!("the row of card `{}` is not known", card.id));
                };
                let word = card_word(&self.profile.values, &card.status).unwrap_or_default();
                set(table, &mut row, Holds::CredentialStatus, word);
                Ok(row)
            })
            .collect()
    }
}

/// Whether validity can be written: both bounds have a column, and any instant can be said.
pub(crate) fn validity_supported(profile: &ImportProfile) -> bool {
    let people = &profile.people;
    people.place(Holds::ValidFrom).is_some() && people.place(Holds::ValidUntil).is_some() && profile.dates.has_time()
}

/// Whether a card can be switched off and on.
pub(crate) fn cards_supported(profile: &ImportProfile) -> bool {
    profile.credentials.is_some()
        || (profile.people.place(Holds::CardNumber).is_some()
            && profile.people.place(Holds::CredentialStatus).is_some())
}

/// True when a record shows all that these steps lead to.
pub(crate) fn shows(now: &Cardholder, steps: &[Step]) -> bool {
    let card = |id: &CredentialId| now.credentials.iter().find(|card| card.id == *id).map(|card| &card.status);
    steps.iter().all(|step| match step {
        Step::Reduce(Reduction::Suspend) => now.status == Status::Suspended,
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            card(credential).is_none_or(|status| matches!(status, CredentialStatus::Inactive(_)))
        }
        Step::Reduce(Reduction::Revoke { level }) => !now.levels.contains(level),
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => now.validity == *validity,
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            profile.iter().all(|(name, value)| now.profile.get(name.as_str()).unwrap_or_default() == value)
        }
        Step::Reinstate => now.status == Status::Active,
        Step::Grant { level } => now.levels.contains(level),
        Step::Activate { credential } => card(credential) == Some(&CredentialStatus::Active),
    })
}
