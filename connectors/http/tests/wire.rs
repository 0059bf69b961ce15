//! What the client does on the wire: where a token goes, and what each way of failing means for a write.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use lockstep_contract::{ApplyFault, Cx, Fault, FaultKind, Secret};
use lockstep_http::{
    Answer, Auth, CallFault, Client, Effect, Limits, Method, Request, Settings, Timeouts, checked_base, same_origin,
};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "s3cret-token-0815";

fn client(base: &str, settings: Settings) -> Client {
    let base = checked_base(base).expect("a base address");
    Client::open("hq", base, Auth::Bearer(Secret::new(TOKEN.into())), settings).expect("a client")
}

fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

fn request(client: &Client, verb: Method, to: &str) -> Request {
    let body = (verb != Method::GET).then(|| b"{}".to_vec());
    let url = client.base().join(to).expect("a path");
    Request { method: verb, url, operation: "change user 7".into(), media: "application/json", body, if_match: None }
}

async fn send(client: &Client, verb: Method, to: &str) -> Result<Answer, CallFault> {
    client.call(&cx()).send(request(client, verb, to)).await
}

/// A server for one connection: reads a request, says these bytes, closes.
fn says(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(bytes);
        }
    });
    address
}

async fn write_to(base: &str, settings: Settings) -> CallFault {
    match send(&client(base, settings), Method::POST, "Users").await.and_then(Answer::success) {
        Ok(answer) => panic!("a success with status {}", answer.status()),
        Err(fault) => fault,
    }
}

#[tokio::test]
async fn every_refusal_of_a_write_has_its_effect() {
    for (status, kind, effect) in [
        (400, FaultKind::Invalid, Effect::Refused),
        (401, FaultKind::Unauthenticated, Effect::Refused),
        (403, FaultKind::Denied, Effect::Refused),
        (404, FaultKind::Missing, Effect::Refused),
        (408, FaultKind::Unreachable, Effect::Uncertain),
        (409, FaultKind::Conflict, Effect::Refused),
        (412, FaultKind::Conflict, Effect::Refused),
        (429, FaultKind::Throttled, Effect::Refused),
        (500, FaultKind::Unreachable, Effect::Uncertain),
        (503, FaultKind::Throttled, Effect::Uncertain),
    ] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).insert_header("retry-after", "86400").set_body_string(TOKEN);
        Mock::given(method("POST"))
            .and(header("authorization", format!("Bearer {TOKEN}")))
            .respond_with(answer)
            .mount(&server)
            .await;
        let fault = write_to(&server.uri(), Settings::default()).await;
        assert_eq!((fault.fault.kind, fault.effect), (kind, effect), "{status}");
        assert_eq!(fault.fault.retry_after, Some(Duration::from_secs(900)), "{status}");
        assert!(!format!("{fault:?} {fault}").contains(TOKEN), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_token_along() {
    let decoy = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).insert_header("location", decoy.uri());
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        let fault = write_to(&server.uri(), Settings::default()).await;
        assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Protocol, Effect::Uncertain), "{status}");
    }
    assert_eq!(decoy.received_requests().await.map(|requests| requests.len()), Some(0));
}

#[tokio::test]
async fn a_link_elsewhere_gets_no_request() {
    let (server, decoy) = (MockServer::start().await, MockServer::start().await);
    let client = client(&server.uri(), Settings::default());
    let (host, port) = (server.address().ip(), server.address().port());
    let there = decoy.address();
    for link in [
        decoy.uri(),
        format!("//{there}/Users"),
        format!("http://{host}:{port}@{there}/"),
        format!("http://{there}\\@{host}:{port}/"),
        format!("http:{there}/"),
        format!("/\\{there}/"),
        format!("http://localhost:{}/", there.port()),
    ] {
        assert!(same_origin(client.base(), &link).is_err(), "{link}");
        let Ok(url) = client.base().join(&link) else { continue };
        let fault = client.call(&cx()).send(Request::get(url, "application/json", "follow a link")).await;
        if let Err(fault) = fault {
            assert_eq!(fault.effect, Effect::NotSent, "{link}");
        }
    }
    assert_eq!(decoy.received_requests().await.map(|requests| requests.len()), Some(0));
}

#[tokio::test]
async fn nobody_listening_is_not_sent() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let fault = write_to(&format!("http://127.0.0.1:{port}/"), Settings::default()).await;
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Unreachable, Effect::NotSent));
    assert!(matches!(fault.into_apply(), ApplyFault::NotSent(_)));
}

#[tokio::test]
async fn an_answer_that_does_not_arrive_whole_leaves_the_outcome_open() {
    for (bytes, what) in [
        (&b""[..], "closed without a word"),
        (b"HTTP/1.1 200 OK\r\ncontent-", "head cut"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":", "body cut"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n", "chunks cut"),
        (b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", "odd status"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n{}  ", "two lengths"),
        (b"rubbish\r\n\r\n", "no HTTP"),
    ] {
        let fault = write_to(&says(bytes), Settings::default()).await;
        assert_eq!(fault.effect, Effect::Uncertain, "{what}: {fault}");
        assert!(matches!(fault.fault.kind, FaultKind::Unreachable | FaultKind::Protocol), "{what}: {fault}");
    }
}

#[tokio::test]
async fn a_refusal_stays_one_when_its_explanation_is_cut() {
    let fault = write_to(&says(b"HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\n{"), Settings::default()).await;
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Denied, Effect::Refused));
}

#[tokio::test]
async fn too_much_is_cut_off() {
    let server = MockServer::start().await;
    Mock::given(path("/Users"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 5_000]))
        .mount(&server)
        .await;
    let settings = Settings { limits: Limits { answer_bytes_max: 4_096 }, ..Settings::default() };
    let fault = write_to(&server.uri(), settings).await;
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Protocol, Effect::Uncertain));
    assert!(fault.too_long && fault.fault.message.contains("4096"), "{fault}");
}

#[tokio::test]
async fn an_encoding_that_was_not_asked_for_is_refused() {
    let server = MockServer::start().await;
    let bomb = ResponseTemplate::new(200).insert_header("content-encoding", "gzip").set_body_bytes(vec![0; 64]);
    Mock::given(path("/Users")).respond_with(bomb).mount(&server).await;
    assert_eq!(write_to(&server.uri(), Settings::default()).await.fault.kind, FaultKind::Protocol);
}

#[tokio::test]
async fn silence_ends_with_the_budget_of_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = client(&format!("http://{}/", listener.local_addr().expect("an address")), Settings::default());
    let short = Cx::new(Duration::from_millis(300));
    let call = client.call(&short);
    let fault = call.send(request(&client, Method::POST, "Users")).await.expect_err("no answer");
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Unreachable, Effect::Uncertain));
    let next = call.send(request(&client, Method::POST, "Users")).await.expect_err("no time left");
    assert_eq!(next.effect, Effect::NotSent, "the budget belongs to all requests of a call");
}

#[tokio::test]
async fn drops_of_an_answer_do_not_keep_it_alive() {
    let settings = Settings {
        timeouts: Timeouts { idle: Duration::from_millis(200), ..Timeouts::default() },
        ..Settings::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    let (done, wait) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
            let _ = wait.recv(); // holds the connection open, silent
        }
    });
    let fault = write_to(&address, settings).await;
    drop(done);
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Unreachable, Effect::Uncertain));
}

#[tokio::test]
async fn a_quota_that_is_used_up_sends_nothing() {
    let server = MockServer::start().await;
    Mock::given(path("/Users")).respond_with(ResponseTemplate::new(204)).expect(1).mount(&server).await;
    let settings = Settings { requests_per_minute: NonZeroU32::new(1), ..Settings::default() };
    let client = client(&server.uri(), settings);
    let short = Cx::new(Duration::from_millis(500));
    let call = client.call(&short);
    call.send(request(&client, Method::POST, "Users")).await.expect("the first");
    let fault = call.send(request(&client, Method::POST, "Users")).await.expect_err("the second");
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Throttled, Effect::NotSent));
}

#[tokio::test]
async fn a_cancelled_run_sends_nothing() {
    let server = MockServer::start().await;
    let client = client(&server.uri(), Settings::default());
    let ended = cx();
    ended.cancel.cancel();
    let fault = client.call(&ended).send(request(&client, Method::POST, "Users")).await.expect_err("cancelled");
    assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Cancelled, Effect::NotSent));
    assert_eq!(server.received_requests().await.map(|requests| requests.len()), Some(0));
}

#[test]
fn a_secret_that_fits_no_header_is_refused_without_being_repeated() {
    for secret in ["", " padded", "two\r\nlines", "line\n"] {
        let base = checked_base("https://pacs.example/").expect("base");
        let auth = Auth::Bearer(Secret::new(secret.into()));
        let fault: Fault = Client::open("hq", base, auth, Settings::default()).expect_err("no header");
        assert_eq!(fault.kind, FaultKind::Invalid);
        assert!(!fault.to_string().contains("lines") && !fault.to_string().contains("padded"), "{fault}");
    }
}

#[test]
fn a_client_does_not_show_its_token() {
    let client = client("https://pacs.example/", Settings::default());
    assert!(!format!("{client:?}").contains(TOKEN));
}
