//! Picking actions of a plan by what a reviewer has in front of them: an action id or the beginning of one, an employee
//! number, a cardholder, a name. What is named must be there: a slip of the hand picks nobody else.

use std::collections::BTreeSet;

use lockstep_contract::{ActionId, Subject};
use lockstep_core::{Entry, EntryState, PlanDocument};

use crate::exit::{Exit, Failure};

/// The shortest beginning of an action id that is taken for one.
const PREFIX_MIN: usize = 8;

/// The actions that these texts name; each must name at least one.
pub(crate) fn actions(plan: &PlanDocument, named: &[String]) -> Result<BTreeSet<ActionId>, Failure> {
    let mut picked = BTreeSet::new();
    for text in named {
        let found = matching(plan, text);
        if found.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("`{text}` names no action of this plan"))
                .not_done("no decision was recorded")
                .next("name an action id, employee:NUMBER, cardholder:TARGET/ID or a whole name, as lockstep show --json prints them"));
        }
        let people: BTreeSet<_> = found.iter().map(|entry| (&entry.who.name, &entry.who.employee_number)).collect();
        if people.len() > 1 {
            let names: Vec<String> = found.iter().map(|entry| label(entry)).collect();
            return Err(Failure::new(Exit::Usage, format!("`{text}` names several people: {}", names.join("; ")))
                .not_done("no decision was recorded")
                .next("name one of them by action id or employee:NUMBER"));
        }
        picked.extend(found.into_iter().map(|entry| entry.action.id.clone()));
    }
    Ok(picked)
}

/// The entries that a text names.
pub(crate) fn matching<'p>(plan: &'p PlanDocument, text: &str) -> Vec<&'p Entry> {
    plan.entries.iter().filter(|entry| is_named(entry, text)).collect()
}

/// Whether a text names whom an entry is about.
pub(crate) fn is_named(entry: &Entry, text: &str) -> bool {
    let action = &entry.action;
    if text.len() >= PREFIX_MIN && action.id.as_str().starts_with(text) {
        return true;
    }
    let number = entry.who.employee_number.as_deref();
    match text.split_once(':') {
        Some(("employee", value)) => number == Some(value),
        Some(("directory", value)) => action.person.as_ref().is_some_and(|person| person.to_string() == value),
        Some(("cardholder", value)) => match &action.subject {
            Subject::Existing(id) => value.split_once('/') == Some((action.target.as_str(), id.as_str())),
            Subject::New(_) => false,
        },
        Some(_) => matches!(&action.subject, Subject::New(key) if format!("{}:{}", key.kind(), key.value()) == text),
        None => number == Some(text) || entry.who.name == text,
    }
}

/// A person of a plan in one short text.
pub(crate) fn label(entry: &Entry) -> String {
    let number = entry.who.employee_number.as_deref().map(|number| format!(" (employee:{number})"));
    format!("{}{} on {}", entry.who.name, number.unwrap_or_default(), entry.action.target)
}

/// A copy of a plan with only the entries that pass. The digest stays that of the whole plan.
pub(crate) fn filtered(plan: &PlanDocument, keep: impl Fn(&Entry) -> bool) -> PlanDocument {
    let mut plan = plan.clone();
    plan.entries.retain(|entry| keep(entry));
    plan
}

/// Whether a guard holds an entry.
pub(crate) const fn is_held(entry: &Entry) -> bool {
    matches!(entry.state, EntryState::Held { .. })
}
