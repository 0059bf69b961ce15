//! Who is held out by name, as people read it: one hold a person, however many ways the state remembers them by.

use std::collections::BTreeSet;

use lockstep_contract::TargetId;
use lockstep_core::Hold;
use lockstep_engine::{Store, StoreError};
use lockstep_view::escape;

/// The holds in force on a target, one for each person.
pub(crate) async fn on_target(store: &dyn Store, target: &TargetId) -> Result<Vec<Hold>, StoreError> {
    Ok(merged(store.holds(target).await?.0))
}

/// The holds in force on any of these targets, one for each person.
pub(crate) async fn on_any<'t>(
    store: &dyn Store,
    targets: impl IntoIterator<Item = &'t TargetId>,
) -> Result<Vec<Hold>, StoreError> {
    let mut all = Vec::new();
    for target in targets {
        all.extend(store.holds(target).await?.0);
    }
    Ok(merged(all))
}

/// One offboarding is remembered by identity or key everywhere, and by record where there is one: one hold for people.
fn merged(holds: Vec<Hold>) -> Vec<Hold> {
    let mut merged: Vec<Hold> = Vec::new();
    for hold in holds {
        let word = |hold: &Hold| (hold.since, hold.by.clone(), hold.reason.clone());
        let same = |other: &&mut Hold| {
            word(other) == word(&hold)
                && (other.person == hold.person || other.person.is_none() || hold.person.is_none())
        };
        let Some(other) = merged.iter_mut().find(same) else {
            merged.push(hold);
            continue;
        };
        other.person = other.person.take().or(hold.person);
        hold.keys.iter().for_each(|key| other.keys.insert(key.clone()));
        let more: Vec<_> = hold.cardholders.into_iter().filter(|id| !other.cardholders.contains(id)).collect();
        other.cardholders.extend(more);
    }
    merged
}

/// One line for each person held out.
pub(crate) fn lines(holds: &[Hold]) -> BTreeSet<String> {
    let line = |hold: &Hold| {
        let keys: Vec<String> = hold.keys.iter().map(ToString::to_string).collect();
        let records = hold.cardholders.iter().map(|id| format!("cardholder {id}"));
        let who = if keys.is_empty() { records.collect::<Vec<_>>().join(", ") } else { keys.join(", ") };
        let who = if who.is_empty() { hold.person.as_ref().map_or_else(String::new, ToString::to_string) } else { who };
        let since = hold.since.strftime("%Y-%m-%d %H:%M UTC");
        escape::terminal(&format!("held out since {since} by {}: {who} ({})", hold.by, hold.reason))
    };
    holds.iter().map(line).collect()
}
