//! What notices took since the last census, for guards that compare with it.

use lockstep_contract::{Reduction, Step, TargetId};
use lockstep_core::{ActionState, LevelCounts, RunState};

use crate::{RunKind, Store, StoreError};

/// More notices than this lie between two censuses only when something else is wrong.
const NOTICES_MAX: u32 = 1_000;

/// Levels that notices took on a target since everybody was read, each with from how many.
pub(super) async fn since_census(store: &dyn Store, target: &TargetId) -> Result<LevelCounts, StoreError> {
    let mut taken = LevelCounts::new();
    for run in store.runs(NOTICES_MAX).await? {
        match run.kind {
            RunKind::Plan if !matches!(run.state, RunState::Reading | RunState::Abandoned) => break,
            RunKind::Notice => {}
            RunKind::Plan
            | RunKind::Apply
            | RunKind::Offboard
            | RunKind::Rollback
            | RunKind::Reinstate
            | RunKind::ByHand => continue,
        }
        for entry in store.journal(run.run).await? {
            if entry.intent.action.target != *target || entry.state != ActionState::Verified {
                continue;
            }
            for step in &entry.intent.action.steps {
                if let Step::Reduce(Reduction::Revoke { level }) = step {
                    *taken.entry(level.clone()).or_default() += 1;
                }
            }
        }
    }
    Ok(taken)
}
