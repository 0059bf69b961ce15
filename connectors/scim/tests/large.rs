//! Twenty thousand users and three hundred thousand memberships, page by page: nothing is collected that need not be, and no request is made twice.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lockstep_contract::{Cx, Next, Opening, Secret, SecretError, SecretRef, Secrets, TargetId, TargetReader};
use lockstep_scim::Config;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const USERS: usize = 20_000;
const GROUPS: usize = 100;
const MEMBERS: usize = 3_000;
const PAGE: usize = 500;

struct Token;

impl Secrets for Token {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new("s3cret".into()))
    }
}

fn users(start: usize) -> String {
    let mut page = format!("{{\"totalResults\":{USERS},\"startIndex\":{start},\"Resources\":[");
    for n in start..(start + PAGE).min(USERS + 1) {
        let comma = if n == start { "" } else { "," };
        let _ = write!(
            page,
            r#"{comma}{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"user-{n:06}","externalId":"d-{n}",
            "userName":"person{n}@corp.example","active":true,"name":{{"givenName":"Given{n}","familyName":"Family{n}"}},
            "emails":[{{"value":"person{n}@corp.example","type":"work","primary":true}}],"meta":{{"version":"W/\"1\""}},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{{"employeeNumber":"{n:06}","department":"D"}}}}"#
        );
    }
    page + "]}"
}

fn groups(start: usize, count: usize) -> String {
    let mut page = format!("{{\"totalResults\":{GROUPS},\"startIndex\":{start},\"Resources\":[");
    for n in start..(start + count).min(GROUPS + 1) {
        let members: Vec<String> =
            (0..MEMBERS).map(|m| format!("{{\"value\":\"user-{:06}\"}}", 1 + (n * 997 + m * 7) % USERS)).collect();
        let comma = if n == start { "" } else { "," };
        let _ = write!(page, r#"{comma}{{"id":"group-{n}","displayName":"G{n}","members":[{}]}}"#, members.join(","));
    }
    page + "]}"
}

async fn serve(mut stream: TcpStream, served: Arc<AtomicUsize>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = stream.read(&mut bytes).await else { return };
        let head = String::from_utf8_lossy(&bytes[..read]).into_owned();
        let target = head.split(' ').nth(1).unwrap_or_default();
        let number = |text: &str| text.split('&').next().and_then(|n| n.parse().ok());
        let start = target.split("startIndex=").nth(1).and_then(number).unwrap_or(1);
        let count = target.split("count=").nth(1).and_then(number).unwrap_or(PAGE);
        let (status, body) = if target.starts_with("/Users?") {
            (200, users(start))
        } else if target.starts_with("/Groups?") {
            (200, groups(start, count))
        } else if let Some(id) = target.strip_prefix("/Users/") {
            (200, format!("{{\"id\":\"{id}\",\"active\":true}}"))
        } else {
            (404, "{}".to_owned())
        };
        served.fetch_add(1, Ordering::Relaxed);
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_read_page_by_page() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&counter)));
        }
    });
    let config: Config = serde_json::from_value(json!({"url": url, "token": "env:TOKEN"})).expect("a configuration");
    let opening = Opening { base: Path::new("."), secrets: &Token };
    let scim = lockstep_scim::open(TargetId::new("hq").expect("id"), config, &opening).expect("opens");
    let cx = Cx::new(Duration::from_secs(600));
    let (mut count, mut levels, mut at) = (0, 0, None);
    loop {
        let page = scim.list(&cx, at).await.expect("a page");
        assert!(page.items.len() <= PAGE);
        count += page.items.len();
        levels += page.items.iter().map(|user| user.levels.len()).sum::<usize>();
        match page.next {
            Next::More(cursor) => at = Some(cursor),
            Next::End(census) => {
                assert_eq!((census.sent, census.server_total), (USERS as u64, Some(USERS as u64)));
                break;
            }
        }
    }
    assert_eq!((count, levels), (USERS, GROUPS * MEMBERS));
    // One for each page and one behind the last, and a handful to learn about the server.
    let requests = served.load(Ordering::Relaxed);
    assert!(requests <= USERS / PAGE + 1 + GROUPS / 20 + 12, "{requests} requests");
}
