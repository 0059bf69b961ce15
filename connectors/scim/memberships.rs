//! Who is in which group. The members of all groups are the truth; a shorter way is used only after it has agreed with
//! that truth on people who are known to be in groups. This module must not write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lockstep_contract::{AccessLevelId, Catalog, FaultKind};
use lockstep_http::CallFault;

use crate::api::{Api, Object, Resource, quoted};
use crate::config::Memberships as Setting;
use crate::convert::{self, Group, Member, groups_of};
use crate::discovery::Provider;
use crate::listing::Walk;

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
    groups: Vec<AccessLevelId>,
    of: HashMap<Box<str>, Vec<u32>>,
    /// The first member that says of itself that it is a group: where, and its id.
    nested: Option<(u32, String)>,
    /// The levels, for the catalog.
    pub(crate) catalog: Catalog,
}

impl Memberships {
    /// The levels of a user.
    pub(crate) fn levels_of(&self, user: &str) -> BTreeSet<AccessLevelId> {
        let positions = self.of.get(user).into_iter().flatten();
        positions.filter_map(|at| self.groups.get(*at as usize)).cloned().collect()
    }

    /// How the groups that a user names agree with the levels that the members of all groups say.
    pub(crate) fn compare<'a>(&self, user: &'a Object, levels: &BTreeSet<AccessLevelId>) -> Agreement<'a> {
        let named = groups_of(user);
        if named.as_ref().map_or(0, BTreeSet::len) == levels.len()
            && named.iter().flatten().copied().eq(levels.iter().map(AccessLevelId::as_str))
        {
            return Agreement::Same;
        }
        let known: BTreeSet<&str> = levels.iter().map(AccessLevelId::as_str).collect();
        let is_level = |group: &str| self.catalog.levels.keys().any(|level| level.as_str() == group);
        let more = named.into_iter().flatten().find(|group| !known.contains(group) && is_level(group));
        more.map_or(Agreement::Fewer, Agreement::Contradicts)
    }

    /// People in groups, those in most of them first.
    fn samples(&self) -> Vec<&str> {
        let mut people: Vec<(&str, usize)> = self.of.iter().map(|(id, groups)| (&**id, groups.len())).collect();
        people.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        people.into_iter().take(SAMPLES * 4).map(|(id, _)| id).collect()
    }

    /// Takes a group in, and returns its place.
    fn add(&mut self, group: Group) -> usize {
        let at = self.groups.len();
        self.add_members(at, group.members);
        self.catalog.levels.insert(group.id.clone(), group.level);
        self.groups.push(group.id);
        at
    }

    fn add_members(&mut self, at: usize, members: Option<Vec<Member>>) {
        let at = at as u32;
        for member in members.into_iter().flatten() {
            if member.is_group {
                self.nested.get_or_insert((at, member.id));
                continue;
            }
            let groups = match self.of.get_mut(member.id.as_str()) {
                Some(groups) => groups,
                None => self.of.entry(member.id.into_boxed_str()).or_default(),
            };
            if groups.last() != Some(&at) {
                groups.push(at);
            }
        }
    }

    /// A group in a group: the outer one, and the id of the inner one.
    fn nesting(&self) -> Option<(&AccessLevelId, &str)> {
        let by_id =
            || self.groups.iter().find_map(|inner| Some((*self.of.get(inner.as_str())?.first()?, inner.as_str())));
        let (at, inner) = self.nested.as_ref().map(|(at, inner)| (*at, inner.as_str())).or_else(by_id)?;
        Some((self.groups.get(at as usize)?, inner))
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

/// Reads the members of all groups. A page is taken in before the next is asked for: the members of all groups together
/// are the largest thing that such a server sends.
pub(crate) async fn scan(api: &Api<'_>, provider: &Provider) -> Result<Memberships, CallFault> {
    let mut walk = Walk::new(Resource::Groups, provider).at_most(GROUPS_PER_PAGE);
    let (mut memberships, mut bare) = (Memberships::default(), Vec::new());
    while walk.census().is_none() {
        for object in walk.next(api).await? {
            let group = group_of(api, object)?;
            let without = group.members.is_none();
            let at = memberships.add(group);
            bare.extend(without.then_some(at));
        }
    }
    fill_in(api, &mut memberships, &bare).await?;
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

fn group_of(api: &Api<'_>, object: Object) -> Result<Group, CallFault> {
    convert::group(object).map_err(|e| api.protocol("list groups", &e.to_string()))
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
        for object in walk.next(api).await? {
            groups.push(group_of(api, object)?);
        }
    }
    Ok(groups)
}

/// A group without `members` in a list is an empty one, or the list leaves members out. Single reads tell.
async fn fill_in(api: &Api<'_>, memberships: &mut Memberships, bare: &[usize]) -> Result<(), CallFault> {
    let stride = (bare.len() / LOOKS).max(1);
    let is_first = |n: usize| n.is_multiple_of(stride) && n / stride < LOOKS;
    let mut left_out = false;
    for (n, at) in bare.iter().enumerate() {
        if is_first(n) {
            left_out |= look_again(api, memberships, *at).await?;
        }
    }
    for (n, at) in bare.iter().enumerate() {
        if left_out && !is_first(n) {
            look_again(api, memberships, *at).await?;
        }
    }
    Ok(())
}

async fn look_again(api: &Api<'_>, memberships: &mut Memberships, at: usize) -> Result<bool, CallFault> {
    let Some(id) = memberships.groups.get(at).cloned() else { return Ok(false) };
    let Some(object) = api.get(Resource::Groups, id.as_str()).await? else {
        return Err(api.protocol("list groups", &format!("group {id} was in the list and is not there")));
    };
    let again = convert::group(object).map_err(|e| api.protocol("read a group", &e.to_string()))?;
    let some = again.members.as_ref().is_some_and(|members| !members.is_empty());
    memberships.add_members(at, again.members);
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
        if group.members.as_ref().is_some_and(|members| !members.iter().any(|m| m.id == user)) {
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
