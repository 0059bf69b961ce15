//! Reading the directories whole, one after the other, page by page, each held against its own census.
//!
//! An overlay that cannot be read is remembered as unread and the others go on; the authority is read or nothing is.

use std::collections::BTreeSet;

use lockstep_contract::{Census, Cursor, Cx, Directory, Fault, FaultKind, Next, Page, Person, Scope};
use lockstep_core::{DirectoryBuilder, DirectorySnapshot};

use crate::table::{Read, Whole};

const OPERATION: &str = "read people";
/// More pages than this are no list but a loop.
const PAGES_MAX: usize = 50_000;
/// An overlay is asked so often for a page before it counts as unread.
const TRIES: u32 = 3;
/// An overlay that hangs is given up a little before whoever waits for us gives up: nine tenths of the time.
const TENTHS: u32 = 9;

/// One directory under way.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    builder: DirectoryBuilder,
    at: Option<Cursor>,
    cursors: BTreeSet<Cursor>,
    arrived: u64,
    failed: u32,
}

impl Reading {
    /// Asks for the next page; `None` while there is more. Nothing is changed before a page has arrived, so the same step
    /// can be taken again.
    pub(crate) async fn step(
        &mut self,
        directory: &dyn Directory,
        cx: &Cx,
        scope: &Scope,
    ) -> Result<Option<Whole>, Fault> {
        let page = directory.people(cx, scope, self.at.clone()).await?;
        self.take(directory, page)
    }

    /// As [`step`](Self::step), for an overlay: a fault is only handed on while another try may help.
    pub(crate) async fn step_overlay(
        &mut self,
        directory: &dyn Directory,
        cx: &Cx,
        scope: &Scope,
    ) -> Result<Option<Read>, Fault> {
        let step = tokio::time::timeout(cx.budget * TENTHS / 10, self.step(directory, cx, scope)).await;
        let fault = match step.unwrap_or_else(|_| Err(too_late(directory, cx))) {
            Ok(None) => return Ok(None),
            Ok(Some(whole)) => return Ok(Some(Ok(whole))),
            Err(fault) => fault,
        };
        self.failed += 1;
        let again = fault.kind.is_transient() && self.failed < TRIES;
        if again || fault.kind == FaultKind::Cancelled { Err(fault) } else { Ok(Some(Err(fault))) }
    }

    fn take(&mut self, directory: &dyn Directory, page: Page<Person>) -> Result<Option<Whole>, Fault> {
        let broken =
            |message: String| Fault::new(FaultKind::Protocol, directory.info().id.as_str(), OPERATION, message);
        for person in &page.items {
            self.arrived += 1;
            self.builder.add(person);
        }
        match page.next {
            Next::More(cursor) if self.cursors.len() >= PAGES_MAX || !self.cursors.insert(cursor.clone()) => {
                Err(broken("the list does not end".to_owned()))
            }
            Next::More(cursor) => {
                self.at = Some(cursor);
                Ok(None)
            }
            Next::End(census) => {
                let set_aside = directory.take_quarantined();
                check(census, self.arrived + set_aside.len() as u64).map_err(broken)?;
                let people = std::mem::take(&mut self.builder).finish();
                Ok(Some(Whole { people, set_aside }))
            }
        }
    }
}

fn check(census: Census, arrived: u64) -> Result<(), String> {
    if census.sent != arrived {
        return Err(format!("{} records were sent, {arrived} arrived", census.sent));
    }
    match census.server_total {
        Some(total) if total != census.sent => Err(format!("it counts {total} records and sent {}", census.sent)),
        Some(_) | None => Ok(()),
    }
}

fn too_late(directory: &dyn Directory, cx: &Cx) -> Fault {
    let message = format!("no answer within {} s", cx.budget.as_secs_f32());
    Fault::new(FaultKind::Unreachable, directory.info().id.as_str(), OPERATION, message)
}

/// One small reading, of people who were found one by one.
pub(crate) fn small<'p>(people: impl Iterator<Item = &'p Person>) -> DirectorySnapshot {
    let mut builder = DirectoryBuilder::new();
    for person in people {
        builder.add(person);
    }
    builder.finish()
}
