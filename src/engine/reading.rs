//! Reading both sides whole. A list counts as read only when its census adds up; anything else is a fault, and a fault
//! is never an empty list (I1).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

use futures::StreamExt;
use lockstep_contract::{
    Census, Cursor, Cx, Directory, Fault, FaultKind, GroupId, Membership, Next, Page, PersonId, Presence, Scope,
    ServerMark, TargetReader,
};
use lockstep_core::{DirectoryBuilder, DirectorySnapshot, Looked, TargetBuilder, TargetSnapshot};

use crate::layers::{self, Layered, Way};
use crate::{Observer, Progress};

/// More pages than this are no list but a loop.
const PAGES_MAX: u32 = 50_000;
/// More items than this are refused.
const ITEMS_MAX: u64 = 5_000_000;
/// So many absent people are looked up at one time.
const LOOKUPS_AT_ONCE: usize = 8;
/// More absent people than this are not looked up one by one: they stay in doubt, and so stay as they are.
const LOOKUPS_MAX: usize = 20_000;

/// Reads page after page until the census, and checks it.
struct Pages<'a> {
    system: &'a str,
    operation: &'static str,
    arrived: u64,
    cursors: BTreeSet<Cursor>,
}

impl<'a> Pages<'a> {
    fn new(system: &'a str, operation: &'static str) -> Self {
        Self { system, operation, arrived: 0, cursors: BTreeSet::new() }
    }

    fn broken(&self, message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Protocol, self.system, self.operation, message)
            .with_help("nothing was planned from this reading; try again, and look at the system if it stays so")
    }

    async fn each<'f, T>(
        &mut self,
        fetch: impl Fn(Option<Cursor>) -> Pin<Box<dyn Future<Output = Result<Page<T>, Fault>> + Send + 'f>>,
        mut take: impl FnMut(T, u64),
    ) -> Result<Census, Fault> {
        let mut at = None;
        for _ in 0..PAGES_MAX {
            let page = fetch(at.clone()).await?;
            for item in page.items {
                self.arrived += 1;
                take(item, self.arrived);
            }
            if self.arrived > ITEMS_MAX {
                return Err(self.broken(format!("more than {ITEMS_MAX} records arrived")));
            }
            match page.next {
                Next::End(census) => return Ok(census),
                Next::More(cursor) if !self.cursors.insert(cursor.clone()) => {
                    return Err(self.broken("the same page was offered twice; the list does not end"));
                }
                Next::More(cursor) => at = Some(cursor),
            }
        }
        Err(self.broken(format!("the list has more than {PAGES_MAX} pages")))
    }

    fn check(&self, census: Census, set_aside: u64) -> Result<(), Fault> {
        let got = self.arrived + set_aside;
        if census.sent != got {
            return Err(self.broken(format!("{} records were sent, {got} arrived", census.sent)));
        }
        match census.server_total {
            Some(total) if total != census.sent => {
                Err(self.broken(format!("the server counts {total} records and sent {}", census.sent)))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Reads people and groups whole.
pub(crate) async fn directory(
    directory: &dyn Directory,
    cx: &Cx,
    scope: &Scope,
    groups: &BTreeSet<GroupId>,
    observer: &dyn Observer,
) -> Result<DirectorySnapshot, Fault> {
    let system = directory.info().id.as_str();
    let mut builder = DirectoryBuilder::new();
    let mut pages = Pages::new(system, "read people");
    let census = pages
        .each(
            |at| {
                Box::pin(layers::read(cx, Way::to(system), "read people", move || {
                    directory.people(cx, scope, at.clone())
                }))
            },
            |person, count| {
                builder.add(&person);
                if count.is_multiple_of(500) {
                    observer.progress(Progress::People(count));
                }
            },
        )
        .await?;
    let set_aside = directory.take_quarantined();
    pages.check(census, set_aside.len() as u64)?;
    observer.progress(Progress::People(pages.arrived));
    for (label, reason) in set_aside {
        builder.quarantined(label, reason);
    }
    for (group, membership) in members(directory, cx, groups, observer).await? {
        builder.group(group, &membership);
    }
    Ok(builder.finish())
}

/// The members of all groups. A group that was not answered for is unreadable; one that failed for a moment is asked
/// for again.
pub(crate) async fn members(
    directory: &dyn Directory,
    cx: &Cx,
    groups: &BTreeSet<GroupId>,
    observer: &dyn Observer,
) -> Result<BTreeMap<GroupId, Membership>, Fault> {
    let system = directory.info().id.as_str();
    let count = groups.len() as u64;
    observer.progress(Progress::Groups { groups: count, done: false });
    let mut answers = BTreeMap::new();
    let mut asked = groups.clone();
    let mut waits = layers::waits();
    while !asked.is_empty() {
        cx.check(system, "read groups")?;
        let answered = tokio::time::timeout(cx.budget, directory.members(cx, &asked)).await;
        let late = answered.is_err();
        let mut answered = answered.unwrap_or_default();
        let mut again = BTreeSet::new();
        let mut wait = None;
        let own = waits.next();
        for group in asked {
            let membership = answered.remove(&group).unwrap_or_else(|| {
                let operation = format!("read group {group}");
                Membership::Unreadable(if late {
                    layers::too_late(system, &operation, cx.budget)
                } else {
                    Fault::new(FaultKind::Protocol, system, operation, "no answer for this group")
                })
            });
            if let (Membership::Unreadable(fault), Some(own)) = (&membership, own)
                && fault.kind.is_transient()
            {
                wait = wait.max(Some(layers::wait_after(fault, own)));
                again.insert(group.clone());
            }
            answers.insert(group, membership);
        }
        asked = again;
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }
    observer.progress(Progress::Groups { groups: count, done: true });
    Ok(answers)
}

/// Reads the cardholders and the access levels of a target whole.
pub(crate) async fn target(
    reader: &dyn TargetReader,
    cx: &Cx,
    observer: &dyn Observer,
) -> Result<TargetSnapshot, Fault> {
    let reader = &Layered::new(reader);
    let info = reader.info();
    let mut builder = TargetBuilder::new();
    builder.catalog(reader.catalog(cx).await?);
    let mut pages = Pages::new(info.id.as_str(), "list cardholders");
    let census = pages
        .each(
            |at| Box::pin(async move { reader.list(cx, at).await }),
            |cardholder, count| {
                builder.add(&cardholder);
                if count.is_multiple_of(500) {
                    observer.progress(Progress::Cardholders { target: info.id.clone(), count });
                }
            },
        )
        .await?;
    pages.check(census, 0)?;
    observer.progress(Progress::Cardholders { target: info.id.clone(), count: pages.arrived });
    Ok(builder.finish())
}

/// Looks absent people up one by one: absence from a list is no evidence (I3).
pub(crate) async fn look_up(
    directory: &dyn Directory,
    cx: &Cx,
    absent: BTreeSet<PersonId>,
    observer: &dyn Observer,
) -> BTreeMap<PersonId, Looked> {
    let system = directory.info().id.as_str();
    let total = absent.len() as u64;
    let (mut looked, mut done) = (BTreeMap::new(), 0);
    let (near, far): (Vec<_>, Vec<_>) = absent.into_iter().enumerate().partition(|(n, _)| *n < LOOKUPS_MAX);
    for (_, person) in far {
        let message = format!("more than {LOOKUPS_MAX} people are absent; this one was not looked up");
        let fault = Fault::new(FaultKind::Protocol, system, format!("look up {person}"), message);
        looked.insert(person, Looked::Doubt(fault));
    }
    let mut answers = futures::stream::iter(near)
        .map(|(_, person)| async move {
            let answer =
                layers::read(cx, Way::to(system), "look up an absent person", || directory.lookup(cx, &person));
            let answer = answer.await;
            (person, answer)
        })
        .buffer_unordered(LOOKUPS_AT_ONCE);
    while let Some((person, answer)) = answers.next().await {
        let answer = match answer {
            Ok(Presence::Gone(proof)) => Looked::Gone(proof),
            Ok(Presence::Present(found)) => Looked::Elsewhere(found.standing),
            Err(fault) => Looked::Doubt(fault),
        };
        looked.insert(person, answer);
        done += 1;
        observer.progress(Progress::LookingUp { done, total });
    }
    looked
}

/// Why a server is not the one that answered before (F07), or `None` when it is.
pub(crate) fn other_server(before: &ServerMark, now: &ServerMark) -> Option<String> {
    if before.domain != now.domain {
        return Some(format!("it answers for {}; until now it was {}", now.domain, before.domain));
    }
    match (before.generation, now.generation) {
        (Some(then), Some(since)) if since < then && before.replica == now.replica => {
            let replica = now.replica.as_deref().unwrap_or("the server");
            Some(format!("{replica} is at state {since} and was at {then} before: it went back, as after a restore"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(domain: &str, replica: &str, generation: u64) -> ServerMark {
        ServerMark { domain: domain.into(), replica: Some(replica.into()), generation: Some(generation), clock: None }
    }

    #[test]
    fn another_domain_or_an_older_state_of_one_replica_is_another_server() {
        let before = mark("corp", "dc1", 10);
        assert_eq!(other_server(&before, &mark("corp", "dc1", 10)), None);
        assert_eq!(other_server(&before, &mark("corp", "dc2", 3)), None, "replicas count for themselves");
        assert!(other_server(&before, &mark("corp", "dc1", 9)).is_some_and(|text| text.contains("went back")));
        assert!(other_server(&before, &mark("evil", "dc1", 11)).is_some_and(|text| text.contains("evil")));
    }

    #[test]
    fn a_census_that_does_not_add_up_is_a_fault() {
        let mut pages = Pages::new("hq", "list");
        pages.arrived = 9;
        let census = |sent, server_total| Census { sent, server_total };
        assert!(pages.check(census(10, None), 1).is_ok(), "one was set aside");
        assert!(pages.check(census(10, Some(10)), 1).is_ok());
        assert!(pages.check(census(10, None), 0).is_err());
        assert!(pages.check(census(9, None), 1).is_err());
        assert!(pages.check(census(10, Some(11)), 1).is_err());
    }
}
