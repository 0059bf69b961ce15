//! A PACS that speaks SCIM, as fast as can be, in a process of its own: so that what is measured is not the server.
//!
//! It keeps every record as the bytes that it sends. It knows what the bench asks for and nothing else, and it must not be
//! taken for a model of a real server.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lockstep_contract::field;
use serde_json::Value;

use crate::world;

/// A list page has so many records at most.
const PAGE_MAX: usize = 1_000;

/// A running server. Ends when dropped.
pub(crate) struct Pacs {
    child: Child,
    /// The base address.
    pub url: String,
}

impl Pacs {
    /// Starts a server with the cardholders of so many people, which takes so long for every answer.
    pub(crate) fn start(people: usize, answer_ms: u64) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["--serve", &people.to_string(), &answer_ms.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut url = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut url).map_err(|error| error.to_string())?;
        Ok(Self { child, url: url.trim().to_owned() })
    }
}

impl Drop for Pacs {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Everything there is, ready to be sent.
struct Records {
    users: RwLock<Vec<Vec<u8>>>,
    groups: Vec<Vec<u8>>,
    /// The groups without their members.
    bare_groups: Vec<Vec<u8>>,
}

/// Serves until standard input ends.
#[expect(clippy::print_stdout, reason = "the parent waits for the address")]
pub(crate) fn serve(people: usize, answer: Duration) -> std::io::Result<()> {
    let records = Arc::new(Records::new(people));
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let records = Arc::clone(&records);
            std::thread::spawn(move || talk(stream, &records, answer));
        }
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map(drop)
}

impl Records {
    fn new(people: usize) -> Self {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); world::GROUPS];
        let mut users = Vec::with_capacity(people);
        for n in 0..people {
            for group in world::all_groups_of(n) {
                if let Some(list) = members.get_mut(group) {
                    list.push(n);
                }
            }
            users.push(user(n, world::profile(n).get(field::DEPARTMENT).unwrap_or_default()));
        }
        let groups = members.iter().enumerate().map(|(n, list)| group(n, Some(list))).collect();
        let bare_groups = (0..world::GROUPS).map(|n| group(n, None)).collect();
        Self { users: RwLock::new(users), groups, bare_groups }
    }
}

fn user(n: usize, department: &str) -> Vec<u8> {
    let profile = world::profile(n);
    let of = |name: &str| profile.get(name).unwrap_or_default().to_owned();
    let groups: Vec<String> =
        world::all_groups_of(n).into_iter().map(|at| format!(r#"{{"value":"{}"}}"#, world::level(at))).collect();
    format!(
        r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"id":"{}","externalId":"{}","userName":"{}","displayName":"{}","title":"{}","active":true,"name":{{"givenName":"{}","familyName":"{}"}},"emails":[{{"value":"{}","type":"work","primary":true}}],"phoneNumbers":[{{"value":"{}","type":"work"}}],"groups":[{}],"meta":{{"resourceType":"User"}},"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{{"employeeNumber":"{}","department":"{department}","organization":"{}"}}}}"#,
        world::cardholder_id(n),
        world::id(n),
        world::account(n),
        of(field::DISPLAY_NAME),
        of(field::TITLE),
        of(field::GIVEN_NAME),
        of(field::FAMILY_NAME),
        of(field::MAIL),
        of(field::PHONE),
        groups.join(","),
        of(field::EMPLOYEE_NUMBER),
        of(field::COMPANY),
    )
    .into_bytes()
}

fn group(n: usize, members: Option<&Vec<usize>>) -> Vec<u8> {
    let mut text = format!(r#"{{"id":"{}","displayName":"Level {n}""#, world::level(n));
    if let Some(members) = members {
        text.push_str(r#","members":["#);
        for (at, member) in members.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, r#"{comma}{{"value":"{}"}}"#, world::cardholder_id(*member));
        }
        text.push(']');
    }
    text.push('}');
    text.into_bytes()
}

fn talk(mut stream: TcpStream, records: &Records, takes: Duration) {
    let _ = stream.set_nodelay(true);
    let mut input = Vec::new();
    let (mut body, mut answer) = (Vec::new(), Vec::new());
    while let Ok(Some(request)) = next_request(&mut stream, &mut input) {
        body.clear();
        let status = respond(records, &request, &mut body);
        answer.clear();
        let _ = write!(
            answer,
            "HTTP/1.1 {status} -\r\ncontent-type: application/scim+json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        answer.extend_from_slice(&body);
        if !takes.is_zero() {
            std::thread::sleep(takes);
        }
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

struct Request {
    method: String,
    target: String,
    body: Vec<u8>,
}

/// Reads one request. `None` when the client has gone.
fn next_request(stream: &mut TcpStream, input: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let mut piece = [0; 16 * 1024];
    let mut more = |input: &mut Vec<u8>| -> std::io::Result<bool> {
        let read = stream.read(&mut piece)?;
        input.extend_from_slice(piece.get(..read).unwrap_or_default());
        Ok(read > 0)
    };
    let head_end = loop {
        if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(input)? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(input.get(..head_end).unwrap_or_default()).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    while input.len() < head_end + length {
        if !more(input)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let body = input.get(head_end..head_end + length).unwrap_or_default().to_vec();
    input.drain(..head_end + length);
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    Ok(Some(Request { method: word(), target: word(), body }))
}

fn respond(records: &Records, request: &Request, body: &mut Vec<u8>) -> u16 {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    };
    let number = |name: &str| parameter(name).and_then(|value| value.parse::<usize>().ok());
    let start = number("startIndex").unwrap_or(1).max(1);
    let count = number("count").unwrap_or(PAGE_MAX).min(PAGE_MAX);
    match (request.method.as_str(), path) {
        ("GET", "/ServiceProviderConfig") => {
            body.extend_from_slice(
                br#"{"patch":{"supported":true},"filter":{"supported":true,"maxResults":1000},"sort":{"supported":false},"etag":{"supported":false}}"#,
            );
            200
        }
        ("GET", "/Users") => page(&records.users.read().unwrap_or_else(PoisonError::into_inner), start, count, body),
        ("GET", "/Groups") if parameter("excludedAttributes").is_some() => {
            page(&records.bare_groups, start, count, body)
        }
        ("GET", "/Groups") => page(&records.groups, start, count, body),
        (method, path) => match path.strip_prefix("/Users/ch-").and_then(|number| number.parse::<usize>().ok()) {
            Some(n) => one_user(records, method, n, &request.body, body),
            None => 404,
        },
    }
}

fn page(records: &[Vec<u8>], start: usize, count: usize, body: &mut Vec<u8>) -> u16 {
    let first = (start - 1).min(records.len());
    let some = records.get(first..(first + count).min(records.len())).unwrap_or_default();
    let _ = write!(
        body,
        r#"{{"totalResults":{},"startIndex":{start},"itemsPerPage":{},"Resources":["#,
        records.len(),
        some.len()
    );
    for (at, record) in some.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record);
    }
    body.extend_from_slice(b"]}");
    200
}

/// Reads a user, or gives it another department.
fn one_user(records: &Records, method: &str, n: usize, sent: &[u8], body: &mut Vec<u8>) -> u16 {
    if method == "PATCH" {
        let patch: Value = serde_json::from_slice(sent).unwrap_or_default();
        let Some(department) = patch.pointer("/Operations/0/value").and_then(Value::as_str) else { return 400 };
        let changed = user(n, department);
        match records.users.write().unwrap_or_else(PoisonError::into_inner).get_mut(n) {
            Some(slot) => *slot = changed,
            None => return 404,
        }
    }
    match records.users.read().unwrap_or_else(PoisonError::into_inner).get(n) {
        Some(user) => body.extend_from_slice(user),
        None => return 404,
    }
    200
}
