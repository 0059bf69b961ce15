//! `explain`: why one person has, or lacks, each access level: the groups with the path through nested ones, the line of
//! the mapping, the hold. The same decisions as planning, read for one person only; writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::Args;
use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKey, Cx, Directory, Entitled, Fault, FaultKind, GroupId, GroupPath, KeyKind,
    Person, PersonId, Presence, Target, field,
};
use lockstep_core::{
    DirectoryBuilder, DirectorySnapshot, Explanation, Holds, Inputs, Lift, Links, TargetBuilder, TargetSnapshot,
};
use lockstep_offboard::Who;
use serde::Serialize;

use crate::cli::context::{Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::cli::progress::until_stopped;
use crate::cli::{Global, explain_text, runs};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Say why a person has, or lacks, each level
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// employee:10482, upn:jdoe@corp.example, mail:…, account:…, directory:ID, cardholder:TARGET/ID, or a bare value
    who: String,
}

/// The document of `explain --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Explained {
    /// `lockstep/explain/1`.
    pub schema: &'static str,
    /// The person's name.
    pub name: String,
    /// The person.
    #[schemars(with = "serde_json::Value")]
    pub person: Person,
    /// Each target.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub targets: BTreeMap<String, Explanation>,
    /// Holds that were on this person and were lifted by name, oldest first.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub lifts: Vec<Lift>,
    /// The shortest chain from each group that the person is in down to the one that names them.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub paths: BTreeMap<GroupId, GroupPath>,
    /// Groups that could not be traced, or everything that kept a path from being read.
    pub paths_fault: Option<String>,
}

impl Explain {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let who: Who = self.who.parse().map_err(|error: lockstep_offboard::WhoError| {
            Failure::new(Exit::Usage, error.to_string()).not_done("nothing was looked up")
        })?;
        let context = Context::load(global, terminal)?;
        let explained = block_on(until_stopped(explain(&context, &who)))?;
        terminal.show(&explained, || explain_text::text(&explained))?;
        Ok(Exit::Done)
    }
}

async fn explain(context: &Context, who: &Who) -> Result<Explained, Failure> {
    let directory = context.directory()?;
    let cx = context.cx();
    let memory = Memory::read(context).await?;
    let single = context.config.overlays.is_empty();
    let person = the_person(&*directory, &cx, who, &memory, single).await?;
    let alike = sharing_keys(&*directory, &cx, &person).await?;
    let groups: BTreeSet<GroupId> = context.targets().flat_map(|target| target.policy.groups()).collect();
    let people = people(&*directory, &cx, &person, alike, &groups).await?;
    let mut targets = BTreeMap::new();
    for configured in context.targets() {
        let target = context.target(configured)?;
        let (links, holds) = memory.of(configured.id.as_str());
        let cardholders =
            cardholders(&target, &cx, &person, links).await.map_err(|fault| unread(&configured.id, &fault))?;
        let inputs = Inputs {
            target: target.info(),
            people: &people,
            cardholders: &cardholders,
            links,
            holds,
            looked: &BTreeMap::new(),
            policy: &configured.policy,
            run: runs::new_run(),
            now: context.now(),
        };
        targets.insert(configured.id.to_string(), lockstep_core::explain(inputs, &person.id));
    }
    let (paths, paths_fault) = match directory.paths(&cx, &person.id, &member_of(&targets)).await {
        Ok(paths) => (paths, None),
        Err(fault) => (BTreeMap::new(), Some(fault.to_string())),
    };
    let lifts = memory.lifts(&person);
    Ok(Explained { schema: "lockstep/explain/1", name: name(&person), person, targets, lifts, paths, paths_fault })
}

fn unread(system: impl ToString, fault: &Fault) -> Failure {
    let failure = failures::unreadable(&system.to_string(), fault);
    Failure { not_done: Some("nothing was explained; nothing was changed".into()), ..failure }
}

/// What is remembered about each target.
struct Memory {
    targets: BTreeMap<String, (Links, Holds)>,
    lifts: Vec<Lift>,
    nothing: (Links, Holds),
}

impl Memory {
    async fn read(context: &Context) -> Result<Self, Failure> {
        let mut all = BTreeMap::new();
        let mut lifts = Vec::new();
        if context.database().is_file() {
            let remembered = |error| failures::store(error, Wrote::Nothing);
            let store = context.store()?;
            lifts = store.lifts().await.map_err(remembered)?;
            for target in context.targets() {
                let links = store.links(&target.id).await.map_err(remembered)?;
                let holds = store.holds(&target.id).await.map_err(remembered)?;
                all.insert(target.id.to_string(), (links, holds));
            }
        }
        Ok(Self { targets: all, lifts, nothing: Default::default() })
    }

    fn of(&self, target: &str) -> (&Links, &Holds) {
        let (links, holds) = self.targets.get(target).unwrap_or(&self.nothing);
        (links, holds)
    }

    /// What was lifted of this person.
    fn lifts(&self, person: &Person) -> Vec<Lift> {
        let theirs = |lift: &&Lift| {
            lift.what.people.contains(&person.id) || person.keys.iter().any(|key| lift.what.keys.contains(key))
        };
        self.lifts.iter().filter(theirs).cloned().collect()
    }

    fn person_of(&self, target: &str, cardholder: &CardholderId) -> Option<PersonId> {
        self.of(target).0.of_cardholder(cardholder).map(|link| link.person.clone())
    }
}

/// The one person that is named. Nobody and several are both refused.
async fn the_person(
    directory: &dyn Directory,
    cx: &Cx,
    who: &Who,
    memory: &Memory,
    single: bool,
) -> Result<Person, Failure> {
    let system = directory.info().id.clone();
    let by_id = match who {
        Who::Cardholder { target, id } => Some(memory.person_of(target.as_str(), id).ok_or_else(|| {
            nobody(who).next("the cardholder is linked to nobody yet; name the person by employee: or upn:")
        })?),
        // With several directories, the id may be that of any of them.
        Who::Key(key) if key.kind() == KeyKind::Directory && single => PersonId::new(key.value()).ok(),
        Who::Key(_) | Who::Bare(_) => None,
    };
    if let Some(id) = by_id {
        return match directory.lookup(cx, &id).await.map_err(|fault| unread(&system, &fault))? {
            Presence::Present(person) => Ok(*person),
            Presence::Gone(_) => Err(nobody(who)),
        };
    }
    let mut found: BTreeMap<PersonId, Person> = BTreeMap::new();
    for key in who.keys() {
        let people = find(directory, cx, &key, matches!(who, Who::Bare(_))).await;
        found.extend(people.map_err(|fault| unread(&system, &fault))?.into_iter().map(|one| (one.id.clone(), one)));
    }
    let mut found = found.into_values();
    match (found.next(), found.len()) {
        (None, _) => Err(nobody(who)),
        (Some(person), 0) => Ok(person),
        (Some(first), _) => {
            let names: Vec<String> = std::iter::once(first)
                .chain(found)
                .map(|person| format!("{} (directory:{})", name(&person), person.id))
                .collect();
            Err(Failure::new(Exit::Usage, format!("{who} matches several people: {}", names.join("; ")))
                .not_done("nothing was explained")
                .next("name one of them by directory:ID"))
        }
    }
}

/// A bare value is tried as every kind of key; a kind that this directory does not have is no fault then.
async fn find(directory: &dyn Directory, cx: &Cx, key: &CorrelationKey, bare: bool) -> Result<Vec<Person>, Fault> {
    match directory.find(cx, key).await {
        Err(fault) if bare && fault.kind == FaultKind::Unsupported => Ok(Vec::new()),
        answer => answer,
    }
}

fn nobody(who: &Who) -> Failure {
    Failure::new(Exit::Failed, format!("nobody in the directory is {who}")).not_done("nothing was explained")
}

/// Other people with one of the same keys: they matter, since a shared key matches nobody.
async fn sharing_keys(directory: &dyn Directory, cx: &Cx, person: &Person) -> Result<Vec<Person>, Failure> {
    let mut alike = BTreeMap::new();
    for key in person.keys.iter() {
        let found = find(directory, cx, key, true).await.map_err(|fault| unread(&directory.info().id, &fault))?;
        alike.extend(found.into_iter().filter(|one| one.id != person.id).map(|one| (one.id.clone(), one)));
    }
    Ok(alike.into_values().collect())
}

async fn people(
    directory: &dyn Directory,
    cx: &Cx,
    person: &Person,
    alike: Vec<Person>,
    groups: &BTreeSet<GroupId>,
) -> Result<DirectorySnapshot, Failure> {
    let mut builder = DirectoryBuilder::new();
    builder.add(person);
    for one in &alike {
        builder.add(one);
    }
    let late = |_| {
        let fault =
            Fault::new(FaultKind::Unreachable, directory.info().id.as_str(), "read groups", "no answer in time");
        unread(&directory.info().id, &fault)
    };
    let members = tokio::time::timeout(cx.budget, directory.members(cx, groups)).await.map_err(late)?;
    for (group, membership) in members {
        builder.group(group, &membership);
    }
    Ok(builder.finish())
}

/// The records of one person on a PACS: the linked one, and those with one of the person's keys.
async fn cardholders(
    target: &Arc<dyn Target>,
    cx: &Cx,
    person: &Person,
    links: &Links,
) -> Result<TargetSnapshot, Fault> {
    let mut found: BTreeMap<CardholderId, Cardholder> = BTreeMap::new();
    if let Some(link) = links.of_person(&person.id)
        && let Some(cardholder) = target.read(cx, &link.cardholder).await?
    {
        found.insert(cardholder.id.clone(), cardholder);
    }
    for key in person.keys.iter().filter(|key| target.info().capabilities.keys.contains(&key.kind())) {
        found.extend(target.find(cx, key).await?.into_iter().map(|one| (one.id.clone(), one)));
    }
    let mut builder = TargetBuilder::new();
    builder.catalog(target.catalog(cx).await?);
    for cardholder in found.values() {
        builder.add(cardholder);
    }
    Ok(builder.finish())
}

/// The groups that the person is in, of those that any mapping names.
fn member_of(targets: &BTreeMap<String, Explanation>) -> BTreeSet<GroupId> {
    let levels = targets.values().flat_map(|explanation| &explanation.levels);
    let groups = levels.flat_map(|level| level.any.iter().chain(&level.all).chain(&level.none));
    groups.filter(|(_, entitled)| *entitled == Entitled::Yes).map(|(group, _)| group.clone()).collect()
}

fn name(person: &Person) -> String {
    let get = |name| person.profile.get(name).unwrap_or_default();
    let display = get(field::DISPLAY_NAME);
    let name = if display.is_empty() {
        format!("{} {}", get(field::GIVEN_NAME), get(field::FAMILY_NAME)).trim().to_owned()
    } else {
        display.to_owned()
    };
    if name.is_empty() { person.id.to_string() } else { name }
}
