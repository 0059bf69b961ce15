//! Somebody who qualifies: what their record needs to be as it should be, or the record they need.
//!
//! What it must never do: take a level away that is unknown, or lift a suspension that is not ours.

use lockstep_contract::{CorrelationKey, CorrelationKeys, KeyKind, Reduction, Situation, Step, Suspend};

use super::case::{Belongs, Case, Judgement, LevelChanges, Outcome, Planner, Work};
use super::words::{self, advice};
use crate::snapshot::{KeyRef, State};
use crate::{CardholderRef, Code, LinkProposal, Mover, PersonRef};

impl<'a> Planner<'a> {
    /// A record is there: what has to change so that it is as it should be?
    pub(super) fn converge(
        &self,
        case: &Case<'a>,
        person: PersonRef<'a>,
        cardholder: CardholderRef<'a>,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        let situation = if case.link.is_some() { Situation::Confirmed } else { Situation::Found };
        let belongs = self.belongs(case, cardholder, false);
        let mut judgement = Judgement::of(situation, Outcome::Unchanged);
        if belongs != Belongs::OtherSite && cardholder.state() != State::Other {
            judgement.link = Self::propose(case, person, cardholder);
        }
        let suspended = cardholder.state() == State::Suspended;
        let awaits = suspended && self.is_flagless();
        let ours = suspended && !awaits && case.link.is_some_and(|link| link.suspended_by().is_some());
        match cardholder.state() {
            State::Other if belongs == Belongs::Ours => return Self::status_unknown(case, cardholder, work),
            State::Suspended if belongs == Belongs::Ours && !ours && !awaits => {
                Self::suspended_by_others(case, cardholder, work);
                judgement.outcome = Outcome::Undecided;
                return judgement;
            }
            State::Active | State::Suspended | State::Other => {}
        }
        let reinstate = ours;
        let mut changes = self.level_changes(person, Some(cardholder), work);
        if awaits && !std::mem::take(&mut changes.gains).is_empty() && belongs == Belongs::Ours {
            Self::awaits_a_credential(case, work);
        }
        let amend = self.fields.differ(person, cardholder, &mut work.values);
        if changes.gains.is_empty() && changes.losses.is_empty() && !amend && !reinstate {
            return Self::nothing(judgement, changes.open);
        }
        if belongs != Belongs::Ours {
            Self::note_not_ours(case, cardholder, belongs, work);
            return judgement;
        }
        self.fill(&mut judgement, case, &changes, reinstate);
        if amend {
            self.amend(&mut judgement, case, person, cardholder, work);
        }
        if judgement.revoke.is_empty() && judgement.stage.is_empty() {
            return Self::nothing(judgement, changes.open);
        }
        judgement.outcome = Outcome::Change;
        judgement
    }

    pub(super) fn nothing(mut judgement: Judgement<'a>, open: bool) -> Judgement<'a> {
        if open {
            judgement.situation = Situation::Undecided;
            judgement.outcome = Outcome::Undecided;
        }
        judgement
    }

    /// Puts the changes of levels into lanes.
    pub(super) fn fill(&self, judgement: &mut Judgement<'a>, case: &Case<'a>, changes: &LevelChanges, reinstate: bool) {
        let level = |place: &u32| self.rules.level(*place).map(|level| level.id.clone());
        let losses = changes.losses.iter().filter_map(level).map(|level| Reduction::Revoke { level });
        let together = match self.inputs.policy.mover {
            Mover::WithGrant => reinstate || !changes.gains.is_empty(),
            Mover::RevokeFirst => false,
        };
        if together || case.link.is_none() {
            judgement.stage.extend(losses.map(Step::Reduce));
        } else {
            judgement.revoke.extend(losses);
        }
        if reinstate {
            judgement.stage.push(Step::Reinstate);
        }
        judgement.stage.extend(self.grants(&changes.gains));
    }

    /// Grants of the levels that exist on the PACS.
    pub(super) fn grants(&self, gains: &[u32]) -> impl Iterator<Item = Step> {
        let levels = gains.iter().filter_map(|place| self.rules.level(*place)).filter(|level| level.exists);
        levels.map(|level| Step::Grant { level: level.id.clone() })
    }

    pub(super) fn amend(
        &self,
        judgement: &mut Judgement<'a>,
        case: &Case<'a>,
        person: PersonRef<'a>,
        cardholder: CardholderRef<'a>,
        work: &mut Work<'a>,
    ) {
        let wanted = self.fields.changes(person, cardholder);
        for (field, chars, most) in wanted.too_long {
            work.notes.add(Code::FieldTooLong, || words::too_long(case.name(), field, chars, most));
        }
        if !wanted.profile.is_empty() {
            judgement.stage.push(Step::Amend { profile: wanted.profile });
        }
    }

    /// Nobody is there: a new record.
    pub(super) fn join(
        &self,
        case: &Case<'a>,
        person: PersonRef<'a>,
        situation: Situation,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        if !self.inputs.policy.provision {
            return Judgement::of(situation, Outcome::Unchanged);
        }
        let held = Judgement::of(situation, Outcome::Undecided);
        let Some(key) = self.key_of_new(person) else {
            work.notes.add(Code::FieldMissing, || {
                advice(
                    case.name(),
                    "has no key by which the PACS could find the new cardholder again, so none is created",
                    "fill a field that `correlate` names and the PACS can search by",
                )
            });
            return held;
        };
        let wanted = self.fields.all(person);
        for (field, chars, most) in &wanted.too_long {
            work.notes.add(Code::FieldTooLong, || words::too_long(case.name(), field, *chars, *most));
        }
        for field in &wanted.missing {
            work.notes.add(Code::FieldMissing, || {
                advice(
                    case.name(),
                    format!("the PACS requires `{field}`, which is not known, so no cardholder is created"),
                    "fill the field in the directory, or write a template for it in the mapping",
                )
            });
        }
        if !wanted.too_long.is_empty() || !wanted.missing.is_empty() {
            return held;
        }
        let mut changes = self.level_changes(person, None, work);
        if self.is_flagless() && !std::mem::take(&mut changes.gains).is_empty() {
            Self::awaits_a_credential(case, work);
        }
        let mut judgement = Judgement::of(situation, Outcome::Provision);
        judgement.stage.push(Step::Provision { profile: wanted.profile, keys: lasting_keys(person) });
        judgement.stage.extend(self.grants(&changes.gains));
        judgement.new = Some(key);
        judgement
    }

    pub(super) fn key_of_new(&self, person: PersonRef<'a>) -> Option<CorrelationKey> {
        let usable = |kind: &&KeyKind| self.inputs.target.capabilities.keys.contains(kind);
        let lasting = |kind: &&KeyKind| **kind != KeyKind::Card;
        let mut kinds = self.inputs.policy.correlate.iter().filter(lasting).filter(usable);
        kinds.find_map(|kind| person.key_refs().find(|key| key.kind == *kind)).map(KeyRef::to_key)
    }

    pub(super) fn level_changes(
        &self,
        person: PersonRef<'a>,
        cardholder: Option<CardholderRef<'a>>,
        work: &mut Work<'a>,
    ) -> LevelChanges {
        let sets = cardholder.map(|cardholder| (person.group_set(), cardholder.level_set()));
        if sets.is_some_and(|(groups, levels)| work.settled.is_settled(groups, levels)) {
            return LevelChanges::default();
        }
        let Work { verdicts, has, yes, open, settled, .. } = work;
        self.rules.ask(person, verdicts);
        let managed = || {
            let numbers = cardholder.into_iter().flat_map(CardholderRef::level_numbers);
            numbers.filter_map(|number| self.rules.managed(number))
        };
        has.reset(self.rules.levels.len());
        yes.reset(self.rules.levels.len());
        for level in managed() {
            has.add(level);
        }
        for level in &verdicts.yes {
            yes.add(*level);
        }
        let mut changes = LevelChanges::default();
        changes.gains.extend(verdicts.yes.iter().filter(|level| !has.has(**level)));
        let kept = |level: &u32| yes.has(*level) || verdicts.unknown.binary_search(level).is_ok();
        changes.losses.extend(managed().filter(|level| !kept(level)));
        changes.losses.sort_unstable();
        if !verdicts.unknown.is_empty() {
            changes.open = true;
            let mut groups: Vec<_> =
                verdicts.unknown.iter().flat_map(|level| self.rules.open_groups(*level, person)).collect();
            groups.sort_unstable();
            groups.dedup();
            for group in groups {
                *open.entry(group).or_default() += 1;
            }
        } else if let Some((groups, levels)) = sets.filter(|_| changes.gains.is_empty() && changes.losses.is_empty()) {
            settled.settle(groups, levels);
        }
        changes
    }

    pub(super) fn propose(
        case: &Case<'a>,
        person: PersonRef<'a>,
        cardholder: CardholderRef<'a>,
    ) -> Option<LinkProposal> {
        let kind = case.found?;
        let mut keys = person.key_refs().filter(|key| key.kind == kind);
        let key = keys.find(|key| cardholder.key_refs().any(|other| other == *key))?;
        Some(LinkProposal {
            person: person.id().clone(),
            cardholder: cardholder.id().clone(),
            key: shown(key),
            keys: lasting_keys(person),
        })
    }

    /// On a PACS without a flag for a person, somebody is in force as soon as one of their credentials works, and not
    /// before: there is nothing else to switch on, and nothing that a level could be given to.
    fn is_flagless(&self) -> bool {
        self.inputs.target.capabilities.suspend == Suspend::EveryCredential
    }

    fn awaits_a_credential(case: &Case<'a>, work: &mut Work<'a>) {
        work.notes.add(Code::CredentialAwaited, || {
            advice(
                case.name(),
                "has no credential that works, and this PACS knows no access without one; levels are not given yet",
                "issue or switch on a card on the PACS; the next run gives the levels",
            )
        });
    }

    pub(super) fn suspended_by_others(case: &Case<'a>, cardholder: CardholderRef<'a>, work: &mut Work<'a>) {
        work.notes.add(Code::SuspendedByOthers, || {
            advice(
                case.name(),
                format!("cardholder {} was switched off, not by Lockstep; it stays off", cardholder.id()),
                "ask who switched it off; only they, on the PACS, switch it on again",
            )
        });
    }
}

/// The keys of a person that may be written down: a card is held by a record and may be handed on, and its number in
/// full has no place in a plan, a link or a journal (S11).
fn lasting_keys(person: PersonRef<'_>) -> CorrelationKeys {
    person.key_refs().filter(|key| key.kind != KeyKind::Card).map(KeyRef::to_key).collect()
}

/// The key of a match as a plan shows it: a card number by its last characters only (S11).
fn shown(key: KeyRef<'_>) -> CorrelationKey {
    let whole = key.to_key();
    if key.kind != KeyKind::Card {
        return whole;
    }
    let masked = whole.to_string();
    let tail = masked.split_once(':').map_or("", |(_, tail)| tail);
    CorrelationKey::new(KeyKind::Card, tail).unwrap_or(whole)
}
