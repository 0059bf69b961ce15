//! A whole `lockstep plan` in which nothing is to be done, beside `ldapsearch` of the same entries.
//!
//! The directory is a real OpenLDAP. The program reads the PACS besides, checks all evidence, and compares; the tool only
//! reads. Both run as processes of their own, so that their memory is their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{TargetId, field};
use lockstep_engine::{LinkChange, NodeId, Store};
use lockstep_store::SqliteStore;
use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::slapd::{BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group_name, unit};
use serde_json::Value;

use crate::measure::{Ran, other};
use crate::pacs::Pacs;
use crate::{start, world};

/// Best of this many runs of each.
const TIMES: usize = 3;
/// What the program asks of people and of groups.
const PEOPLE_ATTRIBUTES: [&str; 12] = [
    "uid",
    "givenName",
    "sn",
    "displayName",
    "employeeNumber",
    "departmentNumber",
    "title",
    "o",
    "mail",
    "telephoneNumber",
    "entryUUID",
    "gidNumber",
];
const GROUP_ATTRIBUTES: [&str; 7] =
    ["objectClass", "cn", "member", "uniqueMember", "memberUid", "gidNumber", "entryUUID"];

type Outcome<T> = Result<T, String>;

/// Prints the comparison.
#[expect(clippy::print_stdout, reason = "a bench program prints its table")]
pub(crate) fn report() -> Outcome<()> {
    let people = crate::size("BENCH_PLAN_PEOPLE", 100_000);
    let lockstep = start::lockstep()?;
    let options = SlapdOptions { records: records(people), ..SlapdOptions::default() };
    let Some(server) = Slapd::start(options)? else { return Err("OpenLDAP is not installed".to_owned()) };
    let pacs = Pacs::start(people, 0)?;
    let site = Site::new(&server, &pacs)?;
    site.link(people)?;
    // The first run remembers what it saw; from then on there is a past to compare with.
    site.plan(&lockstep, people)?;
    if std::env::var_os("BENCH_HOLD").is_some() {
        return hold(&site, &server);
    }
    let (mut search, mut plan) = (Ran::default(), Ran::default());
    for _ in 0..TIMES {
        search = faster(search, ldapsearch(&server)?);
        plan = faster(plan, site.plan(&lockstep, people)?);
    }
    println!(
        "   {people} people, {} nested groups, {people} cardholders, nothing to do, best of {TIMES}",
        world::GROUPS
    );
    for (name, ran) in [("ldapsearch to nowhere", &search), ("lockstep plan", &plan)] {
        println!(
            "   {name:21} {:8.2} s  {:6.2} s of the processor  peak {:5} MiB",
            ran.seconds,
            ran.cpu_seconds,
            ran.peak_bytes / 1_048_576
        );
    }
    println!("   ratio                 {:8.2} x  (goal 1.3 x, 120 MiB)", plan.seconds / search.seconds);
    Ok(())
}

/// Keeps everything running until standard input ends, for a profiler.
#[expect(clippy::print_stdout, reason = "the commands are to be copied")]
fn hold(site: &Site, server: &Slapd) -> Outcome<()> {
    println!(
        "   cd {} && BENCH_PASSWORD={SERVICE_PASSWORD} lockstep plan --json --quiet",
        site.folder.path().display()
    );
    println!("   LDAPTLS_REQCERT=never ldapsearch -H {} -x -D {SERVICE} -w {SERVICE_PASSWORD}", server.ldaps_url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map(drop).map_err(text)
}

fn faster(best: Ran, ran: Ran) -> Ran {
    if best.code.is_none() || ran.seconds < best.seconds { ran } else { best }
}

/// The deployment that is planned for.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(server: &Slapd, pacs: &Pacs) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("lockstep-bench").tempdir().map_err(text)?;
        let site = Self { folder };
        std::fs::create_dir(site.path("state")).map_err(text)?;
        std::fs::write(site.path("lockstep.toml"), config(server, pacs)).map_err(text)?;
        std::fs::write(site.path("mapping.toml"), mapping()).map_err(text)?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Remembers who is who, as an applied plan would have.
    fn link(&self, people: usize) -> Outcome<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(text)?;
        let target = TargetId::new("hq").map_err(text)?;
        runtime.block_on(async {
            let store = SqliteStore::open(self.path("state/lockstep.db")).map_err(text)?;
            let node = NodeId("bench".to_owned());
            let epoch = store.lease(&node, SignedDuration::from_mins(5), Timestamp::now()).await.map_err(text)?;
            let links: Vec<_> = (0..people).map(|n| LinkChange::Add(world::link(n))).collect();
            store.link(epoch, &target, &links).await.map_err(text)?;
            store.release(epoch).await.map_err(text)
        })
    }

    /// Plans, and sees that it was the whole work and that there was nothing to do.
    fn plan(&self, lockstep: &Path, people: usize) -> Outcome<Ran> {
        let mut command = Command::new(lockstep);
        command
            .args(["plan", "--json", "--quiet"])
            .current_dir(self.folder.path())
            .env("BENCH_PASSWORD", SERVICE_PASSWORD);
        let ran = other(&mut command)?;
        let plan: Value = serde_json::from_slice(&ran.output).unwrap_or_default();
        let unchanged = plan.pointer("/tally/unchanged").and_then(Value::as_u64);
        let entries = plan.pointer("/entries").and_then(Value::as_array).map(Vec::len);
        if ran.code != Some(0) || unchanged != Some(people as u64) || entries != Some(0) {
            let shown = String::from_utf8_lossy(ran.output.get(..2_000).unwrap_or(&ran.output)).into_owned();
            return Err(format!("plan ended with {:?}, {unchanged:?} people unchanged: {shown}", ran.code));
        }
        Ok(ran)
    }
}

/// Two searches, as the program makes them.
fn ldapsearch(server: &Slapd) -> Outcome<Ran> {
    let mut both = Ran::default();
    let searches: [(&str, &str, &[&str]); 2] = [
        ("people", "(objectClass=inetOrgPerson)", &PEOPLE_ATTRIBUTES),
        ("groups", "(objectClass=groupOfNames)", &GROUP_ATTRIBUTES),
    ];
    for (place, filter, attributes) in searches {
        let mut command = Command::new("ldapsearch");
        command
            .args(["-x", "-LLL", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt", "-H", &server.ldaps_url()])
            .args(["-D", SERVICE, "-w", SERVICE_PASSWORD, "-b", &format!("ou={place},{BASE}"), filter])
            .args(attributes)
            .env("LDAPTLS_REQCERT", "never");
        let ran = to_nowhere(command)?;
        both.seconds += ran.seconds;
        both.cpu_seconds += ran.cpu_seconds;
        both.peak_bytes = both.peak_bytes.max(ran.peak_bytes);
        both.code = ran.code;
    }
    Ok(both)
}

fn to_nowhere(command: Command) -> Outcome<Ran> {
    // A pipe would cost the tool time that a file of no length does not.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$@" >/dev/null"#, "search"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let ran = other(&mut shell)?;
    if ran.code == Some(0) { Ok(ran) } else { Err(format!("ldapsearch ended with {:?}", ran.code)) }
}

fn person_name(n: usize) -> String {
    format!("uid={},ou=people,{BASE}", world::account(n))
}

fn records(people: usize) -> Ldif {
    let mut records = Ldif::new();
    let mut members: Vec<Vec<String>> = (0..world::GROUPS)
        .map(|n| world::inner_groups(n).map(|inner| group_name(world::group(inner).as_str())).collect())
        .collect();
    unit(&mut records, "people");
    for n in 0..people {
        for group in world::direct_groups_of(n) {
            if let Some(list) = members.get_mut(group) {
                list.push(person_name(n));
            }
        }
        let profile = world::profile(n);
        let of = |name: &str| profile.get(name).unwrap_or_default();
        records.entry(
            &person_name(n),
            &[
                ("objectClass", "inetOrgPerson"),
                ("uid", &world::account(n)),
                ("cn", of(field::DISPLAY_NAME)),
                ("sn", of(field::FAMILY_NAME)),
                ("givenName", of(field::GIVEN_NAME)),
                ("displayName", of(field::DISPLAY_NAME)),
                ("employeeNumber", of(field::EMPLOYEE_NUMBER)),
                ("departmentNumber", of(field::DEPARTMENT)),
                ("title", of(field::TITLE)),
                ("o", of(field::COMPANY)),
                ("mail", of(field::MAIL)),
                ("telephoneNumber", of(field::PHONE)),
                ("entryUUID", &world::id(n).to_string()),
            ],
        );
    }
    unit(&mut records, "groups");
    for (n, list) in members.iter().enumerate() {
        lockstep_testbed::slapd::group(&mut records, world::group(n).as_str(), list);
    }
    records
}

fn config(server: &Slapd, pacs: &Pacs) -> String {
    format!(
        "approval = \"recorded\"\n\n\
         [[directory]]\nid = \"corp\"\nkind = \"ldap\"\nurl = \"{}\"\nca_file = \"{}\"\npage_size = 1000\n\
         canary = \"{}\"\nbind = {{ user = \"{SERVICE}\", password = \"env:BENCH_PASSWORD\" }}\n\
         people = {{ base = \"ou=people,{BASE}\" }}\ngroups = {{ base = \"ou=groups,{BASE}\" }}\n\n\
         [[target]]\nid = \"hq\"\nkind = \"scim\"\nurl = \"{}\"\nuser_name = \"account\"\nmapping = \"mapping.toml\"\n",
        server.ldaps_url(),
        server.ca_file().display(),
        person_name(0),
        pacs.url,
    )
}

fn mapping() -> String {
    let fields: BTreeMap<&str, &str> = [
        (field::GIVEN_NAME, field::GIVEN_NAME),
        (field::FAMILY_NAME, field::FAMILY_NAME),
        (field::DISPLAY_NAME, field::DISPLAY_NAME),
        (field::EMPLOYEE_NUMBER, field::EMPLOYEE_NUMBER),
        (field::DEPARTMENT, field::DEPARTMENT),
        (field::TITLE, field::TITLE),
        (field::COMPANY, field::COMPANY),
        (field::MAIL, field::MAIL),
        (field::PHONE, field::PHONE),
        (field::USER_NAME, field::ACCOUNT),
    ]
    .into();
    let mut text = "correlate = [\"directory\", \"employee\"]\n\n[profile]\n".to_owned();
    for (name, of) in fields {
        let _ = writeln!(text, "{name} = \"{{{of}}}\"");
    }
    for n in 0..world::GROUPS {
        let _ = write!(
            text,
            "\n[[level]]\nid = \"{}\"\nany = [\"{}\"]\nmay_be_empty = true\n",
            world::level(n),
            world::group(n)
        );
    }
    text
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
