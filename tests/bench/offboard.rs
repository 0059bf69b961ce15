//! One person put out on one PACS and on five, beside the least that does it: look up, switch off, read back.
//!
//! Both are whole processes against the same simulated PACS, of which every answer takes [`ANSWER_MS`]. The least keeps no
//! record and asks nobody else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lockstep_contract::{
    Action, ActionId, Cardholder, CorrelationKey, Cx, Expectation, KeyKind, Opening, Reason, Reduction, RunId,
    Situation, Status, Step, Steps, Subject, Target as _, TargetId, TargetReader as _,
};
use lockstep_sim::{Config, Sim};
use serde_json::json;

use crate::changes::NoSecrets;
use crate::start;

const ANSWER_MS: u32 = 20;
/// How many people there are at each PACS: each round needs two, and the file of a larger one would take time itself.
const PEOPLE: usize = 2 * ROUNDS;
/// The best of this many rounds counts.
const ROUNDS: usize = 15;
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, String>;

/// Prints the comparison.
#[expect(clippy::print_stdout, reason = "a bench program prints its table")]
pub(crate) fn report() -> Outcome<()> {
    let lockstep = start::lockstep()?;
    println!("   one person, answers take {ANSWER_MS} ms, whole processes, best of {ROUNDS}");
    let (mut whole, mut least) = (Vec::new(), Vec::new());
    for targets in [1, 5] {
        let site = Site::new(targets)?;
        let offboard = |n: usize| {
            let who = format!("employee:{n}");
            let mut command = Command::new(&lockstep);
            command.args(["offboard", &who, "--reason", "bench", "--by", &format!("Desk {n}"), "--yes", "--json"]);
            site.seconds(&mut command)
        };
        let bare = |n: usize| {
            let mut command = Command::new(std::env::current_exe().map_err(text)?);
            command.args(["--cut", &targets.to_string(), &n.to_string()]);
            site.seconds(&mut command)
        };
        let (mut best_whole, mut best_least) = (f64::MAX, f64::MAX);
        for round in 0..ROUNDS {
            best_whole = best_whole.min(offboard(2 * round)?);
            best_least = best_least.min(bare(2 * round + 1)?);
        }
        let ratio = best_whole / best_least;
        println!("   on {targets} PACS   three round trips {:6.1} ms", best_least * 1_000.0);
        println!(
            "               lockstep offboard {:6.1} ms   ratio {ratio:5.2} x  (goal 1.3 x)",
            best_whole * 1_000.0
        );
        whole.push(best_whole);
        least.push(best_least);
    }
    let between =
        |times: &[f64]| times.last().copied().unwrap_or(f64::NAN) / times.first().copied().unwrap_or(f64::NAN);
    println!("   five beside one: {:.2} x  (goal 1.1 x; the least: {:.2} x)", between(&whole), between(&least));
    Ok(())
}

/// The least: this is what the child process does.
pub(crate) fn cut(targets: usize, person: usize) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    let opening = Opening { base: Path::new("."), secrets: &NoSecrets };
    let open = |n: usize| {
        let config = json!({"file": world_file(n), "answer_ms": ANSWER_MS});
        let config: Config = serde_json::from_value(config).map_err(text)?;
        lockstep_sim::open(id(n)?, config, &opening).map_err(text)
    };
    let all = (0..targets).map(open).collect::<Outcome<Vec<Sim>>>()?;
    let each = all.iter().map(|target| cut_at(target, person));
    runtime.block_on(futures::future::join_all(each)).into_iter().collect()
}

async fn cut_at(target: &Sim, person: usize) -> Outcome<()> {
    let cx = Cx::new(PATIENCE);
    let key = CorrelationKey::new(KeyKind::Employee, &person.to_string()).map_err(text)?;
    let holder = target.find(&cx, &key).await.map_err(text)?.pop().ok_or("nobody is found")?;
    target.apply(&cx, &suspend(&target.info().id, &holder)?).await.map_err(text)?;
    let after = target.read(&cx, &holder.id).await.map_err(text)?.ok_or("the record is gone")?;
    if after.status == Status::Suspended { Ok(()) } else { Err("it is not off".to_owned()) }
}

fn suspend(target: &TargetId, holder: &Cardholder) -> Outcome<Action> {
    let steps = Steps::new(vec![Step::Reduce(Reduction::Suspend)]).ok_or("no step")?;
    let subject = Subject::Existing(holder.id.clone());
    Ok(Action {
        id: ActionId::of(RunId::new(uuid::Uuid::nil()), target, &subject, &steps),
        target: target.clone(),
        subject,
        person: None,
        steps,
        basis: Some(holder.digest()),
        expect: Expectation::default(),
        because: Reason { situation: Situation::Held, why: Vec::new() },
    })
}

/// A deployment of simulated PACS, with a state that a run has been written to.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(targets: usize) -> Outcome<Self> {
        let here = start::lockstep()?;
        // Beside the program and not in a folder for temporary files, which may be in memory.
        let folder = tempfile::tempdir_in(here.parent().unwrap_or(Path::new("."))).map_err(text)?;
        let site = Self { folder };
        let mut config =
            "[[directory]]\nid = \"corp\"\nkind = \"hr-csv\"\npeople = \"people.csv\"\ngroups = \"groups.csv\"\n"
                .to_owned();
        for n in 0..targets {
            let (id, file) = (id(n)?, world_file(n));
            let _ = write!(
                config,
                "\n[[target]]\nid = \"{id}\"\nkind = \"sim\"\nmapping = \"mapping.toml\"\nfile = \"{file}\"\nanswer_ms = {ANSWER_MS}\n"
            );
            site.write(&file, &world(n))?;
        }
        site.write("lockstep.toml", &config)?;
        site.write("mapping.toml", "correlate = [\"employee\"]\n\n[[level]]\nid = \"L-Main\"\nany = [\"GRP-Main\"]\n")?;
        site.write("people.csv", "id,given_name,family_name,employee_number,status\np-0,Ada,Lovelace,0,active\n")?;
        site.write("groups.csv", "group,member\nGRP-Main,p-0\n")?;
        let planned = site.command(&mut Command::new(&here)).arg("plan").output().map_err(text)?;
        if site.path("state/lockstep.db").is_file() {
            Ok(site)
        } else {
            Err(format!("there is no state: {}", String::from_utf8_lossy(&planned.stderr)))
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text_of_it: &str) -> Outcome<()> {
        std::fs::write(self.path(name), text_of_it).map_err(text)
    }

    fn command<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::piped())
    }

    fn seconds(&self, command: &mut Command) -> Outcome<f64> {
        let started = Instant::now();
        let output = self.command(command).output().map_err(text)?;
        let seconds = started.elapsed().as_secs_f64();
        if output.status.success() {
            Ok(seconds)
        } else {
            Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
        }
    }
}

fn world(n: usize) -> String {
    let holder = |person: usize| {
        json!({
            "id": format!("h-{person}"),
            "keys": [{"kind": "employee", "value": person.to_string()}],
            "profile": {"display_name": format!("Person {person}")},
            "status": "active",
            "levels": ["L-Main"],
            "credentials": [{"id": format!("c-{person}"), "kind": "card", "number": format!("26-{person}"), "status": "active"}],
            "validity": {"from": null, "until": null},
            "site": null,
            "revision": null,
        })
    };
    let level = json!({"name": "Main door", "doors": ["North"], "site": null});
    let cardholders: Vec<_> = (0..PEOPLE).map(holder).collect();
    json!({"version": 1, "id": format!("pacs-{n}"), "levels": {"L-Main": level}, "cardholders": cardholders})
        .to_string()
}

fn world_file(n: usize) -> String {
    format!("pacs-{n}.json")
}

fn id(n: usize) -> Outcome<TargetId> {
    TargetId::new(format!("pacs-{n}")).map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
