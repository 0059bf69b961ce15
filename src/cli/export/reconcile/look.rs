//! Reads back what one row stands for. Reads only; a PACS that does not answer leaves its rows open.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_contract::{Action, Cardholder, CorrelationKeys, Cx, Fault, Subject, Target, TargetId, TargetReader as _};
use lockstep_core::{Verdict, verify};
use lockstep_engine::layers::Layered;

use crate::cli::context::Context;
use crate::cli::export::open::is_out;
use crate::cli::export::register::What;

/// What a row looks like on its PACS.
pub(crate) enum Looked {
    /// As it has to be; with the record, where the row is about one.
    Done(Option<Box<Cardholder>>),
    /// Not so, or not known.
    Open(String),
}

type Reader = Layered<Arc<dyn Target>>;

/// Reads from the PACS, each opened once.
pub(crate) struct Looker<'c> {
    context: &'c Context,
    cx: Cx,
    opened: BTreeMap<TargetId, Result<Reader, String>>,
}

impl<'c> Looker<'c> {
    pub(crate) fn new(context: &'c Context) -> Self {
        Self { context, cx: context.cx(), opened: BTreeMap::new() }
    }

    /// Looks at what a row stands for.
    pub(crate) async fn look(&mut self, what: &What) -> Looked {
        let target = what.target();
        if !self.opened.contains_key(target) {
            let opened = match self.context.config.target(target) {
                Some(configured) => self.context.target(configured).map(Layered::new).map_err(|failure| failure.what),
                None => Err("it is not configured any more".to_owned()),
            };
            self.opened.insert(target.clone(), opened);
        }
        let reader = match self.opened.get(target) {
            Some(Ok(reader)) => reader,
            Some(Err(why)) => return Looked::Open(format!("the PACS could not be read: {why}")),
            None => return Looked::Open("the PACS was not opened".to_owned()),
        };
        let looked = match what {
            What::Act(action) => record(reader, &self.cx, action).await,
            What::Out { keys, .. } => whoever(reader, &self.cx, keys).await,
        };
        looked.unwrap_or_else(|fault| Looked::Open(format!("the PACS could not be read: {fault}")))
    }
}

async fn record(reader: &Reader, cx: &Cx, action: &Action) -> Result<Looked, Fault> {
    let found = match &action.subject {
        Subject::Existing(id) => reader.read(cx, id).await?,
        Subject::New(key) => {
            let mut found = reader.find(cx, key).await?;
            if found.len() > 1 {
                return Ok(Looked::Open(format!("{} records have {key}", found.len())));
            }
            found.pop()
        }
    };
    Ok(match verify(action, found.as_ref()) {
        Verdict::Verified => Looked::Done(found.map(Box::new)),
        Verdict::Diverged { differences } => {
            let each =
                differences.iter().map(|one| format!("{} is {}, and should be {}", one.what, one.found, one.expected));
            Looked::Open(each.collect::<Vec<_>>().join("; "))
        }
    })
}

/// Everybody with one of these keys is off, or nobody has one.
async fn whoever(reader: &Reader, cx: &Cx, keys: &CorrelationKeys) -> Result<Looked, Fault> {
    if keys.is_empty() {
        let why = "only a card number names this person, and those are not kept; put them out again: lockstep offboard";
        return Ok(Looked::Open(why.to_owned()));
    }
    for key in keys.iter() {
        if let Some(in_force) = reader.find(cx, key).await?.iter().find(|found| !is_out(found)) {
            return Ok(Looked::Open(format!("record {} has {key}, and is in force", in_force.id)));
        }
    }
    Ok(Looked::Done(None))
}
