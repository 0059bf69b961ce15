//! A Graph on loopback: a tenant in memory, its log-in host, and the trouble that a test asks for. Shared by the tests beside
//! this folder; each uses a part of it.

#![allow(dead_code, unused_imports, reason = "every test uses a part of this")]

mod answers;
mod login;
pub(crate) mod opened;
mod tenant;
mod trouble;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) use login::{CLIENT, FEDERATED, SECRET, SIGNATURE, TENANT};
pub(crate) use tenant::Tenant;
pub(crate) use trouble::{Trouble, What};
pub(crate) use wire::{Reply, Request};

use answers::Asking;
use trouble::Sent;

/// A request that arrived, for the tests to look at. Items of a batch stand here, too, after the batch.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) target: String,
    pub(crate) consistency: bool,
    pub(crate) in_batch: bool,
    pub(crate) at: Instant,
}

pub(crate) struct Shared {
    pub(crate) root: String,
    pub(crate) tenant: Mutex<Tenant>,
    pub(crate) trouble: Mutex<Option<Trouble>>,
    /// Tokens that are good, and the permissions that they got.
    pub(crate) tokens: Mutex<BTreeMap<String, BTreeSet<String>>>,
    pub(crate) log: Mutex<Vec<Arrived>>,
    pub(crate) login: Mutex<login::Login>,
    pub(crate) page_max: Mutex<usize>,
}

/// The server.
pub(crate) struct Simulator {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    pub(crate) async fn start(tenant: Tenant) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            root: format!("http://127.0.0.1:{port}"),
            tenant: Mutex::new(tenant),
            trouble: Mutex::new(None),
            tokens: Mutex::default(),
            log: Mutex::default(),
            login: Mutex::default(),
            page_max: Mutex::new(999),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, accepting: Mutex::new(Some(accepting)) }
    }

    pub(crate) fn root(&self) -> &str {
        &self.shared.root
    }

    pub(crate) fn tenant(&self) -> MutexGuard<'_, Tenant> {
        lock(&self.shared.tenant)
    }

    pub(crate) fn login(&self) -> MutexGuard<'_, login::Login> {
        lock(&self.shared.login)
    }

    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        *lock(&self.shared.trouble) = trouble;
    }

    pub(crate) fn page_max(&self, size: usize) {
        *lock(&self.shared.page_max) = size;
    }

    /// No token is good any more.
    pub(crate) fn end_tokens(&self) {
        lock(&self.shared.tokens).clear();
    }

    pub(crate) fn tokens(&self) -> Vec<String> {
        lock(&self.shared.tokens).keys().cloned().collect()
    }

    /// What arrived since the last look.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// Nobody listens, and every connection is closed.
    pub(crate) async fn stop(&self) {
        let task = lock(&self.accepting).take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn listen_again(&self) {
        let running = lock(&self.accepting).is_some();
        if !running {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the same port");
            *lock(&self.accepting) = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.accepting).take() {
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
    while let Some(request) = wire::read_request(&mut stream).await {
        match shared.respond(&request) {
            Sent::Whole(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Sent::ThenClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Sent::Slowly(bytes) => trouble::drip(&mut stream, &bytes).await,
            Sent::WithoutEnd => return trouble::flood(&mut stream).await,
            Sent::Nothing => std::future::pending().await,
        }
    }
}

impl Shared {
    fn respond(&self, request: &Request) -> Sent {
        if !request.target.starts_with("/v1.0/") {
            return Sent::Whole(self.sign_in(request).written());
        }
        self.note(request, false);
        let trouble = lock(&self.trouble).as_mut().and_then(|trouble| trouble.strikes(&request.target));
        let reply = if request.target == "/v1.0/$batch" { self.batch(request) } else { self.graph(request) };
        match trouble {
            Some(what) => what.on_the_wire(request, reply, &self.root),
            None => Sent::Whole(reply.written()),
        }
    }

    fn note(&self, request: &Request, in_batch: bool) {
        lock(&self.log).push(Arrived {
            target: request.target.clone(),
            consistency: request.header("consistencylevel") == Some("eventual"),
            in_batch,
            at: Instant::now(),
        });
    }

    fn graph(&self, request: &Request) -> Reply {
        let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        let Some(permissions) = lock(&self.tokens).get(token).cloned() else {
            return Reply::error(401, "InvalidAuthenticationToken");
        };
        let tenant = lock(&self.tenant);
        let page_max = *lock(&self.page_max);
        let mut reply =
            Asking { tenant: &tenant, permissions: &permissions, root: &self.root, page_max }.answer(request);
        reply.headers.push(("x-ms-resource-unit".to_owned(), "1".to_owned()));
        reply
    }

    /// Always a success, in reverse order.
    fn batch(&self, request: &Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let items = body["requests"].as_array().cloned().unwrap_or_default();
        if items.is_empty() || items.len() > 20 {
            return Reply::error(400, "BadRequest");
        }
        if self.graph(&Request { target: "/v1.0/none".to_owned(), ..request.clone() }).status == 401 {
            return Reply::error(401, "InvalidAuthenticationToken");
        }
        let mut responses = Vec::new();
        for item in items.iter().rev() {
            let mut inner =
                Request { method: "GET".to_owned(), headers: request.headers.clone(), ..Request::default() };
            inner.headers.remove("consistencylevel");
            for (name, value) in item["headers"].as_object().into_iter().flatten() {
                inner.headers.insert(name.to_ascii_lowercase(), value.as_str().unwrap_or_default().to_owned());
            }
            inner.target = format!("/v1.0{}", item["url"].as_str().unwrap_or_default());
            self.note(&inner, true);
            let trouble = lock(&self.trouble).as_mut().and_then(|trouble| trouble.strikes(&inner.target));
            let mut reply = self.graph(&inner);
            if let Some(what) = trouble {
                match what.in_a_batch(&inner, reply, &self.root) {
                    Some(changed) => reply = changed,
                    None => continue,
                }
            }
            let headers: serde_json::Map<String, Value> =
                reply.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            responses.push(json!({"id": item["id"], "status": reply.status, "headers": headers, "body": reply.body}));
        }
        Reply::ok(json!({"responses": responses}))
    }
}
