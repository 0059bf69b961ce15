//! What people do with their hands when Lockstep cannot: the steps for one action, the steps to lock anybody out, and
//! the file that the PACS' own tool imports. Each connector knows its vendor's screens; what it does not say is said
//! here in general words.
//!
//! Pure: nothing here is read from a PACS, so the sheets can be made while it is down or cannot even be opened.

use crate::{
    AccessLevelId, Action, Cardholder, Catalog, CredentialId, CredentialKind, FieldName, Reduction, Step, Subject,
    Validity,
};

/// One action as the person at the keyboard of the PACS has to do it.
#[derive(Debug, Clone, Copy)]
pub struct Handwork<'a> {
    /// What is to be done.
    pub action: &'a Action,
    /// Whose record, for people. May be empty.
    pub name: &'a str,
    /// The levels by the names that the PACS shows, as far as they are known.
    pub catalog: &'a Catalog,
    /// The record as it was last seen, where it is known.
    pub record: Option<&'a Cardholder>,
}

/// A file for the import of the PACS' own tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFile {
    /// Its name, without a folder: letters, digits, `-`, `_` and one dot.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// How to use it, in one or two sentences for people.
    pub how: String,
    /// How many of the actions it carries out.
    pub actions: usize,
}

/// What a connector knows about work by hand on its PACS.
pub trait ByHand: Sync {
    /// The clicks for one action, in the order of that PACS' screens, one sentence each. What takes access away comes
    /// first; the last one looks at the saved record again.
    fn steps(&self, work: &Handwork<'_>) -> Vec<String> {
        general_steps(work)
    }

    /// How to lock one person out, whoever it is, for somebody who has only a printed list.
    fn lock_out(&self) -> Vec<String> {
        [
            "Open the cardholder in the PACS by the record number on this sheet.",
            "Compare the name on the screen with the name on this sheet.",
            "Switch the cardholder off.",
            "Switch off every card and pass listed on the line.",
            "Save. Open the record again, and check that it shows as off.",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// A file for the import of the PACS' own tool that does these actions, where there is such a format. It must do
    /// nothing but take access away; an action that it cannot carry out whole is left out.
    fn import_file(&self, work: &[Handwork<'_>]) -> Option<ImportFile> {
        let _ = work;
        None
    }
}

/// General words, for a PACS whose screens nobody has described.
#[derive(Debug, Clone, Copy)]
pub struct GeneralByHand;

impl ByHand for GeneralByHand {}

/// What every step list ends with: only what is seen again counts as done.
pub const LOOK_AGAIN: &str = "Save, open the record again, and check that it shows all of this";

impl Handwork<'_> {
    /// The level by the name that the PACS shows, in quotation marks.
    pub fn level(&self, id: &AccessLevelId) -> String {
        let known = self.catalog.levels.get(id).map(|level| level.name.as_str());
        format!("“{}”", known.filter(|name| !name.is_empty()).unwrap_or(id.as_str()))
    }

    /// The credential as people find it: its kind and the end of its number, or its id.
    pub fn credential(&self, id: &CredentialId) -> String {
        let known = self.record.and_then(|record| record.credentials.iter().find(|one| one.id == *id));
        match known.and_then(|one| Some((one.kind, one.masked_number()?))) {
            Some((kind, number)) => format!("{} {number}", kind_word(kind)),
            None => format!("the card or pass {id}"),
        }
    }

    /// The record number, when there is a record.
    pub const fn record_number(&self) -> Option<&crate::CardholderId> {
        match &self.action.subject {
            Subject::Existing(id) => Some(id),
            Subject::New(_) => None,
        }
    }
}

/// What people call it.
pub const fn kind_word(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Card => "card",
        CredentialKind::Mobile => "mobile pass",
        CredentialKind::Pin => "PIN",
        CredentialKind::Other => "pass",
    }
}

/// A field as people call it: `employee_number` is the employee number.
pub fn field_words(field: &FieldName) -> String {
    field.as_str().replace('_', " ")
}

/// The days from which and to which a record is valid, for people.
pub fn validity_words(validity: &Validity) -> String {
    let bound = |at: Option<jiff::Timestamp>, open: &str| {
        at.map_or_else(|| open.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
    };
    format!("from {} until {}", bound(validity.from, "always"), bound(validity.until, "no end"))
}

fn general_steps(work: &Handwork<'_>) -> Vec<String> {
    let mut steps = vec![match work.record_number() {
        Some(id) if work.name.is_empty() => format!("Open cardholder {id}"),
        Some(id) => format!("Open cardholder {id}, and check that it is {}", work.name),
        None => "Look for the person first; create a cardholder only when there is none".to_owned(),
    }];
    for step in &work.action.steps {
        match step {
            Step::Reduce(Reduction::Suspend) => steps.push("Switch the cardholder off".to_owned()),
            Step::Reduce(Reduction::Deactivate { credential, .. }) => {
                steps.push(format!("Switch off {}", work.credential(credential)));
            }
            Step::Reduce(Reduction::Revoke { level }) => {
                steps.push(format!("Remove access level {}", work.level(level)));
            }
            Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => {
                steps.push(format!("Set the validity: {}", validity_words(validity)));
            }
            Step::Provision { profile, .. } | Step::Amend { profile } => {
                let fields = profile.iter();
                steps.extend(fields.map(|(name, value)| format!("Set {} to “{value}”", field_words(name))));
            }
            Step::Reinstate => steps.push("Switch the cardholder on again".to_owned()),
            Step::Grant { level } => steps.push(format!("Add access level {}", work.level(level))),
            Step::Activate { credential } => steps.push(format!("Switch {} on again", work.credential(credential))),
        }
    }
    steps.push(LOOK_AGAIN.to_owned());
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionId, CardholderId, Expectation, InactiveStatus, Reason, RunId, Situation, Steps, TargetId};

    #[test]
    fn general_words_name_the_record_and_cut_access_first() {
        let subject = Subject::Existing(CardholderId::new("5871").expect("id"));
        let steps = Steps::new(vec![
            Step::Grant { level: AccessLevelId::new("L-2").expect("id") },
            Step::Reduce(Reduction::Deactivate {
                credential: CredentialId::new("c-1").expect("id"),
                status: InactiveStatus::Disabled,
            }),
            Step::Reduce(Reduction::Suspend),
        ])
        .expect("steps");
        let target = TargetId::new("hq").expect("id");
        let action = Action {
            id: ActionId::of(RunId::new(uuid::Uuid::nil()), &target, &subject, &steps),
            target,
            subject,
            person: None,
            steps,
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Held, why: Vec::new() },
        };
        let catalog = Catalog::default();
        let work = Handwork { action: &action, name: "Ada Lovelace", catalog: &catalog, record: None };
        let steps = GeneralByHand.steps(&work);
        assert_eq!(
            steps,
            [
                "Open cardholder 5871, and check that it is Ada Lovelace",
                "Switch the cardholder off",
                "Switch off the card or pass c-1",
                "Add access level “L-2”",
                LOOK_AGAIN,
            ]
        );
        assert_eq!(GeneralByHand.import_file(&[work]), None);
    }
}
