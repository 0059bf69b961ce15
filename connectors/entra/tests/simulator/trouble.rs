//! Trouble that a test asks for: what goes wrong, with which requests, and how often. This module must not know what the
//! connector does about it.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::answers::without;
use super::wire::{Reply, Request};

/// What goes wrong, and when.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// Requests whose target holds this text.
    pub(crate) on: String,
    /// So many of them go well first.
    pub(crate) skip: usize,
    /// Then so many go wrong.
    pub(crate) times: usize,
    pub(crate) what: What,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A refusal, with `Retry-After` where there is one.
    Status(u16, Option<u64>),
    /// A refusal that repeats the token.
    Echo(u16),
    /// Not found, in the words of a gateway.
    Gateway404,
    /// Breaks off in the middle.
    Cut,
    /// The connection closes without an answer.
    Reset,
    /// A byte now and then.
    Drip,
    /// A log-in page.
    Html,
    /// An answer without end.
    Flood,
    /// The link leads to the same page.
    Loop,
    /// The page before comes again, in place of this one.
    Repeat,
    /// The link leads to another host.
    Elsewhere(String),
    /// Sent somewhere else with a redirect.
    Redirect(String),
    /// A success without anything.
    Empty,
    /// The list ends too early.
    Short,
    /// No answer to this item, or none at all.
    Silence,
}

/// What is sent.
pub(crate) enum Sent {
    Whole(Vec<u8>),
    ThenClose(Vec<u8>),
    Slowly(Vec<u8>),
    WithoutEnd,
    Nothing,
}

impl Trouble {
    pub(crate) fn always(on: &str, what: What) -> Self {
        Self { on: on.to_owned(), skip: 0, times: usize::MAX, what }
    }

    pub(crate) fn strikes(&mut self, target: &str) -> Option<What> {
        if !target.contains(&self.on) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.times == 0 {
            return None;
        }
        self.times -= 1;
        Some(self.what.clone())
    }
}

impl What {
    pub(crate) fn on_the_wire(self, request: &Request, reply: Reply, root: &str) -> Sent {
        match self {
            Self::Cut => {
                let bytes = reply.written();
                let half = bytes.len() - reply.body.to_string().len() / 2;
                Sent::ThenClose(bytes[..half].to_vec())
            }
            Self::Reset => Sent::ThenClose(Vec::new()),
            Self::Drip => Sent::Slowly(reply.written()),
            Self::Html => Sent::Whole(Reply::ok(json!("<html>Please log in</html>")).written_as("text/html")),
            Self::Flood => Sent::WithoutEnd,
            Self::Silence => Sent::Nothing,
            Self::Echo(status) => {
                let mut reply = Reply::error(status, "Authorization_RequestDenied");
                reply.body["error"]["message"] = json!(request.header("authorization"));
                Sent::Whole(reply.written())
            }
            other => match other.in_a_batch(request, reply, root) {
                Some(reply) => Sent::Whole(reply.written()),
                None => Sent::Nothing,
            },
        }
    }

    /// The answer as it is changed; `None` for none at all.
    pub(crate) fn in_a_batch(self, request: &Request, mut reply: Reply, root: &str) -> Option<Reply> {
        match self {
            Self::Status(status, wait) => {
                let code = match status {
                    429 => "TooManyRequests",
                    404 => "Request_ResourceNotFound",
                    _ => "Authorization_RequestDenied",
                };
                reply = Reply::error(status, code);
                reply.headers.extend(wait.map(|wait| ("Retry-After".to_owned(), wait.to_string())));
            }
            Self::Echo(status) => {
                reply = Reply::error(status, "Authorization_RequestDenied");
                reply.body["error"]["message"] = json!(request.header("authorization"));
            }
            Self::Gateway404 => reply = Reply::error(404, "NotFound"),
            Self::Loop => reply.body["@odata.nextLink"] = json!(format!("{root}{}", request.target)),
            Self::Repeat => {
                let first = without(&request.target, "$skiptoken");
                reply.body["@odata.nextLink"] = json!(format!("{root}{first}&again=1"));
            }
            Self::Elsewhere(elsewhere) => {
                reply.body["@odata.nextLink"] = json!(format!("{elsewhere}{}", request.target));
            }
            Self::Redirect(elsewhere) => {
                reply = Reply::error(307, "redirect");
                reply.headers.push(("location".to_owned(), format!("{elsewhere}{}", request.target)));
            }
            Self::Empty => reply = Reply::ok(json!({"value": []})),
            Self::Short => {
                if let Some(body) = reply.body.as_object_mut() {
                    body.remove("@odata.nextLink");
                }
                if let Some(items) = reply.body["value"].as_array_mut() {
                    items.pop();
                }
            }
            Self::Silence => return None,
            Self::Cut | Self::Reset | Self::Drip | Self::Html | Self::Flood => {
                reply.body = json!("this item is no JSON object");
            }
        }
        Some(reply)
    }
}

pub(crate) async fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes.chunks(1) {
        if stream.write_all(byte).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A gigabyte, or as much of it as is taken.
pub(crate) async fn flood(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{\"value\":[";
    let piece = vec![b' '; 1024 * 1024];
    let mut next = head.as_bytes();
    for _ in 0..1024 {
        if stream.write_all(next).await.is_err() {
            return;
        }
        next = &piece;
    }
}
