//! Groups of several directories: `directory/group` is that directory's, anything else the authority's. Members of an
//! overlay's group are named as the authority names them; who cannot be, is a gap and never left out.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Cx, Fault, FaultKind, GroupId, GroupPath, Members, Membership, PersonId};

use crate::Merged;
use crate::table::Known;

const OPERATION: &str = "read groups";

/// The groups of one directory: as it names them, and as they were asked for; with the name of the directory, and without.
type Asked = BTreeMap<GroupId, BTreeSet<GroupId>>;

impl Merged {
    /// The groups by the directory they are in: those of the authority, and those of each overlay.
    fn split(&self, groups: &BTreeSet<GroupId>) -> (Asked, Vec<Asked>) {
        let mut ours = Asked::new();
        let mut theirs = vec![Asked::new(); self.overlays.len()];
        for group in groups {
            let named = group.as_str().split_once('/');
            let named = named.and_then(|(id, name)| Some((id, GroupId::new(name).ok()?)));
            let own = |id: &str| id == self.info.id.as_str();
            let place = |id: &str| self.overlays.iter().position(|overlay| overlay.id().as_str() == id);
            let (asked, name) = match named {
                Some((id, name)) if own(id) => (&mut ours, name),
                Some((id, name)) => match place(id).and_then(|at| theirs.get_mut(at)) {
                    Some(asked) => (asked, name),
                    None => (&mut ours, group.clone()),
                },
                None => (&mut ours, group.clone()),
            };
            asked.entry(name).or_default().insert(group.clone());
        }
        (ours, theirs)
    }

    pub(crate) async fn memberships(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        let (ours, theirs) = self.split(groups);
        let mut answers = BTreeMap::new();
        if !ours.is_empty() {
            let read = self.authority.members(cx, &ours.keys().cloned().collect()).await;
            answers.extend(as_asked(&ours, read));
        }
        if theirs.iter().all(Asked::is_empty) {
            return answers;
        }
        let known = self.known_or_read(cx).await;
        for (at, (overlay, asked)) in self.overlays.iter().zip(&theirs).enumerate() {
            let unread = |fault: &Fault| {
                asked
                    .values()
                    .flatten()
                    .map(|group| (group.clone(), Membership::Unreadable(fault.clone())))
                    .collect::<Vec<_>>()
            };
            let known = match &known {
                Ok(known) => known.get(at),
                Err(fault) => {
                    answers.extend(unread(fault));
                    continue;
                }
            };
            let pairs = match known {
                Some(Known::Pairs { pairs, .. }) => &pairs.of_theirs,
                Some(Known::Unread(fault)) => {
                    answers.extend(unread(fault));
                    continue;
                }
                None => continue,
            };
            if asked.is_empty() {
                continue;
            }
            let read = overlay.directory.members(cx, &asked.keys().cloned().collect()).await;
            let ours = read.into_iter().map(|(group, membership)| {
                let membership = translated(membership, pairs, overlay.id().as_str(), &group);
                (group, membership)
            });
            answers.extend(as_asked(asked, ours));
        }
        answers
    }

    pub(crate) async fn group_paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        let (ours, theirs) = self.split(groups);
        let mut paths = BTreeMap::new();
        if !ours.is_empty() {
            let found = self.authority.paths(cx, id, &ours.keys().cloned().collect()).await?;
            paths.extend(as_asked(&ours, found));
        }
        for (overlay, asked) in self.overlays.iter().zip(&theirs).filter(|(_, asked)| !asked.is_empty()) {
            let Some(there) = self.paired(cx, overlay, id).await? else { continue };
            let found = overlay.directory.paths(cx, &there, &asked.keys().cloned().collect()).await?;
            paths.extend(as_asked(asked, found));
        }
        Ok(paths)
    }
}

fn as_asked<T: Clone>(asked: &Asked, read: impl IntoIterator<Item = (GroupId, T)>) -> Vec<(GroupId, T)> {
    let names = |(group, answer): (GroupId, T)| {
        let names = asked.get(&group).cloned().unwrap_or_default();
        names.into_iter().map(move |name| (name, answer.clone()))
    };
    read.into_iter().flat_map(names).collect()
}

/// The people of an overlay's group, as the authority names them.
fn translated(
    membership: Membership,
    pairs: &BTreeMap<PersonId, PersonId>,
    system: &str,
    group: &GroupId,
) -> Membership {
    let Membership::Members(members) = membership else { return membership };
    let (mut people, mut gaps) = (Vec::new(), members.gaps());
    for theirs in members.people() {
        match pairs.get(theirs) {
            Some(ours) => people.push(ours.clone()),
            None => gaps = gaps.saturating_add(1),
        }
    }
    Members::with_gaps(people, gaps).map_or_else(
        || {
            let message = format!("none of the {gaps} members of `{group}` is anybody of the authority");
            Membership::Unreadable(Fault::new(FaultKind::Protocol, system, OPERATION, message))
        },
        Membership::Members,
    )
}
