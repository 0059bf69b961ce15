//! Programs that break the rules: each is found out, ended, and said as what it is. None stops us, and none is believed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lockstep_contract::{
    Action, ActionId, ApplyFault, CardholderId, Cx, Expectation, Fault, FaultKind, Opening, Reason, Reduction, RunId,
    Secret, SecretError, SecretRef, Secrets, Situation, Step, Steps, Subject, Target as _, TargetId, TargetReader as _,
    sha256_hex,
};
use lockstep_exec::{Config, Exec, open};

const PYTHON: &str = "/usr/bin/python3";
const SECRET: &str = "hunter2";

struct Known;

impl Secrets for Known {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(SECRET.to_owned()))
    }
}

fn child() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/child.py")
}

fn digest(path: &Path) -> String {
    sha256_hex(&std::fs::read(path).expect("a file"))
}

fn config(mode: &str, mark: Option<&Path>) -> Config {
    let script = child();
    let mut args = vec!["-I".to_owned(), script.display().to_string(), mode.to_owned()];
    args.extend(mark.map(|mark| mark.display().to_string()));
    let text = serde_json::json!({
        "command": PYTHON,
        "sha256": digest(Path::new(PYTHON)),
        "args": args,
        "files": {script.display().to_string(): digest(&script)},
        "secrets": {"password": "env:PASSWORD"},
        "start_seconds_max": 5,
    });
    serde_json::from_value(text).expect("settings")
}

fn opened(config: Config) -> Result<Exec, Fault> {
    let folder = std::env::temp_dir();
    open(TargetId::new("hq").expect("id"), config, &Opening { base: &folder, secrets: &Known })
}

fn start(mode: &str) -> Exec {
    opened(config(mode, None)).expect("it starts")
}

fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

fn id() -> CardholderId {
    CardholderId::new("1").expect("id")
}

fn suspension() -> Action {
    let steps = Steps::new(vec![Step::Reduce(Reduction::Suspend)]).expect("a step");
    let (target, subject) = (TargetId::new("hq").expect("id"), Subject::Existing(id()));
    Action {
        id: ActionId::of(RunId::new(uuid::Uuid::nil()), &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Held, why: Vec::new() },
    }
}

/// A read fails with this kind; a write is an outcome that nobody knows. Nothing that is said holds the secret.
async fn breaks(mode: &str, kind: FaultKind, says: &str) {
    let fault = start(mode).read(&cx(), &id()).await.expect_err(mode);
    assert_eq!(fault.kind, kind, "{mode}: {fault}");
    assert!(fault.message.contains(says), "{mode}: {fault}");
    let written = start(mode).apply(&cx(), &suspension()).await.expect_err(mode);
    assert!(matches!(written, ApplyFault::Uncertain(_)), "{mode}: {written}");
    for said in [format!("{fault:?}"), format!("{written:?}")] {
        assert!(!said.contains(SECRET), "{mode}: a secret");
    }
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_found_out() {
    use FaultKind::{Protocol, Unreachable};
    for (mode, kind, says) in [
        ("dies", Unreachable, "ended by itself"),
        ("dies-in-the-middle", Protocol, "in the middle of a message"),
        ("garbage", Protocol, "no answer of JSON-RPC"),
        ("no-text", Protocol, "no answer of JSON-RPC"),
        ("floods", Protocol, "more than 4 MiB"),
        ("long-line", Protocol, "more than 4 MiB"),
        ("somebody-elses-answer", Protocol, "what was not asked"),
        ("both", Protocol, "either a result or an error"),
    ] {
        breaks(mode, kind, says).await;
    }
    for (mode, says) in [("wrong-shape", "not what the protocol says"), ("another-record", "cardholder other came")] {
        let fault = start(mode).read(&cx(), &id()).await.expect_err(mode);
        assert_eq!(fault.kind, Protocol, "{mode}: {fault}");
        assert!(fault.message.contains(says), "{mode}: {fault}");
    }
    // Whoever sent what nests a hundred thousand deep must not bring us down.
    assert_eq!(start("deep").read(&cx(), &id()).await.expect_err("deep").kind, Protocol);
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_one_too_many() {
    let exec = start("twice");
    let first = exec.read(&cx(), &id()).await;
    // The second answer may be seen before or after the first one is handed on; the next call tells.
    let seen = match first {
        Err(fault) => fault,
        Ok(_) => match exec.apply(&cx(), &suspension()).await.expect_err("it is ended") {
            ApplyFault::Uncertain(fault) | ApplyFault::NotSent(fault) | ApplyFault::Refused(fault) => fault,
        },
    };
    assert_eq!(seen.kind, FaultKind::Protocol, "{seen}");
}

#[tokio::test]
async fn one_that_hangs_is_ended_at_the_deadline_and_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let exec = opened(config("hangs-once", Some(&folder.path().join("runs")))).expect("it starts");
    let short = Cx::new(Duration::from_millis(300));
    let begun = Instant::now();
    let fault = exec.apply(&short, &suspension()).await.expect_err("no answer");
    assert!(matches!(&fault, ApplyFault::Uncertain(fault) if fault.kind == FaultKind::Unreachable), "{fault}");
    assert!(begun.elapsed() < Duration::from_secs(5), "a call ends by its deadline");
    assert_eq!(exec.read(&cx(), &id()).await, Ok(None));
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_the_program_since_its_answer_would_be_nobodys() {
    let folder = tempfile::tempdir().expect("a folder");
    let exec = opened(config("hangs-once", Some(&folder.path().join("runs")))).expect("it starts");
    let dropped = tokio::time::timeout(Duration::from_millis(100), exec.apply(&cx(), &suspension())).await;
    assert!(dropped.is_err());
    assert_eq!(exec.read(&cx(), &id()).await, Ok(None));
}

#[tokio::test]
async fn one_that_is_another_after_it_was_started_again_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let exec = opened(config("another-each-time", Some(&folder.path().join("runs")))).expect("it starts");
    assert_eq!(exec.read(&cx(), &id()).await.expect_err("it ended").kind, FaultKind::Unreachable);
    let fault = exec.read(&cx(), &id()).await.expect_err("another one");
    assert_eq!(fault.kind, FaultKind::Protocol, "{fault}");
    let written = exec.apply(&cx(), &suspension()).await.expect_err("another one");
    assert!(matches!(written, ApplyFault::NotSent(_)), "{written}");
}

#[tokio::test]
async fn one_that_does_not_read_stops_nobody_else() {
    let exec = start("stops-reading");
    let short = Cx::new(Duration::from_millis(500));
    for _ in 0..2 {
        assert!(exec.read(&short, &id()).await.is_err());
    }
}

#[tokio::test]
async fn answers_may_come_in_any_order() {
    let exec = start("backwards");
    let (budget, one) = (cx(), id());
    let (first, second) = tokio::join!(exec.read(&budget, &one), exec.read(&budget, &one));
    assert_eq!((first, second), (Ok(None), Ok(None)));
}

#[tokio::test]
async fn much_in_its_log_does_not_stop_it() {
    assert_eq!(start("says-much").read(&cx(), &id()).await, Ok(None));
}

#[tokio::test]
async fn a_secret_that_it_repeats_is_blotted_out() {
    let fault = start("repeats-secrets").read(&cx(), &id()).await.expect_err("denied");
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Denied, "… was refused"));
    assert!(!format!("{fault:?}").contains(SECRET));
}

#[tokio::test]
async fn what_it_has_started_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("pid");
    let exec = opened(config("leaves-a-child", Some(&mark))).expect("it starts");
    exec.read(&cx(), &id()).await.expect_err("it ended");
    let pid = std::fs::read_to_string(&mark).expect("the pid");
    let alive = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    };
    let until = Instant::now() + Duration::from_secs(10);
    while alive() {
        assert!(Instant::now() < until, "it is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn one_that_does_not_start_says_why() {
    for (mode, kind, says) in [
        ("dies-at-once", FaultKind::Unreachable, "exit status: 3"),
        ("never-starts", FaultKind::Unreachable, "within 1 s"),
        ("other-version", FaultKind::Protocol, "version 2"),
        ("paints", FaultKind::Protocol, "`endpoint`"),
    ] {
        let mut config = config(mode, None);
        config.start_seconds_max =
            std::num::NonZeroU64::new(if mode == "never-starts" { 1 } else { 30 }).expect("some");
        let fault = opened(config).err().expect(mode);
        assert_eq!(fault.kind, kind, "{mode}: {fault}");
        assert!(fault.message.contains(says) && !fault.message.contains(SECRET), "{mode}: {fault}");
        assert!(mode != "dies-at-once" || fault.message.contains("no licence for …"), "{fault}");
    }
}

#[test]
fn one_that_does_not_end_by_itself_is_ended() {
    let exec = start("stays");
    let begun = Instant::now();
    drop(exec);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_file_that_is_not_the_one_that_was_looked_at_is_not_started() {
    let mut other = config("plain", None);
    other.sha256 = "00".repeat(32).try_into().expect("a digest");
    let fault = opened(other).err().expect("another file");
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(fault.message.contains("nothing was started") && fault.message.contains(&digest(Path::new(PYTHON))));

    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.py");
    std::fs::write(&script, "pass").expect("written");
    let mut loose = config("plain", None);
    loose.files = [(script.clone(), digest(&script).try_into().expect("a digest"))].into();
    std::fs::write(&script, "raise SystemExit").expect("changed");
    assert!(opened(loose.clone()).err().expect("changed").message.contains("script.py is not the file"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&script, "pass").expect("written");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o666)).expect("rights");
        assert!(opened(loose).err().expect("loose").message.contains("written by others"));
    }
}

#[test]
fn the_environment_is_what_is_configured_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().join("seen");
    let mut config = config("environment", Some(&seen));
    config.environment = [("DOORMAN_LANGUAGE".to_owned(), "de".to_owned())].into();
    opened(config).expect("it starts");
    let seen = std::fs::read_to_string(&seen).expect("it says what it sees");
    // Python adds this one by itself where there is no locale.
    let names: Vec<&str> = seen.split(',').filter(|name| *name != "LC_CTYPE").collect();
    assert_eq!(names, ["DOORMAN_LANGUAGE"]);
}
