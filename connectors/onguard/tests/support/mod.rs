//! What the tests of this crate share: a simulated OnGuard with the connector opened on it, and actions for it.

#![allow(dead_code, reason = "each test program uses its own part of it")]

use std::time::Duration;

use lockstep_conformance::{Seed, TargetRig as _};
use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, Cardholder, CardholderId, CorrelationKey, CorrelationKeys,
    CredentialId, Cx, Expectation, Fault, FieldName, InactiveStatus, KeyKind, Next, Opening, Profile, Reason, Receipt,
    Reduction, RunId, Situation, Step, Steps, Subject, Target, TargetId, field,
};
use lockstep_onguard::simulator::Simulator;
use lockstep_simulator::{Bed, Opener, Purpose, Request, Rig, Server, opener};

/// The bed of all tests.
pub(crate) fn bed() -> Bed<Simulator> {
    Bed::new("onguard", Simulator::new, opener!(lockstep_onguard))
}

/// A simulated OnGuard with the connector opened on it.
pub(crate) struct Site {
    rig: Rig<Simulator>,
}

/// Opens the connector with a session that is idle at once.
fn idle(id: TargetId, text: &str, opening: &Opening<'_>) -> Result<Box<dyn Target>, Fault> {
    let open: Opener = opener!(lockstep_onguard);
    open(id, &format!("keepalive_seconds = 0\n{text}"), opening)
}

impl Site {
    /// With the records of the conformance suite.
    pub(crate) async fn new() -> Self {
        Self { rig: bed().rig(&Seed::standard()).await.expect("a rig") }
    }

    /// With a session that is idle at once.
    pub(crate) async fn idle() -> Self {
        let bed = Bed::new("onguard", Simulator::new, idle);
        Self { rig: bed.rig(&Seed::standard()).await.expect("a rig") }
    }

    pub(crate) fn target(&self) -> &dyn Target {
        self.rig.target()
    }

    pub(crate) fn server(&self) -> &Server<Simulator> {
        &self.rig.server
    }

    pub(crate) fn onguard(&self) -> &Simulator {
        self.rig.server.vendor()
    }

    pub(crate) fn person(&self, nth: usize) -> CardholderId {
        self.rig.cardholders()[nth].clone()
    }

    pub(crate) fn level(&self, nth: usize) -> AccessLevelId {
        self.rig.levels()[nth].clone()
    }

    pub(crate) async fn read(&self, id: &CardholderId) -> Cardholder {
        self.target().read(&cx(), id).await.expect("a read").expect("a record")
    }

    pub(crate) async fn badge(&self, person: &CardholderId) -> CredentialId {
        self.read(person).await.credentials[0].id.clone()
    }

    pub(crate) async fn list(&self) -> Result<Vec<Cardholder>, Fault> {
        let (mut all, mut at) = (Vec::new(), None);
        loop {
            let page = self.target().list(&cx(), at).await?;
            all.extend(page.items);
            match page.next {
                Next::More(cursor) => at = Some(cursor),
                Next::End(census) => {
                    assert_eq!((census.sent, census.server_total), (all.len() as u64, Some(all.len() as u64)));
                    return Ok(all);
                }
            }
        }
    }

    pub(crate) async fn apply(&self, person: &CardholderId, steps: Vec<Step>) -> Result<Receipt, ApplyFault> {
        self.target().apply(&cx(), &self.action(Subject::Existing(person.clone()), steps)).await
    }

    pub(crate) async fn join(&self, employee: &str, more: Vec<Step>) -> Result<Receipt, ApplyFault> {
        let key = key(KeyKind::Employee, employee);
        let mut steps = vec![provision(&key)];
        steps.extend(more);
        self.target().apply(&cx(), &self.action(Subject::New(key), steps)).await
    }

    pub(crate) fn action(&self, subject: Subject, steps: Vec<Step>) -> Action {
        let steps = Steps::new(steps).expect("some steps");
        let run: RunId = "018f0000-0000-7000-8000-000000000001".parse().expect("a run");
        let target = self.target().info().id.clone();
        Action {
            id: ActionId::of(run, &target, &subject, &steps),
            target,
            subject,
            person: None,
            steps,
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Confirmed, why: Vec::new() },
        }
    }

    /// What changed something, since the last look: method and body.
    pub(crate) fn writes(&self) -> Vec<(String, String)> {
        let all = self.server().arrived().into_iter().filter(|(purpose, _)| *purpose == Purpose::Write);
        all.map(|(_, request): (_, Request)| (request.method.clone(), request.text())).collect()
    }
}

pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

pub(crate) fn key(kind: KeyKind, value: &str) -> CorrelationKey {
    CorrelationKey::new(kind, value).expect("a key")
}

pub(crate) fn provision(key: &CorrelationKey) -> Step {
    let keys: CorrelationKeys = [key.clone()].into_iter().collect();
    let profile = Profile::from_iter([(FieldName::known(field::FAMILY_NAME), "Newcomer".to_owned())]);
    Step::Provision { profile, keys }
}

pub(crate) fn off(credential: &CredentialId) -> Step {
    Reduction::Deactivate { credential: credential.clone(), status: InactiveStatus::Disabled }.into()
}

pub(crate) fn on(credential: &CredentialId) -> Step {
    Step::Activate { credential: credential.clone() }
}

pub(crate) fn grant(level: &AccessLevelId) -> Step {
    Step::Grant { level: level.clone() }
}

pub(crate) fn revoke(level: &AccessLevelId) -> Step {
    Reduction::Revoke { level: level.clone() }.into()
}
