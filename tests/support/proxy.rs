//! A TCP proxy that misbehaves on demand: it hangs, refuses, or cuts the connection after so many requests. What passes
//! is encrypted, so requests are counted by TLS records.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How the proxy behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Everything passes.
    Forward,
    /// Connections are taken and nothing is ever answered.
    Hang,
    /// Connections are closed at once.
    Refuse,
    /// The request of this number (counting application data records of the client, from 1) passes, then so many bytes
    /// of the answer, then both sides are cut.
    Cut {
        /// The number of the request.
        request: u32,
        /// How many bytes of what follows still pass.
        bytes: u64,
    },
}

/// A running proxy. Connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    behaviour: Mutex<Behaviour>,
    streams: Mutex<Vec<TcpStream>>,
    cuts: Mutex<u32>,
    requests: Mutex<u64>,
    stopped: AtomicBool,
}

impl Proxy {
    /// Starts a proxy on 127.0.0.1 in front of a server.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start(upstream: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            upstream,
            behaviour: Mutex::new(Behaviour::Forward),
            streams: Mutex::default(),
            cuts: Mutex::default(),
            requests: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if own.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(client) = client else { continue };
                let shared = Arc::clone(&own);
                thread::spawn(move || shared.serve(client));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes its behaviour, and cuts the connections that are open.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
        *lock(&self.shared.cuts) = 0;
        self.shared.close_all();
    }

    /// How many requests have passed (records of application data from clients; the end of a handshake is one, too).
    pub fn requests(&self) -> u64 {
        *lock(&self.shared.requests)
    }

    /// How many connections were cut since the behaviour was set.
    pub fn cuts(&self) -> u32 {
        *lock(&self.shared.cuts)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.close_all();
        // Wakes the listener, so that it sees that it is to stop.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn close_all(&self) {
        for stream in lock(&self.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn keep(&self, stream: &TcpStream) {
        if let Ok(clone) = stream.try_clone() {
            lock(&self.streams).push(clone);
        }
    }

    fn serve(self: Arc<Self>, client: TcpStream) {
        let behaviour = *lock(&self.behaviour);
        self.keep(&client);
        let cut = match behaviour {
            Behaviour::Refuse => {
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
            // The clone that is kept holds the connection open.
            Behaviour::Hang => return,
            Behaviour::Forward => None,
            Behaviour::Cut { request, bytes } => Some((request, bytes)),
        };
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        self.keep(&server);
        let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
        // How many bytes of answers may still pass; no limit until the request that is to be cut has been sent.
        let allowance = Arc::new(Mutex::new(None));
        let limit = Arc::clone(&allowance);
        let answers = Arc::clone(&self);
        let down = thread::spawn(move || answers.pass_answers(server, client, &limit));
        pass_requests(from_client, to_server, cut, &allowance, &self.requests);
        let _ = down.join();
    }

    fn pass_answers(&self, mut server: TcpStream, mut client: TcpStream, allowance: &Mutex<Option<u64>>) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = match server.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let allowed = {
                let mut left = lock(allowance);
                match left.as_mut() {
                    None => count,
                    Some(left) => {
                        let now = usize::try_from(*left).unwrap_or(usize::MAX).min(count);
                        *left -= now as u64;
                        now
                    }
                }
            };
            let passed = client.write_all(&buffer[..allowed]);
            if allowed < count {
                *lock(&self.cuts) += 1;
                break;
            }
            if passed.is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
}

/// Passes requests on, record by record, and sets the allowance when the one that is to be cut has passed.
fn pass_requests(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: Option<(u32, u64)>,
    allowance: &Mutex<Option<u64>>,
    passed: &Mutex<u64>,
) {
    const APPLICATION_DATA: u8 = 0x17;
    let mut requests = 0;
    let mut record = Vec::new();
    while read_record(&mut client, &mut record) {
        if record.first() == Some(&APPLICATION_DATA) {
            requests += 1;
            *lock(passed) += 1;
            if let Some((request, bytes)) = cut
                && requests == request
            {
                *lock(allowance) = Some(bytes);
            }
        }
        if server.write_all(&record).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

/// One TLS record, or, before TLS begins, whatever there is.
fn read_record(stream: &mut TcpStream, record: &mut Vec<u8>) -> bool {
    record.clear();
    record.resize(5, 0);
    let Some(first) = record.get_mut(..1) else { return false };
    if stream.read_exact(first).is_err() {
        return false;
    }
    if !(0x14..=0x17).contains(&record[0]) {
        // Plain LDAP before StartTLS: a short message, of which the second byte is the length.
        let Some(length) = record.get_mut(1..2) else { return false };
        if stream.read_exact(length).is_err() {
            return false;
        }
        record.resize(2 + usize::from(record[1] & 0x7f), 0);
        return stream.read_exact(&mut record[2..]).is_ok();
    }
    if stream.read_exact(&mut record[1..5]).is_err() {
        return false;
    }
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).is_ok()
}
