//! As much HTTP/1.1 as a test needs: one request, one answer. This module must not know Graph.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn url(&self) -> url::Url {
        url::Url::parse(&format!("http://localhost{}", self.target)).expect("a request target")
    }

    pub(crate) fn path(&self) -> Vec<String> {
        self.url().path().trim_matches('/').split('/').map(str::to_owned).collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.url().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    /// An error as Graph writes it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let message = format!("{code}, said the simulator");
        let inner = json!({"request-id": "r-1", "date": "2026-03-01T12:00:00"});
        Self {
            status,
            headers: Vec::new(),
            body: json!({"error": {"code": code, "message": message, "innerError": inner}}),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::error(404, "Request_ResourceNotFound")
    }

    pub(crate) fn denied() -> Self {
        Self::error(403, "Authorization_RequestDenied")
    }

    /// The bytes on the wire, as JSON.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.written_as("application/json;odata.metadata=minimal")
    }

    pub(crate) fn written_as(&self, media: &str) -> Vec<u8> {
        let body = self.body.to_string();
        let mut head =
            format!("HTTP/1.1 {} Status\r\ncontent-type: {media}\r\ncontent-length: {}\r\n", self.status, body.len());
        let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let _ = write!(head, "date: {now}\r\n");
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }
}

/// Reads one request; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let headers: BTreeMap<String, String> = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.get("content-length").and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                let mut first = head.lines().next()?.split(' ');
                let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
                let body = bytes[end + 4..end + 4 + length].to_vec();
                return Some(Request { method, target, headers, body });
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}
