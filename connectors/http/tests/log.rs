//! The log of requests: one line each, without secrets, names or bodies.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep_contract::{Cx, Secret};
use lockstep_http::{Auth, Client, Extra, Method, Request, Settings, checked_base};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_is_a_line_that_anybody_may_read() {
    let log = Log::default();
    let writer = log.clone();
    // Everything: a library below must not tell either.
    let filter = tracing_subscriber::EnvFilter::new("warn,lockstep=trace");
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());

    let server = MockServer::start().await;
    let body = r#"{"name":"Ada Lovelace","token":"s3cret-of-the-peer"}"#;
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let base = checked_base(&server.uri()).expect("a base address");
    let auth = Auth::Bearer(Secret::new("s3cret-token".into()));
    let client = Client::open("hq", base, auth, Settings::default()).expect("a client");
    let cx = Cx::new(Duration::from_secs(20));
    let call = client.call(&cx);

    let mut search = client.base().join("Users").expect("a path");
    search.query_pairs_mut().append_pair("filter", "userName eq \"lovelace\"").append_pair("key", "s3cret-in-a-query");
    call.send(Request::get(search, "application/json", "find user lovelace")).await.expect("an answer");
    let extra = Extra {
        headers: vec![("x-session", "s3cret-session".to_owned())],
        secrets: vec![Secret::new("s3cret-in-a-body".into())],
        ..Extra::default()
    };
    let change = Request {
        method: Method::POST,
        body: Some(b"{\"name\":\"Lovelace\",\"password\":\"s3cret-in-a-body\"}".to_vec()),
        ..Request::get(client.base().join("Users/7").expect("a path"), "application/json", "change user lovelace")
    };
    call.send_with(change, extra).await.expect("an answer");

    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for expect in ["DEBUG", "hq", "GET", "/Users?filter=…&key=…", "status=200", "bytes=52", "nth=1"] {
        assert!(lines[0].contains(expect), "no `{expect}` in: {}", lines[0]);
    }
    assert!(lines[1].contains("POST") && lines[1].contains("/Users/7") && lines[1].contains("nth=2"), "{text}");
    for never in ["s3cret", "lovelace", "Lovelace", "Ada"] {
        assert!(!text.contains(never), "`{never}` is in the log: {text}");
    }
}
