//! Servers that lie, lose answers, or break off, each in one way. What must hold: nothing is believed that was not
//! said, and nothing is sent twice or by accident.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, Cardholder, CardholderId, CheckOutcome, CorrelationKey,
    CorrelationKeys, CredentialId, Cx, Expectation, Fault, FaultKind, FieldName, InactiveStatus, KeyKind, Next,
    Opening, Profile, Reason, Reduction, RunId, Secret, SecretError, SecretRef, Secrets, Situation, Status, Step,
    Steps, Subject, Target, TargetId, TargetReader, field,
};
use lockstep_scim::{Config, Scim};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

struct Token;

impl Secrets for Token {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new("s3cret".into()))
    }
}

fn try_open(config: Value) -> Result<Scim, Fault> {
    let config: Config = serde_json::from_value(config).expect("a configuration");
    lockstep_scim::open(TargetId::new("hq").expect("id"), config, &Opening { base: Path::new("."), secrets: &Token })
}

fn open_with(server: &MockServer, more: &Value) -> Scim {
    let mut config = json!({"url": format!("{}/scim/v2", server.uri()), "token": "env:TOKEN", "page_size": 2});
    let more = more.as_object().expect("settings").clone();
    config.as_object_mut().expect("settings").extend(more);
    try_open(config).expect("opens")
}

fn open(server: &MockServer) -> Scim {
    open_with(server, &json!({}))
}

fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

fn holder(id: &str) -> CardholderId {
    CardholderId::new(id).expect("an id")
}

fn level(id: &str) -> AccessLevelId {
    AccessLevelId::new(id).expect("an id")
}

fn key(kind: KeyKind, value: &str) -> CorrelationKey {
    CorrelationKey::new(kind, value).expect("a key")
}

fn action(subject: Subject, steps: Vec<Step>) -> Action {
    let steps = Steps::new(steps).expect("some steps");
    let (run, target) = (RunId::new("018f0000-0000-7000-8000-000000000001".parse::<RunId>().expect("id").uuid()), "hq");
    let target = TargetId::new(target).expect("id");
    Action {
        id: ActionId::of(run, &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    }
}

fn on_u1(steps: Vec<Step>) -> Action {
    action(Subject::Existing(holder("u1")), steps)
}

fn joiner() -> Action {
    let keys: CorrelationKeys = [key(KeyKind::Directory, "d-9")].into_iter().collect();
    let mut profile = Profile::new();
    profile.set(FieldName::known(field::USER_NAME), "nine@corp.example");
    action(Subject::New(key(KeyKind::Directory, "d-9")), vec![Step::Provision { profile, keys }])
}

fn user(id: &str) -> Value {
    json!({"id": id, "userName": format!("{id}@corp.example"), "externalId": format!("d-{id}"), "active": true})
}

fn list(items: &[Value], total: usize) -> Value {
    json!({"totalResults": total, "startIndex": 1, "Resources": items})
}

fn says(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn error(status: u16, kind: &str) -> ResponseTemplate {
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    ResponseTemplate::new(status)
        .set_body_json(json!({"schemas": [schema], "status": status.to_string(), "scimType": kind, "detail": "no"}))
}

async fn on(server: &MockServer, verb: &str, at: &str, answer: ResponseTemplate) {
    Mock::given(method(verb)).and(path(format!("/scim/v2/{at}"))).respond_with(answer).mount(server).await;
}

async fn without_groups(server: &MockServer) {
    on(server, "GET", "Groups", says(&list(&[], 0))).await;
}

/// The requests that write, in their order: method, path below the base, body.
async fn writes(server: &MockServer) -> Vec<(String, String, String)> {
    let all: Vec<Request> = server.received_requests().await.expect("recorded");
    let writing = all.into_iter().filter(|request| request.method.as_str() != "GET");
    writing
        .map(|request| {
            let path = request.url.path().trim_start_matches("/scim/v2/").to_owned();
            (request.method.to_string(), path, String::from_utf8_lossy(&request.body).into_owned())
        })
        .collect()
}

async fn listed(scim: &Scim) -> Result<Vec<Cardholder>, Fault> {
    let mut all = Vec::new();
    let mut at = None;
    loop {
        let page = scim.list(&cx(), at).await?;
        all.extend(page.items);
        match page.next {
            Next::More(cursor) => at = Some(cursor),
            Next::End(_) => return Ok(all),
        }
    }
}

#[tokio::test]
async fn a_total_that_counts_the_page_only_is_a_cut_list() {
    let server = MockServer::start().await;
    without_groups(&server).await;
    for (start, items) in [("1", ["u1", "u2"]), ("3", ["u3", "u4"])] {
        let page = json!({"totalResults": 2, "Resources": items.map(user)});
        let at = query_param("startIndex", start);
        Mock::given(path("/scim/v2/Users")).and(at).respond_with(says(&page)).mount(&server).await;
    }
    let fault = listed(&open(&server)).await.expect_err("cut");
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(fault.message.contains("sends more after the last"), "{fault}");
}

#[tokio::test]
async fn a_page_that_failed_can_be_asked_for_again() {
    let server = MockServer::start().await;
    without_groups(&server).await;
    for (start, items) in [("1", ["u1", "u2"]), ("3", ["u3", "u4"])] {
        let page = json!({"totalResults": 4, "Resources": items.map(user)});
        let broken = ResponseTemplate::new(200).set_body_raw("{\"totalResults\": 4, \"Resour", "application/scim+json");
        let at = || query_param("startIndex", start);
        Mock::given(path("/scim/v2/Users")).and(at()).respond_with(broken).up_to_n_times(1).mount(&server).await;
        Mock::given(path("/scim/v2/Users")).and(at()).respond_with(says(&page)).mount(&server).await;
    }
    Mock::given(path("/scim/v2/Users"))
        .and(query_param("startIndex", "5"))
        .respond_with(says(&json!({"totalResults": 4, "Resources": []})))
        .mount(&server)
        .await;
    let scim = open(&server);
    assert!(scim.list(&cx(), None).await.is_err(), "the first page was cut short");
    let first = scim.list(&cx(), None).await.expect("the first page");
    let Next::More(cursor) = first.next else { panic!("there is more") };
    assert!(scim.list(&cx(), Some(cursor.clone())).await.is_err(), "the second page was cut short");
    let second = scim.list(&cx(), Some(cursor.clone())).await.expect("the second page");
    assert!(matches!(second.next, Next::End(census) if census.sent == 4 && census.server_total == Some(4)));
    let stale = scim.list(&cx(), Some(cursor)).await.expect_err("a place in a list that is over");
    assert_eq!(stale.kind, FaultKind::Invalid);
}

#[tokio::test]
async fn members_of_groups_and_groups_of_users_must_not_contradict_each_other() {
    let server = MockServer::start().await;
    let group = json!({"id": "g1", "displayName": "Lab", "members": [{"value": "u2"}]});
    on(&server, "GET", "Groups", says(&list(&[group], 1))).await;
    let mut one = user("u1");
    one["groups"] = json!([{"value": "g1"}]);
    on(&server, "GET", "Users", says(&list(&[one, user("u2")], 2))).await;
    on(&server, "GET", "Users/u2", says(&user("u2"))).await;
    let fault = listed(&open(&server)).await.expect_err("a contradiction");
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(fault.message.contains("u1") && fault.message.contains("g1"), "{fault}");
    let told = open_with(&server, &json!({"memberships": "all-groups"}));
    let levels: Vec<bool> = listed(&told).await.expect("a list").iter().map(|user| user.levels.is_empty()).collect();
    assert_eq!(levels, [true, false]);
}

#[tokio::test]
async fn a_group_in_a_group_is_said_and_not_guessed_at() {
    let server = MockServer::start().await;
    let outer = json!({"id": "g1", "displayName": "All", "members": [{"value": "g2"}]});
    let inner = json!({"id": "g2", "displayName": "Lab", "members": [{"value": "u1"}]});
    on(&server, "GET", "Groups", says(&list(&[outer, inner], 2))).await;
    on(&server, "GET", "Users", says(&list(&[user("u1")], 1))).await;
    let fault = listed(&open(&server)).await.expect_err("a nested group");
    assert_eq!(fault.kind, FaultKind::Unsupported);
    assert!(fault.message.contains("g1") && fault.message.contains("g2"), "{fault}");
}

#[tokio::test]
async fn nobody_is_believed_only_from_a_filter_that_finds_somebody() {
    let server = MockServer::start().await;
    without_groups(&server).await;
    let filtered = |answer: ResponseTemplate| {
        Mock::given(path("/scim/v2/Users"))
            .and(wiremock::matchers::query_param_contains("filter", "eq"))
            .respond_with(answer)
    };
    filtered(says(&list(&[], 0))).mount(&server).await;
    Mock::given(path("/scim/v2/Users"))
        .and(query_param_is_missing("filter"))
        .respond_with(says(&list(&[user("u1"), user("u2")], 2)))
        .mount(&server)
        .await;
    let scim = open(&server);
    let found = scim.find(&cx(), &key(KeyKind::Directory, "d-u2")).await.expect("found");
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["u2"]);
    let nobody = scim.find(&cx(), &key(KeyKind::Directory, "d-u3")).await.expect("nobody");
    assert!(nobody.is_empty());
}

#[tokio::test]
async fn everybody_with_the_key_is_found() {
    let server = MockServer::start().await;
    without_groups(&server).await;
    let mut twin = user("u2");
    twin["externalId"] = "d-u1".into();
    on(&server, "GET", "Users", says(&list(&[user("u1"), twin], 2))).await;
    let found = open(&server).find(&cx(), &key(KeyKind::Directory, "d-u1")).await.expect("found");
    assert_eq!(found.len(), 2, "two users with one key are for a person to decide on");
}

#[tokio::test]
async fn a_gateway_that_knows_nothing_is_no_proof_of_absence() {
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(404).set_body_raw("<h1>Not Found</h1>", "text/html");
    on(&server, "GET", "Users/u1", page.clone()).await;
    on(&server, "GET", "Users", page).await;
    let fault = open(&server).read(&cx(), &holder("u1")).await.expect_err("not a proof");
    assert_eq!(fault.kind, FaultKind::Protocol, "{fault}");
    assert_eq!(
        open(&server).find(&cx(), &key(KeyKind::Mail, "a@b.example")).await.expect_err("no list").kind,
        fault.kind
    );
    let server = MockServer::start().await;
    on(&server, "GET", "Users/u1", error(404, "")).await;
    assert_eq!(open(&server).read(&cx(), &holder("u1")).await, Ok(None));
}

#[tokio::test]
async fn another_record_than_the_one_asked_for_is_refused() {
    let server = MockServer::start().await;
    on(&server, "GET", "Users/u1", says(&user("u2"))).await;
    let fault = open(&server).read(&cx(), &holder("u1")).await.expect_err("another one");
    assert_eq!(fault.kind, FaultKind::Protocol);
}

#[tokio::test]
async fn ids_cannot_leave_their_place_in_the_address() {
    let server = MockServer::start().await;
    let scim = open(&server);
    for id in ["..", ".", "../Groups/g1", "a/b?c=d#e", "%2e%2e"] {
        let _ = scim.read(&cx(), &holder(id)).await;
    }
    for request in server.received_requests().await.expect("recorded") {
        let path = request.url.path().to_owned();
        let below = path.trim_start_matches("/scim/v2/");
        assert!(below == "ServiceProviderConfig" || below == "Users" || below.starts_with("Users/"), "{path}");
        assert_eq!(below.matches('/').count(), usize::from(below.starts_with("Users/")), "{path}");
    }
}

#[tokio::test]
async fn suspending_is_one_request_and_comes_before_everything_else() {
    let server = MockServer::start().await;
    on(&server, "PATCH", "Users/u1", ResponseTemplate::new(204)).await;
    on(&server, "PATCH", "Groups/g1", ResponseTemplate::new(204)).await;
    on(&server, "PATCH", "Groups/g2", ResponseTemplate::new(204)).await;
    let steps = vec![
        Step::Grant { level: level("g2") },
        Reduction::Revoke { level: level("g1") }.into(),
        Reduction::Suspend.into(),
    ];
    open(&server).apply(&cx(), &on_u1(steps)).await.expect("accepted");
    let writes = writes(&server).await;
    let order: Vec<(&str, &str)> = writes.iter().map(|(verb, path, _)| (verb.as_str(), path.as_str())).collect();
    assert_eq!(order, [("PATCH", "Users/u1"), ("PATCH", "Groups/g1"), ("PATCH", "Groups/g2")]);
    let bodies: Vec<Value> = writes
        .iter()
        .map(|(_, _, body)| serde_json::from_str::<Value>(body).expect("JSON")["Operations"].clone())
        .collect();
    let expect = [
        json!([{"op": "replace", "path": "active", "value": false}]),
        json!([{"op": "remove", "path": "members[value eq \"u1\"]"}]),
        json!([{"op": "add", "path": "members", "value": [{"value": "u1"}]}]),
    ];
    assert_eq!(bodies, expect);
}

#[tokio::test]
async fn an_action_that_broke_off_in_the_middle_is_uncertain() {
    let server = MockServer::start().await;
    on(&server, "PATCH", "Users/u1", ResponseTemplate::new(204)).await;
    on(&server, "PATCH", "Groups/g1", error(403, "")).await;
    let scim = open(&server);
    let both = on_u1(vec![Reduction::Suspend.into(), Reduction::Revoke { level: level("g1") }.into()]);
    let fault = scim.apply(&cx(), &both).await.expect_err("half of it");
    assert!(matches!(&fault, ApplyFault::Uncertain(fault) if fault.kind == FaultKind::Denied), "{fault}");
    let alone = on_u1(vec![Reduction::Revoke { level: level("g1") }.into()]);
    let fault = scim.apply(&cx(), &alone).await.expect_err("refused");
    assert!(matches!(&fault, ApplyFault::Refused(fault) if fault.kind == FaultKind::Denied), "{fault}");
}

#[tokio::test]
async fn what_cannot_be_done_refuses_the_whole_action_before_anything_is_sent() {
    let server = MockServer::start().await;
    let card = CredentialId::new("c1").expect("id");
    let steps = vec![
        Reduction::Suspend.into(),
        Reduction::Deactivate { credential: card, status: InactiveStatus::Disabled }.into(),
    ];
    let fault = open(&server).apply(&cx(), &on_u1(steps)).await.expect_err("unsupported");
    assert!(matches!(&fault, ApplyFault::Refused(fault) if fault.kind == FaultKind::Unsupported), "{fault}");
    assert_eq!(server.received_requests().await.map(|requests| requests.len()), Some(0));
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_not_repeated() {
    let server = MockServer::start().await;
    let mut nine = user("u9");
    nine["externalId"] = "d-9".into();
    let nobody = Mock::given(path("/scim/v2/Users")).and(method("GET")).respond_with(says(&list(&[], 0)));
    nobody.up_to_n_times(4).mount(&server).await;
    on(&server, "GET", "Users", says(&list(&[nine], 1))).await;
    on(&server, "POST", "Users", ResponseTemplate::new(504)).await;
    let scim = open(&server);
    let fault = scim.apply(&cx(), &joiner()).await.expect_err("lost");
    assert!(matches!(fault, ApplyFault::Uncertain(_)), "{fault}");
    // The same action again, after the server has it.
    while scim.find(&cx(), &key(KeyKind::Directory, "d-9")).await.is_ok_and(|found| found.is_empty()) {}
    let receipt = scim.apply(&cx(), &joiner()).await.expect("it is there");
    assert_eq!(receipt.cardholder, holder("u9"));
    assert_eq!(writes(&server).await.len(), 1);
}

#[tokio::test]
async fn a_creation_that_clashes_is_refused_and_one_without_an_id_is_uncertain() {
    for (answer, uncertain) in [
        (error(409, "uniqueness"), false),
        (ResponseTemplate::new(201).set_body_json(json!({"userName": "nine@corp.example"})), true),
        (ResponseTemplate::new(201), true),
    ] {
        let server = MockServer::start().await;
        on(&server, "GET", "Users", says(&list(&[], 0))).await;
        on(&server, "POST", "Users", answer).await;
        let fault = open(&server).apply(&cx(), &joiner()).await.expect_err("no success");
        assert_eq!(matches!(fault, ApplyFault::Uncertain(_)), uncertain, "{fault}");
        assert_eq!(writes(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_empties_groups_is_caught() {
    let server = MockServer::start().await;
    let group = json!({"id": "g1", "members": [{"value": "u1"}, {"value": "u2"}, {"value": "u3"}]});
    let full = Mock::given(path("/scim/v2/Groups/g1")).and(method("GET")).respond_with(says(&group));
    full.up_to_n_times(1).mount(&server).await;
    on(&server, "GET", "Groups/g1", says(&json!({"id": "g1"}))).await;
    on(&server, "PATCH", "Groups/g1", ResponseTemplate::new(204)).await;
    let scim = open_with(&server, &json!({"member_removal": "value"}));
    let revoke = on_u1(vec![Reduction::Revoke { level: level("g1") }.into()]);
    let fault = scim.apply(&cx(), &revoke).await.expect_err("the others are gone");
    assert!(matches!(&fault, ApplyFault::Uncertain(fault) if fault.kind == FaultKind::Protocol), "{fault}");
    assert!(fault.to_string().contains("had 3 members, and has 0"), "{fault}");
}

#[tokio::test]
async fn without_patch_a_record_is_written_back_whole_and_only_over_the_version_that_was_read() {
    let server = MockServer::start().await;
    let description =
        json!({"patch": {"supported": false}, "etag": {"supported": true}, "filter": {"supported": true}});
    on(&server, "GET", "ServiceProviderConfig", says(&description)).await;
    let mut one = user("u1");
    one["meta"] = json!({"version": "W/\"7\""});
    one["urn:vendor:pacs:2.0:User"] = json!({"cardFormat": "H10301"});
    on(&server, "GET", "Users/u1", says(&one)).await;
    on(&server, "PUT", "Users/u1", error(412, "")).await;
    let scim = open(&server);
    let fault = scim.apply(&cx(), &on_u1(vec![Reduction::Suspend.into()])).await.expect_err("another version");
    assert!(matches!(&fault, ApplyFault::Refused(fault) if fault.kind == FaultKind::Conflict), "{fault}");
    let requests = server.received_requests().await.expect("recorded");
    let put = requests.iter().find(|request| request.method.as_str() == "PUT").expect("a PUT");
    assert_eq!(put.headers.get("if-match").and_then(|value| value.to_str().ok()), Some("W/\"7\""));
    let mut expect = one.clone();
    expect["active"] = false.into();
    expect.as_object_mut().expect("an object").remove("meta");
    assert_eq!(serde_json::from_slice::<Value>(&put.body).expect("JSON"), expect);
}

#[tokio::test]
async fn a_user_without_active_is_neither_active_nor_suspended() {
    let server = MockServer::start().await;
    without_groups(&server).await;
    let mut one = user("u1");
    one.as_object_mut().expect("an object").remove("active");
    on(&server, "GET", "Users/u1", says(&one)).await;
    let read = open(&server).read(&cx(), &holder("u1")).await.expect("a record").expect("there");
    assert!(matches!(read.status, Status::Other(_)), "{:?}", read.status);
}

#[tokio::test]
async fn lists_that_leave_members_out_are_not_lists_of_empty_groups() {
    let server = MockServer::start().await;
    let bare: Vec<Value> = (0..12).map(|n| json!({"id": format!("g{n}"), "displayName": "x"})).collect();
    on(&server, "GET", "Groups", says(&list(&bare, 12))).await;
    for n in 0..12 {
        let members = if n < 2 { json!([]) } else { json!([{"value": "u1"}]) };
        on(&server, "GET", &format!("Groups/g{n}"), says(&json!({"id": format!("g{n}"), "members": members}))).await;
    }
    on(&server, "GET", "Users", says(&list(&[user("u1")], 1))).await;
    on(&server, "GET", "Users/u1", says(&user("u1"))).await;
    let all = listed(&open(&server)).await.expect("a list");
    let expect: BTreeSet<AccessLevelId> = (2..12).map(|n| level(&format!("g{n}"))).collect();
    assert_eq!(all.first().map(|one| one.levels.clone()), Some(expect));
}

#[tokio::test]
async fn nothing_is_ever_deleted() {
    let server = MockServer::start().await;
    on(&server, "GET", "Users", says(&list(&[], 0))).await;
    on(&server, "POST", "Users", ResponseTemplate::new(201).set_body_json(user("u9"))).await;
    on(&server, "PATCH", "Users/u1", ResponseTemplate::new(204)).await;
    on(&server, "PATCH", "Groups/g1", ResponseTemplate::new(204)).await;
    let scim = open(&server);
    scim.apply(&cx(), &joiner()).await.expect("created");
    let steps = vec![Reduction::Suspend.into(), Reduction::Revoke { level: level("g1") }.into(), Step::Reinstate];
    scim.apply(&cx(), &on_u1(steps)).await.expect("accepted");
    assert!(writes(&server).await.iter().all(|(verb, _, _)| verb != "DELETE"));
}

#[test]
fn addresses_that_would_leak_the_token_do_not_open() {
    for url in
        ["http://pacs.example/scim", "https://u:p@pacs.example/", "https://pacs.example/?a=1", "pacs.example", ""]
    {
        let fault = try_open(json!({"url": url, "token": "env:TOKEN"})).expect_err(url);
        assert_eq!(fault.kind, FaultKind::Invalid, "{url}");
    }
    let scim = try_open(json!({"url": "https://pacs.example/scim/v2", "token": "env:TOKEN"})).expect("opens");
    assert_eq!(scim.info().endpoint, "https://pacs.example/scim/v2/");
    assert!(!format!("{scim:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_probe_says_what_cannot_be_relied_on() {
    let server = MockServer::start().await;
    on(&server, "GET", "Groups", says(&list(&[json!({"id": "g1", "members": [{"value": "u1"}]})], 1))).await;
    on(&server, "GET", "Users", says(&list(&[user("u1")], 1))).await;
    on(&server, "GET", "Users/u1", says(&user("u1"))).await;
    let health = open_with(&server, &json!({"member_removal": "value"})).probe(&cx()).await.expect("a probe");
    let outcomes: Vec<(&str, CheckOutcome)> =
        health.checks.iter().map(|check| (check.name.as_str(), check.outcome)).collect();
    let expect = [
        ("sign-in", CheckOutcome::Pass),
        ("description", CheckOutcome::Warn),
        ("enterprise extension", CheckOutcome::Warn),
        // This server ignores filters: it sends u1 whatever is asked.
        ("filter", CheckOutcome::Fail),
        ("memberships", CheckOutcome::Warn),
        ("member removal", CheckOutcome::Warn),
    ];
    assert_eq!(outcomes, expect);
    assert!(writes(&server).await.is_empty(), "a probe writes nothing");
    let denied = MockServer::start().await;
    on(&denied, "GET", "ServiceProviderConfig", error(401, "")).await;
    let fault = open(&denied).probe(&cx()).await.expect_err("not signed in");
    assert_eq!(fault.kind, FaultKind::Unauthenticated);
}

#[tokio::test]
async fn the_first_newcomer_proves_the_filter_for_the_others() {
    let server = MockServer::start().await;
    let without_key = json!({"id": "u1", "userName": "old@corp.example", "active": true});
    let filtered = || wiremock::matchers::query_param_contains("filter", "externalId");
    let nine = json!({"id": "u9", "userName": "nine@corp.example", "externalId": "d-9", "active": true});
    let by_key = |value: &str, answer: Value| {
        let filter = query_param("filter", format!("externalId eq \"{value}\""));
        Mock::given(path("/scim/v2/Users")).and(filter).respond_with(says(&answer))
    };
    by_key("d-9", list(&[], 0)).up_to_n_times(1).mount(&server).await;
    by_key("d-9", list(std::slice::from_ref(&nine), 1)).mount(&server).await;
    Mock::given(path("/scim/v2/Users"))
        .and(method("GET"))
        .and(filtered())
        .respond_with(says(&list(&[], 0)))
        .mount(&server)
        .await;
    on(&server, "GET", "Users", says(&list(&[without_key], 1))).await;
    on(&server, "POST", "Users", ResponseTemplate::new(201).set_body_json(nine)).await;
    let scim = open(&server);
    scim.apply(&cx(), &joiner()).await.expect("created");
    for _ in 0..3 {
        let nobody = scim.find(&cx(), &key(KeyKind::Directory, "d-8")).await.expect("nobody");
        assert!(nobody.is_empty());
    }
    let all = server.received_requests().await.expect("recorded");
    let unfiltered = all
        .iter()
        .filter(|r| r.url.path() == "/scim/v2/Users" && !r.url.query().unwrap_or_default().contains("filter"));
    // Twice a look at the first page for somebody to try the filter on, and one reading of all with its look behind.
    assert_eq!(unfiltered.filter(|r| r.method.as_str() == "GET").count(), 6);
}

#[tokio::test]
async fn what_is_not_there_is_not_taken_away() {
    let server = MockServer::start().await;
    let mut one = user("u1");
    one["title"] = "Examiner".into();
    on(&server, "GET", "Users/u1", says(&one)).await;
    on(&server, "PATCH", "Users/u1", ResponseTemplate::new(204)).await;
    let mut profile = Profile::new();
    for name in [field::TITLE, field::DEPARTMENT, field::PHONE, field::GIVEN_NAME] {
        profile.set(FieldName::known(name), "");
    }
    open(&server).apply(&cx(), &on_u1(vec![Step::Amend { profile }])).await.expect("accepted");
    let body: Value = serde_json::from_str(&writes(&server).await[0].2).expect("JSON");
    assert_eq!(body["Operations"], json!([{"op": "remove", "path": "title"}]));
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_with_fewer_records() {
    let server = MockServer::start().await;
    let group = |n: usize| {
        let members: Vec<Value> = (0..40).map(|m| json!({"value": format!("u{m}")})).collect();
        json!({"id": format!("g{n}"), "displayName": "x", "members": members})
    };
    let answer = move |request: &Request| {
        let number = |name: &str| {
            request
                .url
                .query_pairs()
                .find(|(key, _)| key == name)
                .and_then(|(_, n)| n.parse::<usize>().ok())
                .unwrap_or(1)
        };
        let first = number("startIndex");
        let groups: Vec<Value> = (first..=8).take(number("count")).map(group).collect();
        says(&json!({"totalResults": 8, "startIndex": first, "Resources": groups}))
    };
    Mock::given(path("/scim/v2/Groups")).respond_with(answer).mount(&server).await;
    on(&server, "GET", "Users", says(&list(&[user("u1")], 1))).await;
    on(&server, "GET", "Users/u1", says(&user("u1"))).await;
    let small = json!({"page_size": 100, "answer_bytes_max": 2_000, "memberships": "all-groups"});
    let all = listed(&open_with(&server, &small)).await.expect("a list");
    assert_eq!(all.first().map(|one| one.levels.len()), Some(8));
    let smaller = json!({"answer_bytes_max": 300, "memberships": "all-groups"});
    let fault = listed(&open_with(&server, &smaller)).await.expect_err("one group alone is too long");
    assert_eq!(fault.kind, FaultKind::Protocol);
}
