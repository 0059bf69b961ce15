//! Several actions change one group at the same time, on a server where that takes more than one request. What must
//! hold: the group ends up as all of them together say.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, CardholderId, Cx, Expectation, Opening, Reason, Reduction, RunId,
    Secret, SecretError, SecretRef, Secrets, Situation, Step, Steps, Subject, Target, TargetId,
};
use lockstep_scim::{Config, Scim};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const GROUP: &str = "/scim/v2/Groups/g1";

struct Token;

impl Secrets for Token {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new("s3cret".into()))
    }
}

/// The one group of a server.
#[derive(Debug, Clone, Default)]
struct Group(Arc<Mutex<(BTreeSet<String>, u64)>>);

impl Group {
    fn of(members: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Mutex::new((members.into_iter().collect(), 1))))
    }

    fn locked(&self) -> MutexGuard<'_, (BTreeSet<String>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> Value {
        let members: Vec<Value> = self.locked().0.iter().map(|id| json!({"value": id})).collect();
        json!({"id": "g1", "displayName": "Lab", "members": members})
    }

    fn set(&self, members: &Value) {
        let ids = members.as_array().into_iter().flatten().filter_map(|member| member["value"].as_str());
        let mut group = self.locked();
        *group = (ids.map(str::to_owned).collect(), group.1 + 1);
    }

    fn patch(&self, operation: &Value) {
        let values: Vec<String> = operation["value"].as_array().into_iter().flatten().map(id_of).collect();
        let mut group = self.locked();
        for id in values {
            if operation["op"] == "add" {
                group.0.insert(id)
            } else {
                group.0.remove(&id)
            };
        }
        group.1 += 1;
    }
}

fn id_of(member: &Value) -> String {
    member["value"].as_str().unwrap_or_default().to_owned()
}

fn version_of(group: &Group) -> String {
    format!("\"{}\"", group.locked().1)
}

/// A server that takes its time between reading a group and sending it, so that readers overlap.
async fn serve(group: &Group, patch: bool, etag: bool) -> MockServer {
    let server = MockServer::start().await;
    let description =
        json!({"patch": {"supported": patch}, "filter": {"supported": true}, "etag": {"supported": etag}});
    Mock::given(path("/scim/v2/ServiceProviderConfig"))
        .respond_with(ResponseTemplate::new(200).set_body_json(description))
        .mount(&server)
        .await;
    let own = group.clone();
    let read = move |_: &Request| {
        let answer = ResponseTemplate::new(200).set_delay(Duration::from_millis(5));
        answer.insert_header("etag", version_of(&own)).set_body_json(own.shown())
    };
    Mock::given(path(GROUP)).and(method("GET")).respond_with(read).mount(&server).await;
    let own = group.clone();
    let write = move |request: &Request| {
        let wanted = request.headers.get("if-match").and_then(|value| value.to_str().ok());
        if wanted.is_some_and(|wanted| wanted != version_of(&own)) {
            return ResponseTemplate::new(412);
        }
        own.set(&serde_json::from_slice::<Value>(&request.body).expect("JSON")["members"]);
        ResponseTemplate::new(200).set_body_json(own.shown())
    };
    Mock::given(path(GROUP)).and(method("PUT")).respond_with(write).mount(&server).await;
    let own = group.clone();
    let change = move |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        body["Operations"].as_array().into_iter().flatten().for_each(|operation| own.patch(operation));
        ResponseTemplate::new(204)
    };
    Mock::given(path(GROUP)).and(method("PATCH")).respond_with(change).mount(&server).await;
    server
}

fn open(server: &MockServer, more: &Value) -> Scim {
    let mut config = json!({"url": format!("{}/scim/v2", server.uri()), "token": "env:TOKEN"});
    config.as_object_mut().expect("settings").extend(more.as_object().expect("settings").clone());
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let opening = Opening { base: Path::new("."), secrets: &Token };
    lockstep_scim::open(TargetId::new("hq").expect("id"), config, &opening).expect("opens")
}

fn action(user: &str, step: Step) -> Action {
    let steps = Steps::new(vec![step]).expect("some steps");
    let run = "018f0000-0000-7000-8000-000000000001".parse::<RunId>().expect("id");
    let (target, subject) =
        (TargetId::new("hq").expect("id"), Subject::Existing(CardholderId::new(user).expect("an id")));
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

fn level() -> AccessLevelId {
    AccessLevelId::new("g1").expect("an id")
}

/// Half of the people leave the group and as many others join it, all at the same time.
async fn swap(scim: Scim, people: usize) -> Vec<Result<(), ApplyFault>> {
    let scim = Arc::new(scim);
    let steps = (0..people).flat_map(|n| {
        let revoke = Step::from(Reduction::Revoke { level: level() });
        [(format!("old-{n}"), revoke), (format!("new-{n}"), Step::Grant { level: level() })]
    });
    let tasks: Vec<_> = steps
        .map(|(user, step)| {
            let scim = Arc::clone(&scim);
            tokio::spawn(
                async move { scim.apply(&Cx::new(Duration::from_secs(60)), &action(&user, step)).await.map(drop) },
            )
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("it ends"));
    }
    results
}

fn names(word: &str, people: usize) -> impl Iterator<Item = String> {
    (0..people).map(move |n| format!("{word}-{n}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn actions_on_one_group_do_not_undo_each_other() {
    const PEOPLE: usize = 12;
    for (patch, etag, removal) in [
        (false, false, "path"),
        (false, true, "path"),
        (false, false, "value"),
        (true, false, "replace"),
        (true, true, "replace"),
        (true, false, "value"),
    ] {
        let group = Group::of(names("old", PEOPLE).chain(["stays".to_owned()]));
        let server = serve(&group, patch, etag).await;
        let results = swap(open(&server, &json!({"member_removal": removal})), PEOPLE).await;
        let case = format!("patch {patch}, etag {etag}, {removal}");
        assert!(results.iter().all(Result::is_ok), "{case}: {results:?}");
        let expect: BTreeSet<String> = names("new", PEOPLE).chain(["stays".to_owned()]).collect();
        assert_eq!(group.locked().0, expect, "{case}");
    }
}

#[tokio::test]
async fn what_somebody_else_wrote_in_between_is_not_overwritten_where_the_server_has_versions() {
    let group = Group::of(["old-0".to_owned(), "stays".to_owned()]);
    let server = serve(&group, false, true).await;
    // Before the group is written back, somebody else adds a member: the version that was sent is not the newest.
    let own = group.clone();
    let late = move |_: &Request| {
        let answer = ResponseTemplate::new(200).insert_header("etag", version_of(&own)).set_body_json(own.shown());
        own.patch(&json!({"op": "add", "value": [{"value": "by-hand"}]}));
        answer
    };
    Mock::given(path(GROUP)).and(method("GET")).respond_with(late).with_priority(1).mount(&server).await;
    let revoke = action("old-0", Reduction::Revoke { level: level() }.into());
    let scim = open(&server, &json!({}));
    let fault = scim.apply(&Cx::new(Duration::from_secs(20)), &revoke).await.expect_err("another version");
    assert!(matches!(fault, ApplyFault::Refused(_)), "{fault}");
    let expect: BTreeSet<String> = ["by-hand", "old-0", "stays"].map(str::to_owned).into();
    assert_eq!(group.locked().0, expect);
}
