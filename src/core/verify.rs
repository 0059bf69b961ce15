//! Judging a read-back. A connector reports, this module decides whether it is done (I7).
//!
//! It compares what was promised with what is there, and nothing else: no tolerance for values that a PACS cut short or
//! re-spelled, since such a value would be written again in every run.

use lockstep_contract::{Action, Cardholder, CredentialStatus, Expectation, Status, Subject, Validity};
use serde::{Deserialize, Serialize};

/// What a read-back shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Verified,
    /// Not as expected.
    Diverged {
        /// Each difference.
        differences: Vec<Difference>,
    },
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What: `status`, `level HQ-Lab`, `field department`.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// Compares what an action promised with what is there.
pub fn verify(action: &Action, read_back: Option<&Cardholder>) -> Verdict {
    let differences = match read_back {
        None => vec![differs("record", "there", "not there")],
        Some(found) => differences(action, found),
    };
    if differences.is_empty() { Verdict::Verified } else { Verdict::Diverged { differences } }
}

fn differences(action: &Action, found: &Cardholder) -> Vec<Difference> {
    let mut all = Vec::new();
    if let Subject::Existing(id) = &action.subject
        && *id != found.id
    {
        // The answer is about somebody else: nothing in it says anything about this action.
        return vec![differs("record", id.as_str(), found.id.as_str())];
    }
    let expect = &action.expect;
    if let Some(status) = &expect.status
        && *status != found.status
    {
        all.push(differs("status", status_text(status), status_text(&found.status)));
    }
    levels(expect, found, &mut all);
    for (name, value) in expect.profile.iter() {
        // A field that was cleared may be gone from the record altogether.
        let there = found.profile.get(name.as_str()).unwrap_or_default();
        if there != value {
            all.push(differs(format!("field {name}"), value, there));
        }
    }
    if let Some(validity) = expect.validity
        && validity != found.validity
    {
        all.push(differs("validity", validity_text(validity), validity_text(found.validity)));
    }
    credentials(expect, found, &mut all);
    all
}

fn levels(expect: &Expectation, found: &Cardholder, all: &mut Vec<Difference>) {
    for level in expect.levels_present.difference(&found.levels) {
        all.push(differs(format!("level {level}"), "held", "not held"));
    }
    for level in expect.levels_absent.intersection(&found.levels) {
        all.push(differs(format!("level {level}"), "not held", "held"));
    }
}

/// A credential that does not work is as good as one that does not work for another reason; one that is gone does not
/// work. A state that the connector does not know counts as working.
fn credentials(expect: &Expectation, found: &Cardholder, all: &mut Vec<Difference>) {
    for (id, wanted) in &expect.credentials {
        let there =
            found.credentials.iter().find(|credential| credential.id == *id).map(|credential| &credential.status);
        let fine = match (wanted, there) {
            (CredentialStatus::Inactive(_), None | Some(CredentialStatus::Inactive(_)))
            | (CredentialStatus::Active, Some(CredentialStatus::Active)) => true,
            (CredentialStatus::Other(wanted), Some(CredentialStatus::Other(there))) => wanted == there,
            (CredentialStatus::Inactive(_) | CredentialStatus::Active | CredentialStatus::Other(_), _) => false,
        };
        if !fine {
            let found = there.map_or("not there", credential_text);
            all.push(differs(format!("credential {id}"), credential_text(wanted), found));
        }
    }
}

fn differs(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Difference {
    Difference { what: what.into(), expected: expected.into(), found: found.into() }
}

fn status_text(status: &Status) -> &str {
    match status {
        Status::Active => "active",
        Status::Suspended => "suspended",
        Status::Other(text) => text,
    }
}

fn credential_text(status: &CredentialStatus) -> &str {
    match status {
        CredentialStatus::Active => "active",
        CredentialStatus::Inactive(_) => "inactive",
        CredentialStatus::Other(text) => text,
    }
}

fn validity_text(validity: Validity) -> String {
    let bound = |bound: Option<jiff::Timestamp>| bound.map_or_else(|| "open".to_owned(), |at| at.to_string());
    format!("{} to {}", bound(validity.from), bound(validity.until))
}

#[cfg(test)]
mod tests;
