//! Answers that no NetBox should give: each is a fault of its own kind, with the truth about what was done.

use lockstep_contract::{ApplyFault, Fault, FaultKind, KeyKind, Reduction, Step, TargetReader as _};
use lockstep_simulator::{Mishap, Purpose, Reply, When};

use crate::common::{Site, cx, seeded};

const ONCE: usize = 1;

/// The next request of this purpose is answered with this instead, as XML.
fn instead(site: &Site, purpose: Purpose, body: &str) {
    let reply = Reply::text(200, "text/xml", body);
    site.server.mishap(When { purpose: Some(purpose), skip: 0, times: ONCE }, Mishap::Instead(reply));
}

fn success(details: &str) -> String {
    format!("<NETBOX><RESPONSE><CODE>SUCCESS</CODE><DETAILS>{details}</DETAILS></RESPONSE></NETBOX>")
}

/// What a read says to these details of a person.
async fn reading(details: &str) -> Fault {
    let site = Site::new().await;
    instead(&site, Purpose::Read, &success(details));
    site.read(&seeded(0)).await.expect_err(details)
}

/// What a list says to these details of its first page.
async fn listing(details: &str) -> Fault {
    let site = Site::new().await;
    instead(&site, Purpose::List, &success(details));
    site.everybody().await.expect_err(details)
}

#[tokio::test]
async fn what_is_no_xml_that_can_be_trusted_is_a_broken_protocol() {
    let deep = format!("{}{}", "<A>".repeat(100), "</A>".repeat(100));
    for body in [
        "<!DOCTYPE N [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><NETBOX>&a;</NETBOX>",
        "<!DOCTYPE l [<!ENTITY l \"lol\"><!ENTITY m \"&l;&l;&l;&l;&l;&l;\">]><NETBOX>&m;</NETBOX>",
        "<NETBOX>&hunter2;</NETBOX>",
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><NETBOX/>",
        "<NETBOX><RESPONSE><CODE>SUCCESS</CODE>",
        deep.as_str(),
        "",
        "<html><body>Sign in</body></html>",
    ] {
        let site = Site::new().await;
        site.read(&seeded(1)).await.expect("readable");
        instead(&site, Purpose::Read, body);
        let fault = site.read(&seeded(0)).await.expect_err(body);
        assert_eq!(fault.kind, FaultKind::Protocol, "{body}: {fault}");
        instead(&site, Purpose::Write, body);
        let outcome = site.change(&seeded(1), vec![Reduction::Suspend.into()]).await;
        assert!(matches!(outcome, Err(ApplyFault::Uncertain(_))), "{body}: {outcome:?}");
        site.change(&seeded(1), vec![Reduction::Suspend.into()]).await.expect("the next call works");
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_they_call_themselves_are_a_broken_protocol() {
    let utf8 = success("<PERSONID>00900</PERSONID><LASTNAME>é</LASTNAME>");
    let latin: Vec<u8> = utf8.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    for (media, body) in [
        ("text/xml; charset=ISO-8859-1", utf8.clone().into_bytes()),
        ("text/html", utf8.clone().into_bytes()),
        ("application/json", b"{}".to_vec()),
        ("text/xml; charset=utf-8", latin),
    ] {
        let site = Site::new().await;
        site.read(&seeded(1)).await.expect("readable");
        let reply = Reply { body, ..Reply::text(200, media, "") };
        site.server.mishap(When { times: ONCE, ..When::every(Purpose::Read) }, Mishap::Instead(reply));
        let fault = site.read(&seeded(0)).await.expect_err(media);
        assert_eq!(fault.kind, FaultKind::Protocol, "{media}: {fault}");
    }
}

#[tokio::test]
async fn an_answer_to_another_command_is_not_taken() {
    let site = Site::new().await;
    site.read(&seeded(1)).await.expect("readable");
    let other = "<NETBOX><RESPONSE command=\"ModifyPerson\" num=\"999\"><CODE>SUCCESS</CODE></RESPONSE></NETBOX>";
    instead(&site, Purpose::Write, other);
    let outcome = site.change(&seeded(1), vec![Reduction::Suspend.into()]).await;
    assert!(matches!(outcome, Err(ApplyFault::Uncertain(_))), "{outcome:?}");
}

#[tokio::test]
async fn every_numbered_error_has_its_meaning_whatever_the_status_of_http() {
    for (number, kind, certain) in [
        (1, FaultKind::Unreachable, false),
        (2, FaultKind::Denied, true),
        (3, FaultKind::Invalid, true),
        (4, FaultKind::Invalid, true),
        (6, FaultKind::Unsupported, true),
        (7, FaultKind::Protocol, false),
        (99, FaultKind::Protocol, false),
    ] {
        for body in [
            format!("<NETBOX><RESPONSE><APIERROR>{number}</APIERROR></RESPONSE></NETBOX>"),
            format!("<NETBOX><APIERROR>{number}</APIERROR></NETBOX>"),
        ] {
            let site = Site::new().await;
            let level = site.level("Conformance level 4").await;
            instead(&site, Purpose::Read, &body);
            assert_eq!(site.read(&seeded(0)).await.expect_err("an error").kind, kind, "{number}");
            instead(&site, Purpose::Write, &body);
            match site.change(&seeded(1), vec![Step::Grant { level }]).await {
                Err(ApplyFault::Refused(fault)) => assert!(certain && fault.kind == kind, "{number}: {fault}"),
                Err(ApplyFault::Uncertain(fault)) => assert!(!certain && fault.kind == kind, "{number}: {fault}"),
                other => panic!("{number}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_with_status_200_is_a_refusal_and_repeats_no_secret() {
    let site = Site::new().await;
    let level = site.level("Conformance level 4").await;
    let password = lockstep_netbox::simulator::PASSWORD;
    let body = format!(
        "<NETBOX><RESPONSE><CODE>FAIL</CODE><DETAILS><ERRMSG>No way, {password}\u{1b}[2J</ERRMSG></DETAILS></RESPONSE></NETBOX>"
    )
    .replace('\u{1b}', "&#9;");
    instead(&site, Purpose::Write, &body);
    let Err(ApplyFault::Refused(fault)) = site.change(&seeded(1), vec![Step::Grant { level }]).await else {
        panic!("refused")
    };
    assert!(fault.message.contains("No way") && !format!("{fault:?}").contains(password), "{fault:?}");
}

#[tokio::test]
async fn a_page_that_does_not_lead_on_is_a_cut_list() {
    let person = "<PEOPLE><PERSON><PERSONID>1</PERSONID></PERSON></PEOPLE>";
    for next in ["0", "-2", "soon", "99999999999999999999999999", "1.5"] {
        let fault = listing(&format!("{person}<NEXTKEY>{next}</NEXTKEY>")).await;
        assert_eq!(fault.kind, FaultKind::Protocol, "{next}: {fault}");
    }
    let twice = "<PEOPLE><PERSON><PERSONID>1</PERSONID></PERSON><PERSON><PERSONID>1</PERSONID></PERSON></PEOPLE>";
    assert!(listing(&format!("{twice}<NEXTKEY>-1</NEXTKEY>")).await.message.contains("twice"));
    assert_eq!(listing("").await.kind, FaultKind::Protocol, "half an answer is no empty list");
    let deleted = "<PEOPLE><PERSON><PERSONID>1</PERSONID><DELETED>TRUE</DELETED></PERSON></PEOPLE>";
    assert!(listing(&format!("{deleted}<NEXTKEY>-1</NEXTKEY>")).await.message.contains("ignores the filter"));
}

#[tokio::test]
async fn a_list_that_goes_back_is_a_loop() {
    let site = Site::new().await;
    let page = success("<PEOPLE><PERSON><PERSONID>x</PERSONID></PERSON></PEOPLE><NEXTKEY>1</NEXTKEY>");
    let reply = Reply::text(200, "text/xml", page);
    site.server.mishap(When { skip: 1, ..When::every(Purpose::List) }, Mishap::Instead(reply));
    let fault = site.everybody().await.expect_err("a loop");
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(site.commands().len() < 10, "noticed at once");
}

#[tokio::test]
async fn a_record_that_makes_no_sense_is_not_guessed_at() {
    let huge = "9".repeat(70_000);
    for details in [
        "<LASTNAME>Nobody</LASTNAME>".to_owned(),
        "<PERSONID/>".to_owned(),
        format!("<PERSONID>{huge}</PERSONID>"),
        "<PERSONID>00901</PERSONID>".to_owned(),
        "<PERSONID>00900</PERSONID><DELETED>MAYBE</DELETED>".to_owned(),
        "<PERSONID>00900</PERSONID><EXPDATE>soon</EXPDATE>".to_owned(),
        "<PERSONID>00900</PERSONID><ACTDATE>31/12/2026</ACTDATE>".to_owned(),
        "<PERSONID>00900</PERSONID><ACCESSLEVELS><ACCESSLEVEL/></ACCESSLEVELS>".to_owned(),
        "<PERSONID>00900</PERSONID><ACCESSCARDS><ACCESSCARD><DISABLED>0</DISABLED></ACCESSCARD></ACCESSCARDS>"
            .to_owned(),
        "<PERSONID>00900</PERSONID><ACCESSCARDS><ACCESSCARD><CREDENTIALID>1</CREDENTIALID><DISABLED>ON</DISABLED>\
         </ACCESSCARD></ACCESSCARDS>"
            .to_owned(),
        String::new(),
    ] {
        let fault = reading(&details).await;
        let shown: String = details.chars().take(80).collect();
        assert_eq!(fault.kind, FaultKind::Protocol, "{shown}: {fault}");
        assert!(fault.to_string().len() < 1_000, "{shown}");
    }
}

#[tokio::test]
async fn what_is_new_or_long_does_no_harm() {
    let site = Site::new().await;
    let long = "x".repeat(70_000);
    let details = format!(
        "<PERSONID>00900</PERSONID><LASTNAME>{long}</LASTNAME><HALO><GLOW>1</GLOW></HALO><DELETED>0</DELETED>\
         <ACCESSCARDS><ACCESSCARD><CREDENTIALID>1</CREDENTIALID><DISABLED>FALSE</DISABLED><CARDSTATUS>Halo</CARDSTATUS>\
         </ACCESSCARD></ACCESSCARDS>"
    );
    instead(&site, Purpose::Read, &success(&details));
    let record = site.present(&seeded(0)).await;
    assert_eq!(record.profile.get("family_name").map(str::len), Some(70_000));
    let status = record.credentials.first().map(|card| card.status.clone());
    assert_eq!(status, Some(lockstep_contract::CredentialStatus::Other("Halo".to_owned())));
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_again_with_fewer_people() {
    let site = Site::with(|settings| format!("answer_bytes_max = 4000\n{settings}")).await;
    assert_eq!(site.everybody().await.expect("a list").len(), 25);
    let asked: Vec<String> = site.server.arrived().iter().map(|(_, request)| request.text()).collect();
    assert!(asked.iter().any(|text| text.contains("<NUMTORETURN>2</NUMTORETURN>")), "{asked:?}");
    let small = site.another(|settings| format!("answer_bytes_max = 400\n{settings}"));
    let fault = small.list(&cx(), None).await.expect_err("not even one fits");
    assert_eq!(fault.kind, FaultKind::Protocol);
}

#[tokio::test]
async fn a_search_that_sends_somebody_else_finds_nobody_by_mistake() {
    let site = Site::new().await;
    site.everybody().await.expect("a list");
    let other = "<PEOPLE><PERSON><PERSONID>00901</PERSONID><UDF2>other@conformance.example</UDF2></PERSON></PEOPLE>";
    instead(&site, Purpose::Search, &success(&format!("{other}<NEXTKEY>-1</NEXTKEY>")));
    let fault = site.find(KeyKind::Upn, "person0@conformance.example").await.expect_err("somebody else");
    assert_eq!(fault.kind, FaultKind::Protocol);
}

#[tokio::test]
async fn a_person_created_under_another_number_is_not_taken_for_the_one() {
    let site = Site::new().await;
    site.everybody().await.expect("a list");
    instead(&site, Purpose::Write, &success("<PERSONID>_900</PERSONID>"));
    let outcome = site.create("77001", vec![]).await;
    assert!(matches!(outcome, Err(ApplyFault::Uncertain(_))), "{outcome:?}");
}
