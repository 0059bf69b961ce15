//! A simulated NetBox with a connector opened on it, and the usual questions.

use std::path::Path;
use std::time::Duration;

use lockstep_conformance::Seed;
use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, Cardholder, CardholderId, CorrelationKey, CredentialId, Cx,
    Expectation, Fault, InactiveStatus, KeyKind, Next, Opening, Profile, Reason, Receipt, Reduction, RunId, Secret,
    SecretError, SecretRef, Secrets, Situation, Step, Steps, Subject, Target as _, TargetId, TargetReader as _,
    Validity,
};
use lockstep_netbox::NetBox;
use lockstep_netbox::simulator::{PASSWORD, Simulator};
use lockstep_simulator::{Purpose, Request, Server, settings};

/// A NetBox, and a connector on it.
pub(crate) struct Site {
    /// The NetBox.
    pub(crate) server: Server<Simulator>,
    /// The connector.
    pub(crate) netbox: NetBox,
}

struct Given;

impl Secrets for Given {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(PASSWORD.to_owned()))
    }
}

impl Site {
    /// With the standard records.
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(String) -> String) -> Self {
        Self::prepared(|_| {}, change).await
    }

    /// With a NetBox that is made ready first, and other settings.
    pub(crate) async fn prepared(prepare: impl FnOnce(&Simulator), change: impl FnOnce(String) -> String) -> Self {
        let simulator = Simulator::new(&Seed::standard());
        prepare(&simulator);
        let server = Server::start(simulator).await.expect("a free port");
        let netbox = opened(&server, change);
        Self { server, netbox }
    }

    /// Another connector on the same NetBox.
    pub(crate) fn another(&self, change: impl FnOnce(String) -> String) -> NetBox {
        opened(&self.server, change)
    }

    /// The simulator.
    pub(crate) fn sim(&self) -> &Simulator {
        self.server.vendor()
    }

    pub(crate) async fn read(&self, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.netbox.read(&cx(), id).await
    }

    /// A record that is there.
    pub(crate) async fn present(&self, id: &CardholderId) -> Cardholder {
        self.read(id).await.expect("readable").expect("there")
    }

    /// Everybody.
    pub(crate) async fn everybody(&self) -> Result<Vec<Cardholder>, Fault> {
        everybody(&self.netbox).await
    }

    pub(crate) async fn find(&self, kind: KeyKind, value: &str) -> Result<Vec<Cardholder>, Fault> {
        self.netbox.find(&cx(), &CorrelationKey::new(kind, value).expect("a key")).await
    }

    pub(crate) async fn change(&self, id: &CardholderId, steps: Vec<Step>) -> Result<Receipt, ApplyFault> {
        self.netbox.apply(&cx(), &action(Subject::Existing(id.clone()), steps)).await
    }

    /// Creates somebody with this employee number and last name.
    pub(crate) async fn create(&self, number: &str, steps: Vec<Step>) -> Result<Receipt, ApplyFault> {
        let key = CorrelationKey::new(KeyKind::Employee, number).expect("a key");
        let profile = Profile::from_iter([("family_name".parse().expect("a name"), "New".to_owned())]);
        let keys = std::iter::once(key.clone()).collect();
        let mut all = vec![Step::Provision { profile, keys }];
        all.extend(steps);
        self.netbox.apply(&cx(), &action(Subject::New(key), all)).await
    }

    /// The id of a level by its name, as the catalog has it.
    pub(crate) async fn level(&self, name: &str) -> AccessLevelId {
        let catalog = self.netbox.catalog(&cx()).await.expect("readable");
        let found = catalog.levels.into_iter().find(|(_, level)| level.name == name);
        found.expect("a level of this name").0
    }

    /// The commands that arrived since the last look, by name.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.server.arrived().iter().map(|(_, request)| command(request)).collect()
    }

    /// The documents of writes that arrived since the last look.
    pub(crate) fn writes(&self) -> Vec<String> {
        let arrived = self.server.arrived().into_iter();
        arrived.filter(|(purpose, _)| *purpose == Purpose::Write).map(|(_, request)| request.text()).collect()
    }
}

fn opened(server: &Server<Simulator>, change: impl FnOnce(String) -> String) -> NetBox {
    use lockstep_simulator::Vendor as _;
    let text = change(server.vendor().settings(server.root()));
    let opening = Opening { base: Path::new("/nonexistent"), secrets: &Given };
    let id = TargetId::new("hq").expect("an id");
    lockstep_netbox::open(id, settings(&text).expect("settings"), &opening).expect("opens")
}

/// Everybody whom a connector lists.
pub(crate) async fn everybody(netbox: &NetBox) -> Result<Vec<Cardholder>, Fault> {
    let (mut items, mut at) = (Vec::new(), None);
    loop {
        let page = netbox.list(&cx(), at).await?;
        items.extend(page.items);
        match page.next {
            Next::End(census) => {
                assert_eq!(census.sent, items.len() as u64);
                return Ok(items);
            }
            Next::More(cursor) => at = Some(cursor),
        }
    }
}

/// The name of the command in a request.
pub(crate) fn command(request: &Request) -> String {
    let text = request.text();
    text.split(" name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

/// Time enough.
pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

/// The seeded person of that number.
pub(crate) fn seeded(nth: usize) -> CardholderId {
    CardholderId::new(format!("{:05}", 900 + nth)).expect("an id")
}

/// An action.
pub(crate) fn action(subject: Subject, steps: Vec<Step>) -> Action {
    let steps = Steps::new(steps).expect("some steps");
    let target = TargetId::new("hq").expect("an id");
    Action {
        id: ActionId::of(RunId::new(uuid::Uuid::nil()), &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    }
}

/// Switches a card off.
pub(crate) fn off(credential: &CredentialId) -> Step {
    Reduction::Deactivate { credential: credential.clone(), status: InactiveStatus::Disabled }.into()
}

/// Takes a level.
pub(crate) fn revoke(level: &AccessLevelId) -> Step {
    Reduction::Revoke { level: level.clone() }.into()
}

/// Lifts every bound.
pub(crate) fn no_end() -> Step {
    Step::Widen { validity: Validity::ALWAYS }
}
