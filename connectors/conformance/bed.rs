//! What a target connector supplies so that the suite can examine it: systems that are fresh, with known records, and
//! that can be made to misbehave. This module must not know what is examined.

use std::time::Duration;

use async_trait::async_trait;
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId, Target};

use crate::seed::Seed;

/// Makes systems to examine a connector against.
#[async_trait]
pub trait TargetBed: Send + Sync {
    /// What is examined, for the output: `sim`, `scim against scim2-server`.
    fn name(&self) -> &str;

    /// A system that holds exactly these records, and a connector opened on it. Called once for each law, on a runtime
    /// of that law's own: whatever belongs to a runtime (an HTTP client) must be made here, not kept in the bed.
    ///
    /// # Errors
    /// When the system cannot be made: the law fails with this text.
    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String>;

    /// Why this bed cannot bring that trouble about; `None` when it can. Laws that need it are skipped with this text.
    fn cannot(&self, trouble: Trouble) -> Option<String> {
        Some(format!("this bed cannot bring about: {trouble}"))
    }

    /// True when two laws must not run at the same time (a single server that is emptied for each). The default.
    fn one_at_a_time(&self) -> bool {
        true
    }
}

/// One system with a connector opened on it.
#[async_trait]
pub trait TargetRig: Send + Sync {
    /// The connector under examination.
    fn target(&self) -> &dyn Target;

    /// The ids that the system gave to the seeded cardholders, in the order of the seed.
    fn cardholders(&self) -> &[CardholderId];

    /// The ids that the system gave to the seeded levels, in the order of the seed.
    fn levels(&self) -> &[AccessLevelId];

    /// A record as the system itself has it, by a way that does not go through the connector under examination;
    /// `Ok(None)` when it is not there. Returns `None` when there is no such way: the connector's own read is used then,
    /// after the trouble has been healed.
    async fn raw(&self, _id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        None
    }

    /// Brings a trouble about, from now on and until [`heal`](Self::heal).
    ///
    /// # Errors
    /// When it cannot be brought about although [`TargetBed::cannot`] did not say so.
    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        Err(format!("not supported: {trouble}"))
    }

    /// Ends all trouble.
    async fn heal(&self) {}

    /// Every secret that the connector was given. None of them may appear in any fault.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a bed can be asked to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// A list breaks off after its first page: connection closed, body cut short, time limit.
    CutList,
    /// The last page of a list is missing items, while the system's own count still includes them.
    ShortList,
    /// The second page of a list is the first one again.
    RepeatedPage,
    /// A look-up by key is answered with everybody: the system ignores the filter.
    IgnoredFilter,
    /// Writes take effect, and the connection breaks before the answer.
    LostAnswer,
    /// The system refuses every write as invalid, and does nothing.
    Refuse,
    /// The system answers every request with "forbidden".
    Deny,
    /// The system answers every request with "not authenticated".
    Unauthenticated,
    /// The system answers every request with "too many requests, wait [`THROTTLE_WAIT`](Self::THROTTLE_WAIT)".
    Throttle,
    /// The system accepts requests and never answers. Writes may or may not take effect.
    Hang,
    /// Nobody listens: no request can be sent.
    Down,
}

impl Trouble {
    /// How long [`Throttle`](Self::Throttle) asks to wait.
    pub const THROTTLE_WAIT: Duration = Duration::from_secs(7);

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::CutList,
        Self::ShortList,
        Self::RepeatedPage,
        Self::IgnoredFilter,
        Self::LostAnswer,
        Self::Refuse,
        Self::Deny,
        Self::Unauthenticated,
        Self::Throttle,
        Self::Hang,
        Self::Down,
    ];
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CutList => "a list that breaks off",
            Self::ShortList => "a list shorter than its count",
            Self::RepeatedPage => "a page sent twice",
            Self::IgnoredFilter => "an ignored filter",
            Self::LostAnswer => "an answer lost after the effect",
            Self::Refuse => "a refused write",
            Self::Deny => "a system that forbids everything",
            Self::Unauthenticated => "a system that does not know us",
            Self::Throttle => "a throttling system",
            Self::Hang => "a system that never answers",
            Self::Down => "a system that is down",
        })
    }
}
