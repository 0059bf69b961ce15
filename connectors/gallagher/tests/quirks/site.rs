//! A simulated server with a connector opened on it, and short words for what the tests do. This module must not judge.

use std::path::Path;
use std::time::Duration;

use lockstep_conformance::Seed;
use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Cx,
    Expectation, Fault, FieldName, KeyKind, Next, Opening, Profile, Reason, Receipt, RunId, Secret, SecretError,
    SecretRef, Secrets, Situation, Step, Steps, Subject, Target, TargetId, field,
};
use lockstep_gallagher::simulator::{KEY, Simulator};
use lockstep_simulator::{Purpose, Request, Server, Vendor};

pub(crate) struct Site {
    pub(crate) server: Server<Simulator>,
    pub(crate) target: Box<dyn Target>,
}

struct Given;

impl Secrets for Given {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(KEY.to_owned()))
    }
}

pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

impl Site {
    /// With the settings of the simulator.
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(String) -> String) -> Self {
        let server = Server::start(Simulator::new(&Seed::standard())).await.expect("a server");
        let settings = change(server.vendor().settings(server.root()));
        let config = toml::from_str(&settings).expect("settings");
        let opening = Opening { base: Path::new("/nonexistent"), secrets: &Given };
        let id = TargetId::new("hq").expect("id");
        let target = Box::new(lockstep_gallagher::open(id, config, &opening).expect("a connector"));
        Self { server, target }
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        self.server.vendor()
    }

    /// A cardholder of the seed.
    pub(crate) fn holder(&self, nth: usize) -> CardholderId {
        self.simulator().cardholders()[nth].clone()
    }

    /// A level of the seed.
    pub(crate) fn level(&self, nth: usize) -> AccessLevelId {
        self.simulator().levels()[nth].clone()
    }

    pub(crate) async fn read(&self, id: &CardholderId) -> Cardholder {
        self.target.read(&cx(), id).await.expect("an answer").expect("a record")
    }

    pub(crate) async fn try_list(&self) -> Result<Vec<Cardholder>, Fault> {
        let (mut items, mut at) = (Vec::new(), None);
        loop {
            let page = self.target.list(&cx(), at).await?;
            items.extend(page.items);
            match page.next {
                Next::End(census) => {
                    assert_eq!(census.sent, items.len() as u64, "the census counts what was handed on");
                    return Ok(items);
                }
                Next::More(cursor) => at = Some(cursor),
            }
        }
    }

    pub(crate) async fn list(&self) -> Vec<Cardholder> {
        self.try_list().await.expect("a list")
    }

    pub(crate) async fn find(&self, kind: KeyKind, value: &str) -> Vec<Cardholder> {
        self.target.find(&cx(), &key(kind, value)).await.expect("an answer")
    }

    pub(crate) async fn apply(&self, id: &CardholderId, steps: Vec<Step>) -> Result<Receipt, ApplyFault> {
        self.target.apply(&cx(), &action(Subject::Existing(id.clone()), steps)).await
    }

    /// Somebody new with this name and employee number.
    pub(crate) async fn join(
        &self,
        given: &str,
        family: &str,
        number: &str,
        more: Vec<Step>,
    ) -> Result<Receipt, ApplyFault> {
        let key = key(KeyKind::Employee, number);
        let keys: CorrelationKeys = [key.clone()].into_iter().collect();
        let profile = profile(&[(field::GIVEN_NAME, given), (field::FAMILY_NAME, family)]);
        let steps = std::iter::once(Step::Provision { profile, keys }).chain(more).collect();
        self.target.apply(&cx(), &action(Subject::New(key), steps)).await
    }

    /// What arrived since the last look.
    pub(crate) fn arrived(&self) -> Vec<(Purpose, Request)> {
        self.server.arrived()
    }

    /// How many requests with this purpose arrived since the last look.
    pub(crate) fn count(&self, purpose: Purpose) -> usize {
        self.arrived().iter().filter(|(what, _)| *what == purpose).count()
    }
}

pub(crate) fn key(kind: KeyKind, value: &str) -> CorrelationKey {
    CorrelationKey::new(kind, value).expect("a key")
}

pub(crate) fn profile(fields: &[(&'static str, &str)]) -> Profile {
    fields.iter().map(|(name, value)| (FieldName::known(name), (*value).to_owned())).collect()
}

pub(crate) fn amend(fields: &[(&'static str, &str)]) -> Step {
    Step::Amend { profile: profile(fields) }
}

pub(crate) fn action(subject: Subject, steps: Vec<Step>) -> Action {
    let steps = Steps::new(steps).expect("steps");
    let target = TargetId::new("hq").expect("id");
    let run: RunId = "01990000-0000-7000-8000-000000000001".parse().expect("a run");
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

/// The fault of a refusal that promises that there was no effect.
pub(crate) fn no(answer: Result<Receipt, ApplyFault>) -> Fault {
    match answer {
        Err(ApplyFault::Refused(fault) | ApplyFault::NotSent(fault)) => fault,
        other => panic!("it should be refused, and is {other:?}"),
    }
}
