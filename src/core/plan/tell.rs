//! The decisions about one person, told instead of carried out.

use lockstep_contract::{Entitled, GroupId, PersonId, Situation};

use super::case::{Case, Judgement, Outcome, Planner, Work};
use super::correlate::Clash;
use super::facts::{note_open_groups, note_unconfirmed};
use crate::snapshot::LinkRef;
use crate::{Explanation, LevelVerdict, PersonRef, Rule};

impl<'a> Planner<'a> {
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
        note_unconfirmed(work);
        let levels = self.inputs.policy.levels.iter().map(|rule| self.explain_rule(rule, case));
        Explanation {
            person: id.clone(),
            situation: judgement.situation,
            standing: case.person.map(PersonRef::standing),
            cardholder: case
                .link
                .and_then(LinkRef::to_link)
                .map(|link| link.cardholder)
                .or(case.cardholder.map(|c| c.id().clone())),
            hold: self.hold_on(case).cloned(),
            levels: levels.collect(),
            findings: std::mem::take(&mut work.notes).finish(),
        }
    }

    pub(super) fn explain_rule(&self, rule: &Rule, case: &Case<'a>) -> LevelVerdict {
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
