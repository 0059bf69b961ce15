//! Small worlds for tests: a directory, a PACS, and what is remembered between them. And a model of a PACS to carry
//! plans out on, which shares no code with planning.

#![allow(dead_code, reason = "each test program uses its own part of it")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{
    AccessLevel, AccessLevelId, Action, Capabilities, Cardholder, CardholderId, Catalog, CorrelationKey, Credential,
    CredentialId, CredentialKind, CredentialStatus, CredentialSupport, EmptyProof, Enforcement, Fault, FaultKind,
    FieldName, FieldRule, Granularity, GroupId, KeyKind, Members, Membership, Person, PersonId, Profile, Reduction,
    RunId, SiteId, Standing, Status, Step, Subject, Suspend, TargetId, TargetInfo, Validity,
};
use lockstep_core::{
    ApprovalPolicy, Code, DirectoryBuilder, Draft, Explanation, Hold, HoldId, Holds, Inputs, Link, LinkOrigin, Links,
    Looked, Mover, OutOfScope, Ownership, Policy, Rule, RuleSource, TargetBuilder, Template, explain, plan,
};

/// Everything that planning for one target is given.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) people: Vec<Person>,
    pub(crate) groups: Vec<(GroupId, Membership)>,
    pub(crate) cardholders: Vec<Cardholder>,
    pub(crate) catalog: Catalog,
    pub(crate) links: Vec<Link>,
    pub(crate) holds: Holds,
    pub(crate) looked: BTreeMap<PersonId, Looked>,
    pub(crate) policy: Policy,
    pub(crate) target: TargetInfo,
    pub(crate) run: RunId,
}

/// The run of every plan that is not asked to be another one.
pub(crate) fn run() -> RunId {
    RunId::new(uuid::Uuid::from_u128(1))
}

pub(crate) fn pid(n: u32) -> PersonId {
    PersonId::new(format!("p{n}")).expect("id")
}

pub(crate) fn cid(n: u32) -> CardholderId {
    CardholderId::new(format!("c{n}")).expect("id")
}

pub(crate) fn level(name: &str) -> AccessLevelId {
    AccessLevelId::new(name).expect("level")
}

pub(crate) fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("group")
}

pub(crate) fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("field")
}

pub(crate) fn key(kind: KeyKind, value: &str) -> CorrelationKey {
    CorrelationKey::new(kind, value).expect("key")
}

pub(crate) fn employee(value: &str) -> CorrelationKey {
    key(KeyKind::Employee, value)
}

pub(crate) fn mail(value: &str) -> CorrelationKey {
    key(KeyKind::Mail, value)
}

pub(crate) fn fault() -> Fault {
    Fault::new(FaultKind::Denied, "corp", "read members", "access denied")
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("time")
}

pub(crate) fn rule(name: &str, any: &[&str], line: u32) -> Rule {
    Rule {
        level: level(name),
        any: any.iter().map(|name| group(name)).collect(),
        all: Vec::new(),
        none: Vec::new(),
        may_be_empty: false,
        high_security: false,
        tags: BTreeSet::new(),
        source: RuleSource { file: "mappings/hq.toml".to_owned(), line },
    }
}

/// The levels `lab` and `office` from groups of the same names, and `vault`, which needs `cleared` and not `barred`.
fn policy() -> Policy {
    let vault = Rule { all: vec![group("cleared")], none: vec![group("barred")], ..rule("vault", &["vault"], 30) };
    Policy {
        correlate: vec![KeyKind::Employee, KeyKind::Mail],
        mover: Mover::WithGrant,
        ownership: Ownership::Linked,
        out_of_scope: OutOfScope::Hold,
        scope: Vec::new(),
        sites: BTreeSet::new(),
        protected: BTreeSet::new(),
        levels: vec![rule("lab", &["lab", "lab-visitors"], 10), rule("office", &["office"], 20), vault],
        profile: [
            (field("display_name"), Template::parse("{display_name}").expect("template")),
            (field("department"), Template::parse("{department}").expect("template")),
        ]
        .into_iter()
        .collect(),
        provision: true,
        approval: ApprovalPolicy::Recorded,
        digest: "policy".to_owned(),
    }
}

fn target() -> TargetInfo {
    TargetInfo {
        id: TargetId::new("hq").expect("id"),
        kind: "model".to_owned(),
        endpoint: "model:".to_owned(),
        fingerprint: "model".to_owned(),
        capabilities: Capabilities {
            granularity: Granularity::Step,
            suspend: Suspend::CardholderFlag,
            credentials: CredentialSupport::Status,
            validity: true,
            revision: false,
            idempotency: false,
            keys: [KeyKind::Employee, KeyKind::Mail].into_iter().collect(),
            fields: [
                (field("display_name"), FieldRule { required: true, chars_max: Some(20) }),
                (field("department"), FieldRule::default()),
            ]
            .into_iter()
            .collect(),
            enforcement: Enforcement::Database,
            in_flight_max: std::num::NonZeroU32::MIN,
            requests_per_minute: None,
        },
    }
}

impl World {
    /// Nobody, with groups that are proven empty.
    pub(crate) fn new() -> Self {
        let groups = ["lab", "lab-visitors", "office", "vault", "cleared", "barred"];
        let named = |name: &str| AccessLevel { name: format!("The {name}"), doors: Vec::new(), site: None };
        let levels = ["lab", "office", "vault", "canteen"].map(|name| (level(name), named(name)));
        Self {
            people: Vec::new(),
            groups: groups.map(|name| (group(name), Membership::Empty(EmptyProof::ServerCount))).to_vec(),
            cardholders: Vec::new(),
            catalog: Catalog { levels: levels.into_iter().collect() },
            links: Vec::new(),
            holds: Holds::default(),
            looked: BTreeMap::new(),
            policy: policy(),
            target: target(),
            run: run(),
        }
    }

    /// Adds an active person with an employee number and a mail address.
    pub(crate) fn person(&mut self, n: u32) -> &mut Person {
        self.people.push(Person {
            id: pid(n),
            keys: [employee(&n.to_string()), mail(&format!("p{n}@x.example"))].into_iter().collect(),
            profile: [(field("display_name"), format!("P{n}")), (field("department"), "Research".to_owned())]
                .into_iter()
                .collect(),
            standing: Standing::Active,
        });
        self.people.last_mut().expect("just added")
    }

    /// Adds an active cardholder as it would be for the person of this number.
    pub(crate) fn card(&mut self, n: u32) -> &mut Cardholder {
        self.cardholders.push(Cardholder {
            id: cid(n),
            keys: [employee(&n.to_string())].into_iter().collect(),
            profile: [(field("display_name"), format!("P{n}")), (field("department"), "Research".to_owned())]
                .into_iter()
                .collect(),
            status: Status::Active,
            levels: BTreeSet::new(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        });
        self.cardholders.last_mut().expect("just added")
    }

    /// Links a person and a cardholder.
    pub(crate) fn link(&mut self, person: u32, cardholder: u32) -> &mut Link {
        self.links.push(Link {
            person: pid(person),
            cardholder: cid(cardholder),
            origin: LinkOrigin::Matched(KeyKind::Employee),
            since: at(0),
            keys: [employee(&person.to_string())].into_iter().collect(),
            suspended_by: None,
        });
        self.links.last_mut().expect("just added")
    }

    /// A person and a cardholder who are linked and in step.
    pub(crate) fn pair(&mut self, n: u32) {
        self.person(n);
        self.card(n);
        self.link(n, n);
    }

    /// Puts people into a group.
    pub(crate) fn members(&mut self, name: &str, people: &[u32]) {
        let members = Members::new(people.iter().copied().map(pid).collect()).expect("somebody");
        self.membership(name, Membership::Members(members));
    }

    /// Says what was read about a group.
    pub(crate) fn membership(&mut self, name: &str, membership: Membership) {
        self.groups.retain(|(group, _)| group.as_str() != name);
        self.groups.push((group(name), membership));
    }

    /// The cardholder of this number.
    pub(crate) fn at(&mut self, n: u32) -> &mut Cardholder {
        self.cardholders.iter_mut().find(|cardholder| cardholder.id == cid(n)).expect("it is there")
    }

    /// The person of this number.
    pub(crate) fn who(&mut self, n: u32) -> &mut Person {
        self.people.iter_mut().find(|person| person.id == pid(n)).expect("they are there")
    }

    /// Gives a cardholder levels.
    pub(crate) fn has(&mut self, n: u32, levels: &[&str]) {
        self.at(n).levels.extend(levels.iter().map(|name| level(name)));
    }

    /// Holds a person out by name.
    pub(crate) fn hold(&mut self, n: u32) -> &mut Hold {
        self.holds.0.push(Hold {
            id: HoldId::default(),
            person: Some(pid(n)),
            cardholders: Vec::new(),
            keys: lockstep_contract::CorrelationKeys::new(),
            by: "sam".to_owned(),
            reason: "dismissed".to_owned(),
            since: at(0),
        });
        self.holds.0.last_mut().expect("just added")
    }

    fn with<T>(&self, ask: impl FnOnce(Inputs<'_>) -> T) -> T {
        let mut directory = DirectoryBuilder::new();
        for person in &self.people {
            directory.add(person);
        }
        for (group, membership) in &self.groups {
            directory.group(group.clone(), membership);
        }
        let mut target = TargetBuilder::new();
        for cardholder in &self.cardholders {
            target.add(cardholder);
        }
        target.catalog(self.catalog.clone());
        let mut links = Links::new();
        for link in &self.links {
            links.insert(link.clone()).expect("links of a world do not conflict");
        }
        ask(Inputs {
            target: &self.target,
            people: &directory.finish(),
            cardholders: &target.finish(),
            links: &links,
            holds: &self.holds,
            looked: &self.looked,
            policy: &self.policy,
            run: self.run,
            now: at(1_000),
        })
    }

    /// Plans.
    pub(crate) fn plan(&self) -> Draft {
        self.with(plan)
    }

    /// Explains.
    pub(crate) fn explain(&self, person: u32) -> Explanation {
        self.with(|inputs| explain(inputs, &pid(person)))
    }

    /// Carries a whole plan out, revocations first, and remembers what a store would remember.
    pub(crate) fn apply(&mut self, draft: &Draft) {
        for action in draft.revoke().actions() {
            self.apply_action(&action.to_steps());
        }
        for proposal in draft.links() {
            self.links.push(Link {
                person: proposal.person.clone(),
                cardholder: proposal.cardholder.clone(),
                origin: LinkOrigin::Matched(proposal.key.kind()),
                since: at(1_000),
                keys: proposal.keys.clone(),
                suspended_by: None,
            });
        }
        for action in draft.stage().actions() {
            self.apply_action(action);
        }
    }

    /// Carries one action out. It must be about the record as it is, and what it promises must come true.
    pub(crate) fn apply_action(&mut self, action: &Action) {
        let id = match &action.subject {
            Subject::Existing(id) => id.clone(),
            Subject::New(key) => self.create(action, key),
        };
        let record = self.cardholders.iter_mut().find(|record| record.id == id).expect("an action is about a record");
        if let Some(basis) = &action.basis {
            assert_eq!(*basis, record.digest(), "planned against another record: {action:?}");
        }
        for step in &action.steps {
            carry_out(record, step);
        }
        check_expectation(action, record);
        if let Some(link) = self.links.iter_mut().find(|link| link.cardholder == id) {
            for step in &action.steps {
                match step {
                    Step::Reduce(Reduction::Suspend) => link.suspended_by = Some(self.run),
                    Step::Reinstate => link.suspended_by = None,
                    Step::Reduce(
                        Reduction::Revoke { .. } | Reduction::Narrow { .. } | Reduction::Deactivate { .. },
                    )
                    | Step::Provision { .. }
                    | Step::Amend { .. }
                    | Step::Widen { .. }
                    | Step::Grant { .. }
                    | Step::Activate { .. } => {}
                }
            }
        }
    }

    fn create(&mut self, action: &Action, key: &CorrelationKey) -> CardholderId {
        let id = CardholderId::new(format!("new-{}", key.value())).expect("id");
        let Some(Step::Provision { keys, .. }) = action.steps.iter().find(|s| matches!(s, Step::Provision { .. }))
        else {
            panic!("a new record is provisioned: {action:?}")
        };
        assert!(keys.contains(key), "the key that finds it again is one of its keys");
        self.cardholders.push(Cardholder {
            id: id.clone(),
            keys: keys.clone(),
            profile: Profile::new(),
            status: Status::Active,
            levels: BTreeSet::new(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        });
        let person = action.person.clone().expect("somebody joins");
        // What keys somebody had before is not forgotten with the record that is gone.
        let before = self.links.iter().filter(|link| link.person == person).flat_map(|link| link.keys.iter());
        let keys = before.chain(keys.iter()).cloned().collect();
        self.links.retain(|link| link.person != person);
        self.links.push(Link {
            person,
            cardholder: id.clone(),
            origin: LinkOrigin::Provisioned,
            since: at(1_000),
            keys,
            suspended_by: None,
        });
        id
    }
}

fn carry_out(record: &mut Cardholder, step: &Step) {
    match step {
        Step::Reduce(Reduction::Suspend) => record.status = Status::Suspended,
        Step::Reduce(Reduction::Revoke { level }) => assert!(record.levels.remove(level), "nothing to revoke"),
        Step::Reduce(Reduction::Deactivate { credential, status }) => {
            let one = record.credentials.iter_mut().find(|one| one.id == *credential).expect("a credential of theirs");
            one.status = CredentialStatus::Inactive(*status);
        }
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => record.validity = *validity,
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            for (name, value) in profile.iter() {
                record.profile.set(name.clone(), value);
            }
        }
        Step::Reinstate => record.status = Status::Active,
        Step::Grant { level } => assert!(record.levels.insert(level.clone()), "granted what was there"),
        Step::Activate { .. } => panic!("planning never switches a credential on"),
    }
}

fn check_expectation(action: &Action, record: &Cardholder) {
    let expect = &action.expect;
    assert_eq!(expect.status.as_ref(), Some(&record.status), "{action:?}");
    assert_eq!(expect.levels_present, record.levels, "{action:?}");
    assert!(expect.levels_absent.is_disjoint(&record.levels), "{action:?}");
    for (name, value) in expect.profile.iter() {
        assert_eq!(record.profile.get(name.as_str()), Some(value), "{action:?}");
    }
    for (id, status) in &expect.credentials {
        assert!(record.credentials.iter().any(|one| one.id == *id && one.status == *status), "{action:?}");
    }
}

/// A plan in short lines: what would be done, what would be linked, what is said.
pub(crate) fn tell(draft: &Draft) -> Vec<String> {
    let revoke = draft.revoke().actions().iter().map(|action| format!("revoke {}", tell_action(&action.to_steps())));
    let stage = draft.stage().actions().iter().map(|action| format!("stage {}", tell_action(action)));
    let links = draft.links().iter().map(|link| format!("link {} = {} by {}", link.person, link.cardholder, link.key));
    // That a new record lasts is said of each, and told by a test of its own.
    let findings = draft.findings().iter().filter(|finding| finding.code != Code::NotReversible).map(|finding| {
        let subject = finding.subject.split(" (").next().unwrap_or_default();
        format!("{} {subject}", finding.code)
    });
    revoke.chain(stage).chain(links).chain(findings).collect()
}

fn tell_action(action: &Action) -> String {
    let subject = match &action.subject {
        Subject::Existing(id) => id.to_string(),
        Subject::New(key) => format!("new {key}"),
    };
    let steps: Vec<String> = action.steps.iter().map(tell_step).collect();
    format!("{subject} {:?}: {}", action.because.situation, steps.join(", "))
}

fn tell_step(step: &Step) -> String {
    match step {
        Step::Reduce(Reduction::Suspend) => "suspend".to_owned(),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => format!("-{credential}"),
        Step::Reduce(Reduction::Revoke { level }) => format!("-{level}"),
        Step::Reduce(Reduction::Narrow { .. }) => "narrow".to_owned(),
        Step::Provision { .. } => "provision".to_owned(),
        Step::Amend { profile } => {
            let fields: Vec<String> = profile.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("amend {}", fields.join(" "))
        }
        Step::Reinstate => "reinstate".to_owned(),
        Step::Widen { .. } => "widen".to_owned(),
        Step::Grant { level } => format!("+{level}"),
        Step::Activate { credential } => format!("+{credential}"),
    }
}

pub(crate) fn card_credential(id: &str, status: CredentialStatus) -> Credential {
    Credential { id: CredentialId::new(id).expect("id"), kind: CredentialKind::Card, number: None, status }
}

pub(crate) fn site(name: &str) -> SiteId {
    SiteId::new(name).expect("site")
}

/// A world, and the whole plan for it in the words of [`tell`].
pub(crate) type Row = (&'static str, fn(&mut World), &'static [&'static str]);

/// Read as ended.
pub(crate) const ENDED: Standing = Standing::Ended { since: None };

/// Every row is planned, compared, carried out, and planned again: then there is nothing left to do.
pub(crate) fn check(rows: &[Row]) {
    for (name, build, expect) in rows {
        let mut world = World::new();
        build(&mut world);
        let draft = world.plan();
        assert_eq!(tell(&draft), *expect, "{name}");
        world.apply(&draft);
        let again = world.plan();
        assert!(again.is_empty(), "{name}: once more {:?}", tell(&again));
    }
}
