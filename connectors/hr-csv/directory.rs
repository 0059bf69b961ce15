//! The feed as a connector. Files are read again whenever one of them changed; between that, what was read is kept. It
//! must not decide anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_contract::{
    Census, Changes, Check, CheckOutcome, CorrelationKey, Cursor, Cx, Directory, DirectoryId, DirectoryInfo, Entitled,
    Fault, FaultKind, GroupId, GroupPath, Health, Membership, Next, Opening, Page, Person, PersonId, Presence, Profile,
    Proof, Scope, ServerMark, Watermark,
};

use crate::changes::{self, Mark};
use crate::columns::check_names;
use crate::config::Config;
use crate::days::Sites;
use crate::feed::{self, Feed, Plan};
use crate::source::{Complaint, SourceFile, stamp};

const PROVE: &str = "set `trailer` or `expected_rows`, or at least `min_rows`, so that a file that was cut shows";

/// People and groups from files.
#[derive(Debug)]
pub struct HrFeed {
    info: DirectoryInfo,
    plan: Plan,
    clock: fn() -> Timestamp,
    loaded: Mutex<Option<Arc<Loaded>>>,
    /// What was read before the files changed.
    before: Mutex<Option<Arc<Loaded>>>,
    set_aside: Mutex<Vec<(String, String)>>,
}

#[derive(Debug)]
struct Loaded {
    feed: Feed,
    /// Counts the readings: a list is finished from the reading it was begun with.
    number: u64,
}

/// Opens a feed. No file is read yet.
///
/// # Errors
/// When a setting makes no sense: a time zone that does not exist, a field name that is none, no file at all.
pub fn open(id: DirectoryId, config: Config, opening: &Opening<'_>) -> Result<HrFeed, Fault> {
    let refused = |complaint: Complaint| {
        let mut fault = Fault::new(FaultKind::Invalid, id.as_str(), "open the feed", complaint.message);
        fault.help = complaint.help;
        fault
    };
    check_names(&config).map_err(refused)?;
    let people: Vec<SourceFile> =
        config.people.paths().iter().map(|path| SourceFile::new(opening.path(path))).collect();
    if people.is_empty() {
        return Err(refused(Complaint::broken("`people` names no file")));
    }
    let sites = Sites::new(&config).map_err(refused)?;
    let endpoint = config.people.paths().iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let groups = config.groups.as_ref().map(|path| SourceFile::new(opening.path(path)));
    Ok(HrFeed {
        info: DirectoryInfo { id, kind: "hr-csv".to_owned(), endpoint },
        plan: Plan { config, people, groups, sites },
        clock: Timestamp::now,
        loaded: Mutex::new(None),
        before: Mutex::new(None),
        set_aside: Mutex::new(Vec::new()),
    })
}

impl HrFeed {
    /// The same feed by another clock, for tests and drills.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    fn system(&self) -> &str {
        self.info.id.as_str()
    }

    fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation, message)
    }

    fn complain(&self, operation: &str, complaint: &Complaint) -> Fault {
        let mut fault = self.fault(complaint.kind, operation, complaint.message.clone());
        fault.help.clone_from(&complaint.help);
        fault
    }

    /// What the files say now.
    fn loaded(&self, cx: &Cx, operation: &str) -> Result<Arc<Loaded>, Fault> {
        cx.check(self.system(), operation)?;
        let now = (self.clock)();
        let mut kept = lock(&self.loaded);
        if let Some(loaded) = kept.as_ref().filter(|loaded| self.is_current(&loaded.feed, now)) {
            return Ok(Arc::clone(loaded));
        }
        let number = kept.as_ref().map_or(0, |loaded| loaded.number + 1);
        let feed = feed::load(&self.plan, now).map_err(|complaint| self.complain(operation, &complaint))?;
        let loaded = Arc::new(Loaded { feed, number });
        if let Some(old) = kept.replace(Arc::clone(&loaded)).filter(|old| old.feed.digest != loaded.feed.digest) {
            *lock(&self.before) = Some(old);
        }
        Ok(loaded)
    }

    /// True when no file changed since, none got too old, all of them could be read, and nobody's day came or ended.
    fn is_current(&self, feed: &Feed, now: Timestamp) -> bool {
        if now < feed.at || feed.next.is_some_and(|next| next <= now) {
            return false;
        }
        let hours = self.plan.config.max_age_hours.map(std::num::NonZeroU32::get);
        feed.stamps.iter().all(|(path, then)| {
            then.is_some_and(|then| stamp(path) == Ok(then) && then.check_age(path, hours, now).is_ok())
        })
    }

    fn changed(&self, loaded: &Loaded, since: &Mark, now: &Mark) -> Option<BTreeSet<PersonId>> {
        if !since.fits(now) {
            return None;
        }
        if since.files == now.files {
            return Some(changes::by_time(&loaded.feed, since, now));
        }
        let before = lock(&self.before).clone().filter(|before| before.feed.digest == since.files)?;
        changes::by_files(&before.feed, &loaded.feed, since, now)
    }

    fn page(&self, loaded: &Loaded, scope: &Scope, at: Option<&Cursor>) -> Result<Page<Person>, Fault> {
        let operation = "list people";
        let from = match at {
            None => 0,
            Some(cursor) => {
                let place = cursor.0.split_once(':').and_then(|(n, at)| Some((n.parse().ok()?, at.parse().ok()?)));
                let (number, from): (u64, usize) = place.ok_or_else(|| {
                    self.fault(FaultKind::Invalid, operation, "this cursor was not made by this connector")
                })?;
                if number != loaded.number {
                    let message = "a file changed between two pages; the list has to be read again";
                    return Err(self.fault(FaultKind::Unreachable, operation, message));
                }
                from
            }
        };
        let people = &loaded.feed.people;
        let size = self.plan.config.page_size.get() as usize;
        let items: Vec<Person> = people.list.iter().skip(from).take(size).map(|one| in_scope(one, scope)).collect();
        let next = from + items.len();
        if next < people.list.len() {
            return Ok(Page { items, next: Next::More(Cursor(format!("{}:{next}", loaded.number))) });
        }
        lock(&self.set_aside).clone_from(&people.aside);
        let total = (people.list.len() + people.aside.len()) as u64;
        Ok(Page { items, next: Next::End(Census { sent: total, server_total: Some(total) }) })
    }
}

fn in_scope(person: &Person, scope: &Scope) -> Person {
    let wanted = person.profile.iter().filter(|(name, _)| scope.fields.contains(*name));
    let profile: Profile = wanted.map(|(name, value)| (name.clone(), value.to_owned())).collect();
    Person { id: person.id.clone(), keys: person.keys.clone(), profile, standing: person.standing }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept is replaced whole, so whoever panicked left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Directory for HrFeed {
    fn info(&self) -> &DirectoryInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        let loaded = self.loaded(cx, "probe")?;
        let Feed { people, groups, .. } = &loaded.feed;
        let check = |name: &str, outcome, detail: String, help: Option<&str>| Check {
            name: name.to_owned(),
            outcome,
            detail,
            help: help.map(str::to_owned),
        };
        let mut checks = vec![check("people", CheckOutcome::Pass, format!("{} people", people.list.len()), None)];
        if self.plan.config.authoritative && !self.plan.proves_everybody() {
            let detail = "nothing shows that the files are whole, so nobody is gone for not being in them".to_owned();
            checks.push(check("whole", CheckOutcome::Warn, detail, Some(PROVE)));
        }
        if !people.aside.is_empty() {
            let places: Vec<String> =
                people.aside.iter().take(5).map(|(place, why)| format!("{place}: {why}")).collect();
            let detail = format!("{} rows set aside: {}", people.aside.len(), places.join("; "));
            checks.push(check("rows", CheckOutcome::Warn, detail, Some("mend these rows in the source")));
        }
        checks.push(match groups {
            Ok(groups) => check("groups", CheckOutcome::Pass, format!("{} groups", groups.len()), None),
            Err(why) => check("groups", CheckOutcome::Fail, why.message.clone(), why.help.as_deref()),
        });
        let domain = self.info.endpoint.clone();
        Ok(Health { checks, server: Some(ServerMark { domain, replica: None, generation: None, clock: None }) })
    }

    async fn people(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        let loaded = self.loaded(cx, "list people")?;
        self.page(&loaded, scope, at.as_ref())
    }

    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        let loaded = self.loaded(cx, "read groups");
        let answer = |id: &GroupId| {
            let operation = format!("read group {id}");
            match &loaded {
                Err(fault) => Membership::Unreadable(fault.clone()),
                Ok(loaded) => match &loaded.feed.groups {
                    Err(complaint) => Membership::Unreadable(self.complain(&operation, complaint)),
                    Ok(all) => all.membership(id, |kind, message| self.fault(kind, &operation, message)),
                },
            }
        };
        groups.iter().map(|id| (id.clone(), answer(id))).collect()
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        let loaded = self.loaded(cx, "find by key")?;
        Ok(loaded.feed.people.with_key(key).cloned().collect())
    }

    async fn in_reach(&self, cx: &Cx, id: &PersonId) -> Result<Entitled, Fault> {
        let loaded = self.loaded(cx, "look a person up")?;
        Ok(if loaded.feed.people.get(id).is_some() { Entitled::Yes } else { Entitled::Unknown })
    }

    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        let operation = "look a person up";
        let loaded = self.loaded(cx, operation)?;
        let people = &loaded.feed.people;
        if let Some(person) = people.get(id) {
            return Ok(Presence::Present(Box::new(person.clone())));
        }
        let doubt = |kind, message: String| Err(self.fault(kind, operation, message));
        if people.held.contains(id) {
            return doubt(FaultKind::Invalid, format!("the row of person `{id}` was set aside; mend it first"));
        }
        if people.nameless {
            let message = format!("person `{id}` is not in the files, but may be in a row that was set aside");
            return doubt(FaultKind::Invalid, message);
        }
        if !self.plan.config.authoritative {
            let message = format!("person `{id}` is not in the files, which do not hold everybody");
            return doubt(FaultKind::Unsupported, message);
        }
        if !self.plan.proves_everybody() {
            let message = format!("person `{id}` is not in the files, and nothing shows that the files are whole");
            let fault = self.fault(FaultKind::Unsupported, operation, message);
            return Err(fault.with_help(PROVE));
        }
        match people.list.first() {
            Some(canary) => Ok(Presence::Gone(Proof::NotFound { canary: canary.id.to_string() })),
            None => doubt(FaultKind::Protocol, "there is nobody in the files, so nobody is proven gone".to_owned()),
        }
    }

    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        let operation = "read paths";
        let loaded = self.loaded(cx, operation)?;
        let all = loaded.feed.groups.as_ref().map_err(|complaint| self.complain(operation, complaint))?;
        Ok(groups.iter().filter_map(|group| Some((group.clone(), all.path(group, id)?))).collect())
    }

    async fn changes(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        let operation = "read changes";
        let now = (self.clock)();
        let loaded = self.loaded(cx, operation)?;
        let mark = Mark::new(&self.plan.config, &loaded.feed, now);
        let since = since.and_then(|since| serde_json::from_str::<Mark>(&since.0).ok());
        let changed = since.and_then(|since| self.changed(&loaded, &since, &mark));
        let next = serde_json::to_string(&mark)
            .map_err(|_| self.fault(FaultKind::Protocol, operation, "the watermark cannot be written"))?;
        let reset = changed.is_none();
        Ok(Changes { people: changed.into_iter().flatten().collect(), next: Watermark(next), reset })
    }

    fn take_quarantined(&self) -> Vec<(String, String)> {
        std::mem::take(&mut lock(&self.set_aside))
    }
}
