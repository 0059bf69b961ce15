//! One action of either lane as guards look at it, without copying it.

use lockstep_contract::{AccessLevelId, Action, ActionId, Reason, Reduction, Step, Steps, Subject};

use crate::LaneKind;

/// One action of either lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) id: &'a ActionId,
    pub(crate) lane: LaneKind,
    pub(crate) subject: &'a Subject,
    pub(crate) because: &'a Reason,
    reductions: Option<&'a Steps<Reduction>>,
    steps: Option<&'a Steps<Step>>,
}

impl<'a> Item<'a> {
    /// An action of the revoke lane of a draft.
    pub(crate) fn revoke(action: &'a Action<Reduction>) -> Self {
        Self {
            id: &action.id,
            lane: LaneKind::Revoke,
            subject: &action.subject,
            because: &action.because,
            reductions: Some(&action.steps),
            steps: None,
        }
    }

    /// An action of the stage lane of a draft.
    pub(crate) fn stage(action: &'a Action<Step>) -> Self {
        Self::in_lane(LaneKind::Stage, action)
    }

    /// An action as it stands in a document.
    pub(crate) fn in_lane(lane: LaneKind, action: &'a Action<Step>) -> Self {
        Self {
            id: &action.id,
            lane,
            subject: &action.subject,
            because: &action.because,
            reductions: None,
            steps: Some(&action.steps),
        }
    }

    /// The steps that take access away.
    pub(crate) fn reductions(&self) -> impl Iterator<Item = &'a Reduction> + use<'a> {
        let of_steps = self.steps.into_iter().flatten().filter_map(Step::as_reduction);
        self.reductions.into_iter().flatten().chain(of_steps)
    }

    /// The steps that do not.
    pub(crate) fn others(&self) -> impl Iterator<Item = &'a Step> + use<'a> {
        self.steps.into_iter().flatten().filter(|step| step.as_reduction().is_none())
    }

    /// Somebody loses access.
    pub(crate) fn reduces(&self) -> bool {
        self.reductions().next().is_some()
    }

    /// Somebody is switched off altogether.
    pub(crate) fn suspends(&self) -> bool {
        self.reductions().any(|reduction| matches!(reduction, Reduction::Suspend))
    }

    /// Somebody gains access, or comes to have a record that can be given some.
    pub(crate) fn raises(&self) -> bool {
        self.others().any(|step| match step {
            Step::Provision { .. }
            | Step::Reinstate
            | Step::Widen { .. }
            | Step::Grant { .. }
            | Step::Activate { .. } => true,
            Step::Amend { .. } | Step::Reduce(_) => false,
        })
    }

    /// It takes this level away.
    pub(crate) fn revokes(&self, level: &AccessLevelId) -> bool {
        self.reductions().any(|reduction| matches!(reduction, Reduction::Revoke { level: lost } if lost == level))
    }

    /// It gives this level.
    pub(crate) fn grants(&self, level: &AccessLevelId) -> bool {
        self.others().any(|step| matches!(step, Step::Grant { level: gained } if gained == level))
    }
}
