//! Traps about signing in and permissions.

use lockstep_contract::{Check, CheckOutcome, Directory, FaultKind, Health};
use serde_json::json;

use crate::simulator::opened::{cx, everybody, open_with};
use crate::simulator::{CLIENT, FEDERATED, SECRET, Simulator};
use crate::world::{begin, tenant};

fn check<'h>(health: &'h Health, name: &str) -> Option<&'h Check> {
    health.checks.iter().find(|check| check.name == name)
}

fn outcome(health: &Health, name: &str) -> Option<CheckOutcome> {
    check(health, name).map(|check| check.outcome)
}

#[tokio::test]
async fn the_least_that_does_has_no_complaints_but_that_a_secret_is_a_secret() {
    let (_simulator, directory) = begin(json!({})).await;
    let health = directory.probe(&cx()).await.expect("health");
    let complaints: Vec<&Check> = health.checks.iter().filter(|check| check.outcome != CheckOutcome::Pass).collect();
    assert!(complaints.len() == 1 && complaints[0].name == "sign-in", "{complaints:?}");
    for name in ["permissions", "people", "canary", "canary group", "clock", "tenant"] {
        assert_eq!(outcome(&health, name), Some(CheckOutcome::Pass), "{name}");
    }
    assert!(health.server.is_some_and(|server| server.clock.is_some()));
}

#[tokio::test]
async fn trap_21_a_token_is_older_than_a_consent() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().permissions.remove("User.Read.All");
    let health = directory.probe(&cx()).await.expect("health");
    assert_eq!(outcome(&health, "permission User.Read.All"), Some(CheckOutcome::Fail));
    assert_eq!(outcome(&health, "canary"), Some(CheckOutcome::Fail));
    simulator.tenant().permissions.insert("User.Read.All".to_owned());
    let health = directory.probe(&cx()).await.expect("health");
    let missing = check(&health, "permission User.Read.All").expect("still the old token");
    assert!(missing.help.as_ref().is_some_and(|help| help.contains("90 minutes")), "{missing:?}");
    simulator.end_tokens();
    let health = directory.probe(&cx()).await.expect("a refused token is renewed once");
    assert_eq!(outcome(&health, "permissions"), Some(CheckOutcome::Pass), "{health:?}");
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_one_that_is_never_taken_ends_the_run() {
    let (simulator, directory) = begin(json!({})).await;
    let (one, other) = (cx(), cx());
    let (first, second) = tokio::join!(directory.probe(&one), directory.probe(&other));
    assert!(first.is_ok() && second.is_ok());
    everybody(&directory, &cx()).await.expect("read");
    assert_eq!(simulator.login().given, 1);
    simulator.trouble(Some(crate::simulator::Trouble::always("", crate::simulator::What::Status(401, None))));
    let fault = everybody(&directory, &cx()).await.expect_err("never taken");
    assert_eq!((fault.kind, simulator.login().given), (FaultKind::Unauthenticated, 2));
}

#[tokio::test]
async fn trap_23_the_machine_writes_its_numbers_as_texts() {
    let simulator = Simulator::start(tenant()).await;
    let settings = json!({"auth": {"managed_identity": true}});
    let directory = open_with(&simulator, &settings, SECRET).expect("opens");
    assert_eq!(everybody(&directory, &cx()).await.expect("read").0.len(), 10);
}

#[tokio::test]
async fn a_certificate_signs_in_and_the_file_of_another_provider_is_read_every_time() {
    let simulator = Simulator::start(tenant()).await;
    let pem = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/app.pem")).expect("a certificate");
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).expect("PEM");
    let key = pem.parse_x509().expect("X.509").public_key().subject_public_key.data.to_vec();
    simulator.login().public_key = Some(key);
    let settings = json!({"auth": {"client_id": CLIENT, "certificate": "certificates/app.pem", "key": "env:KEY"}});
    let key = include_str!("../certificates/app.key.pem");
    let directory = open_with(&simulator, &settings, key).expect("opens");
    let health = directory.probe(&cx()).await.expect("signed in");
    assert_eq!(outcome(&health, "sign-in"), Some(CheckOutcome::Pass), "{health:?}");

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "an old one").expect("written");
    let settings = json!({"auth": {"client_id": CLIENT, "token_file": file.path()}});
    let directory = open_with(&simulator, &settings, SECRET).expect("opens");
    let fault = everybody(&directory, &cx()).await.expect_err("an old one");
    assert!(fault.kind == FaultKind::Unauthenticated && fault.message.contains("AADSTS700213"), "{fault}");
    std::fs::write(file.path(), format!("{FEDERATED}\n")).expect("written");
    everybody(&directory, &cx()).await.expect("the new one");
}

#[tokio::test]
async fn trap_24_more_than_is_needed_is_named_and_so_is_too_little() {
    let (simulator, directory) = begin(json!({})).await;
    let allow = |names: &[&str]| {
        simulator.tenant().permissions = names.iter().map(|name| (*name).to_owned()).collect();
        simulator.end_tokens();
    };
    allow(&["Directory.Read.All", "User.ReadWrite.All"]);
    let _ = directory.probe(&cx()).await;
    let health = directory.probe(&cx()).await.expect("health");
    assert_eq!(outcome(&health, "permission Directory.Read.All"), Some(CheckOutcome::Warn));
    assert_eq!(outcome(&health, "permission User.ReadWrite.All"), Some(CheckOutcome::Fail));
    assert_eq!(outcome(&health, "permission User.Read.All"), None, "the wider one does");
    allow(&["User.ReadBasic.All"]);
    let _ = directory.probe(&cx()).await;
    let health = directory.probe(&cx()).await.expect("health");
    for (name, expected) in [
        ("permission User.Read.All", CheckOutcome::Fail),
        ("permission GroupMember.Read.All", CheckOutcome::Fail),
        ("permission User.ReadBasic.All", CheckOutcome::Warn),
        ("people", CheckOutcome::Fail),
    ] {
        assert_eq!(outcome(&health, name), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn a_sign_in_that_is_refused_says_why_and_shows_no_secret() {
    for (status, code, word) in [(401, 7_000_215, "secret"), (401, 7_000_222, "expired"), (400, 90_002, "tenant")] {
        let (simulator, directory) = begin(json!({})).await;
        simulator.login().refuse = Some((status, code));
        let fault = everybody(&directory, &cx()).await.expect_err("refused");
        assert_eq!(fault.kind, FaultKind::Unauthenticated);
        assert!(fault.help.as_ref().is_some_and(|help| help.contains(word)), "{fault:?}");
        assert!(!format!("{fault:?}").contains(SECRET), "the log-in host repeats what it was sent");
    }
    let (simulator, directory) = begin(json!({})).await;
    simulator.login().refuse = Some((503, 0));
    assert_eq!(everybody(&directory, &cx()).await.expect_err("down").kind, FaultKind::Unreachable);
}

#[tokio::test]
async fn the_end_of_a_secret_is_read_from_the_registration_when_that_is_asked_for_and_allowed() {
    let (simulator, directory) =
        begin(json!({"auth": {"client_id": CLIENT, "secret": "env:S", "secret_dates": true}})).await;
    let health = directory.probe(&cx()).await.expect("health");
    let (denied, missing) = (check(&health, "sign-in"), outcome(&health, "permission Application.Read.All"));
    assert!(denied.is_some_and(|check| check.detail.contains("cannot be read")), "{denied:?}");
    assert_eq!(missing, Some(CheckOutcome::Fail), "named by its name, as it is asked for");
    simulator.tenant().permissions.insert("Application.Read.All".to_owned());
    simulator.end_tokens();
    for (ends, expected) in [("2020-01-01T00:00:00Z", CheckOutcome::Fail), ("2999-01-01T00:00:00Z", CheckOutcome::Pass)]
    {
        simulator.tenant().secret_ends = Some(ends.to_owned());
        let health = directory.probe(&cx()).await.expect("health");
        let said = check(&health, "sign-in").expect("a check");
        assert!(said.outcome == expected && said.detail.contains(&ends[..10]), "{said:?}");
        assert_eq!(outcome(&health, "permissions"), Some(CheckOutcome::Pass), "it is not excessive when it is needed");
    }
}
