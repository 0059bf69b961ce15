//! What becomes of one human: the table of situations, in code. Planning and explaining ask the same questions here.
//!
//! What it must never do: take anything away for want of evidence, or give anything to somebody who is held out.

use jiff::Timestamp;
use lockstep_contract::{
    CorrelationKey, CredentialStatus, CredentialSupport, Entitled, GroupId, InactiveStatus, KeyKind, PersonId, Proof,
    Reduction, Situation, Standing, Step, Suspend,
};

use super::correlate::{Account, Clash, Match, Matches};
use super::entitle::{Rules, Stamps, Verdicts};
use super::facts::{note_open_groups, orphan_words};
use super::holds::HoldIndex;
use super::notes::Notes;
use super::profile::{Fields, Values, in_scope};
use super::words::{self, advice, words};
use crate::snapshot::{KeyRef, State};
use crate::{
    CardholderRef, Code, Explanation, Hold, Inputs, LevelVerdict, Link, LinkOrigin, LinkProposal, Looked, Mover,
    OutOfScope, Ownership, PersonRef, Rule,
};

/// Everything that decisions rest on, prepared once.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    pub(super) inputs: Inputs<'a>,
    pub(super) matches: Matches<'a>,
    pub(super) rules: Rules<'a>,
    pub(super) fields: Fields<'a>,
    pub(super) holds: HoldIndex<'a>,
}

/// One human, as far as known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    /// The person of the census or of a link; `None` for a cardholder held by name whom nobody accounts for.
    pub(super) id: Option<&'a PersonId>,
    pub(super) person: Option<PersonRef<'a>>,
    pub(super) link: Option<&'a Link>,
    pub(super) cardholder: Option<CardholderRef<'a>>,
    /// The kind of key by which an unlinked cardholder was found.
    pub(super) found: Option<KeyKind>,
}

/// What becomes of one human.
#[derive(Debug)]
pub(super) struct Judgement<'a> {
    pub(super) situation: Situation,
    pub(super) outcome: Outcome,
    pub(super) cause: Cause<'a>,
    pub(super) revoke: Vec<Reduction>,
    pub(super) stage: Vec<Step>,
    /// The key of a record to be created.
    pub(super) new: Option<CorrelationKey>,
    pub(super) link: Option<LinkProposal>,
}

/// As what a human counts in the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Provision,
    Change,
    Disable,
    Undecided,
    Unchanged,
}

/// Why access ends; `None` where it does not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause<'a> {
    None,
    Ended(Option<Timestamp>),
    Outside,
    Gone(&'a Proof),
    Held(&'a Hold),
}

/// What is reused from person to person, and what is collected on the way.
#[derive(Debug, Default)]
pub(super) struct Work<'a> {
    pub(super) notes: Notes,
    /// For each group that leaves something open: how many people.
    pub(super) open: std::collections::BTreeMap<&'a lockstep_contract::GroupId, u64>,
    verdicts: Verdicts,
    has: Stamps,
    yes: Stamps,
    values: Values<'a>,
}

/// Whose a cardholder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belongs {
    Ours,
    OtherSite,
    NotOurs,
}

/// Which levels change.
#[derive(Debug, Default)]
struct LevelChanges {
    gains: Vec<u32>,
    losses: Vec<u32>,
    /// Something could not be decided.
    open: bool,
}

impl Judgement<'_> {
    fn of(situation: Situation, outcome: Outcome) -> Self {
        Self { situation, outcome, cause: Cause::None, revoke: Vec::new(), stage: Vec::new(), new: None, link: None }
    }
}

impl Case<'_> {
    /// As people know them.
    pub(super) fn name(&self) -> String {
        match (self.person, self.cardholder, self.id) {
            (Some(person), _, _) => words::name(person),
            (None, cardholder, Some(id)) => words::absent(id, cardholder),
            (None, Some(cardholder), None) => words::cardholder(cardholder),
            (None, None, None) => String::new(),
        }
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(inputs: Inputs<'a>) -> Self {
        Self {
            inputs,
            matches: Matches::new(inputs),
            rules: Rules::new(inputs),
            fields: Fields::new(inputs),
            holds: HoldIndex::new(inputs.holds),
        }
    }

    /// The case of the person in this row.
    pub(super) fn case(&self, row: u32, person: PersonRef<'a>, link: Option<&'a Link>) -> Case<'a> {
        let (cardholder, found) = match self.matches.people.get(row as usize).copied() {
            Some(Match::Linked(row)) => (Some(row), None),
            Some(Match::Found(row, kind)) => (Some(row), Some(kind)),
            Some(Match::Nobody | Match::Gone) | None => (None, None),
        };
        let cardholder = cardholder.and_then(|row| self.inputs.cardholders.row(row));
        Case { id: Some(person.id()), person: Some(person), link, cardholder, found }
    }

    /// The case of a linked person who is not in the census.
    pub(super) fn absent_case(&self, link: &'a Link, row: Option<u32>) -> Case<'a> {
        let cardholder = row.and_then(|row| self.inputs.cardholders.row(row));
        Case { id: Some(&link.person), person: None, link: Some(link), cardholder, found: None }
    }

    /// Decides.
    pub(super) fn judge(&self, case: &Case<'a>, clash: Option<&Clash>, work: &mut Work<'a>) -> Judgement<'a> {
        if let Some(hold) = self.hold_on(case) {
            return self.held(case, clash, hold, work);
        }
        match case.person {
            Some(person) => self.judge_present(case, person, clash, work),
            None => self.judge_absent(case, clash, work),
        }
    }

    fn judge_present(
        &self,
        case: &Case<'a>,
        person: PersonRef<'a>,
        clash: Option<&Clash>,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        match person.standing() {
            Standing::Unknown => self.standing_unknown(case, work),
            Standing::Ended { since } => self.leave(case, clash, Situation::Unqualified, Cause::Ended(since), work),
            Standing::Active => match in_scope(&self.inputs.policy.scope, person) {
                (Entitled::Yes, _) => self.qualified(case, person, clash, work),
                (Entitled::No, _) => self.outside(case, work),
                (Entitled::Unknown, rule) => {
                    let field = rule.map_or("", |rule| rule.field.as_str());
                    work.notes.add(Code::StandingUnknown, || {
                        advice(
                            case.name(),
                            format!("`{field}` is not known, so it cannot be told whether this person is in scope"),
                            "fill the field in the directory, or let the account that reads it see the field",
                        )
                    });
                    Judgement::of(Situation::Undecided, Outcome::Undecided)
                }
            },
        }
    }

    fn standing_unknown(&self, case: &Case<'a>, work: &mut Work<'a>) -> Judgement<'a> {
        let twice = case.id.is_some_and(|id| self.inputs.people.conflicts().binary_search(id).is_ok());
        work.notes.add(Code::StandingUnknown, || {
            if twice {
                advice(
                    case.name(),
                    "the directory gave this person twice, with different content",
                    "mend the directory so that each id is one person; until then nothing is changed",
                )
            } else {
                advice(
                    case.name(),
                    "it could not be read whether this account is enabled; nothing is changed",
                    "let the account that reads the directory see the state of this person",
                )
            }
        });
        Judgement::of(Situation::Undecided, Outcome::Undecided)
    }

    /// Linked, but not in the census.
    fn judge_absent(&self, case: &Case<'a>, clash: Option<&Clash>, work: &mut Work<'a>) -> Judgement<'a> {
        if case.cardholder.is_none() {
            return Judgement::of(Situation::SourceMissing, Outcome::Unchanged);
        }
        if let Some(clash) = clash {
            return Self::clashed(case, clash, work);
        }
        match case.id.and_then(|id| self.inputs.looked.get(id)) {
            Some(Looked::Gone(proof)) => self.leave(case, None, Situation::SourceMissing, Cause::Gone(proof), work),
            Some(Looked::Elsewhere(Standing::Ended { since })) => {
                self.leave(case, None, Situation::Unqualified, Cause::Ended(*since), work)
            }
            Some(Looked::Elsewhere(Standing::Active)) => self.outside(case, work),
            Some(Looked::Elsewhere(Standing::Unknown)) => self.standing_unknown(case, work),
            Some(Looked::Doubt(fault)) => Self::unconfirmed(case, &fault.to_string(), work),
            None => Self::unconfirmed(case, "nobody was asked directly", work),
        }
    }

    fn unconfirmed(case: &Case<'a>, reason: &str, work: &mut Work<'a>) -> Judgement<'a> {
        work.notes.add(Code::SourceUnconfirmed, || {
            advice(
                case.name(),
                format!("is not in the directory read, but it is not proven that the account is gone: {reason}"),
                "it is looked up again in the next run; to act now, offboard this person by name",
            )
        });
        Judgement::of(Situation::Undecided, Outcome::Undecided)
    }

    /// In the directory and active, but not where, or not whom, we were told to look after.
    fn outside(&self, case: &Case<'a>, work: &mut Work<'a>) -> Judgement<'a> {
        let (Some(_), Some(cardholder)) = (case.link, case.cardholder) else {
            return Judgement::of(Situation::Unqualified, Outcome::Unchanged);
        };
        match self.inputs.policy.out_of_scope {
            OutOfScope::Leaver => self.leave(case, None, Situation::Unqualified, Cause::Outside, work),
            OutOfScope::Hold if self.off(cardholder).is_empty() => {
                Judgement::of(Situation::Unqualified, Outcome::Unchanged)
            }
            OutOfScope::Hold => {
                work.notes.add(Code::OutOfScope, || {
                    advice(
                        case.name(),
                        "is active in the directory, but outside the configured scope; nothing is changed",
                        "widen the scope, or offboard this person by name, or set out_of_scope = \"leaver\"",
                    )
                });
                Judgement::of(Situation::Undecided, Outcome::Undecided)
            }
        }
    }

    fn clashed(case: &Case<'a>, clash: &Clash, work: &mut Work<'a>) -> Judgement<'a> {
        work.notes.add(clash.code, || {
            advice(case.name(), clash.message.clone(), "mend the key where it is wrong, or link the right pair by name")
        });
        Judgement::of(Situation::Ambiguous, Outcome::Undecided)
    }

    fn qualified(
        &self,
        case: &Case<'a>,
        person: PersonRef<'a>,
        clash: Option<&Clash>,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        if let Some(clash) = clash {
            return Self::clashed(case, clash, work);
        }
        match (case.cardholder, case.link) {
            (Some(cardholder), _) => self.converge(case, person, cardholder, work),
            (None, Some(link)) => {
                work.notes.add(Code::CardholderMissing, || {
                    words(case.name(), format!("the linked cardholder {} is gone from the PACS", link.cardholder))
                });
                self.join(case, person, Situation::Missing, work)
            }
            (None, None) => self.join(case, person, Situation::Absent, work),
        }
    }

    /// A record is there: what has to change so that it is as it should be?
    fn converge(
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
        let ours = case.link.is_some_and(|link| link.suspended_by.is_some());
        match cardholder.state() {
            State::Other if belongs == Belongs::Ours => return Self::status_unknown(case, cardholder, work),
            State::Suspended if belongs == Belongs::Ours && !ours => {
                Self::suspended_by_others(case, cardholder, work);
                judgement.outcome = Outcome::Undecided;
                return judgement;
            }
            State::Active | State::Suspended | State::Other => {}
        }
        let reinstate = ours && cardholder.state() == State::Suspended;
        let changes = self.level_changes(person, Some(cardholder), work);
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

    fn nothing(mut judgement: Judgement<'a>, open: bool) -> Judgement<'a> {
        if open {
            judgement.situation = Situation::Undecided;
            judgement.outcome = Outcome::Undecided;
        }
        judgement
    }

    /// Puts the changes of levels into lanes.
    fn fill(&self, judgement: &mut Judgement<'a>, case: &Case<'a>, changes: &LevelChanges, reinstate: bool) {
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
    fn grants(&self, gains: &[u32]) -> impl Iterator<Item = Step> {
        let levels = gains.iter().filter_map(|place| self.rules.level(*place)).filter(|level| level.exists);
        levels.map(|level| Step::Grant { level: level.id.clone() })
    }

    fn amend(
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
    fn join(&self, case: &Case<'a>, person: PersonRef<'a>, situation: Situation, work: &mut Work<'a>) -> Judgement<'a> {
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
        let changes = self.level_changes(person, None, work);
        let mut judgement = Judgement::of(situation, Outcome::Provision);
        judgement.stage.push(Step::Provision { profile: wanted.profile, keys: person.correlation_keys() });
        judgement.stage.extend(self.grants(&changes.gains));
        judgement.new = Some(key);
        judgement
    }

    fn key_of_new(&self, person: PersonRef<'a>) -> Option<CorrelationKey> {
        let usable = |kind: &&KeyKind| self.inputs.target.capabilities.keys.contains(kind);
        let mut kinds = self.inputs.policy.correlate.iter().filter(usable);
        kinds.find_map(|kind| person.key_refs().find(|key| key.kind == *kind)).map(KeyRef::to_key)
    }

    fn level_changes(
        &self,
        person: PersonRef<'a>,
        cardholder: Option<CardholderRef<'a>>,
        work: &mut Work<'a>,
    ) -> LevelChanges {
        let Work { verdicts, has, yes, open, .. } = work;
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
        }
        changes
    }

    /// Switches a leaver off.
    fn leave(
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

    /// Held out by name: stays out.
    fn held(&self, case: &Case<'a>, clash: Option<&Clash>, hold: &'a Hold, work: &mut Work<'a>) -> Judgement<'a> {
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

    fn switch_off(
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
    fn off(&self, cardholder: CardholderRef<'a>) -> Vec<Reduction> {
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

    fn belongs(&self, case: &Case<'a>, cardholder: CardholderRef<'a>, named: bool) -> Belongs {
        let policy = self.inputs.policy;
        if !policy.sites.is_empty() && !cardholder.site().is_some_and(|site| policy.sites.contains(site)) {
            return Belongs::OtherSite;
        }
        let created = case.link.is_some_and(|link| link.origin == LinkOrigin::Provisioned);
        match policy.ownership {
            Ownership::Linked => Belongs::Ours,
            // Who offboards somebody by name, with this very record in hand, has decided whose it is.
            Ownership::Created if created || named => Belongs::Ours,
            Ownership::Created => Belongs::NotOurs,
        }
    }

    /// Whether the cardholder is in our hands: counted in what percentages are of.
    pub(super) fn is_managed(&self, case: &Case<'a>) -> bool {
        let active = case.cardholder.filter(|cardholder| cardholder.state() == State::Active);
        case.link.is_some() && active.is_some_and(|cardholder| self.belongs(case, cardholder, false) == Belongs::Ours)
    }

    fn hold_on(&self, case: &Case<'a>) -> Option<&'a Hold> {
        if self.holds.is_empty() {
            return None;
        }
        let of_person = case.person.into_iter().flat_map(PersonRef::key_refs);
        let of_cardholder = case.cardholder.into_iter().flat_map(CardholderRef::key_refs);
        let of_link = case.link.into_iter().flat_map(|link| link.keys.iter()).map(KeyRef::of);
        let cardholder = case.link.map(|link| &link.cardholder).or(case.cardholder.map(CardholderRef::id));
        self.holds.on(case.id, cardholder, of_person.chain(of_cardholder).chain(of_link))
    }

    fn propose(case: &Case<'a>, person: PersonRef<'a>, cardholder: CardholderRef<'a>) -> Option<LinkProposal> {
        let kind = case.found?;
        let mut keys = person.key_refs().filter(|key| key.kind == kind);
        let key = keys.find(|key| cardholder.key_refs().any(|other| other == *key))?;
        Some(LinkProposal {
            person: person.id().clone(),
            cardholder: cardholder.id().clone(),
            key: key.to_key(),
            keys: person.correlation_keys(),
        })
    }

    fn status_unknown(case: &Case<'a>, cardholder: CardholderRef<'a>, work: &mut Work<'a>) -> Judgement<'a> {
        work.notes.add(Code::StatusUnknown, || {
            let status = match cardholder.status() {
                lockstep_contract::Status::Other(word) => word,
                lockstep_contract::Status::Active | lockstep_contract::Status::Suspended => String::new(),
            };
            advice(
                case.name(),
                format!("cardholder {} is in a state that is not known here: `{status}`", cardholder.id()),
                "look at the record on the PACS; nothing is changed until its state is known",
            )
        });
        Judgement::of(Situation::Undecided, Outcome::Undecided)
    }

    fn suspended_by_others(case: &Case<'a>, cardholder: CardholderRef<'a>, work: &mut Work<'a>) {
        work.notes.add(Code::SuspendedByOthers, || {
            advice(
                case.name(),
                format!("cardholder {} was switched off, not by Lockstep; it stays off", cardholder.id()),
                "ask who switched it off; only they, on the PACS, switch it on again",
            )
        });
    }

    fn note_not_ours(case: &Case<'a>, cardholder: CardholderRef<'a>, belongs: Belongs, work: &mut Work<'a>) {
        let id = cardholder.id();
        match belongs {
            Belongs::OtherSite => work.notes.add(Code::ForeignSite, || {
                words(case.name(), format!("cardholder {id} belongs to another site; it is left as it is"))
            }),
            Belongs::NotOurs => work.notes.add(Code::NotOurs, || {
                words(case.name(), format!("cardholder {id} was not created by Lockstep; it is left as it is"))
            }),
            Belongs::Ours => {}
        }
    }

    /// A cardholder nobody accounts for: reported, and left alone unless it is held out by name. `None`: none of our
    /// business.
    pub(super) fn judge_orphan(
        &self,
        case: &Case<'a>,
        cardholder: CardholderRef<'a>,
        account: Account,
        work: &mut Work<'a>,
    ) -> Option<Judgement<'a>> {
        if self.belongs(case, cardholder, true) == Belongs::OtherSite {
            return None;
        }
        if let Some(hold) = self.hold_on(case) {
            return Some(self.held(case, None, hold, work));
        }
        let second = account == Account::Claimed;
        work.notes.add(Code::Orphan, || orphan_words(case.name(), second, cardholder.state()));
        Some(Judgement::of(Situation::Unassigned, Outcome::Unchanged))
    }

    /// Everything that decides about one person.
    pub(super) fn explain(
        &self,
        case: &Case<'a>,
        clash: Option<&Clash>,
        id: &PersonId,
        work: &mut Work<'a>,
    ) -> Explanation {
        let judgement = match case.id {
            Some(_) => self.judge(case, clash, work),
            None => Judgement::of(Situation::Absent, Outcome::Unchanged),
        };
        note_open_groups(self, work);
        let levels = self.inputs.policy.levels.iter().map(|rule| self.explain_rule(rule, case));
        Explanation {
            person: id.clone(),
            situation: judgement.situation,
            standing: case.person.map(PersonRef::standing),
            cardholder: case.link.map(|link| link.cardholder.clone()).or(case.cardholder.map(|c| c.id().clone())),
            hold: self.hold_on(case).cloned(),
            levels: levels.collect(),
            findings: std::mem::take(&mut work.notes).finish(),
        }
    }

    fn explain_rule(&self, rule: &Rule, case: &Case<'a>) -> LevelVerdict {
        let value = |group: &GroupId| case.person.map_or(Entitled::Unknown, |p| self.rules.value(rule, group, p));
        let list = |groups: &[GroupId]| groups.iter().map(|group| (group.clone(), value(group))).collect();
        let known = self.inputs.cardholders.catalog().levels.get(&rule.level);
        let number = self.inputs.cardholders.level_number(&rule.level);
        LevelVerdict {
            level: rule.level.clone(),
            name: known.map_or_else(|| rule.level.to_string(), |known| known.name.clone()),
            entitled: case.person.map_or(Entitled::Unknown, |person| self.rules.verdict(rule, person)),
            has: case.cardholder.map(|cardholder| cardholder.level_numbers().any(|level| Some(level) == number)),
            rule: rule.source.clone(),
            any: list(&rule.any),
            all: list(&rule.all),
            none: list(&rule.none),
            high_security: rule.high_security,
        }
    }
}
