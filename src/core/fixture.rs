//! Drafts, policies and pasts for the tests of this crate. Only built for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use jiff::Timestamp;
use lockstep_contract::{
    AccessLevelId, Action, ActionId, Capabilities, CardholderId, CorrelationKey, CorrelationKeys, CredentialSupport,
    Enforcement, Expectation, Granularity, GroupId, ImageDigest, KeyKind, PersonId, Profile, Reason, Reduction, RunId,
    Situation, Step, Steps, Subject, Suspend, TargetId, TargetInfo, Why,
};

use crate::{
    Approval, ApprovalPolicy, Draft, Facts, Header, History, LaneKind, LevelFacts, LinkProposal, Mover, OutOfScope,
    Ownership, PLAN_FORMAT, Plan, PlanDocument, Policy, Rule, RuleSource, Tally, Who,
};

pub(crate) const POLICY_DIGEST: &str = "policy-1";

pub(crate) fn target() -> TargetId {
    TargetId::new("hq").expect("id")
}

pub(crate) fn info() -> TargetInfo {
    TargetInfo {
        id: target(),
        kind: "sim".into(),
        endpoint: "sim://hq".into(),
        fingerprint: "hq-serial-1".into(),
        capabilities: Capabilities {
            granularity: Granularity::Step,
            suspend: Suspend::CardholderFlag,
            credentials: CredentialSupport::Status,
            validity: true,
            revision: false,
            idempotency: false,
            keys: BTreeSet::new(),
            fields: BTreeMap::new(),
            enforcement: Enforcement::Database,
            in_flight_max: NonZeroU32::MIN,
            requests_per_minute: None,
        },
    }
}

pub(crate) fn run() -> RunId {
    RunId::new(uuid::Uuid::from_u128(7))
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

pub(crate) fn level(id: &str) -> AccessLevelId {
    AccessLevelId::new(id).expect("id")
}

pub(crate) fn group(id: &str) -> GroupId {
    GroupId::new(id).expect("id")
}

pub(crate) fn cardholder(n: u64) -> Subject {
    Subject::Existing(CardholderId::new(format!("c{n:06}")).expect("id"))
}

/// Levels `HQ` (ordinary, group `G-HQ`), `Lab` (ordinary, any of `G-Lab`, `G-Visit`, none of `G-Barred`), and `Vault`
/// (high-security, group `G-Vault`).
pub(crate) fn policy() -> Policy {
    let rule = |id: &str, any: &[&str], none: &[&str], high_security, line| Rule {
        level: level(id),
        any: any.iter().map(|g| group(g)).collect(),
        all: Vec::new(),
        none: none.iter().map(|g| group(g)).collect(),
        may_be_empty: false,
        high_security,
        tags: BTreeSet::new(),
        source: RuleSource { file: "mappings/hq.toml".into(), line },
    };
    Policy {
        correlate: vec![KeyKind::Employee],
        mover: Mover::WithGrant,
        ownership: Ownership::Linked,
        out_of_scope: OutOfScope::Hold,
        scope: Vec::new(),
        sites: BTreeSet::new(),
        protected: BTreeSet::new(),
        levels: vec![
            rule("HQ", &["G-HQ"], &[], false, 3),
            rule("Lab", &["G-Lab", "G-Visit"], &["G-Barred"], false, 7),
            rule("Vault", &["G-Vault"], &[], true, 12),
        ],
        profile: BTreeMap::new(),
        provision: true,
        approval: ApprovalPolicy::Recorded,
        digest: POLICY_DIGEST.into(),
    }
}

/// A target that was applied before under the same policy, with so many people at the last reads.
pub(crate) fn history(people: u64) -> History {
    History {
        applied_runs: 9,
        people: vec![people; 7],
        groups: BTreeMap::new(),
        levels: BTreeMap::new(),
        cardholders: Some(people),
        managed: Some(people),
        reduced_hour: 0,
        reduced_day: 0,
        reduced_week: 0,
        policy_digest: Some(POLICY_DIGEST.into()),
    }
}

/// A draft under construction: a quiet target of so many people, all managed, of whom nobody is to be changed yet.
pub(crate) struct Sketch {
    pub(crate) draft: Draft,
    next: u64,
}

impl Sketch {
    pub(crate) fn of(people: u64) -> Self {
        let holders = |id: &str, holders| {
            let facts = LevelFacts {
                holders,
                holders_after: holders,
                exists: true,
                name: id.to_owned(),
                ..LevelFacts::default()
            };
            (level(id), facts)
        };
        let facts = Facts {
            people,
            people_active: people,
            groups: [("G-HQ", people), ("G-Lab", people / 2), ("G-Visit", 0), ("G-Vault", people / 4), ("G-Barred", 0)]
                .map(|(name, members)| (group(name), Some(members)))
                .into(),
            cardholders: people,
            managed: people,
            levels: [holders("HQ", people), holders("Lab", people / 2), holders("Vault", people / 4)].into(),
            policy_digest: POLICY_DIGEST.into(),
            ..Facts::default()
        };
        let draft = Draft {
            target: target(),
            revoke: Plan { actions: Vec::new() },
            stage: Plan { actions: Vec::new() },
            findings: Vec::new(),
            links: Vec::new(),
            who: BTreeMap::new(),
            tally: Tally::default(),
            facts,
            protected: BTreeSet::new(),
            undo: false,
            occasion: crate::Occasion::Run,
        };
        Self { draft, next: 0 }
    }

    /// Changes what was read.
    pub(crate) fn facts(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.draft.facts);
        self
    }

    /// What was read about a group: its members, or that it could not be read.
    pub(crate) fn members(mut self, name: &str, members: Option<u64>) -> Self {
        self.draft.facts.groups.insert(group(name), members);
        self
    }

    /// So many people who are matched to their records for the first time.
    pub(crate) fn matched(mut self, count: u64) -> Self {
        let proposal = |n: u64| {
            let key = CorrelationKey::new(KeyKind::Employee, &format!("{n:05}")).expect("key");
            LinkProposal {
                person: PersonId::new(format!("p{n}")).expect("id"),
                cardholder: CardholderId::new(format!("c{n:06}")).expect("id"),
                keys: [key.clone()].into_iter().collect(),
                key,
            }
        };
        self.draft.links.extend((1..=count).map(proposal));
        self
    }

    /// So many leavers.
    pub(crate) fn suspends(mut self, count: u64) -> Self {
        for _ in 0..count {
            self.reduce(Reduction::Suspend, Situation::Unqualified, Vec::new());
        }
        self
    }

    /// So many people who stay and lose a level for a group.
    pub(crate) fn revokes(mut self, count: u64, id: &str, groups: &[&str]) -> Self {
        for _ in 0..count {
            let why = why(id, groups);
            self.reduce(Reduction::Revoke { level: level(id) }, Situation::Confirmed, vec![why]);
        }
        if let Some(facts) = self.draft.facts.levels.get_mut(&level(id)) {
            facts.holders_after = facts.holders_after.saturating_sub(count);
        }
        self
    }

    /// So many people who are given a level.
    pub(crate) fn grants(mut self, count: u64, id: &str) -> Self {
        for _ in 0..count {
            self.stage(vec![Step::Grant { level: level(id) }], Situation::Confirmed);
        }
        self
    }

    /// So many new people.
    pub(crate) fn joiners(mut self, count: u64) -> Self {
        for _ in 0..count {
            let n = self.take();
            let key = CorrelationKey::new(KeyKind::Employee, &format!("{n:05}")).expect("key");
            let steps = vec![
                Step::Provision { profile: Profile::new(), keys: CorrelationKeys::new() },
                Step::Grant { level: level("HQ") },
            ];
            self.push_stage(Subject::New(key), steps, Situation::Absent, Vec::new());
        }
        self
    }

    /// One more cardholder, with these steps, in the stage lane.
    pub(crate) fn staged(mut self, steps: Vec<Step>, situation: Situation) -> Self {
        self.stage(steps, situation);
        self
    }

    /// Everybody so far is in this department.
    pub(crate) fn department(mut self, name: &str) -> Self {
        self.draft.who.values_mut().for_each(|who| who.department = Some(name.to_owned()));
        self
    }

    /// Everybody so far who loses access is protected.
    pub(crate) fn protected(mut self) -> Self {
        self.draft.protected = self.draft.revoke.actions.iter().map(|action| action.id.clone()).collect();
        self
    }

    /// One more cardholder, in the revoke lane.
    pub(crate) fn reduce_for_test(&mut self, reduction: Reduction) {
        self.reduce(reduction, Situation::Confirmed, Vec::new());
    }

    pub(crate) fn draft(self) -> Draft {
        self.draft
    }

    fn take(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn stage(&mut self, steps: Vec<Step>, situation: Situation) {
        let n = self.take();
        self.push_stage(cardholder(n), steps, situation, Vec::new());
    }

    fn push_stage(&mut self, subject: Subject, steps: Vec<Step>, situation: Situation, why: Vec<Why>) {
        let action = self.action(subject, steps, situation, why);
        self.draft.who.insert(action.id.clone(), person(self.next));
        self.draft.stage.actions.push(action);
    }

    fn reduce(&mut self, reduction: Reduction, situation: Situation, why: Vec<Why>) {
        let n = self.take();
        let action = self.action(cardholder(n), vec![reduction], situation, why);
        self.draft.who.insert(action.id.clone(), person(n));
        self.draft.revoke.actions.push(action);
    }
}

impl Sketch {
    /// With numbers instead of digests where there are thousands: judging does not look into ids.
    fn action<S: lockstep_contract::LaneStep>(
        &self,
        subject: Subject,
        steps: Vec<S>,
        situation: Situation,
        why: Vec<Why>,
    ) -> Action<S> {
        if self.draft.facts.people < QUICK_FROM {
            return action(subject, steps, situation, why);
        }
        let id = ActionId::new(format!("{:064x}", self.next)).expect("id");
        with_id(id, subject, Steps::new(steps).expect("some steps"), situation, why)
    }
}

const QUICK_FROM: u64 = 1_000;

fn person(n: u64) -> Who {
    Who { name: format!("Person {n}"), employee_number: Some(format!("{n:05}")), ..Who::default() }
}

pub(crate) fn why(id: &str, groups: &[&str]) -> Why {
    Why {
        level: Some(level(id)),
        groups: groups.iter().map(|g| group(g)).collect(),
        mapping: Some("mappings/hq.toml:7".into()),
        text: "in no group that gives it".into(),
    }
}

pub(crate) fn action<S: lockstep_contract::LaneStep>(
    subject: Subject,
    steps: Vec<S>,
    situation: Situation,
    why: Vec<Why>,
) -> Action<S> {
    let steps = Steps::new(steps).expect("some steps");
    let plain = Steps::new(steps.iter().cloned().map(Into::into).collect()).expect("as many");
    with_id(ActionId::of(run(), &target(), &subject, &plain), subject, steps, situation, why)
}

fn with_id<S: lockstep_contract::LaneStep>(
    id: ActionId,
    subject: Subject,
    steps: Steps<S>,
    situation: Situation,
    why: Vec<Why>,
) -> Action<S> {
    Action {
        id,
        target: target(),
        basis: matches!(subject, Subject::Existing(_)).then(|| ImageDigest::new("b".repeat(64)).expect("digest")),
        subject,
        person: None,
        steps,
        expect: Expectation::default(),
        because: Reason { situation, why },
    }
}

pub(crate) fn header() -> Header {
    Header {
        format: PLAN_FORMAT.into(),
        run: run(),
        created: at(0),
        expires: at(3600),
        version: "0.1.0".into(),
        directory: Some(lockstep_contract::DirectoryId::new("corp").expect("id")),
        config_digest: "config-1".into(),
        by: None,
        occasion: crate::Occasion::Run,
        reinstate: None,
    }
}

/// A yes to the whole plan.
pub(crate) fn yes(by: &str, document: &PlanDocument) -> Approval {
    Approval {
        by: by.into(),
        at: at(60),
        plan: document.digest.clone(),
        only: None,
        reject: BTreeSet::new(),
        overrule: false,
        note: String::new(),
    }
}

/// A yes to these actions, guards or no guards.
pub(crate) fn overrule(by: &str, document: &PlanDocument, ids: &[ActionId]) -> Approval {
    Approval { only: Some(ids.iter().cloned().collect()), overrule: true, ..yes(by, document) }
}

/// The actions of a lane, in order.
pub(crate) fn ids(document: &PlanDocument, lane: LaneKind) -> Vec<ActionId> {
    let of_lane = document.entries.iter().filter(|entry| entry.lane == lane);
    of_lane.map(|entry| entry.action.id.clone()).collect()
}
