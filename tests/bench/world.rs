//! A made-up company of any size, the same each time: people with ten attributes in ten groups each, and the
//! cardholders that they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;
use lockstep_contract::{
    AccessLevel, AccessLevelId, Capabilities, Cardholder, CardholderId, Catalog, CorrelationKey, CorrelationKeys,
    CredentialSupport, Enforcement, FieldName, FieldRule, Granularity, GroupId, KeyKind, Person, PersonId, Profile,
    Standing, Status, Suspend, TargetId, TargetInfo, Validity, field,
};
use lockstep_core::{
    ApprovalPolicy, Link, LinkOrigin, Mover, OutOfScope, Ownership, Policy, Rule, RuleSource, Template,
};

/// Groups in the company, and access levels: one for each group.
pub(crate) const GROUPS: usize = 2_000;
/// Groups of each person.
pub(crate) const GROUPS_EACH: usize = 10;

const FIELDS: [&str; 10] = [
    field::GIVEN_NAME,
    field::FAMILY_NAME,
    field::DISPLAY_NAME,
    field::EMPLOYEE_NUMBER,
    field::DEPARTMENT,
    field::TITLE,
    field::COMPANY,
    field::SITE,
    field::MAIL,
    field::PHONE,
];

/// A number that looks random and is the same each time (splitmix64).
pub(crate) fn scatter(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The immutable id of a person.
pub(crate) fn id(n: usize) -> uuid::Uuid {
    let high = u128::from(scatter(n as u64));
    uuid::Uuid::from_u128(high << 64 | n as u128)
}

/// The attributes of a person, by field.
pub(crate) fn profile(n: usize) -> Profile {
    let given = format!("Given{}", scatter(n as u64) % 2_000);
    let family = format!("Family{}", scatter(n as u64 + 7) % 20_000);
    let values = [
        given.clone(),
        family.clone(),
        format!("{given} {family}"),
        format!("{n:08}"),
        format!("Department {}", n % 300),
        format!("Job title {}", n % 211),
        format!("Company {}", n % 3),
        format!("Site {}", n % 23),
        format!("person{n}@corp.example"),
        format!("+1 555 {:07}", n % 10_000_000),
    ];
    FIELDS.iter().zip(values).map(|(name, value)| (FieldName::known(name), value)).collect()
}

fn keys(n: usize) -> CorrelationKeys {
    [
        (KeyKind::Directory, id(n).to_string()),
        (KeyKind::Employee, format!("{n:08}")),
        (KeyKind::Mail, format!("person{n}@corp.example")),
    ]
    .into_iter()
    .filter_map(|(kind, value)| CorrelationKey::new(kind, &value).ok())
    .collect()
}

/// The groups of a person, ascending.
pub(crate) fn groups_of(n: usize) -> BTreeSet<usize> {
    drawn(n, GROUPS_EACH)
}

fn drawn(n: usize, count: usize) -> BTreeSet<usize> {
    draw(n, count).collect()
}

fn draw(n: usize, count: usize) -> impl Iterator<Item = usize> {
    // People of one team share their groups, as they do in a company: a tenth of everybody has a set of their own.
    let team = if n.is_multiple_of(10) { n } else { n % 5_000 };
    (0..count).map(move |at| (scatter((team * GROUPS_EACH + at) as u64) % GROUPS as u64) as usize)
}

/// The groups that name a person themselves, where groups are nested.
pub(crate) fn direct_groups_of(n: usize) -> BTreeSet<usize> {
    drawn(n, GROUPS_EACH - 2)
}

/// The groups that stand in a group: every fourth holds the one after it, and every sixteenth the fourth one after it,
/// too, which holds another.
pub(crate) fn inner_groups(group: usize) -> impl Iterator<Item = usize> {
    let one = group.is_multiple_of(4).then_some(group + 1);
    let other = group.is_multiple_of(16).then_some(group + 4);
    one.into_iter().chain(other)
}

/// The groups of a person through all nesting, about ten.
pub(crate) fn all_groups_of(n: usize) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut waiting: Vec<usize> = direct_groups_of(n).into_iter().collect();
    while let Some(group) = waiting.pop() {
        if all.insert(group) {
            waiting.extend((group % 4 == 1).then(|| group - 1));
            waiting.extend((group % 16 == 4).then(|| group - 4));
        }
    }
    all
}

/// The log-in name of a person.
pub(crate) fn account(n: usize) -> String {
    format!("u{n:07}")
}

/// The id of the cardholder of a person.
pub(crate) fn cardholder_id(n: usize) -> CardholderId {
    CardholderId::new(format!("ch-{n:08}")).expect("a plain name is a cardholder id")
}

/// A person.
pub(crate) fn person(n: usize) -> Person {
    Person { id: PersonId::from_uuid(id(n)), keys: keys(n), profile: profile(n), standing: Standing::Active }
}

pub(crate) fn group(n: usize) -> GroupId {
    GroupId::new(format!("GRP-{n:04}")).expect("a plain name is a group id")
}

pub(crate) fn level(n: usize) -> AccessLevelId {
    AccessLevelId::new(format!("level-{n:04}")).expect("a plain name is a level id")
}

/// The cardholder of a person, as it should be.
pub(crate) fn cardholder(n: usize) -> Cardholder {
    Cardholder {
        id: cardholder_id(n),
        keys: keys(n),
        profile: profile(n),
        status: Status::Active,
        levels: groups_of(n).into_iter().map(level).collect(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

/// The members among `people` of some of the groups, each list in the order of people.
pub(crate) fn members(people: usize, groups: Range<usize>) -> impl Iterator<Item = (GroupId, Vec<PersonId>)> {
    let start = groups.start;
    let mut members: Vec<Vec<PersonId>> = vec![Vec::new(); groups.len()];
    for n in 0..people {
        let person = PersonId::from_uuid(id(n));
        for group in draw(n, GROUPS_EACH).filter(|group| groups.contains(group)) {
            match members.get_mut(group - start) {
                // Drawn twice.
                Some(list) if list.last() == Some(&person) => {}
                Some(list) => list.push(person.clone()),
                None => {}
            }
        }
    }
    members.into_iter().enumerate().map(move |(n, list)| (group(start + n), list))
}

/// The link of a person and a cardholder.
pub(crate) fn link(n: usize) -> Link {
    Link {
        person: PersonId::from_uuid(id(n)),
        cardholder: cardholder_id(n),
        origin: LinkOrigin::Provisioned,
        since: Timestamp::UNIX_EPOCH,
        keys: keys(n),
        suspended_by: None,
    }
}

/// The access levels.
pub(crate) fn catalog() -> Catalog {
    let one = |n| (level(n), AccessLevel { name: format!("Level {n}"), doors: Vec::new(), site: None });
    Catalog { levels: (0..GROUPS).map(one).collect() }
}

/// One rule a group: its members have its level.
pub(crate) fn policy() -> Policy {
    let rule = |n| Rule {
        level: level(n),
        any: vec![group(n)],
        all: Vec::new(),
        none: Vec::new(),
        may_be_empty: true,
        high_security: false,
        tags: BTreeSet::new(),
        source: RuleSource { file: "bench.toml".into(), line: n as u32 + 1 },
    };
    let template = |name: &str| Template::parse(&format!("{{{name}}}")).expect("a field in braces is a template");
    Policy {
        correlate: vec![KeyKind::Directory, KeyKind::Employee],
        mover: Mover::WithGrant,
        ownership: Ownership::Linked,
        out_of_scope: OutOfScope::Hold,
        scope: Vec::new(),
        sites: BTreeSet::new(),
        protected: BTreeSet::new(),
        levels: (0..GROUPS).map(rule).collect(),
        profile: FIELDS.iter().map(|name| (FieldName::known(name), template(name))).collect(),
        provision: true,
        approval: ApprovalPolicy::Recorded,
        digest: "bench".into(),
    }
}

/// A PACS that can do everything.
pub(crate) fn target() -> TargetInfo {
    let fields: BTreeMap<FieldName, FieldRule> =
        FIELDS.iter().map(|name| (FieldName::known(name), FieldRule::default())).collect();
    TargetInfo {
        id: TargetId::new("bench").expect("a plain name is a target id"),
        kind: "bench".into(),
        endpoint: "memory".into(),
        fingerprint: "bench".into(),
        capabilities: Capabilities {
            granularity: Granularity::Step,
            suspend: Suspend::CardholderFlag,
            credentials: CredentialSupport::None,
            validity: false,
            revision: false,
            idempotency: false,
            keys: KeyKind::ALL.into_iter().collect(),
            fields,
            enforcement: Enforcement::Database,
            in_flight_max: std::num::NonZeroU32::MIN,
            requests_per_minute: None,
        },
    }
}
