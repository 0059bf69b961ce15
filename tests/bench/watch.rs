//! From a change in a real Active Directory (Samba) to the read-back at the PACS, through `lockstep sync --watch` with its
//! default rhythm: six ways to lose access, so many trials of each, half and ninety-nine of a hundred.
//!
//! `BENCH_TRIALS` says how many of each (200); `BENCH_STAY` how many people nothing happens to; `BENCH_TALK` names a file for what
//! the watch says. Trials of all kinds are mixed,
//! and begin at odd moments of the poll.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{BASE, SERVICE, SERVICE_PASSWORD, SambaAd};
use serde_json::{Value, json};

use crate::{size, start};

/// So many trials go on at one time.
const AT_ONCE: usize = 12;
/// A trial that takes longer is one that failed.
const LONGEST: Duration = Duration::from_secs(180);
const GOAL_SECONDS: f64 = 10.0;

type Outcome<T> = Result<T, String>;

/// A way to lose access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Disabled,
    Expired,
    Deleted,
    Moved,
    NestedGroup,
    GroupDeleted,
}

const WAYS: [(Way, &str); 6] = [
    (Way::Disabled, "account disabled"),
    (Way::Expired, "account expired"),
    (Way::Deleted, "account deleted"),
    (Way::Moved, "moved out of scope"),
    (Way::NestedGroup, "out of a nested group"),
    (Way::GroupDeleted, "nested group deleted"),
];

/// Prints the times.
#[expect(clippy::print_stdout, reason = "a bench program prints its table")]
pub(crate) fn report() -> Outcome<()> {
    let trials = size("BENCH_TRIALS", 200);
    let stay = size("BENCH_STAY", 2 * WAYS.len() * trials);
    let people = WAYS.len() * trials + stay;
    println!("   {people} people, {trials} trials each, poll every 5 s; from before the change to the read-back");
    let domain = SambaAd::start(&domain(trials, people), CertificateKind::Right)?;
    let domain = domain.ok_or("Samba is not installed, or this is not root")?;
    domain.let_list_deleted()?;
    let site = Site::new(&domain, trials, people)?;
    let mut watch = Watching::start(&site)?;
    watch.until("census", LONGEST)?;
    let mut left: Vec<(usize, Way)> =
        (0..trials).flat_map(|n| WAYS.map(|(way, _)| (way as usize * trials + n, way))).collect();
    left.reverse();
    let (mut open, mut times): (Vec<Trial>, BTreeMap<Way, Vec<f64>>) = (Vec::new(), BTreeMap::new());
    let mut odd = 0_u64;
    while !(left.is_empty() && open.is_empty()) {
        if open.len() < AT_ONCE
            && let Some((person, way)) = left.pop()
        {
            let began = Instant::now();
            domain.modify(&change(person, way))?;
            open.push(Trial { person, way, began });
            odd = odd.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(Duration::from_millis(odd >> 54));
        }
        if watch.happened(Duration::from_millis(20))? {
            let out = site.out(trials)?;
            open.retain(|trial| {
                let done = out.contains(&trial.person);
                if done {
                    times.entry(trial.way).or_default().push(trial.began.elapsed().as_secs_f64());
                }
                !done
            });
        }
        if let Some(trial) = open.iter().find(|trial| trial.began.elapsed() > LONGEST) {
            return Err(format!("{:?} of person {} took longer than {} s", trial.way, trial.person, LONGEST.as_secs()));
        }
    }
    for (way, name) in WAYS {
        let (half, most, all) = percentiles(times.remove(&way).unwrap_or_default());
        println!("   {name:24} {all:4} trials   p50 {half:6.2} s   p99 {most:6.2} s   (goal p99 {GOAL_SECONDS} s)");
    }
    let wrong = site.out(trials)?.iter().filter(|person| **person >= WAYS.len() * trials).count();
    println!("   wrongly taken from {wrong} of {stay} people to whom nothing happened; {} censuses", watch.censuses);
    Ok(())
}

struct Trial {
    person: usize,
    way: Way,
    began: Instant,
}

fn percentiles(mut times: Vec<f64>) -> (f64, f64, usize) {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100);
        times.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    };
    (at(50), at(99), times.len())
}

fn person(n: usize) -> String {
    format!("CN=Person {n},OU=Staff,{BASE}")
}

fn group(name: &str) -> String {
    format!("CN={name},OU=Access,{BASE}")
}

fn change(n: usize, way: Way) -> String {
    let (name, modify) = (person(n), "changetype: modify");
    match way {
        Way::Disabled => format!("dn: {name}\n{modify}\nreplace: userAccountControl\nuserAccountControl: 546\n\n"),
        // A moment of 2020, in steps of 100 ns since 1601.
        Way::Expired => {
            format!("dn: {name}\n{modify}\nreplace: accountExpires\naccountExpires: 132223104000000000\n\n")
        }
        Way::Deleted => format!("dn: {name}\nchangetype: delete\n\n"),
        Way::Moved => format!(
            "dn: {name}\nchangetype: modrdn\nnewrdn: CN=Person {n}\ndeleteoldrdn: 1\nnewsuperior: OU=Elsewhere,{BASE}\n\n"
        ),
        Way::NestedGroup => format!("dn: {}\n{modify}\ndelete: member\nmember: {name}\n-\n\n", group("Inner")),
        Way::GroupDeleted => format!("dn: {}\nchangetype: delete\n\n", group(&format!("Team-{n}"))),
    }
}

/// Everybody is in `Main`; some are in `Lab` by way of `Inner`, and some by way of a team of their own.
fn domain(trials: usize, people: usize) -> String {
    let mut text = String::new();
    for unit in ["Staff", "Access", "Elsewhere"] {
        let _ = write!(text, "dn: OU={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n");
    }
    for n in 0..people {
        let _ = write!(
            text,
            "dn: {}\nchangetype: add\nobjectClass: user\ncn: Person {n}\ngivenName: Given{n}\nsn: Family{n}\nsAMAccountName: p{n:05}\n\
             employeeID: {}\nuserAccountControl: 544\n\n",
            person(n),
            700_000 + n
        );
    }
    let mut add = |name: &str, members: &[String]| {
        let _ = write!(text, "dn: {}\nchangetype: add\nobjectClass: group\nsAMAccountName: {name}\n", group(name));
        for member in members {
            let _ = writeln!(text, "member: {member}");
        }
        text.push('\n');
    };
    let of = |way: Way| (way as usize * trials)..((way as usize + 1) * trials);
    add("Main", &(0..people).map(person).collect::<Vec<_>>());
    let stay = person(people - 1);
    add("Inner", &of(Way::NestedGroup).map(person).chain([stay]).collect::<Vec<_>>());
    let mut inside = vec![group("Inner")];
    for n in of(Way::GroupDeleted) {
        add(&format!("Team-{n}"), &[person(n)]);
        inside.push(group(&format!("Team-{n}")));
    }
    // So many stay in the laboratory that no guard minds those who go.
    inside.extend((WAYS.len() * trials..people).map(person));
    add("Lab", &inside);
    text
}

struct Site {
    folder: tempfile::TempDir,
    lockstep: PathBuf,
}

impl Site {
    fn new(domain: &SambaAd, trials: usize, people: usize) -> Outcome<Self> {
        let lockstep = start::lockstep()?;
        let folder = tempfile::tempdir_in(lockstep.parent().unwrap_or(Path::new("."))).map_err(text)?;
        let site = Self { folder, lockstep };
        let config = format!(
            "[[directory]]\nid = \"corp\"\nkind = \"ldap\"\nflavor = \"active-directory\"\nurl = \"{}\"\nconnect_to = \"{}\"\n\
             ca_file = \"{}\"\nshow_deleted = true\nbind = {{ user = \"{SERVICE}\", password = \"env:TEST_PASSWORD\" }}\n\
             people = {{ base = \"OU=Staff,{BASE}\", filter = \"(&(objectCategory=person)(objectClass=user))\" }}\n\
             groups = {{ base = \"OU=Access,{BASE}\" }}\n\n\
             [[target]]\nid = \"hq\"\nkind = \"sim\"\nmapping = \"mapping.toml\"\nfile = \"hq.json\"\n\
             limits = {{ reductions_per_run = 10000, reductions_percent = 50, reductions_day_percent = 50, reductions_week_percent = 75, \
             group_drop_percent = 100, source_drop_percent = 50 }}\n",
            domain.url(),
            domain.address(),
            domain.ca_file().display(),
        );
        site.write("lockstep.toml", &config)?;
        let mapping = "correlate = [\"employee\"]\nout_of_scope = \"leaver\"\n\n[[level]]\nid = \"L-Main\"\nany = [\"Main\"]\n\n\
                       [[level]]\nid = \"L-Lab\"\nany = [\"Lab\"]\n";
        site.write("mapping.toml", mapping)?;
        let lab = |n: usize| n >= 4 * trials;
        let holder = |n: usize| {
            let levels = if lab(n) { vec!["L-Main", "L-Lab"] } else { vec!["L-Main"] };
            json!({
                "id": format!("h-{n}"),
                "keys": [{"kind": "employee", "value": format!("{}", 700_000 + n)}],
                "profile": {"display_name": format!("Person {n}")},
                "status": "active", "levels": levels, "credentials": [],
                "validity": {"from": null, "until": null}, "site": null, "revision": null,
            })
        };
        let level = |name: &str| json!({"name": name, "doors": [name], "site": null});
        let world = json!({
            "version": 1, "id": "bench-pacs",
            "levels": {"L-Main": level("Main door"), "L-Lab": level("Laboratory")},
            "cardholders": (0..people).map(holder).collect::<Vec<_>>(),
        });
        site.write("hq.json", &world.to_string())?;
        let plan = site.run(&["plan", "--json"])?;
        let plan: Value = serde_json::from_slice(&plan).map_err(text)?;
        let folder = plan["directory"].as_str().ok_or("no plan")?;
        site.run(&["approve", folder, "--by", "Jane Doe", "--yes"])?;
        site.run(&["apply", folder])?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> Outcome<()> {
        std::fs::write(self.path(name), content).map_err(text)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.lockstep);
        command.current_dir(self.folder.path()).env("TEST_PASSWORD", SERVICE_PASSWORD).env_remove("LOCKSTEP_CONFIG");
        command
    }

    fn run(&self, args: &[&str]) -> Outcome<Vec<u8>> {
        let output = self.command().args(args).output().map_err(text)?;
        match output.status.code() {
            Some(0 | 3) => Ok(output.stdout),
            _ => Err(format!("lockstep {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Who lost what they were to lose, or more.
    fn out(&self, trials: usize) -> Outcome<std::collections::BTreeSet<usize>> {
        let world: Value = serde_json::from_slice(&std::fs::read(self.path("hq.json")).map_err(text)?).map_err(text)?;
        let holders = world["cardholders"].as_array().ok_or("no cardholders")?;
        let lost = |holder: &Value| {
            let n: usize = holder["id"].as_str()?.strip_prefix("h-")?.parse().ok()?;
            let off = holder["status"] == "suspended";
            let levels = holder["levels"].as_array().map_or(0, Vec::len);
            let has = if n >= 4 * trials { 2 } else { 1 };
            (off || levels < has).then_some(n)
        };
        Ok(holders.iter().filter_map(lost).collect())
    }
}

struct Watching {
    child: Child,
    lines: Receiver<String>,
    censuses: usize,
}

impl Watching {
    fn start(site: &Site) -> Outcome<Self> {
        let mut command = site.command();
        command.args(["sync", "--watch", "--json", "--no-export"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(text)?;
        let out = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (tell, lines) = channel();
        let kept = std::env::var("BENCH_TALK").ok().and_then(|path| std::fs::File::create(path).ok());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| {
                if let Some(mut kept) = kept.as_ref() {
                    // For people who look into a trial that took too long.
                    let _ = writeln!(kept, "{line}");
                }
                tell.send(line)
            })
        });
        Ok(Self { child, lines, censuses: 0 })
    }

    fn until(&mut self, event: &str, patience: Duration) -> Outcome<()> {
        let until = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(text)?;
            let happened: Value = serde_json::from_str(&line).map_err(text)?;
            self.censuses += usize::from(happened["event"] == "census");
            if happened["event"] == event {
                return Ok(());
            }
        }
    }

    /// Whether anything was carried out and read back.
    fn happened(&mut self, wait: Duration) -> Outcome<bool> {
        let Ok(line) = self.lines.recv_timeout(wait) else { return Ok(false) };
        let happened: Value = serde_json::from_str(&line).map_err(text)?;
        self.censuses += usize::from(happened["event"] == "census");
        Ok(matches!(happened["event"].as_str(), Some("noticed" | "census")))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
