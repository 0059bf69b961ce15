//! Somebody who has left, or is held out: what still has to be switched off. Reductions only.

use lockstep_contract::{CredentialStatus, CredentialSupport, InactiveStatus, Reduction, Situation, Step, Suspend};

use super::case::{Belongs, Case, Cause, Judgement, Outcome, Planner, Work};
use super::correlate::Clash;
use super::words::{advice, words};
use crate::snapshot::State;
use crate::{CardholderRef, Code, Hold};

impl<'a> Planner<'a> {
    /// Switches a leaver off.
    pub(super) fn leave(
        &self,
        case: &Case<'a>,
        clash: Option<&Clash>,
        situation: Situation,
        cause: Cause<'a>,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        // Somebody who has left and was never linked is matched by keys alone; where those clash, by nothing.
        let believed = case.link.is_some() || clash.is_none();
        let Some(cardholder) = case.cardholder.filter(|_| believed) else {
            return Judgement::of(situation, Outcome::Unchanged);
        };
        let mut judgement = self.switch_off(case, cardholder, situation, false, work);
        judgement.cause = cause;
        if case.link.is_none() {
            // Nobody has looked at this match yet; it takes a person to say that it is right.
            judgement.stage = std::mem::take(&mut judgement.revoke).into_iter().map(Step::Reduce).collect();
        }
        judgement
    }

    /// A hold by a key that several humans have: whoever it meant, none of them is given anything meanwhile. What takes
    /// access away for a reason of its own goes on, or the hold would shelter a leaver.
    pub(super) fn withheld(
        case: &Case<'a>,
        hold: &'a Hold,
        mut judgement: Judgement<'a>,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        work.notes.add(Code::OnHold, || {
            advice(
                case.name(),
                format!(
                    "has a key that {} held out on {} ({}), and so have others: nobody was put out by it, and nobody is \
                     given anything",
                    hold.by, hold.since, hold.reason
                ),
                "put out the one who was meant by another key, or by the record: cardholder:TARGET/ID",
            )
        });
        judgement.stage.retain(|step| step.as_reduction().is_some());
        judgement.new = None;
        judgement.link = None;
        if judgement.stage.is_empty() && judgement.revoke.is_empty() && judgement.outcome != Outcome::Undecided {
            judgement.outcome = Outcome::Unchanged;
        }
        judgement
    }

    /// Held out by name: stays out.
    pub(super) fn held(
        &self,
        case: &Case<'a>,
        clash: Option<&Clash>,
        hold: &'a Hold,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        work.notes.add(Code::OnHold, || {
            words(case.name(), format!("held out since {} by {}: {}", hold.since, hold.by, hold.reason))
        });
        let named = case.cardholder.is_some_and(|cardholder| hold.cardholders.contains(cardholder.id()));
        // A record that several people claim is looked at with the cardholders nobody accounts for.
        let believed = case.link.is_some() || clash.is_none();
        let Some(cardholder) = case.cardholder.filter(|_| believed) else {
            return Judgement::of(Situation::Held, Outcome::Unchanged);
        };
        let mut judgement = self.switch_off(case, cardholder, Situation::Held, named, work);
        judgement.cause = Cause::Held(hold);
        judgement
    }

    pub(super) fn switch_off(
        &self,
        case: &Case<'a>,
        cardholder: CardholderRef<'a>,
        situation: Situation,
        named: bool,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        let belongs = self.belongs(case, cardholder, named);
        if belongs == Belongs::Ours && cardholder.state() == State::Other {
            return Self::status_unknown(case, cardholder, work);
        }
        let steps = self.off(cardholder);
        let mut judgement = Judgement::of(situation, Outcome::Unchanged);
        if steps.is_empty() {
            return judgement;
        }
        if belongs != Belongs::Ours {
            Self::note_not_ours(case, cardholder, belongs, work);
            return judgement;
        }
        judgement.outcome = if steps.contains(&Reduction::Suspend) { Outcome::Disable } else { Outcome::Change };
        judgement.revoke = steps;
        judgement
    }

    /// Everything that still opens a door by our doing.
    pub(super) fn off(&self, cardholder: CardholderRef<'a>) -> Vec<Reduction> {
        let mut steps = Vec::new();
        if cardholder.state() == State::Active {
            steps.push(Reduction::Suspend);
        }
        let capabilities = &self.inputs.target.capabilities;
        let one_by_one = match (capabilities.credentials, capabilities.suspend) {
            (CredentialSupport::Status | CredentialSupport::Issue, Suspend::CardholderFlag) => true,
            // Where there is no flag, suspending is switching off every credential.
            (CredentialSupport::None, _) | (_, Suspend::EveryCredential) => false,
        };
        if one_by_one {
            let works = |status: &CredentialStatus| match status {
                CredentialStatus::Active | CredentialStatus::Other(_) => true,
                CredentialStatus::Inactive(_) => false,
            };
            let working = cardholder.credentials().into_iter().filter(|credential| works(&credential.status));
            steps.extend(working.map(|credential| Reduction::Deactivate {
                credential: credential.id,
                status: InactiveStatus::Disabled,
            }));
        }
        let managed = cardholder.level_numbers().filter_map(|number| self.rules.managed(number));
        let levels = managed.filter_map(|place| self.rules.level(place));
        steps.extend(levels.map(|level| Reduction::Revoke { level: level.id.clone() }));
        steps
    }
}
