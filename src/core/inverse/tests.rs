//! What a run did, undone.

use proptest::prelude::*;

use super::*;
use crate::fixture::{at, info, level, target};
use crate::{Hold, HoldId};
use lockstep_contract::{
    AccessLevelId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind, CredentialStatus,
    Expectation, FieldName, InactiveStatus, KeyKind, Profile, Situation, Validity, field,
};

fn record(id: &str) -> Cardholder {
    let mut profile = Profile::new();
    profile.set(FieldName::known(field::DISPLAY_NAME), "Ada Lovelace");
    profile.set(FieldName::known(field::DEPARTMENT), "Optics");
    Cardholder {
        id: CardholderId::new(id).expect("id"),
        keys: [CorrelationKey::new(KeyKind::Employee, id).expect("key")].into_iter().collect(),
        profile,
        status: Status::Active,
        levels: [level("HQ"), level("Canteen")].into(),
        credentials: vec![card("k1", CredentialStatus::Active)],
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

fn card(id: &str, status: CredentialStatus) -> Credential {
    Credential { id: CredentialId::new(id).expect("id"), kind: CredentialKind::Card, number: None, status }
}

fn amend(name: &'static str, value: &str) -> Step {
    let mut profile = Profile::new();
    profile.set(FieldName::known(name), value);
    Step::Amend { profile }
}

fn grant(id: &str) -> Step {
    Step::Grant { level: level(id) }
}

fn revoke(id: &str) -> Step {
    Reduction::Revoke { level: level(id) }.into()
}

/// A PACS that does exactly what it is told.
fn apply(record: &Cardholder, steps: impl IntoIterator<Item = Step>) -> Cardholder {
    let mut record = record.clone();
    let set = |record: &mut Cardholder, id: &CredentialId, status: CredentialStatus| {
        record.credentials.iter_mut().filter(|c| c.id == *id).for_each(|c| c.status = status.clone());
    };
    for step in steps {
        match step {
            Step::Reduce(Reduction::Suspend) => record.status = Status::Suspended,
            Step::Reduce(Reduction::Revoke { level }) => drop(record.levels.remove(&level)),
            Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => record.validity = validity,
            Step::Reduce(Reduction::Deactivate { credential, status }) => {
                set(&mut record, &credential, CredentialStatus::Inactive(status));
            }
            Step::Reinstate => record.status = Status::Active,
            Step::Grant { level } => drop(record.levels.insert(level)),
            Step::Activate { credential } => set(&mut record, &credential, CredentialStatus::Active),
            Step::Amend { profile } => profile.iter().for_each(|(n, v)| record.profile.set(n.clone(), v)),
            Step::Provision { .. } => {}
        }
    }
    record
}

fn settled(before: Option<&Cardholder>, after: &Cardholder, steps: Vec<Step>) -> Settled {
    let steps = Steps::new(steps).expect("some steps");
    let subject = Subject::Existing(after.id.clone());
    Settled {
        action: Action {
            id: ActionId::of(RunId::new(uuid::Uuid::from_u128(1)), &target(), &subject, &steps),
            target: target(),
            subject,
            person: None,
            steps,
            basis: before.map(Cardholder::digest),
            expect: Expectation::default(),
            because: Reason { situation: Situation::Confirmed, why: Vec::new() },
        },
        before: before.cloned(),
        after: after.clone(),
    }
}

fn undo(done: &[Settled], now: &[Cardholder], holds: &Holds) -> Draft {
    inverse(UndoInputs {
        target: &info(),
        done,
        now_on_pacs: &now.iter().map(|record| (record.id.clone(), record.clone())).collect(),
        holds,
        run: RunId::new(uuid::Uuid::from_u128(2)),
        now: at(0),
    })
}

fn steps(draft: &Draft) -> Vec<Step> {
    draft.stage.actions.iter().flat_map(|action| action.steps.iter().cloned()).collect()
}

fn codes(draft: &Draft) -> Vec<Code> {
    draft.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_leaver_comes_back_as_before() {
    let before = record("7");
    let done = vec![Reduction::Suspend.into(), revoke("HQ")];
    let after = apply(&before, done.clone());
    let draft = undo(&[settled(Some(&before), &after, done)], std::slice::from_ref(&after), &Holds::default());
    assert_eq!(steps(&draft), [Step::Reinstate, grant("HQ")]);
    assert!(draft.undo && draft.revoke.actions.is_empty() && draft.findings.is_empty());
    let action = &draft.stage.actions[0];
    assert_eq!(action.basis, Some(after.digest()));
    assert_eq!(action.expect.levels_present, before.levels, "unmanaged levels survive");
    assert_eq!(crate::verify(action, Some(&apply(&after, steps(&draft)))), crate::Verdict::Verified);
    assert_eq!(draft.who[&action.id].name, "Ada Lovelace");
    assert_eq!((draft.tally.change, draft.tally.disable), (1, 0));
}

#[test]
fn only_what_the_run_touched_is_put_back_over_all_its_actions() {
    let before = record("7");
    let first = vec![revoke("HQ")];
    let middle = apply(&before, first.clone());
    // Between the two actions somebody else gave a level: it is theirs.
    let middle_now = apply(&middle, [grant("Garage")]);
    let second = vec![grant("Lab"), amend(field::DEPARTMENT, "Acoustics"), amend(field::TITLE, "Head")];
    let after = apply(&middle_now, second.clone());
    let done = [settled(Some(&before), &middle, first), settled(Some(&middle_now), &after, second)];
    let draft = undo(&done, std::slice::from_ref(&after), &Holds::default());
    let back = apply(&after, steps(&draft));
    assert_eq!(back.levels, [level("HQ"), level("Canteen"), level("Garage")].into());
    assert_eq!(back.profile.get(field::DEPARTMENT), Some("Optics"));
    assert_eq!(back.profile.get(field::TITLE), Some(""), "a field that was not there is cleared");
}

#[test]
fn what_changed_since_or_is_gone_is_left() {
    let before = record("7");
    let done = vec![revoke("HQ")];
    let after = apply(&before, done.clone());
    let changed = apply(&after, [grant("Lab")]);
    let all = [settled(Some(&before), &after, done)];
    for now in [vec![changed], vec![]] {
        let draft = undo(&all, &now, &Holds::default());
        assert_eq!((codes(&draft), steps(&draft)), (vec![Code::ChangedSince], vec![]));
        assert_eq!(draft.tally.undecided, 1);
    }
    let mut another_revision = after;
    another_revision.revision = Some(lockstep_contract::Revision("w/2".into()));
    assert_eq!(steps(&undo(&all, &[another_revision], &Holds::default())), [grant("HQ")]);
}

#[test]
fn who_is_held_out_gets_nothing_back_but_still_loses_what_the_run_gave() {
    let before = record("7");
    let hold = |cardholders: Vec<CardholderId>, keys: CorrelationKeys| {
        let (by, reason) = ("desk".into(), "left".into());
        Holds(vec![Hold { id: HoldId::default(), person: None, cardholders, keys, by, reason, since: at(0) }])
    };
    let by_id = hold(vec![before.id.clone()], CorrelationKeys::new());
    let by_key = hold(Vec::new(), before.keys.clone());
    for holds in [by_id, by_key] {
        let leaver = vec![Reduction::Suspend.into()];
        let off = apply(&before, leaver.clone());
        let draft = undo(&[settled(Some(&before), &off, leaver)], std::slice::from_ref(&off), &holds);
        assert_eq!((codes(&draft), steps(&draft)), (vec![Code::OnHold], vec![]));
        let mover = vec![revoke("HQ"), grant("Lab")];
        let moved = apply(&before, mover.clone());
        let draft = undo(&[settled(Some(&before), &moved, mover)], std::slice::from_ref(&moved), &holds);
        assert_eq!((codes(&draft), steps(&draft)), (vec![Code::OnHold], vec![revoke("Lab")]));
    }
}

#[test]
fn a_record_that_the_run_created_is_switched_off_and_never_deleted() {
    let mut after = record("9");
    after.levels = [level("HQ")].into();
    let keys = after.keys.clone();
    let made = vec![Step::Provision { profile: Profile::new(), keys }, grant("HQ")];
    let draft = undo(&[settled(None, &after, made)], std::slice::from_ref(&after), &Holds::default());
    assert_eq!(steps(&draft), [Reduction::Suspend.into(), revoke("HQ")]);
    assert_eq!((codes(&draft), draft.tally.disable), (vec![Code::NotReversible], 1));
}

#[test]
fn a_lost_card_stays_off() {
    let before = record("7");
    for (status, expected) in [
        (InactiveStatus::Lost, vec![]),
        (InactiveStatus::Stolen, vec![]),
        (InactiveStatus::Disabled, vec![Step::Activate { credential: CredentialId::new("k1").expect("id") }]),
    ] {
        let done = vec![Reduction::Deactivate { credential: CredentialId::new("k1").expect("id"), status }.into()];
        let after = apply(&before, done.clone());
        let draft = undo(&[settled(Some(&before), &after, done)], std::slice::from_ref(&after), &Holds::default());
        let said = if expected.is_empty() { vec![Code::NotReversible] } else { vec![] };
        assert_eq!((steps(&draft), codes(&draft)), (expected, said), "{status:?}");
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let levels = proptest::sample::select(vec!["HQ", "Canteen", "Lab", "Vault"]);
    let fields = proptest::sample::select(vec![field::DEPARTMENT, field::TITLE]);
    let bound = || proptest::option::of(0_i64..3).prop_map(|n| n.map(at));
    let validity = (bound(), bound()).prop_map(|(from, until)| Validity { from, until });
    let credential = || proptest::sample::select(vec!["k1", "k2"]).prop_map(|id| CredentialId::new(id).expect("id"));
    prop_oneof![
        Just(Step::Reduce(Reduction::Suspend)),
        Just(Step::Reinstate),
        levels.clone().prop_map(revoke),
        levels.prop_map(grant),
        (fields, "[a-c]{0,2}").prop_map(|(name, value)| amend(name, &value)),
        validity.prop_map(|validity| Step::Widen { validity }),
        credential().prop_map(|credential| Step::Activate { credential }),
        credential()
            .prop_map(|credential| Reduction::Deactivate { credential, status: InactiveStatus::Disabled }.into()),
    ]
}

proptest! {
    /// The inverse of what was done gives the record as it was, in everything that can be put back.
    #[test]
    fn the_inverse_of_what_was_done_is_what_was_before(
        runs in proptest::collection::vec(proptest::collection::vec(any_step(), 1..5), 1..4),
        suspended in any::<bool>(),
    ) {
        let mut before = record("7");
        before.credentials.push(card("k2", CredentialStatus::Inactive(InactiveStatus::Disabled)));
        before.profile.set(FieldName::known(field::TITLE), "");
        if suspended {
            before.status = Status::Suspended;
        }
        let mut now = before.clone();
        let mut done = Vec::new();
        for run in runs {
            let ordered = Steps::new(run.clone()).expect("some steps");
            let after = apply(&now, ordered.iter().cloned());
            done.push(settled(Some(&now), &after, run));
            now = after;
        }
        let draft = undo(&done, std::slice::from_ref(&now), &Holds::default());
        let back = apply(&now, steps(&draft));
        prop_assert_eq!(&back, &before);
        for action in &draft.stage.actions {
            prop_assert_eq!(crate::verify(action, Some(&back)), crate::Verdict::Verified);
        }
        prop_assert!(draft.findings.is_empty());
        if draft.stage.actions.is_empty() {
            prop_assert_eq!(&now, &before);
        }
    }
}

/// Levels are told apart by id only; this keeps the helper above honest.
#[test]
fn the_helper_grants_what_it_says() {
    let levels: BTreeSet<AccessLevelId> = apply(&record("7"), [grant("Lab")]).levels;
    assert!(levels.contains(&level("Lab")) && levels.len() == 3);
}

mod reinstatement {
    use super::*;
    use crate::fixture::policy;
    use lockstep_contract::Suspend;

    fn cut(credentials: &[&str], levels: &[&str]) -> Vec<Step> {
        let card = |id: &&str| Reduction::Deactivate {
            credential: CredentialId::new(*id).expect("id"),
            status: InactiveStatus::Disabled,
        };
        let steps = credentials.iter().map(card).map(Step::from).chain(levels.iter().map(|level| revoke(level)));
        std::iter::once(Reduction::Suspend.into()).chain(steps).collect()
    }

    fn taken(before: &Cardholder, steps: Vec<Step>) -> Taken {
        Taken { action: settled(Some(before), before, steps).action, before: before.clone() }
    }

    fn back(info: &TargetInfo, taken: &[Taken], now: &Cardholder) -> Draft {
        restore(RestoreInputs {
            target: info,
            policy: &policy(),
            taken,
            people: &BTreeMap::new(),
            now_on_pacs: &BTreeMap::from([(now.id.clone(), now.clone())]),
            run: RunId::new(uuid::Uuid::from_u128(3)),
            why: "cleared",
        })
    }

    #[test]
    fn exactly_what_was_taken_is_given_back() {
        let mut before = record("7");
        before.levels.insert(level("Lab"));
        let steps = cut(&["k1"], &["Lab"]);
        let off = apply(&before, steps.clone());
        let draft = back(&info(), &[taken(&before, steps)], &off);
        assert_eq!(apply(&off, super::steps(&draft)), before);
        assert!(draft.undo && draft.findings.is_empty(), "{:?}", draft.findings);
        assert_eq!(crate::verify(&draft.stage.actions[0], Some(&before)), crate::Verdict::Verified);
    }

    #[test]
    fn a_record_that_is_somebody_elses_by_now_gets_nothing() {
        let before = record("7");
        let steps = cut(&["k1"], &[]);
        let mut now = apply(&before, steps.clone());
        now.keys = [CorrelationKey::new(KeyKind::Employee, "8").expect("key")].into_iter().collect();
        let draft = back(&info(), &[taken(&before, steps)], &now);
        assert!(draft.stage.actions.is_empty());
        assert!(draft.findings.iter().any(|finding| finding.message.contains("somebody else")), "{:?}", draft.findings);
    }

    #[test]
    fn what_is_not_as_it_was_left_stays_and_is_named() {
        let mut before = record("7");
        before.credentials = ["lost", "gone", "on", "ours"].map(|id| card(id, CredentialStatus::Active)).into();
        before.credentials.push(card("before", CredentialStatus::Inactive(InactiveStatus::Stolen)));
        let steps = cut(&["lost", "gone", "on", "ours", "before"], &["Canteen"]);
        let mut now = apply(&before, steps.clone());
        now.credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Lost);
        now.credentials[2].status = CredentialStatus::Active;
        now.credentials.remove(1);
        let draft = back(&info(), &[taken(&before, steps)], &now);
        let ours = CredentialId::new("ours").expect("id");
        assert_eq!(super::steps(&draft), [Step::Reinstate, Step::Activate { credential: ours }]);
        let said: Vec<_> = draft.findings.iter().map(|finding| finding.message.as_str()).collect();
        for word in
            ["lost is reported lost", "gone is no longer", "before was not switched on", "level Canteen was taken"]
        {
            assert!(said.iter().any(|message| message.contains(word)), "{word}: {said:?}");
        }
    }

    #[test]
    fn the_first_before_image_counts() {
        let mut first = record("7");
        first.status = Status::Suspended;
        first.credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Disabled);
        let mut second = first.clone();
        second.status = Status::Active;
        second.levels.insert(level("Lab"));
        second.credentials[0].status = CredentialStatus::Active;
        let steps = cut(&["k1"], &["Lab"]);
        let off = apply(&second, steps.clone());
        let draft = back(&info(), &[taken(&first, vec![revoke("Canteen")]), taken(&second, steps)], &off);
        assert_eq!(super::steps(&draft), [], "somebody gave it while the person was to be out");
        assert!(draft.findings.iter().any(|finding| finding.code == Code::SuspendedByOthers));
    }

    #[test]
    fn where_there_is_no_flag_only_the_cards_that_worked_come_back() {
        let mut flagless = info();
        flagless.capabilities.suspend = Suspend::EveryCredential;
        let mut before = record("7");
        before.credentials.push(card("k2", CredentialStatus::Inactive(InactiveStatus::Lost)));
        let mut off = before.clone();
        off.credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Disabled);
        let suspend = vec![Reduction::Suspend.into()];
        let k1 = CredentialId::new("k1").expect("id");
        let draft = back(&flagless, &[taken(&before, suspend.clone())], &off);
        assert_eq!(super::steps(&draft), [Step::Activate { credential: k1.clone() }]);
        let undone = inverse(UndoInputs {
            target: &flagless,
            done: &[settled(Some(&before), &off, suspend)],
            now_on_pacs: &BTreeMap::from([(off.id.clone(), off.clone())]),
            holds: &Holds::default(),
            run: RunId::new(uuid::Uuid::from_u128(2)),
            now: at(0),
        });
        assert_eq!(super::steps(&undone), [Step::Activate { credential: k1 }], "a rollback knows that, too");
    }

    #[test]
    fn where_there_is_no_flag_the_status_that_follows_from_the_cards_is_not_expected_to_stay() {
        let mut flagless = info();
        flagless.capabilities.suspend = Suspend::EveryCredential;
        let before = record("7");
        let mut off = before.clone();
        off.status = Status::Suspended;
        off.credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Disabled);
        let draft = back(&flagless, &[taken(&before, cut(&["k1"], &[]))], &off);
        let action = draft.stage.actions().first().expect("one action");
        assert!(action.steps.iter().any(|step| matches!(step, Step::Activate { .. })));
        assert_ne!(action.expect.status, Some(Status::Suspended), "the card that comes back brings the person back");
    }

    #[test]
    fn a_record_that_is_gone_is_named() {
        let before = record("7");
        let draft = back(&info(), &[taken(&before, cut(&["k1"], &[]))], &record("8"));
        assert!(super::steps(&draft).is_empty());
        assert_eq!(codes(&draft), [Code::ChangedSince]);
    }
}
