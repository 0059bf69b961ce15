//! What counts as done, and what does not, case by case.

use std::collections::BTreeMap;

use lockstep_contract::{
    AccessLevelId, ActionId, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    FieldName, InactiveStatus, KeyKind, Profile, Reason, Reduction, Situation, Step, Steps, TargetId,
};

use super::*;

fn action(subject: Subject, expect: Expectation) -> Action {
    Action {
        id: ActionId::new("a".repeat(64)).expect("id"),
        target: TargetId::new("hq").expect("id"),
        subject,
        person: None,
        steps: Steps::new(vec![Step::Reduce(Reduction::Suspend)]).expect("a step"),
        basis: None,
        expect,
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    }
}

fn record() -> Cardholder {
    let mut profile = Profile::new();
    profile.set(FieldName::known("department"), "Optics");
    Cardholder {
        id: CardholderId::new("7").expect("id"),
        keys: CorrelationKeys::new(),
        profile,
        status: Status::Active,
        levels: [level("HQ"), level("Lab")].into(),
        credentials: vec![
            credential("c1", CredentialStatus::Active),
            credential("c2", CredentialStatus::Inactive(InactiveStatus::Lost)),
            credential("c3", CredentialStatus::Other("quarantine".into())),
        ],
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

fn credential(id: &str, status: CredentialStatus) -> Credential {
    Credential {
        id: CredentialId::new(id).expect("id"),
        kind: CredentialKind::Card,
        number: Some("0123456789".into()),
        status,
    }
}

fn level(id: &str) -> AccessLevelId {
    AccessLevelId::new(id).expect("id")
}

/// The names of what differs, in order.
fn what(expect: Expectation) -> Vec<String> {
    match verify(&action(Subject::Existing(CardholderId::new("7").expect("id")), expect), Some(&record())) {
        Verdict::Verified => Vec::new(),
        Verdict::Diverged { differences } => differences.into_iter().map(|difference| difference.what).collect(),
    }
}

#[test]
fn what_is_not_expected_is_not_looked_at() {
    assert!(what(Expectation::default()).is_empty());
}

#[test]
fn each_part_of_the_expectation_is_compared() {
    let mut profile = Profile::new();
    profile.set(FieldName::known("department"), "Opt");
    profile.set(FieldName::known("title"), "");
    let wrong = Expectation {
        status: Some(Status::Suspended),
        profile,
        levels_present: [level("HQ"), level("Roof")].into(),
        levels_absent: [level("Lab"), level("Gate")].into(),
        validity: Some(Validity { from: None, until: Some(jiff::Timestamp::UNIX_EPOCH) }),
        credentials: BTreeMap::new(),
    };
    assert_eq!(what(wrong), ["status", "level Roof", "level Lab", "field department", "validity"]);
}

#[test]
fn any_inactive_credential_is_inactive_a_missing_one_too_an_unknown_state_is_not() {
    let inactive = CredentialStatus::Inactive(InactiveStatus::Disabled);
    let expect = |id: &str, status: &CredentialStatus| Expectation {
        credentials: [(CredentialId::new(id).expect("id"), status.clone())].into(),
        ..Expectation::default()
    };
    assert_eq!(what(expect("c1", &inactive)), ["credential c1"]);
    assert!(what(expect("c2", &inactive)).is_empty());
    assert_eq!(what(expect("c3", &inactive)), ["credential c3"]);
    assert!(what(expect("gone", &inactive)).is_empty());
    assert!(what(expect("c1", &CredentialStatus::Active)).is_empty());
    assert_eq!(what(expect("gone", &CredentialStatus::Active)), ["credential gone"]);
}

#[test]
fn no_record_or_another_record_is_never_verified() {
    let mine = action(Subject::Existing(CardholderId::new("8").expect("id")), Expectation::default());
    let Verdict::Diverged { differences } = verify(&mine, Some(&record())) else { panic!("somebody else's record") };
    assert_eq!(differences, [differs("record", "8", "7")]);
    let key = CorrelationKey::new(KeyKind::Employee, "1").expect("key");
    let new = action(Subject::New(key), Expectation::default());
    assert!(matches!(verify(&new, None), Verdict::Diverged { .. }));
    assert_eq!(verify(&new, Some(&record())), Verdict::Verified, "a new record gets its id from the PACS");
}
