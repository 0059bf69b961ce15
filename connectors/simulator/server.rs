//! An HTTP/1.1 server on loopback in front of a [`Vendor`], which can also misbehave on the wire. This module must not know
//! any vendor.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lockstep_conformance::Trouble;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::edit::Edit;
use crate::message::{Reply, Request};
use crate::vendor::{Purpose, Vendor};

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// The vendor shows this trouble in its own way.
    Trouble(Trouble),
    /// The vendor does what it was asked, and the connection breaks before the answer.
    LostAnswer,
    /// The connection breaks before the vendor does anything.
    LostRequest,
    /// The answer breaks off in the middle.
    Cut,
    /// The vendor does what it was asked and never answers.
    LandedSilence,
    /// The vendor does nothing and never answers.
    Silence,
    /// This answer instead, and nothing done.
    Instead(Reply),
    /// This answer instead, after the vendor did what it was asked.
    LandedThen(Reply),
    /// The vendor does what it was asked, and its answer is spoilt on the way.
    Edited(Edit),
    /// A byte now and then.
    Drip,
    /// An answer without end.
    Flood,
}

/// Which requests are struck, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// Those with this purpose; all when `None`.
    pub purpose: Option<Purpose>,
    /// So many of them go well first.
    pub skip: usize,
    /// Then so many are struck.
    pub times: usize,
}

impl When {
    /// Every request.
    pub const ALWAYS: Self = Self { purpose: None, skip: 0, times: usize::MAX };

    /// Every request with this purpose.
    pub const fn every(purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..Self::ALWAYS }
    }

    /// Only the request after so many others.
    pub const fn nth(skip: usize) -> Self {
        Self { skip, times: 1, ..Self::ALWAYS }
    }

    /// The request after so many others, and every one that follows.
    pub const fn from(skip: usize) -> Self {
        Self { skip, ..Self::ALWAYS }
    }

    fn strikes(&mut self, purpose: Purpose) -> bool {
        if self.purpose.is_some_and(|only| only != purpose) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let struck = self.times > 0;
        self.times = self.times.saturating_sub(1);
        struck
    }
}

/// A vendor's server on loopback.
pub struct Server<V> {
    address: SocketAddr,
    shared: Arc<Shared<V>>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<V> {
    root: String,
    vendor: V,
    mishap: Mutex<Option<(When, Mishap)>>,
    struck: AtomicUsize,
    log: Mutex<Vec<(Purpose, Request)>>,
    said: Mutex<Option<Vec<Reply>>>,
    watcher: OnceLock<Watcher>,
}

/// Is told of every request when its answer is ready: what it is for, the request, and the status of the answer; `None`
/// when there will be no answer.
pub type Watcher = Box<dyn Fn(Purpose, &Request, Option<u16>) + Send + Sync>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V: Vendor> Server<V> {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(vendor: V) -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), vendor).await
    }

    /// Listens on this address.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start_on(address: SocketAddr, vendor: V) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let root = format!("http://{address}");
        let shared = Arc::new(Shared {
            root,
            vendor,
            mishap: Mutex::default(),
            struck: AtomicUsize::new(0),
            log: Mutex::default(),
            said: Mutex::default(),
            watcher: OnceLock::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting: Mutex::new(Some(accepting)) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn root(&self) -> &str {
        &self.shared.root
    }

    /// The vendor behind it.
    pub fn vendor(&self) -> &V {
        &self.shared.vendor
    }

    /// From now on, requests go wrong; instead of whatever went wrong before.
    pub fn mishap(&self, when: When, mishap: Mishap) {
        self.shared.struck.store(0, Ordering::SeqCst);
        *lock(&self.shared.mishap) = Some((when, mishap));
    }

    /// How many requests were struck by what goes wrong now.
    pub fn struck(&self) -> usize {
        self.shared.struck.load(Ordering::SeqCst)
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        *lock(&self.shared.mishap) = None;
    }

    /// What arrived since the last look. Nothing, when there is a watcher.
    pub fn arrived(&self) -> Vec<(Purpose, Request)> {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// From now on, the vendor's answers are kept for [`said`](Self::said).
    pub fn keep_answers(&self) {
        *lock(&self.shared.said) = Some(Vec::new());
    }

    /// What the vendor answered since [`keep_answers`](Self::keep_answers), or since the last look.
    pub fn said(&self) -> Vec<Reply> {
        lock(&self.shared.said).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Every request is told to somebody instead of being kept: a server that runs for days must not fill the memory.
    /// The first watcher stays.
    pub fn watch(&self, watcher: Watcher) {
        let _ = self.shared.watcher.set(watcher);
    }

    /// Nobody listens any more, and every connection is closed.
    pub async fn stop(&self) {
        let task = lock(&self.accepting).take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// When it was taken meanwhile.
    pub async fn listen_again(&self) -> io::Result<()> {
        let running = lock(&self.accepting).is_some();
        if !running {
            let listener = TcpListener::bind(self.address).await?;
            *lock(&self.accepting) = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
        Ok(())
    }
}

impl<V> Drop for Server<V> {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.accepting).take() {
            task.abort();
        }
    }
}

async fn accept<V: Vendor>(listener: TcpListener, shared: Arc<Shared<V>>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<V: Vendor>(stream: TcpStream, shared: Arc<Shared<V>>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(&shared, request).await }
    });
    // A connection that breaks, by the peer or by a mishap, is no matter here.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is to break.
type Break = io::Error;
type Body = BoxBody<Bytes, Break>;

fn break_off() -> Break {
    io::Error::new(io::ErrorKind::ConnectionReset, "the simulator breaks off")
}

async fn respond<V: Vendor>(
    shared: &Shared<V>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Break> {
    let request = taken_in(request, &shared.root).await?;
    let purpose = shared.vendor.purpose(&request);
    if shared.watcher.get().is_none() {
        lock(&shared.log).push((purpose, request.clone()));
    }
    let mishap = {
        let mut mishap = lock(&shared.mishap);
        mishap.as_mut().and_then(|(when, what)| when.strikes(purpose).then(|| what.clone()))
    };
    if mishap.is_some() {
        shared.struck.fetch_add(1, Ordering::SeqCst);
    }
    let response = match mishap {
        None => Ok(sent(shared.answer(&request, None))),
        Some(Mishap::LandedSilence) => {
            shared.answer(&request, None);
            shared.told(purpose, &request, None);
            std::future::pending().await
        }
        Some(Mishap::Silence) => {
            shared.told(purpose, &request, None);
            std::future::pending().await
        }
        Some(mishap) => struck(shared, &request, mishap),
    };
    shared.told(purpose, &request, response.as_ref().ok().map(|response| response.status().as_u16()));
    response
}

impl<V: Vendor> Shared<V> {
    fn answer(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        let reply = self.vendor.answer(request, trouble);
        if let Some(said) = &mut *lock(&self.said) {
            said.push(reply.clone());
        }
        reply
    }

    fn told(&self, purpose: Purpose, request: &Request, status: Option<u16>) {
        if let Some(watcher) = self.watcher.get() {
            watcher(purpose, request, status);
        }
    }
}

/// The response to a request with which something goes wrong, other than silence.
fn struck<V: Vendor>(shared: &Shared<V>, request: &Request, mishap: Mishap) -> Result<hyper::Response<Body>, Break> {
    let answer = || shared.answer(request, None);
    match mishap {
        Mishap::Trouble(trouble) => Ok(sent(shared.answer(request, Some(trouble)))),
        Mishap::LostAnswer => {
            answer();
            Err(break_off())
        }
        Mishap::LostRequest | Mishap::Silence | Mishap::LandedSilence => Err(break_off()),
        Mishap::Instead(reply) => Ok(sent(reply)),
        Mishap::LandedThen(reply) => {
            answer();
            Ok(sent(reply))
        }
        Mishap::Edited(edit) => Ok(sent(edit.spoil(answer(), &request.root))),
        Mishap::Cut => {
            let reply = answer();
            let length = reply.body.len();
            if length == 0 {
                // There is no middle of nothing; the client would take an empty answer for a whole one.
                return Err(break_off());
            }
            let half = Bytes::from(reply.body[..length / 2].to_vec());
            Ok(in_pieces(&reply, length, vec![half], Duration::ZERO, true))
        }
        Mishap::Drip => {
            let reply = answer();
            let pieces = reply.body.chunks(1).map(|byte| Bytes::from(byte.to_vec())).collect();
            Ok(in_pieces(&reply, reply.body.len(), pieces, Duration::from_millis(50), false))
        }
        Mishap::Flood => {
            let blanks = Bytes::from(vec![b' '; 1024 * 1024]);
            Ok(in_pieces(&answer(), 1024 * 1024 * 1024, vec![blanks; 1024], Duration::ZERO, false))
        }
    }
}

async fn taken_in(request: hyper::Request<Incoming>, root: &str) -> Result<Request, Break> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Request {
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        headers: head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body,
        root: root.to_owned(),
    })
}

fn head(reply: &Reply) -> hyper::http::response::Builder {
    let mut head = hyper::Response::builder().status(reply.status);
    if !reply.media.is_empty() {
        head = head.header("content-type", &reply.media);
    }
    for (name, value) in &reply.headers {
        head = head.header(name, value);
    }
    head
}

fn sent(reply: Reply) -> hyper::Response<Body> {
    let head = head(&reply);
    let body = Full::new(Bytes::from(reply.body)).map_err(|never: Infallible| match never {}).boxed();
    head.body(body).unwrap_or_else(|_| hyper::Response::new(Full::default().map_err(|never| match never {}).boxed()))
}

/// An answer that says it has `length` bytes, and comes in pieces; at the end, the connection may break.
fn in_pieces(reply: &Reply, length: usize, pieces: Vec<Bytes>, pause: Duration, breaks: bool) -> hyper::Response<Body> {
    let body = crate::pieces::Pieces::new(pieces, pause, breaks.then(break_off)).boxed();
    head(reply)
        .header("content-length", length)
        .body(body)
        .unwrap_or_else(|_| hyper::Response::new(Full::default().map_err(|never| match never {}).boxed()))
}
