//! Why each thing changes, in lines that a reviewer can check against the mapping and the directory.

use std::fmt::Write as _;

use lockstep_contract::{AccessLevelId, Entitled, GroupId, LaneStep, Profile, Reduction, Step, Why};

use super::case::{Case, Cause, Judgement, Planner};
use crate::{CardholderRef, PersonRef, Rule};

impl<'a> Planner<'a> {
    /// One line for each thing that changes, in the order of the steps.
    pub(super) fn why<S: LaneStep>(&self, case: &Case<'a>, judgement: &Judgement<'a>, steps: &[S]) -> Vec<Why> {
        let mut lines = Vec::new();
        if let Some(link) = &judgement.link {
            lines.push(line(format!("not linked yet; {} is the key of both", link.key)));
        } else if case.link.is_none() && case.found.is_some() {
            lines.push(line("not linked; matched by key, so this takes a person's approval".to_owned()));
        }
        for step in steps {
            match step.clone().into() {
                Step::Reduce(reduction) => lines.push(self.why_reduce(case, judgement.cause, reduction)),
                Step::Provision { .. } => lines.push(line(match case.link {
                    Some(link) => format!("the linked cardholder {} is gone from the PACS", link.cardholder()),
                    None => "in the directory, and no cardholder has any of the keys".to_owned(),
                })),
                Step::Amend { profile } => lines.extend(why_amend(case.cardholder, &profile)),
                Step::Reinstate => lines.push(line(match case.link.and_then(crate::snapshot::LinkRef::suspended_by) {
                    Some(run) => format!("active again in the directory; switched off by Lockstep in run {run}"),
                    None => "active again in the directory".to_owned(),
                })),
                Step::Grant { level } => lines.push(self.why_grant(case, level)),
                Step::Widen { .. } => lines.push(line("the validity is lengthened".to_owned())),
                Step::Activate { credential } => lines.push(line(format!("credential {credential} is switched on"))),
            }
        }
        lines
    }

    fn why_reduce(&self, case: &Case<'a>, cause: Cause<'a>, reduction: Reduction) -> Why {
        match reduction {
            Reduction::Suspend => Why { mapping: by_mapping(cause), ..line(why_ends(cause)) },
            Reduction::Deactivate { credential, .. } => {
                line(format!("credential {credential} is switched off with its holder"))
            }
            Reduction::Revoke { level } => self.why_revoke(case, cause, level),
            Reduction::Narrow { .. } => line("the validity is shortened".to_owned()),
        }
    }

    fn why_revoke(&self, case: &Case<'a>, cause: Cause<'a>, level: AccessLevelId) -> Why {
        let rules = || self.inputs.policy.levels.iter().filter(|rule| rule.level == level);
        let mapping = rules().next().map(|rule| rule.source.to_string());
        let leaves = match cause {
            Cause::None => None,
            Cause::Ended(_) | Cause::Away(_) | Cause::Outside | Cause::Gone(_) | Cause::Held(_) => {
                Some(why_ends(cause))
            }
        };
        if let Some(text) = leaves {
            return Why { level: Some(level), groups: Vec::new(), mapping, text };
        }
        let (mut groups, mut texts) = (Vec::new(), Vec::new());
        for rule in rules() {
            let Some(person) = case.person else { continue };
            let (deciding, text) = self.missing(rule, person);
            texts.push(text);
            groups.extend(deciding.into_iter().cloned());
        }
        Why { level: Some(level), groups, mapping, text: texts.join("; ") }
    }

    fn why_grant(&self, case: &Case<'a>, level: AccessLevelId) -> Why {
        let mut rules = self.inputs.policy.levels.iter().filter(|rule| rule.level == level);
        let rule = rules.find(|rule| case.person.is_some_and(|p| self.rules.verdict(rule, p) == Entitled::Yes));
        let (Some(rule), Some(person)) = (rule, case.person) else {
            return Why { level: Some(level), groups: Vec::new(), mapping: None, text: String::new() };
        };
        let is_in = |group: &&GroupId| self.rules.value(rule, group, person) == Entitled::Yes;
        let groups: Vec<GroupId> = rule.any.iter().filter(is_in).chain(&rule.all).cloned().collect();
        let mut text = format!("member of {}", list(&groups));
        if !rule.none.is_empty() {
            let _ = write!(text, ", and not of {}", list(&rule.none)); // writing to a String cannot fail
        }
        Why { level: Some(level), groups, mapping: Some(rule.source.to_string()), text }
    }

    /// Why a rule says no: the groups that decided, and a sentence.
    fn missing<'r>(&self, rule: &'r Rule, person: PersonRef<'_>) -> (Vec<&'r GroupId>, String) {
        let of = |groups: &'r [GroupId], wanted: Entitled| -> Vec<&'r GroupId> {
            groups.iter().filter(|group| self.rules.value(rule, group, person) == wanted).collect()
        };
        let names = |groups: &[&GroupId]| list(&groups.iter().map(|group| (*group).clone()).collect::<Vec<_>>());
        let barred = of(&rule.none, Entitled::Yes);
        if !barred.is_empty() {
            let text = format!("member of {}, which rules this level out", names(&barred));
            return (barred, text);
        }
        let lacking = of(&rule.all, Entitled::No);
        if !lacking.is_empty() {
            let text = format!("not a member of {}, which this level needs", names(&lacking));
            return (lacking, text);
        }
        let none_of: Vec<&GroupId> = rule.any.iter().collect();
        let text = format!("no longer a member of {}", names(&none_of));
        (none_of, text)
    }
}

fn why_amend(cardholder: Option<CardholderRef<'_>>, profile: &Profile) -> Vec<Why> {
    let before = |field: &str| cardholder.and_then(|cardholder| cardholder.field(field)).unwrap_or_default();
    profile.iter().map(|(field, value)| line(format!("{field}: `{}` → `{value}`", before(field.as_str())))).collect()
}

/// The line of the mapping that ends it, where it is one and not the directory.
fn by_mapping(cause: Cause<'_>) -> Option<String> {
    match cause {
        Cause::Outside => Some("out_of_scope".to_owned()),
        Cause::None | Cause::Ended(_) | Cause::Away(_) | Cause::Gone(_) | Cause::Held(_) => None,
    }
}

/// Why somebody's access ends altogether.
fn why_ends(cause: Cause<'_>) -> String {
    match cause {
        Cause::None => "no longer entitled".to_owned(),
        Cause::Ended(Some(since)) => format!("the directory says that this account ended at {since}"),
        Cause::Ended(None) => "the directory says that this account has ended".to_owned(),
        Cause::Away(Some(until)) => format!("the directory says that this person is not here until {until}"),
        Cause::Away(None) => "the directory says that this person is not here for now".to_owned(),
        Cause::Outside => "outside the configured scope, and the mapping treats that as leaving".to_owned(),
        Cause::Gone(proof) => match proof {
            lockstep_contract::Proof::Tombstone => "gone from the directory: a tombstone was read".to_owned(),
            lockstep_contract::Proof::DeletedItem => "gone from the directory: read among the deleted items".to_owned(),
            lockstep_contract::Proof::NotFound { canary } => {
                format!("gone from the directory: looked up and not found, while `{canary}` was")
            }
        },
        Cause::Held(hold) => format!("held out since {} by {}: {}", hold.since, hold.by, hold.reason),
    }
}

const fn line(text: String) -> Why {
    Why { level: None, groups: Vec::new(), mapping: None, text }
}

fn list(groups: &[GroupId]) -> String {
    match groups {
        [] => "no group".to_owned(),
        [one] => one.to_string(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(GroupId::as_str).collect();
            format!("{} and {last}", most.join(", "))
        }
    }
}
