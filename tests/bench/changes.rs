//! Changes that are read first, written down, sent, read back and written down again, beside the same requests sent bare.
//!
//! Both use the same HTTP client, against the same server, with as many requests in flight. What differs is the engine
//! with its journal on a real disk, and the connector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    Cancel, Cx, DirectoryId, FieldName, Opening, RunId, Secret, SecretError, SecretRef, Secrets, Target, TargetId,
    field,
};
use lockstep_core::{
    ActionState, Approval, ApprovedPlan, Conditions, Limits, PlanDocument, Policy, TargetConditions, approve,
};
use lockstep_engine::{ApplyOrder, LinkChange, Nobody, NodeId, PlanOrder, Store, TargetOrder};
use lockstep_http::{Auth, Client, Method, Request, Settings, Url};
use lockstep_sim::{DirectoryWorld, SimDirectory};
use lockstep_store::SqliteStore;
use serde_json::json;

use crate::pacs::Pacs;
use crate::world;

/// Best of this many rounds.
const ROUNDS: usize = 3;
/// What an answer of a PACS takes: one that answers at once, and one across a network with a database behind it.
const ANSWER_MS: [u64; 2] = [0, 5];
/// How long one call may take.
const CALL_BUDGET: Duration = Duration::from_secs(30);
/// The digest of the configuration in every plan.
const CONFIG: &str = "bench";
/// Plain SCIM, as a peer of ours asks for it.
const MEDIA: &str = "application/scim+json";
const DEPARTMENT: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";

type Outcome<T> = Result<T, String>;

/// Prints the comparison.
#[expect(clippy::print_stdout, reason = "a bench program prints its table")]
pub(crate) fn report() -> Outcome<()> {
    let changes = crate::size("BENCH_CHANGES", 1_000);
    // The runtime of the program itself.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(text)?;
    // Beside the program and not in a folder for temporary files, which may be in memory.
    let program = std::env::current_exe().map_err(text)?;
    let folder = tempfile::tempdir_in(program.parent().unwrap_or(Path::new("."))).map_err(text)?;
    println!("   {changes} changes, {} requests, over HTTP on this machine, best of {ROUNDS}", changes * 3);
    for answer_ms in ANSWER_MS {
        let pacs = Pacs::start(changes, answer_ms)?;
        let (mut bare, mut verified, mut sync) = (f64::MAX, f64::MAX, f64::MAX);
        for round in 0..ROUNDS {
            sync = sync.min(sync_seconds(folder.path()).map_err(text)?);
            bare = bare.min(runtime.block_on(send_bare(&pacs.url, changes, round))?);
            let store = folder.path().join(format!("{answer_ms}-{round}.db"));
            verified = verified.min(runtime.block_on(apply(&pacs.url, &store, changes, round))?);
        }
        let each = |seconds: f64| seconds * 1_000.0 / changes as f64;
        println!("   a PACS that takes {answer_ms} ms for an answer (one sync to this disk: {:.2} ms)", sync * 1_000.0);
        println!("     bare requests     {bare:8.2} s  {:6.2} ms a change", each(bare));
        println!("     verified changes  {verified:8.2} s  {:6.2} ms a change", each(verified));
        println!("     ratio             {:8.2} x  (goal 1.5 x)", verified / bare);
    }
    Ok(())
}

/// What the disk takes to make a small write durable: no journal can be faster.
fn sync_seconds(folder: &Path) -> std::io::Result<f64> {
    const TIMES: usize = 50;
    let mut file = std::fs::File::create(folder.join("sync"))?;
    let started = Instant::now();
    for _ in 0..TIMES {
        std::io::Write::write_all(&mut file, &[7; 4_096])?;
        file.sync_data()?;
    }
    Ok(started.elapsed().as_secs_f64() / TIMES as f64)
}

/// For each change a read, a write and a read, and nothing else.
async fn send_bare(url: &str, changes: usize, round: usize) -> Outcome<f64> {
    let base = Url::parse(url).map_err(text)?;
    let client = Client::open("bench", base, Auth::None, Settings::default()).map_err(text)?;
    let cx = Cx::new(CALL_BUDGET);
    let (client, cx) = (&client, &cx);
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": DEPARTMENT, "value": format!("Bare {round}")}],
    });
    let body = body.to_string().into_bytes();
    let body = &body;
    let started = Instant::now();
    let mut running = futures::stream::iter(0..changes)
        .map(|n| async move {
            let call = client.call(cx);
            let url = client.base().join(&format!("Users/{}", world::cardholder_id(n))).map_err(text)?;
            for write in [false, true, false] {
                let mut request = Request::get(url.clone(), MEDIA, "bare");
                if write {
                    request.method = Method::PATCH;
                    request.body = Some(body.clone());
                }
                let answer = call.send(request).await.map_err(|fault| fault.fault.to_string())?;
                if answer.status() != 200 {
                    return Err(format!("the server says {}", answer.status()));
                }
            }
            Ok(())
        })
        .buffer_unordered(in_flight(url)?);
    while let Some(done) = running.next().await {
        done?;
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Plans and approves the changes, and takes the time of applying them.
async fn apply(url: &str, store: &Path, changes: usize, round: usize) -> Outcome<f64> {
    let target: Arc<dyn Target> = Arc::new(open(url)?);
    let store = SqliteStore::open(store).map_err(text)?;
    let setting = Setting { store: &store, policy: policy(), limits: limits() };
    setting.link(changes).await?;
    let run = RunId::new(uuid::Uuid::from_u128(round as u128 + 1));
    let document = setting.plan(&*target, changes, round, run).await?;
    let plan = setting.approve(&*target, &document).await?;
    if plan.len() != changes {
        return Err(format!("{} changes are approved, not {changes}", plan.len()));
    }
    let started = Instant::now();
    let order = ApplyOrder {
        targets: BTreeMap::from([(target.info().id.clone(), target.clone())]),
        limits: BTreeMap::from([(target.info().id.clone(), setting.limits.clone())]),
        store: &store,
        node: node(),
        fresh: None,
        call_budget: CALL_BUDGET,
        cancel: Cancel::default(),
        clock: Arc::new(Timestamp::now),
        observer: &Nobody,
    };
    let report = lockstep_engine::apply(order, &plan).await.map_err(text)?;
    let seconds = started.elapsed().as_secs_f64();
    match report.count(ActionState::Verified) {
        count if count == changes => Ok(seconds),
        count => Err(format!("{count} changes were verified, not {changes}")),
    }
}

struct Setting<'a> {
    store: &'a SqliteStore,
    policy: Policy,
    limits: Limits,
}

impl Setting<'_> {
    async fn link(&self, people: usize) -> Outcome<()> {
        let epoch = self.store.lease(&node(), SignedDuration::from_mins(5), Timestamp::now()).await.map_err(text)?;
        let links: Vec<_> = (0..people).map(|n| LinkChange::Add(world::link(n))).collect();
        self.store.link(epoch, &id()?, &links).await.map_err(text)?;
        self.store.release(epoch).await.map_err(text)
    }

    async fn plan(&self, target: &dyn Target, people: usize, round: usize, run: RunId) -> Outcome<PlanDocument> {
        let mut directory = DirectoryWorld::default();
        for n in 0..people {
            let mut person = world::person(n);
            person.profile.set(FieldName::known(field::DEPARTMENT), format!("Round {round}"));
            directory.insert(person);
        }
        let directory = SimDirectory::new(DirectoryId::new("bench").map_err(text)?, directory);
        let planned = lockstep_engine::plan(PlanOrder {
            directory: &directory,
            targets: vec![TargetOrder { reader: target, policy: &self.policy, limits: &self.limits }],
            store: self.store,
            node: node(),
            run,
            version: "bench".to_owned(),
            config_digest: CONFIG.to_owned(),
            call_budget: CALL_BUDGET,
            cancel: Cancel::default(),
            clock: Arc::new(Timestamp::now),
            observer: &Nobody,
        });
        Ok(planned.await.map_err(text)?.document)
    }

    /// Two people approve everything, as a first run that changes everybody needs.
    async fn approve(&self, target: &dyn Target, document: &PlanDocument) -> Outcome<ApprovedPlan> {
        let all: BTreeSet<_> = document.entries.iter().map(|entry| entry.action.id.clone()).collect();
        let by = |name: &str, overrule: bool| Approval {
            by: name.to_owned(),
            at: document.header.created,
            plan: document.digest.clone(),
            only: overrule.then(|| all.clone()),
            reject: BTreeSet::new(),
            overrule,
            note: String::new(),
        };
        let approvals = [by("ann", false), by("ann", true), by("ben", true)];
        let now = Timestamp::now();
        let history = self.store.history(&target.info().id, now).await.map_err(text)?;
        let conditions = TargetConditions {
            fingerprint: &target.info().fingerprint,
            policy: &self.policy,
            limits: &self.limits,
            history: &history,
        };
        let conditions = Conditions {
            now,
            config_digest: CONFIG,
            journaled: &BTreeSet::new(),
            lifted: false,
            targets: BTreeMap::from([(target.info().id.clone(), conditions)]),
        };
        approve(document, &approvals, &conditions).map_err(text)
    }
}

fn open(url: &str) -> Outcome<lockstep_scim::Scim> {
    // The way in which a server is read that has proved to tell the truth: one request for one user.
    let config = serde_json::from_value(json!({ "url": url, "memberships": "user-groups" })).map_err(text)?;
    let opening = Opening { base: Path::new("."), secrets: &NoSecrets };
    lockstep_scim::open(id()?, config, &opening).map_err(text)
}

/// As many requests at a time as the connector allows.
fn in_flight(url: &str) -> Outcome<usize> {
    let target = open(url)?;
    Ok(lockstep_contract::TargetReader::info(&target).capabilities.in_flight_max.get() as usize)
}

fn id() -> Outcome<TargetId> {
    TargetId::new("bench").map_err(text)
}

fn node() -> NodeId {
    NodeId("bench".to_owned())
}

/// Only the department is kept in step.
fn policy() -> Policy {
    let mut policy = Policy { levels: Vec::new(), ..world::policy() };
    policy.profile.retain(|name, _| name.as_str() == field::DEPARTMENT);
    policy
}

/// As loose as limits can be: everybody changes.
fn limits() -> Limits {
    Limits { grants_per_run: 10_000, grants_percent: 100, ..Limits::default() }
}

pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "a bench has no secrets".to_owned() })
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
