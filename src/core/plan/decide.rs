//! What becomes of one human: the table of situations, in code. Planning and explaining ask the same questions here.
//!
//! What it must never do: take anything away for want of evidence, or give anything to somebody who is held out.

use lockstep_contract::{Entitled, Situation, Standing};

use super::case::{Belongs, Case, Cause, Judgement, Outcome, Planner, Work};
use super::correlate::{Account, Clash, Match, Matches};
use super::entitle::Rules;
use super::facts::orphan_words;
use super::holds::HoldIndex;
use super::profile::{Fields, in_scope};
use super::words::{advice, words};
use crate::snapshot::{LinkRef, State};
use crate::{CardholderRef, Code, Hold, Inputs, LinkOrigin, Looked, OutOfScope, Ownership, PersonRef};

/// So many people are named whose standing one directory alone cannot confirm; they may be everybody.
const NAMED: usize = 3;

impl<'a> Planner<'a> {
    pub(super) fn new(inputs: Inputs<'a>) -> Self {
        Self {
            inputs,
            matches: Matches::new(inputs),
            rules: Rules::new(inputs),
            fields: Fields::new(inputs),
            holds: HoldIndex::new(inputs.holds, inputs.people, inputs.cardholders),
        }
    }

    /// The case of the person in this row.
    pub(super) fn case(&self, row: u32, person: PersonRef<'a>, link: Option<LinkRef<'a>>) -> Case<'a> {
        let (cardholder, found) = match self.matches.people.get(row as usize).copied() {
            Some(Match::Linked(row)) => (Some(row), None),
            Some(Match::Found(row, kind)) => (Some(row), Some(kind)),
            Some(Match::Nobody | Match::Gone) | None => (None, None),
        };
        let cardholder = cardholder.and_then(|row| self.inputs.cardholders.row(row));
        Case { id: Some(person.id()), person: Some(person), link, cardholder, found }
    }

    /// The case of a linked person who is not in the census.
    pub(super) fn absent_case(&self, link: LinkRef<'a>, row: Option<u32>) -> Case<'a> {
        let cardholder = row.and_then(|row| self.inputs.cardholders.row(row));
        Case { id: Some(link.person()), person: None, link: Some(link), cardholder, found: None }
    }

    /// Decides.
    pub(super) fn judge(&self, case: &Case<'a>, clash: Option<&Clash>, work: &mut Work<'a>) -> Judgement<'a> {
        let hold = self.hold_on(case);
        if let Some(hold) = hold.filter(|hold| !self.is_no_name(hold, case)) {
            return self.held(case, clash, hold, work);
        }
        let judgement = match case.person {
            Some(person) => self.judge_present(case, person, clash, work),
            None => self.judge_absent(case, clash, work),
        };
        match hold {
            Some(hold) => Self::withheld(case, hold, judgement, work),
            None => judgement,
        }
    }

    fn is_no_name(&self, hold: &Hold, case: &Case<'a>) -> bool {
        self.holds.is_no_name(hold, case.id, case.cardholder.map(CardholderRef::id))
    }

    pub(super) fn judge_present(
        &self,
        case: &Case<'a>,
        person: PersonRef<'a>,
        clash: Option<&Clash>,
        work: &mut Work<'a>,
    ) -> Judgement<'a> {
        match person.standing() {
            Standing::Unknown => self.standing_unknown(case, work),
            Standing::Unconfirmed => Self::standing_unconfirmed(case, work),
            Standing::Ended { since } => self.leave(case, clash, Situation::Unqualified, Cause::Ended(since), work),
            Standing::Away { until } => self.leave(case, clash, Situation::Unqualified, Cause::Away(until), work),
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

    pub(super) fn standing_unknown(&self, case: &Case<'a>, work: &mut Work<'a>) -> Judgement<'a> {
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

    /// Active where people exist, and nobody knows what the other directories would say.
    pub(super) fn standing_unconfirmed(case: &Case<'a>, work: &mut Work<'a>) -> Judgement<'a> {
        let (count, names) = &mut work.unconfirmed;
        *count += 1;
        if names.len() < NAMED {
            names.push(case.name());
        }
        Judgement::of(Situation::Undecided, Outcome::Undecided)
    }

    /// Linked, but not in the census.
    pub(super) fn judge_absent(&self, case: &Case<'a>, clash: Option<&Clash>, work: &mut Work<'a>) -> Judgement<'a> {
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
            Some(Looked::Elsewhere(Standing::Away { until })) => {
                self.leave(case, None, Situation::Unqualified, Cause::Away(*until), work)
            }
            Some(Looked::Elsewhere(Standing::Active)) => self.outside(case, work),
            Some(Looked::Elsewhere(Standing::Unconfirmed)) => Self::standing_unconfirmed(case, work),
            Some(Looked::Elsewhere(Standing::Unknown)) => self.standing_unknown(case, work),
            Some(Looked::Doubt(fault)) => Self::unconfirmed(case, &fault.to_string(), work),
            None => Self::unconfirmed(case, "nobody was asked directly", work),
        }
    }

    pub(super) fn unconfirmed(case: &Case<'a>, reason: &str, work: &mut Work<'a>) -> Judgement<'a> {
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
    pub(super) fn outside(&self, case: &Case<'a>, work: &mut Work<'a>) -> Judgement<'a> {
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

    pub(super) fn clashed(case: &Case<'a>, clash: &Clash, work: &mut Work<'a>) -> Judgement<'a> {
        work.notes.add(clash.code, || {
            advice(case.name(), clash.message.clone(), "mend the key where it is wrong, or link the right pair by name")
        });
        Judgement::of(Situation::Ambiguous, Outcome::Undecided)
    }

    pub(super) fn qualified(
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
                    words(case.name(), format!("the linked cardholder {} is gone from the PACS", link.cardholder()))
                });
                self.join(case, person, Situation::Missing, work)
            }
            (None, None) => self.join(case, person, Situation::Absent, work),
        }
    }

    pub(super) fn belongs(&self, case: &Case<'a>, cardholder: CardholderRef<'a>, named: bool) -> Belongs {
        let policy = self.inputs.policy;
        if !policy.sites.is_empty() && !cardholder.site().is_some_and(|site| policy.sites.contains(site)) {
            return Belongs::OtherSite;
        }
        let created = || case.link.is_some_and(|link| link.origin() == LinkOrigin::Provisioned);
        match policy.ownership {
            Ownership::Linked => Belongs::Ours,
            // Who offboards somebody by name, with this very record in hand, has decided whose it is.
            Ownership::Created if named || created() => Belongs::Ours,
            Ownership::Created => Belongs::NotOurs,
        }
    }

    /// Whether the cardholder is in our hands: counted in what percentages are of.
    pub(super) fn is_managed(&self, case: &Case<'a>) -> bool {
        let active = case.cardholder.filter(|cardholder| cardholder.state() == State::Active);
        case.link.is_some() && active.is_some_and(|cardholder| self.belongs(case, cardholder, false) == Belongs::Ours)
    }

    pub(super) fn hold_on(&self, case: &Case<'a>) -> Option<&'a Hold> {
        if self.holds.is_empty() {
            return None;
        }
        let of_person = case.person.into_iter().flat_map(PersonRef::key_refs);
        let of_cardholder = case.cardholder.into_iter().flat_map(CardholderRef::key_refs);
        let mut buffer = [0; 36];
        let own_id = case.link.and_then(|link| link.own_id(&mut buffer));
        let of_link = case.link.into_iter().flat_map(LinkRef::keys).chain(own_id);
        let cardholder =
            case.link.map(LinkRef::cardholder).or(case.cardholder.map(|cardholder| cardholder.id().as_str()));
        self.holds.on(case.id, cardholder, of_person.chain(of_cardholder).chain(of_link))
    }

    pub(super) fn status_unknown(case: &Case<'a>, cardholder: CardholderRef<'a>, work: &mut Work<'a>) -> Judgement<'a> {
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

    pub(super) fn note_not_ours(case: &Case<'a>, cardholder: CardholderRef<'a>, belongs: Belongs, work: &mut Work<'a>) {
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
        if let Some(hold) = self.hold_on(case).filter(|hold| !self.is_no_name(hold, case)) {
            return Some(self.held(case, None, hold, work));
        }
        let second = account == Account::Claimed;
        work.notes.add(Code::Orphan, || orphan_words(case.name(), second, cardholder.state()));
        Some(Judgement::of(Situation::Unassigned, Outcome::Unchanged))
    }
}
