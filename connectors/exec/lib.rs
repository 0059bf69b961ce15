//! Runs connectors of others as child processes that speak JSON-RPC 2.0 over stdio, one message a line. Any language does,
//! and a crash over there is a [`Fault`] here.
//!
//! The program is named in the configuration with its SHA-256, gets no environment but what is configured, and its secrets
//! in the first message. What it says is believed as little as what any peer says: a child that breaks the rules is killed,
//! and an answer that did not come is an outcome that nobody knows. Nothing here is ever sent twice.

#![forbid(unsafe_code)]

mod bed;
mod call;
mod child;
mod config;
mod error;
mod lines;
mod pin;
mod program;
pub mod protocol;
mod stop;

use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Catalog, CorrelationKey, Cursor, Cx, Enforcement, Fault, FaultKind,
    Health, Next, Opening, Page, Receipt, Target, TargetId, TargetInfo, TargetReader,
};

pub use bed::Bed;
pub use config::Config;
/// What people do with their hands there is not known here: general words.
pub use lockstep_contract::GeneralByHand as ByHand;

use call::Line;
use program::Program;
use protocol::{Apply, Find, List, Listed, Read, method};

/// A PACS that is reached through a program of somebody else.
pub struct Exec {
    info: TargetInfo,
    line: Line,
}

/// Opens a target: starts the program and agrees with it on a version. The program talks to no PACS yet.
///
/// # Errors
/// [`FaultKind::Invalid`] when a setting or a secret is not usable; [`FaultKind::Protocol`] when a file is not the one that
/// the configuration names, or the program breaks the rules; [`FaultKind::Unreachable`] when it does not start.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Exec, Fault> {
    Exec::start(Program::of(id, config, opening)?)
}

impl Exec {
    pub(crate) fn start(program: Program) -> Result<Self, Fault> {
        let id = program.id.clone();
        let (line, said) = Line::open(program)?;
        let info = TargetInfo {
            id,
            kind: "exec".to_owned(),
            endpoint: said.endpoint,
            fingerprint: said.fingerprint,
            capabilities: said.capabilities,
        };
        Ok(Self { info, line })
    }

    /// What the suite says to a program that brings its own PACS to examine.
    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }
}

#[async_trait]
impl TargetReader for Exec {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        Ok(self.line.ask(cx, method::PROBE, &protocol::Nothing {}, &[]).await?)
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        Ok(self.line.ask(cx, method::CATALOG, &protocol::Nothing {}, &[]).await?)
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        let listed: Listed = self.line.ask(cx, method::LIST, &List { cursor: at }, &[]).await?;
        let next = match listed.next {
            protocol::Next::More(cursor) => Next::More(cursor),
            protocol::Next::End(census) => Next::End(census),
        };
        Ok(Page { items: listed.items, next })
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        // A fault that repeats the key must not hold the number of a card.
        let found: Vec<Cardholder> =
            self.line.ask(cx, method::FIND, &Find { key: key.clone() }, &[key.value()]).await?;
        if let Some(other) = found.iter().find(|one| !one.keys.contains(key)) {
            let message = format!("cardholder {} was found and does not have the key that was asked for", other.id);
            return Err(self.line.fault(FaultKind::Protocol, method::FIND, message));
        }
        Ok(found)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let record: Option<Cardholder> = self.line.ask(cx, method::READ, &Read { id: id.clone() }, &[]).await?;
        match record {
            Some(other) if other.id != *id => {
                let message = format!("cardholder {id} was asked for, and cardholder {} came", other.id);
                Err(self.line.fault(FaultKind::Protocol, method::READ, message))
            }
            record => Ok(record),
        }
    }

    async fn enforced(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Enforcement>, Fault> {
        if !self.line.tells_enforcement() {
            return Ok(None);
        }
        Ok(self.line.ask(cx, method::ENFORCED, &Read { id: id.clone() }, &[]).await?)
    }
}

#[async_trait]
impl Target for Exec {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let numbers: BTreeSet<&str> = action.steps.iter().flat_map(call::card_numbers).collect();
        let numbers: Vec<&str> = numbers.into_iter().collect();
        self.line.ask(cx, method::APPLY, &Apply { action: action.clone() }, &numbers).await.map_err(ApplyFault::from)
    }
}
