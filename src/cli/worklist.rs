//! From actions to the rows of a worklist: who, why, and the steps in the words of the connector. Pure; nothing here
//! reads or writes.

use std::collections::BTreeMap;

use lockstep_contract::{
    AccessLevel, Action, Cardholder, Catalog, Handwork, ImportFile, Subject, canonical_json, field, sha256_hex,
};
use lockstep_core::{Entry, EntryState, PlanDocument, TargetSection, Who};
use lockstep_view::{Category, Urgency, WorkRow, WorkSheet, Worklist, escape, rows};

use crate::connectors;

/// What is to be done to one record, whoever wants it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// What.
    pub action: Action,
    /// How much it matters.
    pub urgency: Urgency,
    /// Whose record, for people.
    pub who: Who,
    /// Why, in a few words.
    pub because: String,
    /// The record as it was last seen, where it is known.
    pub record: Option<Cardholder>,
}

/// By which a row is known again in every later list: what is to be done to whose record, and not which run says so.
/// Letters come first, so that no spreadsheet takes it for a number.
pub(crate) fn row_id(action: &Action) -> String {
    id_of(&canonical_json(&(&action.target, &action.subject, &action.steps)))
}

/// The same for a row that is not about a record.
pub(crate) fn id_of(bytes: &[u8]) -> String {
    let digest = sha256_hex(bytes);
    format!("row-{}", digest.get(..12).unwrap_or(&digest))
}

/// One row, with the steps of this kind of PACS.
pub(crate) fn row(kind: &str, task: &Task, catalog: &Catalog) -> WorkRow {
    let record = match &task.action.subject {
        Subject::Existing(id) => id.to_string(),
        Subject::New(_) => String::new(),
    };
    WorkRow {
        id: row_id(&task.action),
        urgency: task.urgency,
        name: name(task),
        employee_number: task.who.employee_number.clone().unwrap_or_default(),
        department: task.who.department.clone().unwrap_or_default(),
        record,
        because: task.because.clone(),
        steps: steps(kind, task, catalog),
    }
}

/// The steps of this kind of PACS. When a record that is to be locked out has not been read, nobody knows its cards: then
/// all of them go, as from a printed sheet.
fn steps(kind: &str, task: &Task, catalog: &Catalog) -> Vec<String> {
    let by_hand = connectors::by_hand(kind);
    if task.urgency == Urgency::PutOut && task.record.is_none() {
        return by_hand.lock_out();
    }
    by_hand.steps(&handwork(task, catalog))
}

/// The import file for these tasks, where this kind of PACS has one. Only what somebody agreed to is in it.
pub(crate) fn import_file(kind: &str, tasks: &[&Task], catalog: &Catalog) -> Option<ImportFile> {
    let agreed = tasks.iter().filter(|task| task.urgency != Urgency::Waits);
    let work: Vec<Handwork<'_>> = agreed.map(|task| handwork(task, catalog)).collect();
    connectors::by_hand(kind).import_file(&work)
}

fn handwork<'a>(task: &'a Task, catalog: &'a Catalog) -> Handwork<'a> {
    Handwork { action: &task.action, name: &task.who.name, catalog, record: task.record.as_ref() }
}

/// The name as planned with, else as the record has it, else the record's number or key.
fn name(task: &Task) -> String {
    if !task.who.name.is_empty() {
        return task.who.name.clone();
    }
    let recorded = task.record.as_ref().and_then(|record| record.profile.get(field::DISPLAY_NAME));
    match (recorded, &task.action.subject) {
        (Some(name), _) if !name.is_empty() => name.to_owned(),
        (_, Subject::Existing(id)) => format!("record {id}"),
        (_, Subject::New(key)) => key.to_string(),
    }
}

/// The worklist of one plan: what takes access away first. Held actions are left out, since nobody has agreed to them;
/// what waits for an approval says so.
pub(crate) fn of_plan(plan: &PlanDocument) -> Worklist {
    let mut tasks: Vec<(Category, Task)> = rows(plan)
        .iter()
        .filter(|row| !matches!(row.entry.state, EntryState::Held { .. }))
        .map(|row| (row.category, task(row.entry, row.category)))
        .collect();
    tasks.sort_by_key(|(category, task)| (task.urgency, *category));
    let sheets = plan.targets.iter().map(|section| {
        let catalog = catalog(section);
        let mine = tasks.iter().filter(|(_, task)| task.action.target == section.target);
        WorkSheet {
            target: section.target.to_string(),
            endpoint: section.endpoint.clone(),
            import: None,
            rows: mine.map(|(_, task)| row(&section.kind, task, &catalog)).collect(),
        }
    });
    Worklist {
        made: plan.header.created,
        basis: format!("From plan {}.", escape::short_digest(&plan.digest)),
        notes: Vec::new(),
        sheets: sheets.filter(|sheet| !sheet.rows.is_empty()).collect(),
    }
}

/// One entry of a plan as something to do by hand.
pub(crate) fn task(entry: &Entry, category: Category) -> Task {
    let waits = !matches!(entry.state, EntryState::Standing);
    Task {
        action: entry.action.clone(),
        urgency: if waits { Urgency::Waits } else { Urgency::Agreed },
        who: entry.who.clone(),
        because: reason(category).to_owned(),
        record: None,
    }
}

/// Why, for somebody who has never seen a plan.
const fn reason(category: Category) -> &'static str {
    match category {
        Category::Leaver => "Leaves: loses all access",
        Category::Joiner => "New: gets a record",
        Category::Return => "Comes back",
        Category::Mover => "Other tasks: other access",
        Category::Details => "Only details change",
    }
}

/// The levels of a plan by name.
pub(crate) fn catalog(section: &TargetSection) -> Catalog {
    let level = |facts: &lockstep_core::LevelFacts| AccessLevel {
        name: facts.name.clone(),
        doors: facts.doors.clone(),
        site: facts.site.clone(),
    };
    let levels: BTreeMap<_, _> = section.facts.levels.iter().map(|(id, facts)| (id.clone(), level(facts))).collect();
    Catalog { levels }
}

#[cfg(all(test, feature = "scim"))]
mod tests {
    use lockstep_contract::{
        ActionId, CardholderId, Expectation, Reason, Reduction, RunId, Situation, Step, Steps, TargetId,
    };

    use super::*;

    fn suspend(run: u128, id: &str, urgency: Urgency) -> Task {
        let target = TargetId::new("hq").expect("id");
        let subject = Subject::Existing(CardholderId::new(id).expect("id"));
        let steps = Steps::new(vec![Step::Reduce(Reduction::Suspend)]).expect("a step");
        let action = Action {
            id: ActionId::of(RunId::new(uuid::Uuid::from_u128(run)), &target, &subject, &steps),
            target,
            subject,
            person: None,
            steps,
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Unqualified, why: Vec::new() },
        };
        Task { action, urgency, who: Who::default(), because: String::new(), record: None }
    }

    #[test]
    fn a_row_is_the_same_in_every_list_and_no_number() {
        let ids = [1, 2].map(|run| row_id(&suspend(run, "u-1", Urgency::Agreed).action));
        assert_eq!(ids[0], ids[1], "whichever run says so");
        assert_ne!(ids[0], row_id(&suspend(1, "u-2", Urgency::Agreed).action));
        assert!(ids[0].starts_with("row-"), "no spreadsheet spells it anew");
    }

    #[test]
    fn what_nobody_agreed_to_is_in_no_import_file() {
        let (agreed, waits) = (suspend(1, "u-1", Urgency::Agreed), suspend(1, "u-2", Urgency::Waits));
        let catalog = Catalog::default();
        let file = import_file("scim", &[&agreed, &waits], &catalog).expect("one leaver");
        let text = String::from_utf8(file.bytes).expect("UTF-8");
        assert!(text.contains("/Users/u-1") && !text.contains("u-2"), "{text}");
        assert!(import_file("scim", &[&waits], &catalog).is_none());
        assert!(import_file("sim", &[&agreed], &catalog).is_none(), "it has no such format");
    }
}
