//! Work by hand on a PACS that is reached by SCIM: what to do on its screens, and a bulk request (RFC 7644, section
//! 3.7) for whoever can send one. The bulk request only takes access away.

use std::fmt::Write as _;

use lockstep_contract::{
    ByHand, Handwork, ImportFile, LOOK_AGAIN, Reduction, Step, Validity, field_words, validity_words,
};
use serde_json::{Value, json};

const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The steps for a PACS that speaks SCIM.
#[derive(Debug, Clone, Copy)]
pub struct ScimByHand;

impl ByHand for ScimByHand {
    fn steps(&self, work: &Handwork<'_>) -> Vec<String> {
        let mut steps = vec![match work.record_number() {
            Some(id) if work.name.is_empty() => {
                format!("In the administration of the PACS, open Users; open user {id}")
            }
            Some(id) => format!(
                "In the administration of the PACS, open Users; look for {}; check that its id is {id}",
                work.name
            ),
            None => "Open Users; look for the person first; choose New user only when there is none".to_owned(),
        }];
        for step in &work.action.steps {
            steps.extend(clicks(work, step));
        }
        steps.push(LOOK_AGAIN.to_owned());
        steps
    }

    fn lock_out(&self) -> Vec<String> {
        [
            "Sign in to the administration of the PACS, and open Users.",
            "Look for the person; check the name, and the id against the record number on this sheet.",
            "Set the user to Inactive (some systems say Disabled, or Active: off).",
            "Where the PACS shows cards or mobile passes at the user, switch each of them off.",
            "Save. Open the user again, and check that it shows as inactive.",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn import_file(&self, work: &[Handwork<'_>]) -> Option<ImportFile> {
        let each: Vec<Vec<Value>> = work.iter().filter_map(operations).collect();
        if each.is_empty() {
            return None;
        }
        let actions = each.len();
        let operations: Vec<Value> = each.into_iter().flatten().collect();
        // One failure must not keep the next person in: no `failOnErrors`.
        let bulk = json!({ "schemas": [BULK], "Operations": operations });
        Some(ImportFile {
            name: "scim-bulk-reductions.json".to_owned(),
            bytes: serde_json::to_vec_pretty(&bulk).ok()?,
            how: "For the administrator of the PACS: send it as it is with POST to /Bulk (RFC 7644, 3.7). It only \
                  switches users off and takes them out of groups. Then check each person on the screen."
                .to_owned(),
            actions,
        })
    }
}

fn clicks(work: &Handwork<'_>, step: &Step) -> Vec<String> {
    let one = |line: String| vec![line];
    let dates = |validity: &Validity| one(format!("Set the validity: {}", validity_words(validity)));
    match step {
        Step::Reduce(Reduction::Suspend) => one("Set the user to Inactive".to_owned()),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            one(format!("Under cards and passes, switch off {}", work.credential(credential)))
        }
        Step::Reduce(Reduction::Revoke { level }) => {
            one(format!("Under Groups, take the user out of {}", work.level(level)))
        }
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => dates(validity),
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            profile.iter().map(|(name, value)| format!("Set {} to “{value}”", field_words(name))).collect()
        }
        Step::Reinstate => one("Set the user to Active again".to_owned()),
        Step::Grant { level } => one(format!("Under Groups, add the user to {}", work.level(level))),
        Step::Activate { credential } => {
            one(format!("Under cards and passes, switch {} on again", work.credential(credential)))
        }
    }
}

/// The requests of one action; nothing when it is not about a user that is there, or does anything that SCIM cannot or
/// that gives access.
fn operations(work: &Handwork<'_>) -> Option<Vec<Value>> {
    let user = work.record_number()?.as_str();
    let patch = |path: String, op: Value| {
        let data = json!({ "schemas": [PATCH], "Operations": [op] });
        json!({ "method": "PATCH", "path": path, "data": data })
    };
    let suspends = work.action.steps.iter().any(|step| *step == Step::Reduce(Reduction::Suspend));
    let mut requests = Vec::new();
    for step in &work.action.steps {
        match step {
            Step::Reduce(Reduction::Suspend) => {
                let off = json!({ "op": "replace", "value": { "active": false } });
                requests.push(patch(format!("/Users/{}", segment(user)), off));
            }
            Step::Reduce(Reduction::Revoke { level }) => {
                let value = user.replace('\\', "\\\\").replace('"', "\\\"");
                let out = json!({ "op": "remove", "path": format!("members[value eq \"{value}\"]") });
                requests.push(patch(format!("/Groups/{}", segment(level.as_str())), out));
            }
            // SCIM knows no cards; whoever is switched off as a user has none that works.
            Step::Reduce(Reduction::Deactivate { .. }) if suspends => {}
            Step::Reduce(Reduction::Deactivate { .. } | Reduction::Narrow { .. })
            | Step::Provision { .. }
            | Step::Amend { .. }
            | Step::Reinstate
            | Step::Widen { .. }
            | Step::Grant { .. }
            | Step::Activate { .. } => return None,
        }
    }
    (!requests.is_empty()).then_some(requests)
}

/// An id as one segment of a path: a slash in it must not name something else.
fn segment(id: &str) -> String {
    id.bytes().fold(String::with_capacity(id.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // writing to a String cannot fail
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{
        AccessLevelId, Action, ActionId, CardholderId, Catalog, Expectation, Reason, Situation, Steps, Subject,
        TargetId,
    };

    use super::*;

    fn action(steps: Vec<Step>) -> Action {
        let subject = Subject::Existing(CardholderId::new("u/1\"x").expect("id"));
        let steps = Steps::new(steps).expect("steps");
        let target = TargetId::new("hq").expect("id");
        Action {
            id: ActionId::new(lockstep_contract::sha256_hex(b"one")).expect("digest"),
            target,
            subject,
            person: None,
            steps,
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Unqualified, why: Vec::new() },
        }
    }

    #[test]
    fn the_bulk_request_only_takes_away_and_names_exactly_this_user() {
        let level = AccessLevelId::new("g-1").expect("id");
        let leaver =
            action(vec![Step::Reduce(Reduction::Suspend), Step::Reduce(Reduction::Revoke { level: level.clone() })]);
        let mover = action(vec![Step::Reduce(Reduction::Revoke { level: level.clone() }), Step::Grant { level }]);
        let catalog = Catalog::default();
        let work = |action| Handwork { action, name: "", catalog: &catalog, record: None };
        let file = ScimByHand.import_file(&[work(&leaver), work(&mover)]).expect("one leaver");
        let text = String::from_utf8(file.bytes).expect("UTF-8");
        let bulk: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(file.actions, 1, "the mover is left out whole");
        assert_eq!(bulk["Operations"].as_array().map(Vec::len), Some(2));
        assert_eq!(bulk["Operations"][0]["path"], "/Users/u%2F1%22x", "one segment, whatever the id holds");
        assert_eq!(
            bulk["Operations"][1]["data"]["Operations"][0]["path"], "members[value eq \"u/1\\\"x\"]",
            "the value stays one value"
        );
        assert!(!text.contains("\"add\"") && !text.contains("DELETE") && !text.contains("true"), "{text}");
        assert_eq!(ScimByHand.import_file(&[work(&mover)]), None);
    }
}
