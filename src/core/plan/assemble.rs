//! From judgements to a draft: actions with their reasons, expectations and ids, and what they add up to.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{
    Action, ActionId, Cardholder, Expectation, ImageDigest, LaneStep, Reason, Step, Steps, Subject,
};

use super::case::{Case, Judgement, Outcome, Planner, Work};
use super::notes::Notes;
use super::{effect, facts, lasting, words};
use crate::snapshot::{KeyRef, State};
use crate::{CardholderRef, Code, Draft, LinkProposal, Occasion, PersonRef, Plan, Tally, Who};

/// A draft in the making.
#[derive(Debug)]
pub(super) struct Assembly<'p, 'a> {
    planner: &'p Planner<'a>,
    revoke: Vec<Action<lockstep_contract::Reduction>>,
    stage: Vec<Action<Step>>,
    links: Vec<LinkProposal>,
    who: BTreeMap<ActionId, Who>,
    protected: BTreeSet<ActionId>,
    protected_names: Vec<(String, String)>,
    lasting: Notes,
    tally: Tally,
    managed: u64,
    /// For each managed level: how many active holders more or fewer.
    change: Vec<i64>,
}

impl<'p, 'a> Assembly<'p, 'a> {
    pub(super) fn new(planner: &'p Planner<'a>) -> Self {
        Self {
            planner,
            revoke: Vec::new(),
            stage: Vec::new(),
            links: Vec::new(),
            who: BTreeMap::new(),
            protected: BTreeSet::new(),
            protected_names: Vec::new(),
            lasting: Notes::default(),
            tally: Tally::default(),
            managed: 0,
            change: vec![0; planner.rules.levels.len()],
        }
    }

    /// Takes what was decided about a person.
    pub(super) fn take(&mut self, case: &Case<'a>, judgement: Judgement<'a>) {
        match judgement.outcome {
            Outcome::Provision => self.tally.provision += 1,
            Outcome::Change => self.tally.change += 1,
            Outcome::Disable => self.tally.disable += 1,
            Outcome::Undecided => self.tally.undecided += 1,
            Outcome::Unchanged => self.tally.unchanged += 1,
        }
        self.managed += u64::from(self.planner.is_managed(case));
        if judgement.revoke.is_empty() && judgement.stage.is_empty() {
            self.links.extend(judgement.link);
            return;
        }
        self.act(case, judgement);
    }

    /// Takes what was decided about a cardholder nobody accounts for.
    pub(super) fn take_orphan(&mut self, case: &Case<'a>, judgement: Judgement<'a>) {
        if judgement.revoke.is_empty() && judgement.stage.is_empty() {
            self.tally.orphans += 1;
        } else {
            self.take(case, judgement);
        }
    }

    fn act(&mut self, case: &Case<'a>, mut judgement: Judgement<'a>) {
        let revoke = Steps::new(std::mem::take(&mut judgement.revoke));
        let stage = Steps::new(std::mem::take(&mut judgement.stage));
        match (case.cardholder, judgement.new.take()) {
            (Some(cardholder), _) => self.change_record(case, cardholder, &judgement, revoke, stage),
            (None, Some(key)) => {
                if let Some(steps) = stage {
                    let subject = Subject::New(key);
                    let granted: Vec<Step> = steps.iter().cloned().collect();
                    let target = self.planner.inputs.target;
                    let expect = effect::expect_new(&granted, target.capabilities.suspend);
                    lasting::note(&mut self.lasting, target, || case.name(), None, &granted);
                    self.count(&BTreeSet::new(), &expect.levels_present);
                    let action = self.action(case, &judgement, subject, steps, None, expect);
                    self.stage.push(action);
                }
            }
            (None, None) => {}
        }
        self.links.extend(judgement.link);
    }

    fn change_record(
        &mut self,
        case: &Case<'a>,
        cardholder: CardholderRef<'a>,
        judgement: &Judgement<'a>,
        revoke: Option<Steps<lockstep_contract::Reduction>>,
        stage: Option<Steps<Step>>,
    ) {
        let before = cardholder.to_cardholder();
        let mut now = before.clone();
        let subject = || Subject::Existing(before.id.clone());
        let target = self.planner.inputs.target;
        if let Some(steps) = revoke {
            let all: Vec<Step> = steps.iter().cloned().map(Into::into).collect();
            lasting::note(&mut self.lasting, target, || case.name(), Some(&now), &all);
            let (basis, expect) = carry_out(&mut now, &steps);
            let action = self.action(case, judgement, subject(), steps, Some(basis), expect);
            self.guard_protected(case, cardholder, &action.id);
            self.revoke.push(action);
        }
        if let Some(steps) = stage {
            let all: Vec<Step> = steps.iter().cloned().collect();
            lasting::note(&mut self.lasting, target, || case.name(), Some(&now), &all);
            // The record as it will be when the revoke lane is through: that lane goes first.
            let (basis, expect) = carry_out(&mut now, &steps);
            let reduces = steps.iter().any(|step| step.as_reduction().is_some());
            let action = self.action(case, judgement, subject(), steps, Some(basis), expect);
            if reduces {
                self.guard_protected(case, cardholder, &action.id);
            }
            self.stage.push(action);
        }
        let held = |record: &Cardholder| match State::of(&record.status) {
            State::Active => record.levels.clone(),
            State::Suspended | State::Other => BTreeSet::new(),
        };
        self.count(&held(&before), &held(&now));
    }

    fn action<S: LaneStep>(
        &mut self,
        case: &Case<'a>,
        judgement: &Judgement<'a>,
        subject: Subject,
        steps: Steps<S>,
        basis: Option<ImageDigest>,
        expect: Expectation,
    ) -> Action<S> {
        let inputs = self.planner.inputs;
        let listed: Vec<S> = steps.iter().cloned().collect();
        let why = self.planner.why(case, judgement, &listed);
        let all = Steps::new(listed.into_iter().map(Into::into).collect()).expect("as many steps as before");
        let id = ActionId::of(inputs.run, &inputs.target.id, &subject, &all);
        self.who.insert(id.clone(), words::who(case.person, case.cardholder));
        Action {
            id,
            target: inputs.target.id.clone(),
            subject,
            person: case.id.cloned(),
            steps,
            basis,
            expect,
            because: Reason { situation: judgement.situation, why },
        }
    }

    fn guard_protected(&mut self, case: &Case<'a>, cardholder: CardholderRef<'a>, action: &ActionId) {
        let protected = &self.planner.inputs.policy.protected;
        if protected.is_empty() {
            return;
        }
        let of_person = case.person.into_iter().flat_map(PersonRef::key_refs);
        let mut keys = of_person.chain(cardholder.key_refs());
        let Some(key) = keys.find(|key| protected.contains(&key.to_key())) else { return };
        self.protected.insert(action.clone());
        self.protected_names.push((case.name(), KeyRef::to_key(key).to_string()));
    }

    fn count(
        &mut self,
        before: &BTreeSet<lockstep_contract::AccessLevelId>,
        after: &BTreeSet<lockstep_contract::AccessLevelId>,
    ) {
        for (level, change) in self.planner.rules.levels.iter().zip(&mut self.change) {
            *change += i64::from(after.contains(level.id)) - i64::from(before.contains(level.id));
        }
    }

    /// Everybody was taken.
    pub(super) fn finish(self, mut work: Work<'a>) -> Draft {
        for (name, key) in &self.protected_names {
            work.notes.add(Code::Protected, || {
                words::advice(
                    name.clone(),
                    format!("would lose access and is protected by the mapping ({key})"),
                    "approve this action by name, or take the key out of `protected`",
                )
            });
        }
        let facts = facts::facts(self.planner, self.managed, &self.change);
        let Self { mut revoke, mut stage, links, who, protected, lasting, tally, planner, .. } = self;
        work.notes.join(lasting);
        revoke.sort_by(|a, b| (&a.subject, &a.id).cmp(&(&b.subject, &b.id)));
        stage.sort_by(|a, b| (&a.subject, &a.id).cmp(&(&b.subject, &b.id)));
        Draft {
            target: planner.inputs.target.id.clone(),
            revoke: Plan { actions: revoke },
            stage: Plan { actions: stage },
            findings: work.notes.finish(),
            links,
            who,
            tally,
            facts,
            protected,
            undo: false,
            occasion: Occasion::Run,
        }
    }
}

/// Takes a record through some steps: the digest it had before, and what must be seen after.
fn carry_out<S: LaneStep>(record: &mut Cardholder, steps: &Steps<S>) -> (ImageDigest, Expectation) {
    let basis = record.digest();
    let listed: Vec<S> = steps.iter().cloned().collect();
    for step in &listed {
        effect::apply(record, &step.clone().into());
    }
    (basis, effect::expect(&listed, record))
}
