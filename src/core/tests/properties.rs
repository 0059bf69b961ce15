//! What must hold for every world, however odd: the invariants that planning is trusted for.
//!
//! Worlds are drawn small, from few values, so that collisions, gaps and contradictions are the rule.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{
    Action, Cardholder, CorrelationKeys, CredentialStatus, EmptyProof, Entitled, GroupId, InactiveStatus, KeyKind,
    Members, Membership, Person, PersonId, Profile, Proof, Reduction, Standing, Status, Step, Subject,
};
use lockstep_core::{
    Draft, Hold, HoldId, Link, LinkOrigin, Looked, Mover, OutOfScope, Ownership, Rule, RuleSource, ScopeRule,
};
use proptest::prelude::*;
use proptest::sample::subsequence;
use world::{World, at, card_credential, cid, employee, fault, field, group, level, mail, pid, run, site, tell};

const GROUPS: [&str; 6] = ["lab", "lab-visitors", "office", "vault", "cleared", "barred"];
const SLOTS: u32 = 6;

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        5 => Just(Standing::Active),
        2 => Just(Standing::Ended { since: None }),
        1 => Just(Standing::Unknown),
    ]
}

/// Keys from few values: own ones mostly, somebody else's often enough.
fn keys(n: u32) -> impl Strategy<Value = CorrelationKeys> {
    let number = prop_oneof![4 => Just(Some(n)), 1 => Just(None), 1 => (0..SLOTS).prop_map(Some)];
    let address = prop_oneof![3 => Just(Some(n)), 2 => Just(None), 1 => (0..SLOTS).prop_map(Some)];
    (number, address).prop_map(|(number, address)| {
        let number = number.map(|n| employee(&n.to_string()));
        let address = address.map(|n| mail(&format!("p{n}@x.example")));
        number.into_iter().chain(address).collect()
    })
}

fn profile(n: u32) -> impl Strategy<Value = Profile> {
    let name = prop_oneof![
        6 => Just(Some(format!("P{n}"))),
        1 => Just(None),
        1 => Just(Some("A name of more than twenty characters".to_owned())),
    ];
    let department =
        prop_oneof![4 => Just(Some("Research")), 1 => Just(Some("Sales")), 1 => Just(Some("")), 1 => Just(None)];
    (name, department).prop_map(|(name, department)| {
        let name = name.map(|name| (field("display_name"), name));
        let department = department.map(|name| (field("department"), name.to_owned()));
        name.into_iter().chain(department).collect()
    })
}

fn person(n: u32) -> impl Strategy<Value = Person> {
    (keys(n), profile(n), standing()).prop_map(move |(keys, profile, standing)| Person {
        id: pid(n),
        keys,
        profile,
        standing,
    })
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        5 => Just(Status::Active),
        2 => Just(Status::Suspended),
        1 => Just(Status::Other("Frozen".to_owned())),
    ]
}

fn credential_status() -> impl Strategy<Value = CredentialStatus> {
    prop_oneof![
        Just(CredentialStatus::Active),
        Just(CredentialStatus::Inactive(InactiveStatus::Lost)),
        Just(CredentialStatus::Other("odd".to_owned())),
    ]
}

fn cardholder(n: u32) -> impl Strategy<Value = Cardholder> {
    let levels = subsequence(vec!["lab", "office", "vault", "canteen", "roof"], 0..=5);
    let credentials = proptest::collection::vec(credential_status(), 0..3);
    let home = prop_oneof![4 => Just(Some("North")), 1 => Just(Some("South")), 1 => Just(None)];
    (keys(n), profile(n), status(), levels, credentials, home).prop_map(
        move |(keys, profile, status, levels, credentials, home)| Cardholder {
            id: cid(n),
            keys,
            profile,
            status,
            levels: levels.into_iter().map(level).collect(),
            credentials: credentials
                .into_iter()
                .enumerate()
                .map(|(at, status)| card_credential(&format!("k{n}{at}"), status))
                .collect(),
            validity: lockstep_contract::Validity::ALWAYS,
            site: home.map(site),
            revision: None,
        },
    )
}

fn membership() -> impl Strategy<Value = Option<Membership>> {
    let people = subsequence((0..=SLOTS).collect::<Vec<u32>>(), 1..=4);
    let members = (people, prop_oneof![3 => Just(0), 1 => Just(1)]).prop_map(|(people, gaps)| {
        let people = people.into_iter().map(pid).collect();
        Some(Membership::Members(Members::with_gaps(people, gaps).expect("at least one")))
    });
    prop_oneof![
        5 => members,
        2 => Just(Some(Membership::Empty(EmptyProof::ServerCount))),
        1 => Just(Some(Membership::Unproven)),
        1 => Just(Some(Membership::Unreadable(fault()))),
        1 => Just(None),
    ]
}

fn link(n: u32) -> impl Strategy<Value = Option<Link>> {
    let pair = prop_oneof![5 => Just(Some(n)), 2 => Just(None), 1 => (0..SLOTS + 1).prop_map(Some)];
    let origin = prop_oneof![Just(LinkOrigin::Provisioned), Just(LinkOrigin::Matched(KeyKind::Employee))];
    (pair, origin, keys(n), any::<bool>()).prop_map(move |(cardholder, origin, keys, by_us)| {
        cardholder.map(|cardholder| Link {
            person: pid(n),
            cardholder: cid(cardholder),
            origin,
            since: at(0),
            keys,
            suspended_by: by_us.then(run),
        })
    })
}

fn looked() -> impl Strategy<Value = Option<Looked>> {
    prop_oneof![
        2 => Just(Some(Looked::Gone(Proof::Tombstone))),
        1 => standing().prop_map(|standing| Some(Looked::Elsewhere(standing))),
        1 => Just(Some(Looked::Doubt(fault()))),
        1 => Just(None),
    ]
}

fn hold() -> impl Strategy<Value = Hold> {
    let named = (proptest::option::of(0..SLOTS), proptest::option::of(0..SLOTS), proptest::option::of(0..SLOTS));
    named.prop_map(|(person, cardholder, number)| Hold {
        id: HoldId::default(),
        person: person.map(pid),
        cardholders: cardholder.map(cid).into_iter().collect(),
        keys: number.map(|n| employee(&n.to_string())).into_iter().collect(),
        by: "sam".to_owned(),
        reason: "dismissed".to_owned(),
        since: at(0),
    })
}

#[derive(Debug, Clone)]
struct Settings {
    revoke_first: bool,
    created_only: bool,
    leaver: bool,
    scoped: bool,
    sites: bool,
    provision: bool,
    may_be_empty: [bool; 3],
    holds: Vec<Hold>,
}

fn settings() -> impl Strategy<Value = Settings> {
    let holds = prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(hold(), 1..3)];
    let rare = || prop_oneof![3 => Just(false), 1 => Just(true)];
    (any::<bool>(), rare(), any::<bool>(), rare(), rare(), any::<[bool; 4]>(), holds).prop_map(
        |(revoke_first, created_only, leaver, scoped, sites, [provision, a, b, c], holds)| Settings {
            revoke_first,
            created_only,
            leaver,
            scoped,
            sites,
            provision,
            may_be_empty: [a, b, c],
            holds,
        },
    )
}

/// A world in which each id comes once.
fn world() -> impl Strategy<Value = World> {
    let slots = || 0..SLOTS;
    let people: Vec<_> = slots().map(|n| proptest::option::weighted(0.8, person(n))).collect();
    let cardholders: Vec<_> = slots().map(|n| proptest::option::weighted(0.8, cardholder(n))).collect();
    let links: Vec<_> = slots().map(link).collect();
    let looked: Vec<_> = slots().map(|_| looked()).collect();
    let groups: Vec<_> = GROUPS.iter().map(|_| membership()).collect();
    (people, cardholders, links, looked, groups, settings()).prop_map(
        |(people, cardholders, links, looked, groups, settings)| {
            let mut world = World::new();
            world.people = people.into_iter().flatten().collect();
            world.cardholders = cardholders.into_iter().flatten().collect();
            let mut taken = BTreeSet::new();
            world.links = links.into_iter().flatten().filter(|link| taken.insert(link.cardholder.clone())).collect();
            world.looked = (0..).map(pid).zip(looked).filter_map(|(id, looked)| Some((id, looked?))).collect();
            let groups = GROUPS.iter().zip(groups);
            world.groups = groups.filter_map(|(name, membership)| Some((group(name), membership?))).collect();
            configure(&mut world, settings);
            world
        },
    )
}

fn configure(world: &mut World, settings: Settings) {
    let policy = &mut world.policy;
    policy.mover = if settings.revoke_first { Mover::RevokeFirst } else { Mover::WithGrant };
    policy.ownership = if settings.created_only { Ownership::Created } else { Ownership::Linked };
    policy.out_of_scope = if settings.leaver { OutOfScope::Leaver } else { OutOfScope::Hold };
    policy.provision = settings.provision;
    if settings.scoped {
        let source = RuleSource { file: "mappings/hq.toml".to_owned(), line: 3 };
        let any = ["Research".to_owned()].into_iter().collect();
        policy.scope = vec![ScopeRule { field: field("department"), any, source }];
    }
    if settings.sites {
        policy.sites = [site("North")].into_iter().collect();
    }
    for (rule, may_be_empty) in policy.levels.iter_mut().zip(settings.may_be_empty) {
        rule.may_be_empty = may_be_empty;
    }
    world.holds.0 = settings.holds;
}

// ---- What is true of a world, worked out anew, from its lists.

impl Truth<'_> {
    fn member(&self, rule: &Rule, name: &GroupId, person: &PersonId) -> Entitled {
        let read = self.world.groups.iter().find(|(id, _)| id == name).map(|(_, membership)| membership);
        match read {
            None | Some(Membership::Unreadable(_)) => Entitled::Unknown,
            Some(Membership::Unproven) => {
                if rule.may_be_empty {
                    Entitled::No
                } else {
                    Entitled::Unknown
                }
            }
            Some(Membership::Empty(_)) => Entitled::No,
            Some(Membership::Members(members)) => members.entitled(person),
        }
    }

    /// By case, not by formula: certain only if no reading of the unknown groups says otherwise.
    fn entitled(&self, level: &lockstep_contract::AccessLevelId, person: &PersonId) -> Entitled {
        let mut verdict = Entitled::No;
        for rule in self.world.policy.levels.iter().filter(|rule| rule.level == *level) {
            let unknown: BTreeSet<&GroupId> =
                rule.groups().filter(|g| self.member(rule, g, person) == Entitled::Unknown).collect();
            let unknown: Vec<&GroupId> = unknown.into_iter().collect();
            let mut seen = BTreeSet::new();
            for guess in 0..1_u32 << unknown.len() {
                let is_in = |name: &GroupId| match unknown.iter().position(|open| *open == name) {
                    Some(bit) => guess >> bit & 1 == 1,
                    None => self.member(rule, name, person) == Entitled::Yes,
                };
                let yes = rule.any.iter().any(is_in) && rule.all.iter().all(is_in) && !rule.none.iter().any(is_in);
                seen.insert(yes);
            }
            let of_rule = match (seen.contains(&true), seen.contains(&false)) {
                (true, true) => Entitled::Unknown,
                (true, false) => Entitled::Yes,
                (false, _) => Entitled::No,
            };
            verdict = verdict.max(of_rule);
        }
        verdict
    }
}

struct Truth<'w> {
    world: &'w World,
}

impl Truth<'_> {
    fn person(&self, id: &PersonId) -> Option<&Person> {
        self.world.people.iter().find(|person| person.id == *id)
    }

    fn cardholder(&self, subject: &Subject) -> Option<&Cardholder> {
        match subject {
            Subject::Existing(id) => self.world.cardholders.iter().find(|cardholder| cardholder.id == *id),
            Subject::New(_) => None,
        }
    }

    fn is_held(&self, person: Option<&PersonId>, cardholder: Option<&Cardholder>) -> bool {
        let link = self.world.links.iter().find(|link| Some(&link.person) == person);
        let of_person = person.and_then(|id| self.person(id)).into_iter().flat_map(|person| person.keys.iter());
        let of_cardholder = cardholder.into_iter().flat_map(|cardholder| cardholder.keys.iter());
        let of_link = link.into_iter().flat_map(|link| link.keys.iter());
        let keys: Vec<_> = of_person.chain(of_cardholder).chain(of_link).collect();
        let id = cardholder.map(|cardholder| &cardholder.id).or(link.map(|link| &link.cardholder));
        self.world.holds.on(person, id, keys).is_some()
    }

    fn in_scope(&self, person: &Person) -> Entitled {
        let rules = self.world.policy.scope.iter().map(|rule| match person.profile.get(rule.field.as_str()) {
            None => Entitled::Unknown,
            Some(value) if rule.any.contains(value) => Entitled::Yes,
            Some(_) => Entitled::No,
        });
        rules.fold(Entitled::Yes, Entitled::and)
    }

    /// Something was read that says: this human has left.
    fn has_left(&self, id: &PersonId) -> bool {
        let leaver = self.world.policy.out_of_scope == OutOfScope::Leaver;
        let ended = |standing: Standing| matches!(standing, Standing::Ended { .. });
        match (self.person(id), self.world.looked.get(id)) {
            (Some(person), _) => {
                ended(person.standing)
                    || leaver && person.standing == Standing::Active && self.in_scope(person) == Entitled::No
            }
            (None, Some(Looked::Gone(_))) => true,
            (None, Some(Looked::Elsewhere(standing))) => ended(*standing) || leaver && *standing == Standing::Active,
            (None, Some(Looked::Doubt(_)) | None) => false,
        }
    }

    /// People other than this one who have one of the keys that count.
    fn shares_a_key(&self, person: &Person) -> bool {
        let counts = |kind| self.world.policy.correlate.contains(&kind);
        let mut others = self.world.people.iter().filter(|other| other.id != person.id);
        others.any(|other| other.keys.iter().any(|key| counts(key.kind()) && person.keys.contains(key)))
    }
}

fn actions(draft: &Draft) -> Vec<Action> {
    let revoke = draft.revoke().actions().iter().map(Action::to_steps);
    revoke.chain(draft.stage().actions().iter().cloned()).collect()
}

fn check_step(truth: &Truth<'_>, action: &Action, step: &Step) -> Result<(), TestCaseError> {
    let cardholder = truth.cardholder(&action.subject);
    let held = truth.is_held(action.person.as_ref(), cardholder);
    let left = action.person.as_ref().is_some_and(|id| truth.has_left(id));
    let link = truth.world.links.iter().find(|link| Some(&link.person) == action.person.as_ref());
    let person = action.person.as_ref().and_then(|id| truth.person(id));
    match step {
        Step::Reduce(Reduction::Suspend | Reduction::Deactivate { .. }) => {
            prop_assert!(held || left, "I3: switched off without evidence");
        }
        Step::Reduce(Reduction::Revoke { level }) => {
            let not = person.is_some_and(|person| {
                person.standing == Standing::Active && truth.entitled(level, &person.id) == Entitled::No
            });
            prop_assert!(held || left || not, "I1: taken away without evidence");
        }
        Step::Grant { level } => {
            let person = person.expect("whoever is granted something is in the census");
            prop_assert_eq!(truth.entitled(level, &person.id), Entitled::Yes);
            prop_assert!(truth.world.catalog.levels.contains_key(level));
        }
        Step::Reinstate => {
            prop_assert!(link.is_some_and(|link| link.suspended_by.is_some()), "I8: not ours to lift");
            prop_assert_eq!(cardholder.map(|c| &c.status), Some(&Status::Suspended));
        }
        Step::Provision { .. } => {
            prop_assert!(truth.world.policy.provision);
            let there = link.and_then(|link| truth.cardholder(&Subject::Existing(link.cardholder.clone())));
            prop_assert!(there.is_none(), "made a second time");
        }
        Step::Amend { profile } => {
            prop_assert!(profile.iter().all(|(name, _)| truth.world.policy.profile.contains_key(name)));
        }
        Step::Reduce(Reduction::Narrow { .. }) | Step::Widen { .. } | Step::Activate { .. } => {
            prop_assert!(false, "never planned");
        }
    }
    if !matches!(step, Step::Reduce(_)) {
        let person = person.expect("nothing is raised for somebody who is not in the census");
        prop_assert!(!held, "raised for somebody who is held out");
        prop_assert_eq!(person.standing, Standing::Active);
        prop_assert_eq!(truth.in_scope(person), Entitled::Yes);
        prop_assert!(link.is_some() || !truth.shares_a_key(person), "S9: a key that is not unique");
    }
    Ok(())
}

fn check_ours(truth: &Truth<'_>, action: &Action) -> Result<(), TestCaseError> {
    let Some(cardholder) = truth.cardholder(&action.subject) else { return Ok(()) };
    let link = truth.world.links.iter().find(|link| link.cardholder == cardholder.id);
    let policy = &truth.world.policy;
    prop_assert!(!matches!(cardholder.status, Status::Other(_)), "rests on a state that nobody knows");
    prop_assert!(policy.sites.is_empty() || cardholder.site.as_ref().is_some_and(|site| policy.sites.contains(site)));
    let named = truth.world.holds.0.iter().any(|hold| hold.cardholders.contains(&cardholder.id));
    if policy.ownership == Ownership::Created && !named {
        prop_assert_eq!(link.map(|link| link.origin), Some(LinkOrigin::Provisioned));
    }
    prop_assert!(link.is_none_or(|link| Some(&link.person) == action.person.as_ref()), "somebody else's record");
    Ok(())
}

/// Mixes a list by a number, always in the same way.
fn mix<T>(list: &mut [T], mut seed: u64) {
    for at in (1..list.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(at, (seed >> 33) as usize % (at + 1));
    }
}

fn reductions(draft: &Draft) -> BTreeSet<(Subject, Reduction)> {
    let of = |action: Action| {
        let subject = action.subject.clone();
        let steps: Vec<Step> = action.steps.into();
        steps.into_iter().filter_map(move |step| Some((subject.clone(), step.as_reduction()?.clone())))
    };
    actions(draft).into_iter().flat_map(of).collect()
}

/// Few enough for every day; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 2, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    /// I1, I3, I8, S3, S9: every step rests on something that was read.
    #[test]
    fn every_step_rests_on_evidence(world in world()) {
        let truth = Truth { world: &world };
        let draft = world.plan();
        let mut subjects = BTreeMap::new();
        for action in actions(&draft) {
            check_ours(&truth, &action)?;
            for step in &action.steps {
                check_step(&truth, &action, step)?;
            }
            subjects.entry(action.subject).or_insert_with(BTreeSet::new).insert(action.person);
        }
        prop_assert!(subjects.values().all(|people| people.len() == 1), "S9: one record for two people");
    }

    /// I5: what a person has not looked at yet is never acted upon unattended.
    #[test]
    fn the_revoke_lane_is_about_linked_people_and_holds(world in world()) {
        let truth = Truth { world: &world };
        for action in world.plan().revoke().actions() {
            let action = action.to_steps();
            let cardholder = truth.cardholder(&action.subject).expect("only what is there is reduced");
            let linked = world.links.iter().any(|link| link.cardholder == cardholder.id);
            prop_assert!(linked || truth.is_held(action.person.as_ref(), Some(cardholder)));
        }
    }

    /// I1 from the other side: knowing less never takes more away.
    #[test]
    fn an_unreadable_group_takes_nothing_from_anybody(world in world(), which in 0..GROUPS.len()) {
        let before = reductions(&world.plan());
        let mut blind = world;
        blind.membership(GROUPS[which], Membership::Unreadable(fault()));
        let after = reductions(&blind.plan());
        prop_assert!(after.is_subset(&before), "{:?}", after.difference(&before).collect::<Vec<_>>());
    }

    /// I9: whatever order things were read in, the same plan.
    #[test]
    fn the_order_of_reading_does_not_show(
        world in world(),
        twice in proptest::option::of(0..SLOTS),
        again in person(0),
        also in cardholder(0),
        seed in any::<u64>(),
    ) {
        let mut world = world;
        if let Some(n) = twice {
            world.people.push(Person { id: pid(n), ..again });
            world.cardholders.push(Cardholder { id: cid(n), ..also });
        }
        let mut mixed = world.clone();
        mix(&mut mixed.people, seed);
        mix(&mut mixed.groups, seed ^ 1);
        mix(&mut mixed.cardholders, seed ^ 2);
        mix(&mut mixed.links, seed ^ 3);
        prop_assert_eq!(world.plan(), mixed.plan());
    }

    /// A plan that was carried out leaves nothing to do, and touches only what it is about.
    #[test]
    fn carrying_a_plan_out_converges_and_spares_the_rest(world in world()) {
        let draft = world.plan();
        let mut done = world.clone();
        done.apply(&draft);
        let again = done.plan();
        prop_assert!(again.is_empty(), "first {:?}, then {:?}", tell(&draft), tell(&again));
        let managed: BTreeSet<_> = world.policy.levels.iter().map(|rule| &rule.level).collect();
        let touched: BTreeSet<_> = actions(&draft).into_iter().map(|action| action.subject).collect();
        for before in &world.cardholders {
            let after = done.cardholders.iter().find(|after| after.id == before.id).expect("nothing is deleted");
            if !touched.contains(&Subject::Existing(before.id.clone())) {
                prop_assert_eq!(before, after);
            }
            let rest = |c: &Cardholder| c.levels.iter().filter(|l| !managed.contains(l)).cloned().collect::<Vec<_>>();
            prop_assert_eq!(rest(before), rest(after));
            prop_assert_eq!((&before.keys, &before.site, before.validity), (&after.keys, &after.site, after.validity));
        }
    }

    /// What the facts foretell is what is there when the plan was carried out.
    #[test]
    fn holders_after_the_plan_are_foretold(world in world()) {
        let draft = world.plan();
        let mut done = world.clone();
        done.apply(&draft);
        for (level, facts) in &draft.facts().levels {
            let holders = |world: &World| {
                let active = world.cardholders.iter().filter(|c| c.status == Status::Active);
                active.filter(|c| c.levels.contains(level)).count() as u64
            };
            prop_assert_eq!((facts.holders, facts.holders_after), (holders(&world), holders(&done)), "{}", level);
        }
    }

    /// Everybody counts once, and lanes are in the order of subjects.
    #[test]
    fn sums_and_order(world in world()) {
        let draft = world.plan();
        let tally = draft.tally();
        let people = tally.provision + tally.change + tally.disable + tally.undecided + tally.unchanged;
        let absent = world.links.iter().filter(|link| world.people.iter().all(|p| p.id != link.person)).count();
        prop_assert!(people >= (world.people.len() + absent) as u64);
        prop_assert!(people + tally.orphans <= (world.people.len() + absent + world.cardholders.len()) as u64);
        prop_assert!(draft.revoke().actions().is_sorted_by(|a, b| a.subject < b.subject));
        prop_assert!(draft.stage().actions().is_sorted_by(|a, b| a.subject < b.subject));
        prop_assert!(draft.findings().is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity())));
    }

    /// Explaining and planning decide alike.
    #[test]
    fn explaining_agrees_with_planning(world in world(), n in 0..SLOTS) {
        let told = world.explain(n);
        for action in actions(&world.plan()).iter().filter(|action| action.person.as_ref() == Some(&pid(n))) {
            prop_assert_eq!(action.because.situation, told.situation);
        }
        let truth = Truth { world: &world };
        if truth.person(&pid(n)).is_some() {
            for verdict in &told.levels {
                prop_assert_eq!(verdict.entitled, truth.entitled(&verdict.level, &pid(n)));
            }
        }
    }
}
