//! Deals random actions that make sense for the record they are about. This module must not send.

use lockstep_contract::{
    AccessLevelId, Action, Capabilities, Cardholder, CredentialStatus, CredentialSupport, InactiveStatus, Profile,
    Reduction, Status, Step, Subject, Suspend, Target,
};

use crate::bed::Rig;
use crate::dice::Dice;
use crate::sweep::operation::{action, newcomer, plain_field, years};
use crate::sweep::truth::Truth;
use crate::vendor::Vendor;

/// What is dealt from.
pub(super) struct Deal {
    can: Capabilities,
    levels: Vec<AccessLevelId>,
    newcomers: usize,
}

impl Deal {
    pub(super) fn of<V: Vendor>(rig: &Rig<V>) -> Self {
        let can = rig.target().info().capabilities.clone();
        Self { can, levels: rig.vendor().levels(), newcomers: 2_000 }
    }

    pub(super) fn action(&mut self, dice: &mut Dice, target: &dyn Target, truth: &Truth) -> Option<Action> {
        if dice.percent(25) {
            self.newcomers += 1;
            let (key, provision) = newcomer(self.newcomers, &self.can)?;
            let mut steps = vec![provision];
            // Without a flag, nobody has access before there is a credential.
            let grants = if self.is_flagless() { 0 } else { dice.below(3) };
            for _ in 0..grants {
                steps.extend(dice.pick(&self.levels).map(|level| Step::Grant { level: level.clone() }));
            }
            return action(target, Subject::New(key), steps);
        }
        let record = truth.records.get(dice.pick(&truth.order)?)?;
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..=dice.below(3) {
            let step = self.step(dice, record);
            // Two steps about the same thing contradict each other.
            steps.extend(step.filter(|step| steps.iter().all(|other| theme(other) != theme(step))));
        }
        action(target, Subject::Existing(record.id.clone()), steps)
    }

    fn step(&self, dice: &mut Dice, record: &Cardholder) -> Option<Step> {
        let held: Vec<AccessLevelId> = record.levels.iter().cloned().collect();
        Some(match dice.below(6) {
            0 => {
                let level = dice.pick(&self.levels)?.clone();
                let awaits = self.is_flagless() && record.status == Status::Suspended;
                if awaits || record.levels.contains(&level) {
                    return None;
                }
                Step::Grant { level }
            }
            1 => Reduction::Revoke { level: dice.pick(&held)?.clone() }.into(),
            2 if record.status == Status::Active => Reduction::Suspend.into(),
            2 if self.is_flagless() => back(record)?,
            2 => Step::Reinstate,
            3 => {
                let profile = Profile::from_iter([(plain_field(&self.can)?, format!("Dealt {}", dice.below(1_000)))]);
                Step::Amend { profile }
            }
            4 => self.switched(dice, record)?,
            _ if !self.can.validity => return None,
            // Wide, narrow, wide again.
            _ => {
                let narrow = years(2026, 2031);
                if narrow.within(&record.validity) && narrow != record.validity {
                    Reduction::Narrow { validity: narrow }.into()
                } else {
                    Step::Widen { validity: years(2025, 2035) }
                }
            }
        })
    }

    fn is_flagless(&self) -> bool {
        self.can.suspend == Suspend::EveryCredential
    }

    fn switched(&self, dice: &mut Dice, record: &Cardholder) -> Option<Step> {
        // Without a flag of its own, a record's credentials are its status.
        if self.can.credentials == CredentialSupport::None || self.is_flagless() {
            return None;
        }
        let credential = dice.pick(&record.credentials)?;
        match &credential.status {
            CredentialStatus::Active => Some(
                Reduction::Deactivate { credential: credential.id.clone(), status: InactiveStatus::Disabled }.into(),
            ),
            CredentialStatus::Inactive(InactiveStatus::Disabled) => {
                Some(Step::Activate { credential: credential.id.clone() })
            }
            CredentialStatus::Inactive(_) | CredentialStatus::Other(_) => None,
        }
    }
}

/// The way back without a flag: a credential that was switched off.
fn back(record: &Cardholder) -> Option<Step> {
    let off = CredentialStatus::Inactive(InactiveStatus::Disabled);
    let one = record.credentials.iter().find(|one| one.status == off)?;
    Some(Step::Activate { credential: one.id.clone() })
}

/// What a step is about.
fn theme(step: &Step) -> String {
    match step {
        Step::Reduce(Reduction::Suspend) | Step::Reinstate => "status".to_owned(),
        Step::Reduce(Reduction::Deactivate { credential, .. }) | Step::Activate { credential } => {
            credential.to_string()
        }
        Step::Reduce(Reduction::Revoke { level }) | Step::Grant { level } => level.to_string(),
        Step::Reduce(Reduction::Narrow { .. }) | Step::Widen { .. } => "validity".to_owned(),
        Step::Provision { .. } | Step::Amend { .. } => "fields".to_owned(),
    }
}
