//! Logging in by Kerberos, with a keytab and nothing else, on a real Active Directory domain controller (Samba).

mod common;

use std::fmt::Write;
use std::process::Command;

use common::{config, cx, everybody, merge, open};
use lockstep_contract::{Directory, FaultKind};
use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{BASE, SERVICE, SambaAd};
use serde_json::json;

const PEOPLE: usize = 1_500;

/// The Kerberos library reads the environment of the process, so the test goes on in a process of its own.
#[test]
fn a_keytab_logs_in_over_tls_and_long_answers_arrive_whole() {
    let mut changes = format!("dn: OU=Staff,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n");
    for number in 0..PEOPLE {
        write!(changes, "dn: CN=P{number},OU=Staff,{BASE}\nchangetype: add\nobjectClass: user\n\n").expect("text");
    }
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let (configuration, keytab) = server.kerberos().expect("a keytab");
    let mut settings = config(&server.url(), server.ca_file(), SERVICE, &format!("OU=Staff,{BASE}"));
    let bind = json!({ "password": null, "kerberos": true });
    merge(&mut settings, json!({ "bind": bind, "connect_to": server.address().to_string(), "page_size": 1_500 }));
    let status = |keytab: &std::path::Path, test: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--ignored", "--exact", test]).env("TESTBED_SETTINGS", settings.to_string());
        command.env("KRB5_CONFIG", &configuration).env("KRB5_CLIENT_KTNAME", keytab);
        command.env("KRB5CCNAME", "MEMORY:lockstep").status().expect("runs")
    };
    assert!(status(&keytab, "with_the_keytab").success());
    assert!(status(&keytab.with_extension("none"), "without_one").success());
}

fn directory() -> lockstep_ldap::Ldap {
    let settings = std::env::var("TESTBED_SETTINGS").expect("settings");
    open(serde_json::from_str(&settings).expect("settings"), "").expect("opens")
}

#[tokio::test]
#[ignore = "a part of the other test"]
async fn with_the_keytab() {
    let directory = directory();
    assert_eq!(everybody(&directory).await.expect("a census").len(), PEOPLE);
    let health = directory.probe(&cx()).await.expect("a probe");
    assert!(health.checks.iter().any(|check| check.name == "bind" && check.detail.contains("by Kerberos")));
}

#[tokio::test]
#[ignore = "a part of the other test"]
async fn without_one() {
    let fault = directory().probe(&cx()).await.expect_err("no ticket");
    assert_eq!(fault.kind, FaultKind::Unauthenticated, "{fault}");
}
