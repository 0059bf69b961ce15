//! Who is in which group. The members of all groups are the truth; a shorter way is used only after it has agreed with
//! that truth on people who are known to be in groups. This module must not write.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use lockstep_contract::{AccessLevelId, Catalog, FaultKind};
use lockstep_http::CallFault;

use crate::api::{Api, Object, Resource, quoted};
use crate::config::Memberships as Setting;
use crate::convert::{self, Group, groups_of};
use crate::discovery::Provider;
use crate::listing::Walk;
use crate::plain;

/// How many people a shorter way has to get right.
const SAMPLES: usize = 2;
/// How many groups with their members to ask for in one page: a group may have as many members as there are people.
const GROUPS_PER_PAGE: u64 = 20;
/// How many groups without the attribute `members` are read one by one, to find out whether lists leave it out.
const LOOKS: usize = 8;

/// A way to read the groups of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    AllGroups,
    UserGroups,
    GroupFilter,
}

/// All memberships at one time.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    /// In the order of their ids.
    groups: Vec<AccessLevelId>,
    people: HashMap<Box<str>, u32>,
    /// For each of the people: where their groups end.
    ends: Vec<u32>,
    /// The places of the groups of one after another, ascending.
    of: Vec<u32>,
    /// The first member that says of itself that it is a group: of which, and its id.
    nested: Option<(AccessLevelId, String)>,
}

/// Memberships while they are being read, group by group.
#[derive(Debug, Default)]
struct Collected {
    /// Ids, and whose members they are: where the list begins and ends. A group may come twice, see [`fill_in`].
    groups: Vec<(AccessLevelId, std::ops::Range<usize>)>,
    people: HashMap<Box<str>, u32>,
    members: Vec<u32>,
    nested: Option<(AccessLevelId, String)>,
}

impl Collected {
    /// Takes a group in.
    fn add(&mut self, group: Group) {
        let start = self.members.len();
        for member in group.members.iter().flat_map(convert::Members::iter) {
            if member.is_group {
                self.nested.get_or_insert_with(|| (group.id.clone(), member.id.to_owned()));
                continue;
            }
            let number = if let Some(number) = self.people.get(member.id) {
                *number
            } else {
                let next = self.people.len() as u32;
                self.people.insert(member.id.into(), next);
                next
            };
            self.members.push(number);
        }
        self.groups.push((group.id, start..self.members.len()));
    }

    /// From "who is in this group" to "which groups is this one in".
    fn finish(mut self) -> Memberships {
        self.groups.sort_by(|a, b| a.0.cmp(&b.0));
        let mut ends = vec![0_u32; self.people.len()];
        for number in &self.members {
            if let Some(count) = ends.get_mut(*number as usize) {
                *count += 1;
            }
        }
        // From how many there are to where they begin; placing them moves that to where they end.
        let mut sum = 0;
        for count in &mut ends {
            sum += std::mem::replace(count, sum);
        }
        let mut of = vec![0_u32; self.members.len()];
        let mut groups: Vec<AccessLevelId> = Vec::new();
        for (group, list) in self.groups {
            if groups.last() != Some(&group) {
                groups.push(group);
            }
            let place = (groups.len() - 1) as u32;
            for number in self.members.get(list).unwrap_or_default() {
                let Some(end) = ends.get_mut(*number as usize) else { continue };
                if let Some(slot) = of.get_mut(*end as usize) {
                    *slot = place;
                    *end += 1;
                }
            }
        }
        Memberships { groups, people: self.people, ends, of, nested: self.nested }
    }
}

impl Memberships {
    /// The places of the groups of a user, ascending. A group that names somebody twice is there twice.
    fn places(&self, user: &str) -> &[u32] {
        let Some(number) = self.people.get(user) else { return &[] };
        let number = *number as usize;
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(number).copied().unwrap_or(start);
        self.of.get(start as usize..end as usize).unwrap_or_default()
    }

    /// How many groups there are.
    pub(crate) const fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The levels of a user.
    pub(crate) fn levels_of(&self, user: &str) -> BTreeSet<AccessLevelId> {
        self.places(user).iter().filter_map(|at| self.groups.get(*at as usize)).cloned().collect()
    }

    /// How the groups that a user names agree with the levels that the members of all groups say.
    pub(crate) fn compare<'a, T: Borrow<str> + Ord>(
        &self,
        named: &'a mut Vec<T>,
        levels: &BTreeSet<AccessLevelId>,
    ) -> Agreement<'a> {
        named.sort_unstable();
        named.dedup();
        if named.len() == levels.len() && named.iter().map(T::borrow).eq(levels.iter().map(AccessLevelId::as_str)) {
            return Agreement::Same;
        }
        let known: BTreeSet<&str> = levels.iter().map(AccessLevelId::as_str).collect();
        let is_level = |group: &str| self.groups.binary_search_by(|level| level.as_str().cmp(group)).is_ok();
        let more = named.iter().map(T::borrow).find(|group| !known.contains(group) && is_level(group));
        more.map_or(Agreement::Fewer, Agreement::Contradicts)
    }

    /// People in groups, those in most of them first.
    fn samples(&self) -> Vec<&str> {
        let mut people: Vec<(&str, usize)> = self.people.keys().map(|id| (&**id, self.places(id).len())).collect();
        people.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        people.into_iter().take(SAMPLES * 4).map(|(id, _)| id).collect()
    }

    /// A group in a group: the outer one, and the id of the inner one.
    fn nesting(&self) -> Option<(&AccessLevelId, &str)> {
        let by_id = || {
            self.groups.iter().find_map(|inner| {
                let outer = self.groups.get(*self.places(inner.as_str()).first()? as usize)?;
                Some((outer, inner.as_str()))
            })
        };
        self.nested.as_ref().map(|(outer, inner)| (outer, inner.as_str())).or_else(by_id)
    }
}

/// How what a user says agrees with the members of all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement<'a> {
    /// It is the same.
    Same,
    /// The user names fewer groups, or something that is no group here.
    Fewer,
    /// The user names this group, which does not name the user.
    Contradicts(&'a str),
}

/// Reads the members of all groups. A page is taken in while the next is on its way: the members of all groups together
/// are the largest thing that such a server sends.
pub(crate) async fn scan(api: &Api<'_>, provider: &Provider) -> Result<Memberships, CallFault> {
    let mut walk = Walk::new(Resource::Groups, provider).at_most(GROUPS_PER_PAGE);
    let (mut collected, mut bare) = (Collected::default(), Vec::new());
    let mut page: Vec<Group> = Vec::new();
    loop {
        bare.extend(page.iter().filter(|group| group.members.is_none()).map(|group| group.id.clone()));
        let taking_in = api.beside("list groups", move || {
            for group in page {
                collected.add(group);
            }
            collected
        });
        if walk.census().is_some() {
            collected = taking_in.await?;
            break;
        }
        let (taken_in, next) = futures::join!(taking_in, walk.next(api, plain::groups));
        (collected, page) = (taken_in?, next?);
    }
    fill_in(api, &mut collected, &bare).await?;
    let memberships = api.beside("list groups", move || collected.finish()).await?;
    if let Some((outer, inner)) = memberships.nesting() {
        let message =
            format!("group {outer} contains group {inner}: who is in it cannot be told from its members alone");
        let fault = api
            .fault(FaultKind::Unsupported, "read the members of all groups", message)
            .with_help("put people into groups directly, or take the nested group out");
        return Err(CallFault::not_sent(fault));
    }
    Ok(memberships)
}

/// The groups without their members.
pub(crate) async fn catalog(api: &Api<'_>, provider: &Provider) -> Result<Catalog, CallFault> {
    let walk = Walk::new(Resource::Groups, provider).with("excludedAttributes", "members");
    let groups = read_groups(api, walk).await?;
    let levels: BTreeMap<_, _> = groups.into_iter().map(|group| (group.id, group.level)).collect();
    Ok(Catalog { levels })
}

async fn read_groups(api: &Api<'_>, mut walk: Walk) -> Result<Vec<Group>, CallFault> {
    let mut groups = Vec::new();
    while walk.census().is_none() {
        groups.extend(walk.next(api, plain::groups).await?);
    }
    Ok(groups)
}

/// A group without `members` in a list is an empty one, or the list leaves members out. Single reads tell.
async fn fill_in(api: &Api<'_>, collected: &mut Collected, bare: &[AccessLevelId]) -> Result<(), CallFault> {
    let stride = (bare.len() / LOOKS).max(1);
    let is_first = |n: usize| n.is_multiple_of(stride) && n / stride < LOOKS;
    let mut left_out = false;
    for (n, id) in bare.iter().enumerate() {
        if is_first(n) {
            left_out |= look_again(api, collected, id).await?;
        }
    }
    for (n, id) in bare.iter().enumerate() {
        if left_out && !is_first(n) {
            look_again(api, collected, id).await?;
        }
    }
    Ok(())
}

async fn look_again(api: &Api<'_>, collected: &mut Collected, id: &AccessLevelId) -> Result<bool, CallFault> {
    let Some(object) = api.get(Resource::Groups, id.as_str()).await? else {
        return Err(api.protocol("list groups", &format!("group {id} was in the list and is not there")));
    };
    let again = convert::group(&object).map_err(|e| api.protocol("read a group", &e.to_string()))?;
    let some = again.members.as_ref().is_some_and(|members| !members.is_empty());
    collected.add(again);
    Ok(some)
}

/// The shortest way that tells the truth. `None` when nobody is in any group, so that nothing can be compared.
pub(crate) async fn calibrate(
    api: &Api<'_>,
    provider: &Provider,
    truth: &Memberships,
) -> Result<Option<Source>, CallFault> {
    let mut samples: Vec<(&str, Object)> = Vec::new();
    for id in truth.samples() {
        if let Some(user) = api.get(Resource::Users, id).await? {
            samples.push((id, user));
        }
        if samples.len() == SAMPLES {
            break;
        }
    }
    if samples.is_empty() {
        return Ok(None);
    }
    let agrees = |(id, user): &(&str, Object)| {
        let levels = truth.levels_of(id);
        groups_of(user).is_some_and(|named| named == levels.iter().map(AccessLevelId::as_str).collect())
    };
    if samples.iter().all(agrees) {
        return Ok(Some(Source::UserGroups));
    }
    if provider.filter && filter_is_true(api, provider, truth, &samples).await? {
        return Ok(Some(Source::GroupFilter));
    }
    Ok(Some(Source::AllGroups))
}

async fn filter_is_true(
    api: &Api<'_>,
    provider: &Provider,
    truth: &Memberships,
    samples: &[(&str, Object)],
) -> Result<bool, CallFault> {
    let nobody = "lockstep-nobody-has-this-id";
    for (id, expect) in samples.iter().map(|(id, _)| (*id, truth.levels_of(id))).chain([(nobody, BTreeSet::new())]) {
        match by_filter(api, provider, id).await {
            Ok(found) if found == expect => {}
            Ok(_) => return Ok(false),
            // A server that cannot do this says so in many ways; only what means "not now" or "not you" is a fault.
            Err(fault) => match fault.fault.kind {
                FaultKind::Invalid | FaultKind::Unsupported | FaultKind::Protocol | FaultKind::Missing => {
                    return Ok(false);
                }
                FaultKind::Unreachable
                | FaultKind::Throttled
                | FaultKind::Unauthenticated
                | FaultKind::Denied
                | FaultKind::Conflict
                | FaultKind::Unconfirmed
                | FaultKind::Cancelled => return Err(fault),
            },
        }
    }
    Ok(true)
}

/// The groups that have this user as a member, by a filter.
pub(crate) async fn by_filter(
    api: &Api<'_>,
    provider: &Provider,
    user: &str,
) -> Result<BTreeSet<AccessLevelId>, CallFault> {
    let filter = format!("members.value eq {}", quoted(user));
    let walk = Walk::new(Resource::Groups, provider).filtered(filter).with("excludedAttributes", "members");
    let groups = read_groups(api, walk).await?;
    for group in &groups {
        // Members that came although they were not asked for are evidence all the same.
        if group.members.as_ref().is_some_and(|members| !members.iter().any(|member| member.id == user)) {
            return Err(api.protocol("filter groups by member", "the server ignores the filter"));
        }
    }
    Ok(groups.into_iter().map(|group| group.id).collect())
}

/// The source that the setting asks for, if it asks for one.
pub(crate) const fn fixed(setting: Setting) -> Option<Source> {
    match setting {
        Setting::Auto => None,
        Setting::AllGroups => Some(Source::AllGroups),
        Setting::UserGroups => Some(Source::UserGroups),
        Setting::GroupFilter => Some(Source::GroupFilter),
    }
}
