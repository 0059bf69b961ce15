//! Stands in front of a server and makes trouble. This module must not know what the connector does about it.

use std::sync::{Arc, Mutex};

use lockstep_conformance::Trouble;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::memory::Memory;
use crate::wire::{Reply, Request, forward, read_request, written};

/// What stands behind.
pub(crate) enum Behind {
    /// The simulator.
    Memory(Mutex<Memory>),
    /// A server of somebody else, on this port.
    Real(u16),
}

impl Behind {
    pub(crate) async fn answer(&self, request: &Request) -> Option<Reply> {
        match self {
            Self::Memory(memory) => Some(memory.lock().expect("memory").answer(request)),
            Self::Real(port) => forward(*port, request).await,
        }
    }
}

struct Shared {
    behind: Behind,
    trouble: Mutex<Option<Trouble>>,
    first_page: Mutex<Option<Reply>>,
}

/// The server that the connector talks to.
pub(crate) struct Front {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Front {
    pub(crate) async fn start(behind: Behind) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let shared = Arc::new(Shared { behind, trouble: Mutex::new(None), first_page: Mutex::new(None) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, accepting: Mutex::new(Some(accepting)) })
    }

    /// Asks the server behind, whatever trouble there is.
    pub(crate) async fn ask_behind(&self, request: &Request) -> Result<Reply, String> {
        self.shared.behind.answer(request).await.ok_or_else(|| "the server behind does not answer".to_owned())
    }

    pub(crate) async fn trouble(&self, trouble: Option<Trouble>) -> Result<(), String> {
        *self.shared.trouble.lock().expect("trouble") = trouble;
        let accepting = self.accepting.lock().expect("accepting").take();
        if trouble == Some(Trouble::Down) {
            if let Some(task) = accepting {
                task.abort();
                let _ = task.await;
            }
            return Ok(());
        }
        let task = if let Some(task) = accepting {
            task
        } else {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await.map_err(|error| error.to_string())?;
            tokio::spawn(accept(listener, Arc::clone(&self.shared)))
        };
        *self.accepting.lock().expect("accepting") = Some(task);
        Ok(())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.lock().expect("accepting").take() {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = read_request(&mut stream).await {
        let Some(bytes) = shared.bytes_for(request).await else { return };
        let whole = !bytes.1;
        if stream.write_all(&bytes.0).await.is_err() || !whole {
            return;
        }
    }
}

/// The bytes to send, and whether the connection ends after them.
type Sent = Option<(Vec<u8>, bool)>;

impl Shared {
    async fn bytes_for(&self, request: Request) -> Sent {
        let trouble = *self.trouble.lock().expect("trouble");
        let token = request.token.clone().unwrap_or_default();
        let error = |status: u16, kind: &str| {
            let detail = format!("{kind}, said the server, and repeated {token}");
            let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "status": status.to_string(), "scimType": "invalidValue", "detail": detail});
            Some((written(&Reply::json(status, &body)), false))
        };
        let is_write = request.method != "GET";
        match trouble {
            Some(Trouble::Hang) => std::future::pending().await,
            Some(Trouble::Deny) => error(403, "forbidden"),
            Some(Trouble::Unauthenticated) => error(401, "not authenticated"),
            Some(Trouble::Refuse) if is_write => error(400, "refused"),
            Some(Trouble::Throttle) => {
                let mut reply = Reply::json(429, &json!({}));
                reply.headers.push(("retry-after".to_owned(), Trouble::THROTTLE_WAIT.as_secs().to_string()));
                Some((written(&reply), false))
            }
            Some(Trouble::LostAnswer) if is_write => {
                self.behind.answer(&request).await;
                None
            }
            Some(Trouble::IgnoredFilter) => Some((written(&self.behind.answer(&unfiltered(request)).await?), false)),
            Some(trouble @ (Trouble::CutList | Trouble::ShortList | Trouble::RepeatedPage))
                if is_user_list(&request) =>
            {
                self.list(&request, trouble).await
            }
            Some(
                Trouble::Refuse
                | Trouble::LostAnswer
                | Trouble::CutList
                | Trouble::ShortList
                | Trouble::RepeatedPage
                | Trouble::Down,
            )
            | None => Some((written(&self.behind.answer(&request).await?), false)),
        }
    }

    async fn list(&self, request: &Request, trouble: Trouble) -> Sent {
        let mut reply = self.behind.answer(request).await?;
        let first = request.parameter("cursor").map_or_else(
            || request.parameter("startIndex").is_none_or(|start| start == "1"),
            |cursor| cursor.is_empty(),
        );
        if first {
            *self.first_page.lock().expect("first page") = Some(reply.clone());
            return Some((written(&reply), false));
        }
        match trouble {
            Trouble::CutList => {
                let bytes = written(&reply);
                Some((bytes[..bytes.len() - reply.body.len() / 2].to_vec(), true))
            }
            Trouble::RepeatedPage => {
                let repeated = self.first_page.lock().expect("first page").clone();
                Some((written(&repeated.unwrap_or(reply)), false))
            }
            _ => {
                shorten(&mut reply);
                Some((written(&reply), false))
            }
        }
    }
}

fn is_user_list(request: &Request) -> bool {
    request.method == "GET" && request.url().path().ends_with("/Users")
}

fn unfiltered(mut request: Request) -> Request {
    if is_user_list(&request) {
        let url = request.url();
        let rest: Vec<String> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.starts_with("filter="))
            .map(str::to_owned)
            .collect();
        request.target = format!("{}?{}", url.path(), rest.join("&"));
    }
    request
}

/// Takes the last record out of the last page.
fn shorten(reply: &mut Reply) {
    let mut list = reply.value();
    let last = list.get("nextCursor").is_none_or(Value::is_null);
    let total = list.get("totalResults").and_then(Value::as_u64).unwrap_or_default();
    let start = list.get("startIndex").and_then(Value::as_u64);
    if let Some(items) = list.get_mut("Resources").and_then(Value::as_array_mut)
        && start.map_or(last, |start| last && start + items.len() as u64 > total)
    {
        items.pop();
    }
    reply.body = list.to_string().into_bytes();
}
