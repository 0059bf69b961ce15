//! What holds for every action on a simulated PACS, whatever it is.

use lockstep_contract::{
    AccessLevel, AccessLevelId, Action, ActionId, Cardholder, CardholderId, CorrelationKeys, Credential, CredentialId,
    CredentialKind, CredentialStatus, Expectation, FieldName, InactiveStatus, Profile, Reason, Reduction, RunId,
    Situation, Status, Step, Steps, Subject, TargetId, Validity, field,
};
use lockstep_sim::{World, standard_capabilities};
use proptest::prelude::*;

fn level(n: u8) -> AccessLevelId {
    AccessLevelId::new(format!("level-{n}")).expect("id")
}

fn card(n: u8) -> CredentialId {
    CredentialId::new(format!("card-{n}")).expect("id")
}

fn validity() -> impl Strategy<Value = Validity> {
    let bound = || proptest::option::of((0_i64..50).prop_map(|n| jiff::Timestamp::from_second(n).expect("in range")));
    (bound(), bound()).prop_map(|(from, until)| Validity { from, until })
}

fn inactive() -> impl Strategy<Value = InactiveStatus> {
    prop_oneof![Just(InactiveStatus::Disabled), Just(InactiveStatus::Lost), Just(InactiveStatus::Returned)]
}

fn reduction() -> impl Strategy<Value = Reduction> {
    prop_oneof![
        Just(Reduction::Suspend),
        (0..4_u8, inactive()).prop_map(|(n, status)| Reduction::Deactivate { credential: card(n), status }),
        (0..6_u8).prop_map(|n| Reduction::Revoke { level: level(n) }),
        validity().prop_map(|validity| Reduction::Narrow { validity }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let amend = "[a-zé]{0,6}".prop_map(|value| {
        let profile: Profile = [(FieldName::known(field::DEPARTMENT), value)].into_iter().collect();
        Step::Amend { profile }
    });
    prop_oneof![
        3 => reduction().prop_map(Step::Reduce),
        2 => (0..6_u8).prop_map(|n| Step::Grant { level: level(n) }),
        1 => amend,
        1 => Just(Step::Reinstate),
        1 => validity().prop_map(|validity| Step::Widen { validity }),
        1 => (0..4_u8).prop_map(|n| Step::Activate { credential: card(n) }),
    ]
}

/// Five levels, of which the record has two; three cards, of which one is lost.
fn world() -> World {
    let lost = CredentialStatus::Inactive(InactiveStatus::Lost);
    let states = [CredentialStatus::Active, CredentialStatus::Active, lost];
    let credential = |(n, status): (usize, CredentialStatus)| Credential {
        id: card(n as u8),
        kind: CredentialKind::Card,
        number: None,
        status,
    };
    let record = Cardholder {
        id: CardholderId::new("h").expect("id"),
        keys: CorrelationKeys::new(),
        profile: Profile::new(),
        status: Status::Active,
        levels: [level(0), level(1)].into_iter().collect(),
        credentials: states.into_iter().enumerate().map(credential).collect(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    };
    (0..5).fold(World::new("w").with_cardholder(record), |world, n| world.with_level(level(n), AccessLevel::default()))
}

fn action(steps: Vec<Step>) -> Action {
    let steps = Steps::new(steps).expect("some steps");
    let target = TargetId::new("t").expect("id");
    let subject = Subject::Existing(CardholderId::new("h").expect("id"));
    Action {
        id: ActionId::of(RunId::new(uuid::Uuid::nil()), &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    }
}

fn record(world: &World) -> &Cardholder {
    world.cardholders.values().next().expect("the one record")
}

fn working(record: &Cardholder) -> usize {
    record.credentials.iter().filter(|one| one.status == CredentialStatus::Active).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_action_twice_is_the_action_once_and_a_refused_one_is_nothing(
        steps in proptest::collection::vec(step(), 1..5),
    ) {
        let (mut world, action) = (world(), action(steps));
        let before = world.clone();
        let first = world.apply(&standard_capabilities(), &action);
        let once = world.clone();
        if first.is_err() {
            prop_assert_eq!(&once, &before);
        }
        // Sent again, a narrowing may be refused where a widening followed it; it changes nothing then.
        if world.apply(&standard_capabilities(), &action).is_ok() {
            prop_assert_eq!(record(&world).digest(), record(&once).digest());
        } else {
            prop_assert_eq!(&world, &once);
        }
    }

    #[test]
    fn reductions_only_reduce(steps in proptest::collection::vec(reduction(), 1..6)) {
        let mut world = world();
        for step in steps {
            let before = record(&world).clone();
            // One that the PACS refuses changes nothing, which the other property looks at.
            let _ = world.apply(&standard_capabilities(), &action(vec![step.into()]));
            let after = record(&world);
            prop_assert!(after.levels.is_subset(&before.levels));
            prop_assert!(after.validity.within(&before.validity));
            prop_assert!(working(after) <= working(&before));
            prop_assert!(before.status == Status::Active || after.status == Status::Suspended);
        }
    }
}
