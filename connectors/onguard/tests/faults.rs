//! What goes wrong at an OnGuard server, beside what the sweep tries at every request: sessions, licence, lists that do not add
//! up, values that are none.

mod support;

use lockstep_contract::{ApplyFault, CardholderId, FaultKind, KeyKind, Reduction, Step};
use lockstep_simulator::{Mishap, Purpose, Reply, When};
use serde_json::{Value, json};
use support::{Site, cx, grant, key};

fn instead(body: &Value) -> Mishap {
    Mishap::Instead(Reply::json(200, body))
}

#[tokio::test]
async fn a_session_that_runs_out_in_the_middle_of_a_list_is_opened_again_once() {
    let site = Site::new().await;
    let page = site.target().list(&cx(), None).await.expect("a page");
    site.onguard().end_sessions();
    let lockstep_contract::Next::More(cursor) = page.next else { panic!("there is more") };
    site.target().list(&cx(), Some(cursor)).await.expect("the next page");
    assert_eq!(site.onguard().sessions_made(), 2);
}

#[tokio::test]
async fn a_session_that_runs_out_between_two_writes_is_opened_again_and_nothing_is_done_twice() {
    let site = Site::new().await;
    let person = site.person(0);
    site.read(&person).await;
    let unknown = Reply::json(401, &json!({"error": {"code": "x", "message": "The session is not valid."}}));
    for nth in 0..6 {
        site.server().mishap(When::nth(nth), Mishap::Instead(unknown.clone()));
        let steps = vec![Reduction::Revoke { level: site.level(0) }.into(), grant(&site.level(4))];
        site.apply(&person, steps).await.expect("applied");
        site.server().heal();
        let levels = site.read(&person).await.levels;
        assert!(levels.contains(&site.level(4)) && !levels.contains(&site.level(0)), "{levels:?}");
        let back = vec![Reduction::Revoke { level: site.level(4) }.into(), grant(&site.level(0))];
        site.apply(&person, back).await.expect("and back");
    }
}

#[tokio::test]
async fn a_password_that_is_refused_is_not_tried_until_the_account_is_locked() {
    let site = Site::new().await;
    site.onguard().accept_password(false);
    for _ in 0..10 {
        let fault = site.target().read(&cx(), &site.person(0)).await.expect_err("no log-in");
        assert_eq!(fault.kind, FaultKind::Unauthenticated, "{fault}");
    }
    let tries =
        site.server().arrived().iter().filter(|(_, request)| request.path().ends_with("/authentication")).count();
    assert_eq!(tries, 3);
}

#[tokio::test]
async fn a_lost_licence_is_said_and_no_password_is_sent_because_of_it() {
    let site = Site::new().await;
    let person = site.person(0);
    site.read(&person).await;
    site.onguard().license(false);
    site.server().arrived();
    let fault = site.target().read(&cx(), &person).await.expect_err("not licensed");
    assert_eq!(fault.kind, FaultKind::Unauthenticated);
    assert!(fault.help.as_deref().is_some_and(|help| help.contains("application_id")), "{fault:?}");
    let refused = site.apply(&person, vec![Reduction::Suspend.into()]).await.expect_err("not licensed");
    assert!(matches!(refused, ApplyFault::NotSent(_)), "{refused}");
    assert!(site.server().arrived().iter().all(|(_, request)| !request.path().ends_with("/authentication")));
}

#[tokio::test]
async fn two_calls_at_once_log_on_once() {
    let site = Site::new().await;
    let (person, context) = (site.person(0), cx());
    let (one, two) = tokio::join!(site.target().read(&context, &person), site.target().catalog(&context));
    one.expect("a read");
    two.expect("a catalog");
    assert_eq!(site.onguard().sessions_made(), 1);
}

/// A change of a page, and its name.
type Change = (&'static str, fn(&mut Value));

/// Changes one page of a list on its way.
async fn list_with(at: When, change: impl Fn(&mut Value)) -> Result<usize, String> {
    let site = Site::new().await;
    // The page as it would be, for the change to work on.
    site.server().keep_answers();
    site.list().await.map_err(|fault| fault.to_string())?;
    let said = site.server().said();
    let asked = site.server().arrived();
    let mut of_purpose =
        asked.iter().zip(&said).filter(|((purpose, _), _)| at.purpose.is_none_or(|only| only == *purpose));
    let (_, reply) = of_purpose.nth(at.skip).expect("such a request");
    let mut body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    change(&mut body);
    site.server().mishap(When { times: 1, ..at }, instead(&body));
    site.list().await.map(|all| all.len()).map_err(|fault| format!("{:?}: {}", fault.kind, fault.message))
}

#[tokio::test]
async fn a_page_of_cardholders_that_does_not_add_up_is_a_fault() {
    let second = || When { skip: 1, ..When::every(Purpose::List) };
    let wrong: Vec<Change> = vec![
        ("fewer in all", |page| page["total_items"] = json!(20)),
        ("more in all", |page| page["total_items"] = json!(1_000_000)),
        ("no total", |page| drop(page.as_object_mut().expect("a page").remove("total_items"))),
        ("a total of nothing", |page| page["total_items"] = Value::Null),
        ("a total that is none", |page| page["total_items"] = json!("many")),
        ("a total below nothing", |page| page["total_items"] = json!(-1)),
        ("another page", |page| page["page_number"] = json!(1)),
        ("an end before the end", |page| page["total_pages"] = json!(2)),
        ("another count", |page| page["count"] = json!(3)),
        ("one less", |page| drop(page["item_list"].as_array_mut().expect("items").pop())),
        ("no items", |page| page["item_list"] = Value::Null),
        ("one twice", |page| page["item_list"][1] = page["item_list"][0].clone()),
        ("an id of nothing", |page| page["item_list"][1]["property_value_map"]["ID"] = Value::Null),
        ("an id that is none", |page| page["item_list"][1]["property_value_map"]["ID"] = json!("x1")),
        ("an id of a fraction", |page| page["item_list"][1]["property_value_map"]["ID"] = json!(1.5)),
        ("a huge id", |page| page["item_list"][1]["property_value_map"]["ID"] = json!(u64::MAX)),
        ("a name that is a list", |page| page["item_list"][1]["property_value_map"]["LASTNAME"] = json!(["a"])),
        ("an item that is none", |page| page["item_list"][1] = json!(7)),
    ];
    for (name, change) in wrong {
        let error = list_with(second(), change).await.expect_err(name);
        assert!(error.starts_with("Protocol"), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_is_missing_but_not_needed_is_no_fault() {
    let second = || When { skip: 1, ..When::every(Purpose::List) };
    let fine: Vec<Change> = vec![
        ("no count", |page| drop(page.as_object_mut().expect("a page").remove("count"))),
        ("no number of pages", |page| drop(page.as_object_mut().expect("a page").remove("total_pages"))),
        ("something new", |page| page["item_list"][1]["property_value_map"]["NEW"] = json!({"a": [1]})),
        ("a huge name", |page| page["item_list"][1]["property_value_map"]["LASTNAME"] = json!("x".repeat(100_000))),
        ("no name", |page| page["item_list"][1]["property_value_map"]["LASTNAME"] = Value::Null),
    ];
    for (name, change) in fine {
        assert_eq!(list_with(second(), change).await.expect(name), 25, "{name}");
    }
}

#[tokio::test]
async fn badges_that_others_change_while_they_are_read_are_read_again() {
    let fewer = |page: &mut Value| page["total_items"] = json!(24);
    let second = When { skip: 1, ..When::every(Purpose::Read) };
    assert_eq!(list_with(second, fewer).await, Ok(25));
    // And again and again: then it is no change, but a fault.
    let site = Site::new().await;
    let empty = json!({"total_items": 3, "page_number": 1, "item_list": []});
    site.read(&site.person(0)).await;
    site.server().mishap(When::every(Purpose::Read), instead(&empty));
    let fault = site.list().await.expect_err("never whole");
    assert_eq!(fault.kind, FaultKind::Protocol, "{fault}");
}

#[tokio::test]
async fn a_type_without_what_everything_rests_on_is_refused() {
    let site = Site::new().await;
    let described = json!({"properties": [{"name": "ID", "type": "Int32"}]});
    site.server().mishap(When { times: 3, ..When { skip: 0, ..When::every(Purpose::Catalog) } }, instead(&described));
    let fault = site.target().read(&cx(), &site.person(0)).await.expect_err("no OnGuard");
    assert!(fault.kind == FaultKind::Protocol && fault.message.contains("Lnl_Badge"), "{fault}");
    site.server().heal();
    site.read(&site.person(0)).await;
}

#[tokio::test]
async fn a_queued_write_that_never_ends_is_uncertain() {
    let site = Site::new().await;
    let person = site.person(1);
    site.read(&person).await;
    let queued = Reply::json(202, &json!({"id": 77, "status": "pending", "version": "1.0"}));
    for mishap in [Mishap::Instead(queued.clone()), Mishap::LandedThen(queued)] {
        site.server().mishap(When { times: 1, ..When::every(Purpose::Write) }, mishap);
        let uncertain = site.apply(&person, vec![grant(&site.level(4))]).await.expect_err("nobody knows");
        assert!(matches!(uncertain, ApplyFault::Uncertain(_)), "{uncertain}");
    }
}

#[tokio::test]
async fn a_success_with_an_error_in_it_is_no_success() {
    let site = Site::new().await;
    let body = json!({"error": {"code": "openaccess.general.unknown", "message": "Something failed."}});
    site.server().mishap(When::every(Purpose::Write), instead(&body));
    let uncertain = site.apply(&site.person(1), vec![grant(&site.level(4))]).await.expect_err("an error");
    assert!(matches!(uncertain, ApplyFault::Uncertain(_)), "{uncertain}");
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_found_and_not_repeated() {
    let site = Site::new().await;
    site.server().mishap(When::every(Purpose::Write), Mishap::LostAnswer);
    let uncertain = site.join("70010", vec![]).await.expect_err("no answer");
    assert!(matches!(uncertain, ApplyFault::Uncertain(_)), "{uncertain}");
    site.server().heal();
    let again = site.join("70010", vec![]).await.expect("there already").cardholder;
    let found = site.target().find(&cx(), &key(KeyKind::Employee, "70010")).await.expect("found");
    assert_eq!(found.iter().map(|record| &record.id).collect::<Vec<_>>(), [&again]);
}

#[tokio::test]
async fn a_creation_without_a_usable_id_in_the_answer_is_uncertain() {
    for body in [json!({}), json!({"property_value_map": {"ID": null}}), json!({"property_value_map": {"ID": "x"}})] {
        let site = Site::new().await;
        let mishap = Mishap::LandedThen(Reply::json(200, &body));
        site.server().mishap(When::every(Purpose::Write), mishap);
        let uncertain = site.join("70011", vec![]).await.expect_err("who is it?");
        assert!(matches!(uncertain, ApplyFault::Uncertain(_)), "{body}: {uncertain}");
    }
}

#[tokio::test]
async fn an_action_that_breaks_off_in_the_middle_is_uncertain() {
    let site = Site::new().await;
    let person = site.person(0);
    let second = When { skip: 1, ..When::every(Purpose::Write) };
    let refusal = Reply::json(400, &json!({"error": {"code": "x", "message": "no"}}));
    site.server().mishap(second, Mishap::Instead(refusal));
    let steps: Vec<Step> = vec![Reduction::Suspend.into(), Reduction::Revoke { level: site.level(0) }.into()];
    let uncertain = site.apply(&person, steps).await.expect_err("half done");
    assert!(matches!(uncertain, ApplyFault::Uncertain(_)), "{uncertain}");
}

#[tokio::test]
async fn an_id_that_onguard_cannot_have_given_is_nobodys() {
    let site = Site::new().await;
    for id in ["x", "1 OR 1=1", "07", "99999999999999999999", "1.0"] {
        let id = CardholderId::new(id).expect("an id");
        assert_eq!(site.target().read(&cx(), &id).await.expect("an answer"), None, "{id}");
    }
    let nobody = CardholderId::new("1").expect("an id");
    let refused = site.apply(&nobody, vec![Reduction::Suspend.into()]).await.expect_err("nobody");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.kind == FaultKind::Missing), "{refused}");
}

#[tokio::test]
async fn an_idle_session_is_kept_alive() {
    let site = Site::idle().await;
    for _ in 0..2 {
        site.target().catalog(&cx()).await.expect("a catalog");
    }
    let arrived = site.server().arrived();
    let count = |path: &str| arrived.iter().filter(|(_, request)| request.path().ends_with(path)).count();
    assert_eq!((count("/authentication"), count("/keepalive")), (1, 1));
    site.onguard().end_sessions();
    site.target().catalog(&cx()).await.expect("a session that ran out is opened again");
    assert_eq!(site.onguard().sessions_made(), 2);
}
