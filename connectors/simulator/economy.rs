//! How many requests a connector makes, beside the fewest that its vendor's interface allows. This module must not judge.

use lockstep_contract::{Cx, Next, Step, Subject, Target};

use crate::bed::Bed;
use crate::sweep::operation::action;
use crate::vendor::Vendor;
use crate::world::world;

/// More than a read of many people takes.
const AMPLE: std::time::Duration = std::time::Duration::from_secs(600);

/// What a connector makes of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many requests it made.
    pub made: usize,
    /// The fewest that the interface allows, where that is established.
    pub fewest: Option<usize>,
}

impl Count {
    /// How many times the fewest.
    pub fn ratio(&self) -> Option<f64> {
        self.fewest.filter(|fewest| *fewest > 0).map(|fewest| self.made as f64 / fewest as f64)
    }
}

/// The requests for two tasks, each from the first request of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Economy {
    /// Everybody read once, nothing changed.
    pub read: Count,
    /// Everybody read once; then so many given a level each, read before and after.
    pub changes: Count,
}

/// Counts the requests for a read of so many people, and for so many changes after it.
///
/// # Errors
/// When anything fails, or does not do what it says.
pub async fn economy<V: Vendor>(bed: Bed<V>, people: usize, changes: usize) -> Result<Economy, String> {
    let rig = bed.everyday_rig(&world(people)).await?;
    let target = rig.target();
    let cx = Cx::new(AMPLE);
    let listed = listed(target, &cx).await?;
    if listed.len() != people {
        return Err(format!("{} of {people} people were listed", listed.len()));
    }
    let read = rig.server.arrived().len();
    let level = rig.vendor().levels().into_iter().next_back().ok_or("there is no level")?;
    let others = listed.into_iter().filter(|record| !record.levels.contains(&level)).take(changes);
    let mut changed = 0;
    for record in others {
        let steps = vec![Step::Grant { level: level.clone() }];
        let action = action(target, Subject::Existing(record.id.clone()), steps).ok_or("no action")?;
        target.read(&cx, &record.id).await.map_err(|fault| fault.to_string())?;
        target.apply(&cx, &action).await.map_err(|fault| fault.to_string())?;
        let now = target.read(&cx, &record.id).await.map_err(|fault| fault.to_string())?;
        if !now.is_some_and(|now| now.levels.contains(&level)) {
            return Err(format!("`{}` was not given its level", record.id));
        }
        changed += 1;
    }
    if changed != changes {
        return Err(format!("there are {changed} of {changes} people without the level to be given"));
    }
    let both = read + rig.server.arrived().len();
    let minimum = |changes| rig.vendor().minimum(people, changes);
    Ok(Economy {
        read: Count { made: read, fewest: minimum(0) },
        changes: Count { made: both, fewest: minimum(changes) },
    })
}

async fn listed(target: &dyn Target, cx: &Cx) -> Result<Vec<lockstep_contract::Cardholder>, String> {
    let (mut items, mut at) = (Vec::new(), None);
    loop {
        let page = target.list(cx, at).await.map_err(|fault| fault.to_string())?;
        items.extend(page.items);
        match page.next {
            Next::End(_) => return Ok(items),
            Next::More(cursor) => at = Some(cursor),
        }
    }
}
