//! As much HTTP/1.1 as a test needs: one request, one answer. This module must not know SCIM.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) token: Option<String>,
    pub(crate) if_match: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str, token: &str, body: Option<&Value>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            token: Some(format!("Bearer {token}")),
            if_match: None,
            body: body.map(|b| b.to_string().into_bytes()).unwrap_or_default(),
        }
    }

    pub(crate) fn url(&self) -> url::Url {
        url::Url::parse(&format!("http://localhost{}", self.target)).expect("a request target")
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.url().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/scim+json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Reads one request; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let (head, body) = read_message(stream, false).await?;
    let mut first = head.lines().next()?.split(' ');
    Some(Request {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        token: header(&head, "authorization"),
        if_match: header(&head, "if-match"),
        body,
    })
}

/// The bytes of an answer.
pub(crate) fn written(reply: &Reply) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if reply.status != 204 {
        let _ = write!(head, "content-length: {}\r\n", reply.body.len());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&reply.body);
    bytes
}

/// Hands a request on to a server of somebody else.
pub(crate) async fn forward(port: u16, request: &Request) -> Option<Reply> {
    use std::fmt::Write as _;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let mut head = format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n", request.method, request.target);
    head.push_str("connection: close\r\naccept: application/scim+json\r\n");
    for (name, value) in [("authorization", &request.token), ("if-match", &request.if_match)] {
        if let Some(value) = value {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    if !request.body.is_empty() {
        let _ = write!(head, "content-type: application/scim+json\r\ncontent-length: {}\r\n", request.body.len());
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&request.body).await.ok()?;
    let (head, body) = read_message(&mut stream, true).await?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let headers = ["content-type", "etag", "location", "retry-after"];
    let headers = headers.iter().filter_map(|name| Some(((*name).to_owned(), header(&head, name)?))).collect();
    Some(Reply { status, headers, body })
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

async fn read_message(stream: &mut TcpStream, to_the_end: bool) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let wanted = match header(&head, "content-length").and_then(|n| n.parse::<usize>().ok()) {
                Some(length) => Some(length),
                None if to_the_end => None,
                None => Some(0),
            };
            if wanted.is_some_and(|wanted| bytes.len() >= end + 4 + wanted) {
                let body = bytes[end + 4..end + 4 + wanted.unwrap_or_default()].to_vec();
                return Some((head, body));
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    to_the_end.then(|| (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end + 4..].to_vec()))
}
