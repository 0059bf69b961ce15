//! Rows about a directory that cannot be read, or not whole.

use std::sync::atomic::{AtomicU32, Ordering};

use lockstep_testbed::certificates::{CertificateKind, Certificates};
use lockstep_testbed::proxy::{Behaviour, Proxy};
use lockstep_testbed::slapd::{BASE, SERVICE, SERVICE_PASSWORD, person_name};

use crate::campus::{Campus, FILTER, PEOPLE, Wish, number};
use crate::or_skip;
use crate::site::{DONE, HELD, UNREADABLE};

/// So that the rows below prove something: without trouble, the same site takes access away, unattended.
#[test]
fn no_trouble_and_one_leaver_loses_access() {
    let campus = or_skip!(Campus::healthy());
    campus.server.modify(&format!("dn: {}\nchangetype: delete\n", person_name(7))).expect("deleted");
    campus.site.run(&["sync"]).ends(DONE);
    let holders = campus.site.holders();
    assert_eq!(holders[&number(7)].1, "suspended");
    let active = holders.values().filter(|(_, status)| status == "active").count();
    assert_eq!(active, PEOPLE - 1, "nobody else");
}

#[test]
fn directory_down() {
    let mut campus = or_skip!(Campus::healthy());
    campus.server.stop();
    campus.site.in_trouble(UNREADABLE);
}

#[test]
fn wrong_password() {
    let mut campus = or_skip!(Campus::healthy());
    campus.site.use_password("not-the-password");
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(!trouble.said.contains("not-the-password"), "{}", trouble.said);
}

#[test]
fn account_locked() {
    let campus = or_skip!(Campus::with(Wish { password_policy: true, ..Wish::default() }));
    for _ in 0..3 {
        assert!(!campus.server.log_in(SERVICE, "wrong"));
    }
    assert!(!campus.server.log_in(SERVICE, SERVICE_PASSWORD), "the account is locked");
    campus.site.in_trouble(UNREADABLE);
}

fn with_certificate(kind: CertificateKind) -> Option<Campus> {
    let mut campus = Campus::healthy()?;
    let folder = campus.server.ca_file().parent().expect("a folder").to_owned();
    Certificates::make(&folder, kind, "").expect("another certificate of the same authority");
    campus.restart(|_| {});
    Some(campus)
}

#[test]
fn tls_name_mismatch() {
    let trouble = or_skip!(with_certificate(CertificateKind::OtherName)).site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("another name"), "{}", trouble.said);
}

#[test]
fn expired_certificate() {
    let trouble = or_skip!(with_certificate(CertificateKind::Expired)).site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("expired"), "{}", trouble.said);
}

#[test]
fn size_limit_of_500_with_10000_people() {
    let wish = Wish { people: 10_000, page_size: 200, ..Wish::default() };
    let mut campus = or_skip!(Campus::with(wish));
    campus.restart(|options| {
        options.settings = format!("limits dn.exact=\"{SERVICE}\" size.soft=500 size.hard=500\n");
    });
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("limit"), "{}", trouble.said);
}

#[test]
fn time_limit() {
    let mut campus = or_skip!(Campus::healthy());
    campus.restart(|options| {
        options.settings = format!("limits dn.exact=\"{SERVICE}\" time.soft=1 time.hard=1\n");
        options.slow_seconds = 2;
    });
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("limit"), "{}", trouble.said);
}

#[test]
fn connection_reset_on_page_k_for_every_k() {
    const AT_ONCE: u32 = 6;
    let campus = or_skip!(Campus::healthy());
    let url = campus.server.ldaps_url();
    let (next, last, refused) = (AtomicU32::new(1), AtomicU32::new(u32::MAX), AtomicU32::new(0));
    let row = |request: u32| {
        let proxy = Proxy::start(campus.server.tls_address()).expect("a proxy");
        proxy.behave(Behaviour::Cut { request, bytes: 60 });
        let site = campus.site.copy();
        site.reconfigure(&url, &format!("ldaps://localhost:{}", proxy.address().port()));
        let before = site.pacs();
        let ran = site.run(&["sync", "--no-export"]);
        assert!(site.pacs() == before, "request {request}: nothing was written to the PACS");
        if proxy.cuts() == 0 {
            // So many requests there are not: everything was read.
            last.fetch_min(request, Ordering::SeqCst);
            ran.ends(DONE);
        } else {
            // Unreadable people end the run; unreadable groups are held by a guard; and what could be asked again on a
            // new connection was read after all.
            let honest = [UNREADABLE, HELD, DONE].contains(&ran.code);
            assert!(honest, "request {request}: {}\n{}{}", ran.code, ran.out, ran.err);
            refused.fetch_add(u32::from(ran.code != DONE), Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let request = next.fetch_add(1, Ordering::SeqCst);
                    assert!(request < 60, "it has an end");
                    if request > last.load(Ordering::SeqCst) {
                        break;
                    }
                    row(request);
                }
            });
        }
    });
    assert!(refused.into_inner() > 3, "most cuts are felt");
    assert!(last.into_inner() > 8, "log-in, canary, three pages and the groups at least were cut");
}

#[test]
fn filter_that_matches_nobody_with_a_canary() {
    let campus = or_skip!(Campus::healthy());
    campus.site.reconfigure(FILTER, "(employeeType=nobody)");
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("canary"), "{}", trouble.said);
}

#[test]
fn filter_that_matches_nobody_without_a_canary() {
    let campus = or_skip!(Campus::with(Wish { canary: false, ..Wish::default() }));
    campus.site.reconfigure(FILTER, "(employeeType=nobody)");
    let trouble = campus.site.in_trouble(HELD);
    assert!(trouble.guards.contains("LS0207"), "nobody left: {:?}", trouble.guards);
}

#[test]
fn filter_that_matches_half_of_the_people() {
    let campus = or_skip!(Campus::healthy());
    // Whoever is not matched is still there when looked up; and the drop is too steep to be believed.
    campus.site.reconfigure(FILTER, "(|(departmentNumber=Department 0)(departmentNumber=Department 1))");
    let trouble = campus.site.in_trouble(HELD);
    assert!(trouble.guards.contains("LS0206"), "the directory shrank: {:?}", trouble.guards);
}

#[test]
fn base_renamed() {
    let campus = or_skip!(Campus::healthy());
    rename_people(&campus);
    campus.site.in_trouble(UNREADABLE);
}

#[test]
fn referral_instead_of_the_base() {
    let campus = or_skip!(Campus::healthy());
    rename_people(&campus);
    refer(&campus, &format!("ou=people,{BASE}"));
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("another server"), "{}", trouble.said);
}

#[test]
fn referral_instead_of_some_people() {
    let campus = or_skip!(Campus::healthy());
    let gone: Vec<String> = (7..10).map(|n| format!("dn: {}\nchangetype: delete\n\n", person_name(n))).collect();
    campus.server.modify(&gone.concat()).expect("deleted");
    refer(&campus, &format!("ou=elsewhere,ou=people,{BASE}"));
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(trouble.said.contains("another server"), "{}", trouble.said);
}

#[test]
fn everything_below_the_base_hidden() {
    let mut campus = or_skip!(Campus::healthy());
    campus.restart(|options| {
        options.access = "access to dn.regex=\".+,ou=(people|groups),dc=corp,dc=example$\" by * none\n".to_owned();
    });
    campus.site.in_trouble(UNREADABLE);
}

fn rename_people(campus: &Campus) {
    let change = format!("dn: ou=people,{BASE}\nchangetype: modrdn\nnewrdn: ou=staff\ndeleteoldrdn: 1\n");
    campus.server.modify(&change).expect("renamed");
}

fn refer(campus: &Campus, name: &str) {
    let ou = if name.starts_with("ou=people") { "people" } else { "elsewhere" };
    let change = format!(
        "dn: {name}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nou: {ou}\n\
         ref: ldap://other.example/{name}\n"
    );
    campus.server.modify(&change).expect("referred");
}
