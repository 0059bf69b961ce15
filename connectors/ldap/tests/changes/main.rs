//! Whom the connector names when something changes, on real servers.

mod active_directory;
#[path = "../common/mod.rs"]
mod common;
mod openldap;
mod random;

use std::net::SocketAddr;

use common::{cx, sorted};
use lockstep_contract::{Changes, Directory, PersonId, Watermark};
use lockstep_ldap::Ldap;
use lockstep_testbed::proxy::Proxy;

/// Follows what changes, as a loop would.
struct Follower {
    directory: Ldap,
    at: Watermark,
}

impl Follower {
    /// Begins now.
    async fn new(directory: Ldap) -> Self {
        let first = directory.changes(&cx(), None).await.expect("a beginning");
        assert!(first.reset && first.people.is_empty(), "{first:?}");
        Self { directory, at: first.next }
    }

    async fn look(&mut self) -> Changes {
        for _ in 0..3 {
            match self.directory.changes(&cx(), Some(self.at.clone())).await {
                Ok(changes) => {
                    self.at = changes.next.clone();
                    return changes;
                }
                // The server began again, and the connection is noticed to be gone.
                Err(fault) => assert!(fault.kind.is_transient(), "{fault}"),
            }
        }
        panic!("the server does not come back")
    }

    /// Who is named. No census is needed.
    async fn named(&mut self) -> Vec<PersonId> {
        let changes = self.look().await;
        assert!(!changes.reset, "{changes:?}");
        sorted(changes.people)
    }

    /// True when a census is needed.
    async fn resets(&mut self) -> bool {
        self.look().await.reset
    }
}

/// A proxy in front of a server, to count what passes.
fn counted(server: SocketAddr) -> Proxy {
    Proxy::start(server).expect("a proxy")
}

/// The change of one value in a watermark.
fn with(watermark: &Watermark, key: &str, value: impl Into<serde_json::Value>) -> Watermark {
    let mut mark: serde_json::Value = serde_json::from_str(&watermark.0).expect("JSON");
    mark[key] = value.into();
    Watermark(mark.to_string())
}
