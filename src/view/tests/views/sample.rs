//! One plan with every kind of change, for the tests of the views.

use std::collections::BTreeMap;

use lockstep_contract::{
    AccessLevelId, Action, ActionId, CardholderId, CorrelationKey, CorrelationKeys, CredentialId, DirectoryId,
    Expectation, FieldName, GroupId, InactiveStatus, KeyKind, Profile, Reason, Reduction, RunId, Situation, Step,
    Steps, Subject, TargetId, Why, field, sha256_hex,
};
use lockstep_core::{
    Code, Entry, EntryState, Facts, Finding, Header, LaneKind, LevelFacts, Limits, Overrule, PLAN_FORMAT, PlanDocument,
    Tally, TargetSection, Trip, Who,
};

/// A name that tries everything at once.
const HOSTILE: &str = "=HYPERLINK(\"x\")";
const MARKUP: &str = "<script>alert(1)</script>\u{202e}gpj.exe";

fn level(id: &str) -> AccessLevelId {
    AccessLevelId::new(id).expect("level")
}

fn action(n: u8, subject: Subject, situation: Situation, steps: Vec<Step>, why: &str) -> Action {
    Action {
        id: ActionId::new(sha256_hex(&[n])).expect("digest"),
        target: TargetId::new("hq").expect("target"),
        subject,
        person: None,
        steps: Steps::new(steps).expect("steps"),
        basis: None,
        expect: Expectation::default(),
        because: Reason {
            situation,
            why: vec![Why {
                level: Some(level("HQ-Lab")),
                groups: vec![GroupId::new("GRP-HQ-Lab").expect("group")],
                mapping: Some("mappings/hq.toml:12".into()),
                text: why.into(),
            }],
        },
    }
}

fn existing(id: &str) -> Subject {
    Subject::Existing(CardholderId::new(id).expect("id"))
}

fn who(name: &str, number: &str) -> Who {
    Who {
        name: name.into(),
        employee_number: Some(number.into()),
        department: Some("Nursing".into()),
        title: None,
        manager: Some("M. Curie".into()),
    }
}

fn entries() -> Vec<Entry> {
    let new = CorrelationKey::new(KeyKind::Employee, "10999").expect("key");
    let entry = |lane, state, who, action| Entry { lane, state, who, action };
    let leave = vec![
        Step::Reduce(Reduction::Suspend),
        Step::Reduce(Reduction::Deactivate {
            credential: CredentialId::new("c-77").expect("id"),
            status: InactiveStatus::Disabled,
        }),
        Step::Reduce(Reduction::Revoke { level: level("HQ-Lab") }),
    ];
    let provision = vec![
        Step::Provision { profile: Profile::new(), keys: CorrelationKeys::from_iter([new.clone()]) },
        Step::Grant { level: level("HQ-Vault") },
    ];
    let moved =
        vec![Step::Reduce(Reduction::Revoke { level: level("HQ-Lab") }), Step::Grant { level: level("HQ-Vault") }];
    let amend = vec![Step::Amend {
        profile: Profile::from_iter([(FieldName::known(field::FAMILY_NAME), "Noether".to_owned())]),
    }];
    vec![
        entry(
            LaneKind::Revoke,
            EntryState::Standing,
            who("Ada Lovelace", "10482"),
            action(1, existing("5871"), Situation::Unqualified, leave, "disabled in corp since 2026-11-20"),
        ),
        entry(
            LaneKind::Revoke,
            EntryState::Held { trips: vec![0] },
            who("Held Person", "10483"),
            action(2, existing("5872"), Situation::Unqualified, vec![Step::Reduce(Reduction::Suspend)], "expired"),
        ),
        entry(
            LaneKind::Stage,
            EntryState::NeedsApproval,
            who("Grace Hopper", "10999"),
            action(3, Subject::New(new), Situation::Absent, provision, "in group GRP-HQ-Lab"),
        ),
        entry(
            LaneKind::Stage,
            EntryState::NeedsApproval,
            who(HOSTILE, "10500"),
            action(4, existing("5873"), Situation::Confirmed, moved, "moved"),
        ),
        entry(
            LaneKind::Stage,
            EntryState::Standing,
            who(MARKUP, "10501"),
            action(5, existing("5874"), Situation::Confirmed, amend, "renamed in the directory"),
        ),
    ]
}

fn section(entries: &[Entry]) -> TargetSection {
    let facts = |name: &str, high_security| LevelFacts {
        holders: 40,
        holders_after: 39,
        exists: true,
        name: name.into(),
        doors: vec!["Lab door 1".into(), "Lab door 2".into()],
        site: Some(lockstep_contract::SiteId::new("Headquarters").expect("site")),
        high_security,
    };
    TargetSection {
        target: TargetId::new("hq").expect("target"),
        kind: "sim".into(),
        endpoint: "pacs.json".into(),
        fingerprint: "sim:hq".into(),
        facts: Facts {
            people: 9_417,
            people_active: 9_410,
            cardholders: 9_416,
            managed: 9_400,
            levels: BTreeMap::from([
                (level("HQ-Lab"), facts("HQ Laboratory", false)),
                (level("HQ-Vault"), facts("HQ Vault", true)),
            ]),
            ..Facts::default()
        },
        tally: Tally { provision: 1, change: 2, disable: 1, undecided: 1, unchanged: 9_412, orphans: 3 },
        limits: Limits::default(),
        trips: vec![Trip {
            code: Code::BlastRadius,
            subject: "hq".into(),
            measured: "31 of 9,400 people (0.3 %)".into(),
            allowed: "at most 25".into(),
            setting: Some("limits.reductions_per_run".into()),
            common: Some("all are in department Nursing".into()),
            holds: vec![entries[1].action.id.clone()],
            overrule: Overrule::TwoPersons,
        }],
        findings: vec![
            Finding {
                code: Code::StandingUnknown,
                subject: "Emmy Noether (employee:10777)".into(),
                message: "the account state could not be read".into(),
                help: Some("grant the service account read on userAccountControl".into()),
            },
            Finding {
                code: Code::Orphan,
                subject: "cardholder 17".into(),
                message: "nobody accounts for it".into(),
                help: None,
            },
        ],
        links: vec![],
    }
}

/// The plan.
pub(crate) fn plan() -> PlanDocument {
    let entries = entries();
    let created: jiff::Timestamp = "2026-11-24T02:15:00Z".parse().expect("time");
    PlanDocument {
        header: Header {
            format: PLAN_FORMAT.into(),
            run: RunId::new(uuid::Uuid::from_u128(7)),
            created,
            expires: "2026-11-25T02:15:00Z".parse().expect("time"),
            version: "0.1.0".into(),
            directory: Some(DirectoryId::new("corp").expect("id")),
            config_digest: sha256_hex(b"config"),
            by: None,
            occasion: lockstep_core::Occasion::Run,
            reinstate: None,
        },
        targets: vec![section(&entries)],
        entries,
        digest: "7f3a000000000000000000000000000000000000000000000000000000000000c1".into(),
    }
}
