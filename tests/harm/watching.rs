//! A watch over a real Active Directory: every way to lose access is noticed, without a census, and nobody else loses
//! anything. How long it takes is for the bench program; here only that it happens.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{BASE, SERVICE_PASSWORD, SambaAd};

use crate::domain::{Changes, directory, group, number, person};
use crate::or_skip;
use crate::site::{Site, holder, world};

const PEOPLE: usize = 60;
/// Only so that nothing hangs.
const PATIENCE: Duration = Duration::from_secs(120);

struct Watching(Child);

impl Watching {
    fn start(site: &Site) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(["sync", "--watch", "--no-export", "--quiet"]).current_dir(site.path(""));
        command.env("TEST_PASSWORD", SERVICE_PASSWORD).env_remove("LOCKSTEP_CONFIG").stdout(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }

    fn stop(&mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A domain in which everybody is in `main`, and most are in `lab` by way of `inner`, two of them by way of `team`.
fn domain() -> Option<SambaAd> {
    let mut changes = Changes::new();
    changes.people(PEOPLE);
    changes.group("main", (0..PEOPLE).map(person));
    changes.group("inner", (0..PEOPLE - 2).map(person));
    changes.group("team", (PEOPLE - 2..PEOPLE).map(person));
    changes.group("lab", [group("inner"), group("team")]);
    changes.0 += "dn: OU=Elsewhere,";
    changes.0 += BASE;
    changes.0 += "\nchangetype: add\nobjectClass: organizationalUnit\n\n";
    let domain = SambaAd::start(&changes.0, CertificateKind::Right).expect("the domain starts")?;
    domain.let_list_deleted().expect("rights are given");
    Some(domain)
}

#[test]
fn every_way_to_leave_active_directory_is_noticed() {
    let domain = or_skip!(domain());
    let config = format!(
        "watch = {{ poll = \"1s\", census = \"168h\" }}\n{}\n[[target]]\nid = \"hq\"\nkind = \"sim\"\nfile = \"pacs.json\"\n\
         mapping = \"mapping.toml\"\nlimits = {{ reductions_percent = 50, reductions_day_percent = 50 }}\n",
        directory(&domain).replace("kind = \"ldap\"", "kind = \"ldap\"\nshow_deleted = true")
    );
    let mapping = "correlate = [\"employee\"]\nout_of_scope = \"leaver\"\n\n[[level]]\nid = \"L-Main\"\nany = [\"main\"]\n\n\
                   [[level]]\nid = \"L-Lab\"\nany = [\"lab\"]\n";
    let site = Site::new(&config, mapping, SERVICE_PASSWORD);
    let record = |n: usize| holder(&format!("h-{n}"), &number(n), &format!("Person {n}"), &["L-Main", "L-Lab"]);
    site.write("pacs.json", &world(&["L-Main", "L-Lab"], &(0..PEOPLE).map(record).collect::<Vec<_>>()));
    site.settle();
    let mut watch = Watching::start(&site);
    let runs = |kind: &str| {
        let status = site.run(&["status", "--json", "--runs", "100"]).json();
        let runs = status["runs"].as_array().expect("runs").clone();
        runs.iter().filter(|run| run["kind"] == kind).count()
    };
    let status = || site.run(&["status", "--json"]).json()["watch"].clone();
    wait_until("the first census", || status()["census"].is_string());
    let censuses = runs("plan");

    let (modify, delete) = ("changetype: modify", "changetype: delete");
    let changes = [
        format!("dn: {}\n{modify}\nreplace: userAccountControl\nuserAccountControl: 546\n", person(0)),
        format!("dn: {}\n{modify}\nreplace: accountExpires\naccountExpires: 132223104000000000\n", person(1)),
        format!("dn: {}\n{delete}\n", person(2)),
        format!(
            "dn: {}\nchangetype: modrdn\nnewrdn: CN=Person 3\ndeleteoldrdn: 1\nnewsuperior: OU=Elsewhere,{BASE}\n",
            person(3)
        ),
        format!("dn: {}\n{modify}\ndelete: member\nmember: {}\n-\n", group("inner"), person(4)),
        format!("dn: {}\n{delete}\n", group("team")),
        // Something changed about these two, and nothing that matters.
        format!("dn: {}\n{modify}\nreplace: telephoneNumber\ntelephoneNumber: 5\n", person(5)),
        format!("dn: {}\n{modify}\nreplace: department\ndepartment: Elsewhere\n", person(6)),
    ];
    for change in &changes {
        domain.modify(change).expect("changed");
    }
    let has = |n: usize| site.holders()[&number(n)].clone();
    let off = |n: usize| has(n).1 == "suspended";
    let no_lab = |n: usize| !off(n) && has(n).0.iter().map(String::as_str).eq(["L-Main"]);
    for n in 0..4 {
        wait_until(&format!("change {n}"), || off(n));
    }
    for n in [4, PEOPLE - 2, PEOPLE - 1] {
        wait_until(&format!("person {n} out of the laboratory"), || no_lab(n));
    }
    let untouched = (5..PEOPLE - 2).filter(|n| !off(*n) && has(*n).0.len() == 2).count();
    assert_eq!(untouched, PEOPLE - 7, "nobody else lost anything");
    assert_eq!(runs("plan"), censuses, "all of it was noticed, no census was needed");
    assert!(runs("notice") >= 2);
    assert_eq!(watch.stop(), Some(0));
}
