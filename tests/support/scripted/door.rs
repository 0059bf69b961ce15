//! The socket of the scripted server: connections, requests, and whether they are answered at all. It knows nothing of
//! what is asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Whether and how a server answers at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// At once.
    #[default]
    Answers,
    /// Each answer takes so long.
    Slow(Duration),
    /// Connections are taken, and nothing is ever answered.
    Hangs,
    /// Every answer is 500.
    Fails,
    /// Nobody listens at the port.
    Dead,
}

type Answer = dyn Fn(&Request) -> (u16, Value) + Send + Sync;

/// A listener that can be closed and opened again at the same address.
pub(super) struct Door {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    answer: Box<Answer>,
    mood: Mutex<Mood>,
    token: Mutex<Option<String>>,
    streams: Mutex<Vec<TcpStream>>,
    last: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({})", self.address)
    }
}

impl Door {
    pub(super) fn open(
        address: IpAddr,
        answer: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let listener = TcpListener::bind((address, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            mood: Mutex::default(),
            token: Mutex::default(),
            streams: Mutex::default(),
            last: Mutex::default(),
        });
        let listener = Mutex::new(Some(listen(listener, Arc::clone(&shared))));
        Ok(Self { address, shared, listener })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When the last answer went out.
    pub(super) fn last(&self) -> Option<Instant> {
        *lock(&self.shared.last)
    }

    pub(super) fn demand(&self, token: &str) {
        *lock(&self.shared.token) = Some(token.to_owned());
    }

    /// Connections that are open are cut, so that the next request sees the new mood.
    pub(super) fn behave(&self, mood: Mood) -> Result<(), String> {
        let before = std::mem::replace(&mut *lock(&self.shared.mood), mood);
        for stream in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let mut listener = lock(&self.listener);
        match (before == Mood::Dead, mood == Mood::Dead) {
            (false, true) => {
                // Wakes the listener, so that it sees that it is to end.
                let _ = TcpStream::connect(self.address);
                let ended = listener.take().map(JoinHandle::join);
                ended.transpose().map(drop).map_err(|_| "the listener broke down".to_owned())
            }
            (true, false) => {
                let again = TcpListener::bind(self.address).map_err(|error| error.to_string())?;
                *listener = Some(listen(again, Arc::clone(&self.shared)));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if *lock(&shared.mood) == Mood::Dead {
                break;
            }
            let own = Arc::clone(&shared);
            if let Ok(copy) = stream.try_clone() {
                lock(&shared.streams).push(copy);
            }
            thread::spawn(move || own.serve(&stream));
        }
    })
}

impl Shared {
    fn serve(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let Ok(writing) = stream.try_clone() else { return };
        let (mut reader, mut writer) = (BufReader::new(stream), writing);
        while let Some(request) = read_request(&mut reader) {
            let mood = *lock(&self.mood);
            if mood == Mood::Hangs {
                continue;
            }
            if let Mood::Slow(time) = mood {
                thread::sleep(time);
            }
            let known = lock(&self.token).as_ref().is_none_or(|token| *token == request.token);
            let (status, body) = match mood {
                Mood::Fails => (500, Value::Null),
                _ if !known => (401, Value::Null),
                _ => (self.answer)(&request),
            };
            let body = if status == 204 { String::new() } else { body.to_string() };
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/scim+json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let head = if status == 204 { "HTTP/1.1 204 x\r\n\r\n".to_owned() } else { head };
            if writer.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
            *lock(&self.last) = Some(Instant::now());
        }
    }
}

/// What was asked.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Value,
    token: String,
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut token) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        if name.eq_ignore_ascii_case("authorization") {
            value.trim().trim_start_matches("Bearer ").clone_into(&mut token);
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Some(Request {
        method,
        path: path.trim_start_matches("/scim/v2").split('/').filter(|part| !part.is_empty()).map(decoded).collect(),
        query: pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        token,
    })
}

// Undoes the escapes of a URL.
fn decoded(text: &str) -> String {
    let (mut bytes, mut out) = (text.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
