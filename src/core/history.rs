//! What guards compare with: counts of the last good runs. The store keeps it, the core only reads it.

use std::collections::BTreeMap;

use lockstep_contract::{AccessLevelId, GroupId};
use serde::{Deserialize, Serialize};

/// Holders by access level, active cardholders only.
pub type LevelCounts = BTreeMap<AccessLevelId, u64>;

/// The past of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// How many runs were applied and closed. Zero: the first run (everything needs an approval).
    pub applied_runs: u64,
    /// Active people in each of the last complete reads, oldest first, seven at the most.
    pub people: Vec<u64>,
    /// Members of each mapped group at the last complete read.
    pub groups: BTreeMap<GroupId, u64>,
    /// Holders of each managed level at the last complete read.
    pub levels: LevelCounts,
    /// Cardholders at the last complete read.
    pub cardholders: Option<u64>,
    /// Linked cardholders that were active and ours at the last complete read; `None` where that was not counted.
    #[serde(default)]
    pub managed: Option<u64>,
    /// Cardholders whose access was reduced in the last hour.
    #[serde(default)]
    pub reduced_hour: u64,
    /// Cardholders whose access was reduced in the last 24 hours.
    pub reduced_day: u64,
    /// Cardholders whose access was reduced in the last 7 days.
    pub reduced_week: u64,
    /// The digest of the policy last applied.
    pub policy_digest: Option<String>,
}

impl History {
    /// The median of the remembered people counts.
    pub fn people_median(&self) -> Option<u64> {
        let mut counts = self.people.clone();
        counts.sort_unstable();
        counts.get(counts.len().checked_sub(1)? / 2).copied()
    }
}
