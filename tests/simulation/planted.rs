//! Planted bugs: systems and disks that do what the real code must never do, to show that the oracle would see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Catalog, Changes, CorrelationKey, Cursor, Cx, Directory,
    DirectoryInfo, EmptyProof, Entitled, Fault, GroupId, GroupPath, Health, Membership, Page, Person, PersonId,
    Presence, Proof, Receipt, Scope, Subject, Target, TargetInfo, TargetReader, Watermark,
};
use lockstep_sim::{Faults, Mishap, Operation, Sim, SimDirectory};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A group that cannot be read is reported as empty.
    UnreadableIsEmpty,
    /// Somebody who cannot be looked up is reported as gone.
    DoubtIsGone,
    /// A write whose answer is lost is sent again without a look.
    BlindRepeat,
    /// A write replaces the record, and forgets the levels that we do not manage.
    ForgetsUnmanaged,
    /// Nobody is found by a key, without an error. Only a watch asks who else has one.
    FindsNobody,
}

impl Bug {
    /// Those that a run over everybody shows.
    pub const ALL: [Self; 4] = [Self::UnreadableIsEmpty, Self::DoubtIsGone, Self::BlindRepeat, Self::ForgetsUnmanaged];

    /// The weather in which it shows. The oracle does not know of it.
    pub fn weather(self, pacs: &Faults, people: &Faults) {
        match self {
            Self::DoubtIsGone => {
                people.on(Operation::People, 1, Mishap::LyingTotal).always(Operation::Lookup, Mishap::Deny);
            }
            Self::BlindRepeat => {
                pacs.on(Operation::Apply, 2, Mishap::LostAnswer).on(Operation::Apply, 4, Mishap::LostAnswer);
            }
            Self::UnreadableIsEmpty | Self::ForgetsUnmanaged | Self::FindsNobody => {}
        }
    }

    /// The PACS with this bug.
    pub fn target(self, sim: &Sim) -> Arc<dyn Target> {
        Arc::new(Bugged { bug: self, sim: sim.clone() })
    }

    /// The directory with this bug.
    pub fn directory(self, people: &SimDirectory) -> Arc<dyn Directory> {
        Arc::new(BuggedDirectory { bug: self, people: people.clone() })
    }
}

struct Bugged {
    bug: Bug,
    sim: Sim,
}

#[async_trait]
impl TargetReader for Bugged {
    fn info(&self) -> &TargetInfo {
        self.sim.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.sim.probe(cx).await
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.sim.catalog(cx).await
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        self.sim.list(cx, at).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        self.sim.find(cx, key).await
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.sim.read(cx, id).await
    }
}

#[async_trait]
impl Target for Bugged {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let answer = self.sim.apply(cx, action).await;
        match (self.bug, &answer, &action.subject) {
            (Bug::BlindRepeat, Err(ApplyFault::Uncertain(_)), _) => self.sim.apply(cx, action).await,
            (Bug::ForgetsUnmanaged, Ok(_), Subject::Existing(id)) => {
                let mut world = self.sim.world();
                if let Some(record) = world.cardholders.get_mut(id) {
                    record.levels.retain(|level| level.as_str() != "Other");
                }
                drop(world);
                answer
            }
            _ => answer,
        }
    }
}

struct BuggedDirectory {
    bug: Bug,
    people: SimDirectory,
}

#[async_trait]
impl Directory for BuggedDirectory {
    fn info(&self) -> &DirectoryInfo {
        self.people.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.people.probe(cx).await
    }

    async fn people(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        self.people.people(cx, scope, at).await
    }

    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        let mut answers = self.people.members(cx, groups).await;
        if self.bug == Bug::UnreadableIsEmpty {
            for answer in answers.values_mut() {
                if matches!(answer, Membership::Unreadable(_) | Membership::Unproven) {
                    *answer = Membership::Empty(EmptyProof::ServerCount);
                }
            }
        }
        answers
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        match self.people.find(cx, key).await {
            Ok(_) if self.bug == Bug::FindsNobody => Ok(Vec::new()),
            other => other,
        }
    }

    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        match self.people.lookup(cx, id).await {
            Err(_) if self.bug == Bug::DoubtIsGone => Ok(Presence::Gone(Proof::Tombstone)),
            other => other,
        }
    }

    async fn in_reach(&self, cx: &Cx, id: &PersonId) -> Result<Entitled, Fault> {
        match self.people.in_reach(cx, id).await {
            Err(_) if self.bug == Bug::DoubtIsGone => Ok(Entitled::No),
            other => other,
        }
    }

    async fn changes(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        self.people.changes(cx, since).await
    }

    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        self.people.paths(cx, id, groups).await
    }

    fn take_quarantined(&self) -> Vec<(String, String)> {
        self.people.take_quarantined()
    }
}
