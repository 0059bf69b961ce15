//! A vendor's server that runs until it is stopped, for people who rehearse without a licence. This module must not know any
//! vendor, and listens on this machine only.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use lockstep_conformance::Seed;
use lockstep_contract::{AccessLevelId, Secrets};

use crate::bed::Given;
use crate::server::{Server, Watcher};
use crate::vendor::Vendor;

/// A server that runs until this is dropped.
pub struct Rehearsal {
    /// `http://127.0.0.1:PORT`.
    pub root: String,
    /// The settings of a `[[target]]` for it, as TOML without `id`, `kind` and `mapping`.
    pub settings: String,
    /// The secrets that the settings name, with their values: made up, and good for nothing but this server.
    pub secrets: Vec<(&'static str, String)>,
    /// The ids of the levels, in the order of the seed.
    pub levels: Vec<AccessLevelId>,
    _server: Box<dyn Send + Sync>,
}

impl Rehearsal {
    /// The secrets, as a connector asks for them.
    pub fn given(&self) -> impl Secrets + use<> {
        Given::of(self.secrets.clone())
    }
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A rehearsal that is about to begin.
pub type Beginning = Pin<Box<dyn Future<Output = io::Result<Rehearsal>> + Send>>;

/// Begins a rehearsal at this address, with these records; the watcher is told of every request.
pub type Rehearse = fn(SocketAddr, Seed, Watcher) -> Beginning;

/// Begins a rehearsal with the simulator that this makes.
pub fn rehearse<V: Vendor>(make: fn(&Seed) -> V, address: SocketAddr, seed: Seed, watcher: Watcher) -> Beginning {
    Box::pin(async move {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a simulator listens on this machine only"));
        }
        let server = Server::start_on(address, make(&seed)).await?;
        server.watch(watcher);
        let root = server.root().to_owned();
        let vendor = server.vendor();
        let (settings, secrets, levels) = (vendor.everyday(&root), vendor.secrets(), vendor.levels());
        Ok(Rehearsal { root, settings, secrets, levels, _server: Box::new(server) })
    })
}
