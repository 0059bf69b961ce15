//! Who was let back in since a list was written: their rows ask for what nobody wants any more. Decides; no I/O.

use std::collections::BTreeMap;

use lockstep_contract::{CardholderId, CorrelationKey, Subject, TargetId};
use lockstep_core::{Holds, Lift};
use lockstep_engine::{Store, StoreError};

use crate::cli::context::Context;
use crate::cli::export::register::{Row, What};

/// What is remembered of who is held out, and of who was let back in.
pub(crate) struct Lifted {
    lifts: Vec<Lift>,
    holds: BTreeMap<TargetId, Holds>,
}

impl Lifted {
    pub(crate) async fn read(context: &Context, store: &dyn Store) -> Result<Self, StoreError> {
        let (lifts, mut holds) = (store.lifts().await?, BTreeMap::new());
        for target in &context.config.targets {
            holds.insert(target.id.clone(), store.holds(&target.id).await?);
        }
        Ok(Self { lifts, holds })
    }

    /// Why nobody is to be put out because of this row: they were let back in after it was last listed, and nobody put
    /// them out again.
    pub(crate) fn why_not(&self, row: &Row) -> Option<String> {
        if !row.what.puts_out() {
            return None;
        }
        let target = row.what.target();
        let (record, keys) = whose(&row.what);
        let let_in = |lift: &&Lift| {
            let theirs = lift.what.records.get(target).zip(record).is_some_and(|(records, id)| records.contains(id));
            lift.at > row.listed && (theirs || keys.iter().any(|key| lift.what.keys.contains(key)))
        };
        let lift = self.lifts.iter().rev().find(let_in)?;
        if self.holds.get(target).is_some_and(|holds| holds.on(None, record, keys).is_some()) {
            return None;
        }
        let by = lift.approved_by.iter().cloned().collect::<Vec<_>>().join(", ");
        Some(format!(
            "{} on {target} was reinstated at {} (approved by {by}); do NOT put them out because of this list",
            row.name, lift.at
        ))
    }
}

fn whose(what: &What) -> (Option<&CardholderId>, Vec<&CorrelationKey>) {
    match what {
        What::Act(action) => match &action.subject {
            Subject::Existing(id) => (Some(id), Vec::new()),
            Subject::New(key) => (None, vec![key]),
        },
        What::Out { keys, .. } => (None, keys.iter().collect()),
    }
}
