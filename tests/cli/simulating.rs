//! A rehearsal without a licence: the program simulates a vendor's server, and another run of it does everything there.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::site::{Ran, program, ran};

/// A running simulator, with the folder that it wrote.
struct Simulator {
    child: Child,
    out: BufReader<ChildStdout>,
    document: Value,
    folder: PathBuf,
    _home: TempDir,
}

impl Simulator {
    fn start(kind: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("rehearsal");
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["connector", "simulate", kind, "--listen", "127.0.0.1:0", "--people", "200", "-v", "--json"])
            .arg("--folder")
            .arg(&folder)
            .env_remove("LOCKSTEP_CONFIG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut text = String::new();
        // The document is written once it listens; it ends with the one bracket in the first column.
        while !text.ends_with("\n}\n") && out.read_line(&mut text).expect("text") > 0 {}
        let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self { child, out, document, folder, _home: home }
    }

    /// The program, in the folder of the rehearsal, with the simulator's secrets.
    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = program(&self.folder);
        for secret in self.document["secrets"].as_array().expect("a list") {
            command.env(secret["variable"].as_str().expect("a name"), secret["value"].as_str().expect("a value"));
        }
        ran(command.args(arguments))
    }

    /// Asks it to stop; what it said on standard error.
    fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        let (mut rest, mut talk) = (String::new(), String::new());
        self.child.stderr.take().expect("a pipe").read_to_string(&mut talk).expect("text");
        self.out.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "nothing but the document on standard output");
        (self.child.wait().expect("it ends").code(), talk)
    }
}

/// Everything that an integrator would do on the first day.
fn rehearse(kind: &str) {
    let simulator = Simulator::start(kind);
    simulator.run(&["check"]).ends(0);
    simulator.run(&["probe"]).ends(0);
    let planned = simulator.run(&["plan", "--json"]).ends(3).json();
    let plan = planned["directory"].as_str().expect("a folder");
    simulator.run(&["approve", plan, "--by", "Jane Doe", "--yes"]).ends(0);
    let applied = simulator.run(&["apply", plan]).ends(0);
    assert!(applied.out.contains("done and read back"), "{}", applied.out);
    let again = simulator.run(&["plan"]).ends(0);
    assert!(again.out.contains("0 to provision, 0 to change, 0 to disable, 0 held"), "{}", again.out);
    simulator.run(&["offboard", "employee:100003", "--reason", "rehearsal", "--yes"]).ends(0);
    let (code, talk) = simulator.stop();
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains("listens on http://127.0.0.1:") && talk.contains(" 200 "), "each request is a line: {talk}");
}

#[cfg(all(unix, feature = "gallagher"))]
#[test]
fn gallagher_is_rehearsed_from_the_first_check_to_an_offboarding() {
    rehearse("gallagher");
}

#[cfg(all(unix, feature = "netbox"))]
#[test]
fn netbox_is_rehearsed_from_the_first_check_to_an_offboarding() {
    rehearse("netbox");
}

#[cfg(all(unix, feature = "onguard"))]
#[test]
fn onguard_is_rehearsed_from_the_first_check_to_an_offboarding() {
    rehearse("onguard");
}

#[test]
fn what_cannot_be_simulated_says_why_and_what_to_do() {
    let simulate = |arguments: &[&str]| ran(program(Path::new(".")).args(["connector", "simulate"]).args(arguments));
    let sim = simulate(&["sim"]).ends(64);
    assert!(sim.err.contains("it is a simulation itself") && sim.err.contains("next: lockstep init"), "{}", sim.err);
    let unknown = simulate(&["doorbell"]).ends(64);
    assert!(unknown.err.contains("name one of: ") && unknown.err.contains("sim"), "{}", unknown.err);
    if cfg!(feature = "gallagher") {
        let outside = simulate(&["gallagher", "--listen", "0.0.0.0:8470"]).ends(64);
        assert!(outside.err.contains("does not listen on 0.0.0.0"), "{}", outside.err);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("bound").to_string();
        let taken = simulate(&["gallagher", "--listen", &port]).ends(1);
        assert!(taken.err.contains("cannot listen") && taken.err.contains("--listen 127.0.0.1:0"), "{}", taken.err);
    }
}
