//! Finding servers by DNS, and logging in by certificate, on real servers.

#[path = "../common/mod.rs"]
mod common;
mod dns;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use common::{config, cx, everybody, merge, open};
use dns::{Dns, Record};
use lockstep_contract::{Directory, FaultKind};
use lockstep_ldap::Ldap;
use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::proxy::Proxy;
use lockstep_testbed::slapd::{BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, people, unit};
use serde_json::{Value, json};

const GENERAL: &str = "_ldap._tcp.dc._msdcs.corp.example";
const SITE: &str = "_ldap._tcp.berlin._sites.dc._msdcs.corp.example";

fn options() -> SlapdOptions {
    let mut records = Ldif::new();
    people(&mut records, 3);
    unit(&mut records, "groups");
    SlapdOptions { records, ..SlapdOptions::default() }
}

/// Two servers, and a file with both of their authorities.
struct Domain {
    one: Slapd,
    two: Slapd,
    dns: Dns,
    folder: tempfile::TempDir,
}

impl Domain {
    fn start() -> Option<Self> {
        let server = |host: &str| {
            let options = SlapdOptions { names: format!("DNS:{host}.corp.example"), ..options() };
            Slapd::start(options).expect("the server starts")
        };
        let (one, two) = (server("one")?, server("two")?);
        let folder = tempfile::tempdir().expect("a folder");
        let read = |server: &Slapd| std::fs::read_to_string(server.ca_file()).expect("an authority");
        std::fs::write(folder.path().join("ca.pem"), read(&one) + &read(&two)).expect("written");
        let dns = Dns::start();
        for host in ["one.corp.example", "two.corp.example"] {
            dns.knows(host, Record::Address(Ipv4Addr::LOCALHOST));
        }
        Some(Self { one, two, dns, folder })
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn opened(&self, change: Value) -> Ldap {
        let mut settings = config("srv:corp.example", &self.ca_file(), SERVICE, BASE);
        merge(&mut settings, json!({ "resolver": self.dns.address.to_string() }));
        merge(&mut settings, change);
        open(settings, SERVICE_PASSWORD).expect("opens")
    }
}

fn service(priority: u16, server: &Slapd, host: &'static str) -> Record {
    Record::Service { priority, weight: 1, port: server.tls_address().port(), host }
}

/// Which server answers.
async fn host(directory: &Ldap) -> String {
    let health = directory.probe(&cx()).await.expect("a probe");
    let check = health.checks.into_iter().find(|check| check.name == "TLS").expect("the check");
    check.detail.rsplit(' ').next().expect("a name").to_owned()
}

#[tokio::test]
async fn the_servers_of_the_site_are_first_and_another_takes_over_and_stays() {
    let Some(mut domain) = Domain::start() else { return common::skip() };
    domain
        .dns
        .knows(SITE, service(0, &domain.two, "two.corp.example"))
        .knows(GENERAL, service(0, &domain.one, "one.corp.example"))
        .knows(GENERAL, service(0, &domain.two, "two.corp.example"));
    let directory = domain.opened(json!({ "site": "Berlin" }));
    assert_eq!(host(&directory).await, "two.corp.example");
    assert_eq!(everybody(&directory).await.expect("a census").len(), 3);
    domain.two.stop();
    assert_eq!(host(&directory).await, "one.corp.example");
    domain.two.restart(|_| {}).expect("restarts");
    assert_eq!(host(&directory).await, "one.corp.example", "what changed is counted by each server for itself");
    domain.one.stop();
    assert_eq!(host(&directory).await, "two.corp.example");
    domain.two.stop();
    let fault = directory.probe(&cx()).await.expect_err("nobody is there");
    assert!(fault.kind == FaultKind::Unreachable && fault.message.contains("no server of the domain"), "{fault}");
}

#[tokio::test]
async fn priorities_count_and_every_certificate_must_carry_its_servers_name() {
    let Some(domain) = Domain::start() else { return common::skip() };
    // The first record leads to a server that is another one.
    domain
        .dns
        .knows(GENERAL, service(5, &domain.two, "two.corp.example"))
        .knows(GENERAL, service(1, &domain.two, "one.corp.example"));
    assert_eq!(host(&domain.opened(json!({}))).await, "two.corp.example");
    domain.dns.knows(GENERAL, service(2, &domain.one, "one.corp.example"));
    assert_eq!(host(&domain.opened(json!({}))).await, "one.corp.example");
}

#[tokio::test]
async fn a_refused_log_in_is_not_tried_on_the_next_server() {
    let Some(domain) = Domain::start() else { return common::skip() };
    let proxy = Proxy::start(domain.two.tls_address()).expect("a proxy");
    let second = Record::Service { priority: 9, weight: 0, port: proxy.address().port(), host: "two.corp.example" };
    domain.dns.knows(GENERAL, service(0, &domain.one, "one.corp.example")).knows(GENERAL, second);
    let mut settings = config("srv:corp.example", &domain.ca_file(), SERVICE, BASE);
    merge(&mut settings, json!({ "resolver": domain.dns.address.to_string() }));
    let fault = open(settings, "wrong").expect("opens").probe(&cx()).await.expect_err("a wrong password");
    assert_eq!(fault.kind, FaultKind::Unauthenticated, "{fault}");
    assert_eq!(proxy.requests(), 0, "it would lock the account out twice as fast");
}

#[tokio::test]
async fn dns_cannot_send_the_password_out_of_the_domain() {
    let Some(domain) = Domain::start() else { return common::skip() };
    domain
        .dns
        .knows("dc.evil-corp.example", Record::Address(Ipv4Addr::LOCALHOST))
        .knows(GENERAL, service(0, &domain.one, "dc.evil-corp.example"));
    let fault = domain.opened(json!({})).probe(&cx()).await.expect_err("a foreign server");
    assert!(fault.message.contains("dc.evil-corp.example"), "{fault}");
    let nowhere = domain.opened(json!({ "url": "srv:other.example" }));
    let fault = nowhere.probe(&cx()).await.expect_err("an unknown domain");
    assert!(fault.kind == FaultKind::Unreachable && fault.message.contains("knows no server"), "{fault}");
}

#[tokio::test]
async fn a_certificate_logs_in_only_as_whom_it_is_mapped_to() {
    let options = SlapdOptions { client_certificates: true, ..options() };
    let Some(server) = Slapd::start(options).expect("the server starts") else { return common::skip() };
    let opened = |url: &str, starttls: bool, (certificate, key): &(PathBuf, PathBuf)| {
        let mut settings = config(url, server.ca_file(), SERVICE, BASE);
        let bind = json!({ "password": null, "certificate": certificate, "key": "env:KEY" });
        merge(&mut settings, json!({ "bind": bind, "starttls": starttls }));
        open(settings, &std::fs::read_to_string(key).expect("a key"))
    };
    let own = server.client_certificate("own", "/O=corp/CN=svc-lockstep").expect("a certificate");
    for (url, starttls) in [(server.ldaps_url(), false), (server.ldap_url(), true)] {
        let directory = opened(&url, starttls, &own).expect("opens");
        assert_eq!(everybody(&directory).await.expect("a census").len(), 3);
        let health = directory.probe(&cx()).await.expect("a probe");
        assert!(health.checks.iter().any(|check| check.name == "bind" && check.detail.contains("by certificate")));
    }
    // The server lets a stranger in with success, as nobody in particular.
    let stranger = server.client_certificate("stranger", "/O=corp/CN=stranger").expect("a certificate");
    let fault =
        opened(&server.ldaps_url(), false, &stranger).expect("opens").probe(&cx()).await.expect_err("a stranger");
    assert!(fault.kind == FaultKind::Unauthenticated && fault.message.contains("cn=stranger"), "{fault}");
    let no_pair = (own.0.clone(), stranger.1);
    let fault = opened(&server.ldaps_url(), false, &no_pair).expect_err("no pair");
    assert!(fault.kind == FaultKind::Invalid && !fault.message.contains("BEGIN"), "{fault}");
}
