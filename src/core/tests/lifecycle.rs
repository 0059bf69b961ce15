//! The two state machines: what is reachable, what is final, and that nothing gets past a rule by another way round.

use lockstep_core::{ActionEvent, ActionState, RunEvent, RunState, next_action, next_run};
use proptest::prelude::*;

const RUN_STATES: [RunState; 6] =
    [RunState::Reading, RunState::Staged, RunState::Applying, RunState::Paused, RunState::Closed, RunState::Abandoned];
const RUN_EVENTS: [RunEvent; 5] =
    [RunEvent::Stage, RunEvent::Apply, RunEvent::Pause, RunEvent::Close, RunEvent::Abandon];
const ACTION_STATES: [ActionState; 8] = [
    ActionState::Pending,
    ActionState::Intended,
    ActionState::Acknowledged,
    ActionState::Uncertain,
    ActionState::Refused,
    ActionState::Verified,
    ActionState::Diverged,
    ActionState::Withdrawn,
];
const ACTION_EVENTS: [ActionEvent; 7] = [
    ActionEvent::Intend,
    ActionEvent::Acknowledge,
    ActionEvent::Doubt,
    ActionEvent::Refuse,
    ActionEvent::Verify,
    ActionEvent::Diverge,
    ActionEvent::Withdraw,
];

#[test]
fn the_whole_table_of_runs() {
    use RunEvent::{Abandon, Apply, Close, Pause, Stage};
    use RunState::{Abandoned, Applying, Closed, Paused, Reading, Staged};
    let legal = [
        (Reading, Stage, Staged),
        (Reading, Close, Closed),
        (Reading, Abandon, Abandoned),
        (Staged, Apply, Applying),
        (Staged, Close, Closed),
        (Staged, Abandon, Abandoned),
        (Applying, Apply, Applying),
        (Applying, Pause, Paused),
        (Applying, Close, Closed),
        (Paused, Apply, Applying),
        (Paused, Close, Closed),
    ];
    for state in RUN_STATES {
        for event in RUN_EVENTS {
            let expected = legal.iter().find(|(from, by, _)| (*from, *by) == (state, event)).map(|(_, _, to)| *to);
            assert_eq!(next_run(state, event).ok(), expected, "{state:?} {event:?}");
        }
    }
}

#[test]
fn the_whole_table_of_actions() {
    use ActionEvent::{Acknowledge, Diverge, Doubt, Intend, Refuse, Verify, Withdraw};
    use ActionState::{Acknowledged, Diverged, Intended, Pending, Refused, Uncertain, Verified, Withdrawn};
    let legal = [
        (Pending, Intend, Intended),
        (Pending, Withdraw, Withdrawn),
        (Intended, Intend, Intended),
        (Intended, Acknowledge, Acknowledged),
        (Intended, Doubt, Uncertain),
        (Intended, Refuse, Refused),
        (Intended, Verify, Verified),
        (Intended, Diverge, Diverged),
        (Intended, Withdraw, Withdrawn),
        (Acknowledged, Doubt, Uncertain),
        (Acknowledged, Verify, Verified),
        (Acknowledged, Diverge, Diverged),
        (Uncertain, Intend, Intended),
        (Uncertain, Doubt, Uncertain),
        (Uncertain, Refuse, Refused),
        (Uncertain, Verify, Verified),
        (Uncertain, Diverge, Diverged),
    ];
    for state in ACTION_STATES {
        for event in ACTION_EVENTS {
            let expected = legal.iter().find(|(from, by, _)| (*from, *by) == (state, event)).map(|(_, _, to)| *to);
            assert_eq!(next_action(state, event).ok(), expected, "{state:?} {event:?}");
        }
    }
}

#[test]
fn what_cannot_happen_is_said_in_words() {
    let error = next_action(ActionState::Verified, ActionEvent::Intend).expect_err("settled");
    assert_eq!(error.to_string(), "`intend` cannot happen to something that is verified");
    let error = next_run(RunState::Closed, RunEvent::Apply).expect_err("closed");
    assert_eq!(error.to_string(), "`apply` cannot happen to something that is closed");
}

#[test]
fn names_are_those_that_are_stored() {
    for state in ACTION_STATES {
        assert_eq!(serde_json::to_value(state).expect("json"), state.as_str());
    }
    for event in ACTION_EVENTS {
        assert_eq!(serde_json::to_value(event).expect("json"), event.as_str());
    }
    for state in RUN_STATES {
        assert_eq!(serde_json::to_value(state).expect("json"), state.as_str());
    }
    for event in RUN_EVENTS {
        assert_eq!(serde_json::to_value(event).expect("json"), event.as_str());
    }
}

proptest! {
    /// Whatever happens in whatever order: settled stays settled, nothing is verified that was never intended, and a
    /// withdrawn action was never acknowledged.
    #[test]
    fn no_order_of_events_gets_an_action_past_the_rules(
        events in proptest::collection::vec(proptest::sample::select(ACTION_EVENTS.to_vec()), 0..40),
    ) {
        let mut state = ActionState::Pending;
        let mut happened = Vec::new();
        for event in events {
            let before = state;
            if let Ok(next) = next_action(state, event) {
                happened.push(event);
                state = next;
            }
            prop_assert!(!before.is_settled() || state == before);
        }
        if matches!(state, ActionState::Verified | ActionState::Diverged | ActionState::Refused) {
            prop_assert_eq!(happened.first(), Some(&ActionEvent::Intend));
        }
        if state == ActionState::Withdrawn {
            prop_assert!(!happened.contains(&ActionEvent::Acknowledge) || happened.contains(&ActionEvent::Doubt));
        }
    }

    /// What sent anything is never abandoned, and what ended stays ended.
    #[test]
    fn no_order_of_events_gets_a_run_past_the_rules(
        events in proptest::collection::vec(proptest::sample::select(RUN_EVENTS.to_vec()), 0..40),
    ) {
        let mut state = RunState::Reading;
        let mut applied = false;
        for event in events {
            let before = state;
            if let Ok(next) = next_run(state, event) {
                state = next;
            }
            applied |= state == RunState::Applying;
            prop_assert!(!before.is_final() || state == before);
            prop_assert!(!(applied && state == RunState::Abandoned));
        }
    }
}
