//! A bed of the conformance suite for any [`Vendor`]. This module must not know any vendor.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;

use async_trait::async_trait;
use lockstep_conformance::{Seed, TargetBed, TargetRig, Trouble};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, Fault, FaultKind, Opening, Secret, SecretError, SecretRef, Secrets,
    Target, TargetId,
};
use serde::de::DeserializeOwned;

use crate::server::{Mishap, Server, When};
use crate::vendor::{Purpose, Vendor};

/// Opens a connector from settings, as TOML.
pub type Opener = fn(TargetId, &str, &Opening<'_>) -> Result<Box<dyn Target>, Fault>;

/// Reads a connector's settings from TOML.
///
/// # Errors
/// When they are not what the connector takes.
pub fn settings<C: DeserializeOwned>(text: &str) -> Result<C, Fault> {
    toml::from_str(text).map_err(|error| Fault::new(FaultKind::Invalid, "simulator", "open", error.to_string()))
}

/// `opener!(lockstep_gallagher)`: the [`Opener`] of a connector crate with `Config` and `open`.
#[macro_export]
macro_rules! opener {
    ($connector:ident) => {{
        fn open(
            id: ::lockstep_contract::TargetId,
            text: &str,
            opening: &::lockstep_contract::Opening<'_>,
        ) -> Result<Box<dyn ::lockstep_contract::Target>, ::lockstep_contract::Fault> {
            let config: $connector::Config = $crate::settings(text)?;
            Ok(Box::new($connector::open(id, config, opening)?))
        }
        let opener: $crate::Opener = open;
        opener
    }};
}

/// Makes a vendor's server for each law, and opens the connector on it.
#[derive(Debug)]
pub struct Bed<V> {
    name: &'static str,
    make: fn(&Seed) -> V,
    open: Opener,
    vendor: PhantomData<fn() -> V>,
}

impl<V> Clone for Bed<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Bed<V> {}

impl<V: Vendor> Bed<V> {
    /// Its name.
    pub const fn label(&self) -> &'static str {
        self.name
    }

    /// A bed of this name.
    pub const fn new(name: &'static str, make: fn(&Seed) -> V, open: Opener) -> Self {
        Self { name, make, open, vendor: PhantomData }
    }

    /// A server with these records, and a connector opened on it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn rig(&self, seed: &Seed) -> Result<Rig<V>, String> {
        self.opened(seed, V::settings).await
    }

    /// As [`rig`](Self::rig), with the settings that an operator would write.
    ///
    /// # Errors
    /// As [`rig`](Self::rig).
    pub async fn everyday_rig(&self, seed: &Seed) -> Result<Rig<V>, String> {
        self.opened(seed, V::everyday).await
    }

    async fn opened(&self, seed: &Seed, settings: fn(&V, &str) -> String) -> Result<Rig<V>, String> {
        let server = Server::start((self.make)(seed)).await.map_err(|error| error.to_string())?;
        let settings = settings(server.vendor(), server.root());
        let secrets = Given::of(server.vendor().secrets());
        let opening = Opening { base: Path::new("/nonexistent"), secrets: &secrets };
        let id = TargetId::new("conform").map_err(|error| error.to_string())?;
        let target = (self.open)(id, &settings, &opening).map_err(|fault| fault.to_string())?;
        let mut cardholders = server.vendor().cardholders();
        cardholders.truncate(seed.cardholders.len());
        let levels = server.vendor().levels();
        Ok(Rig { server, target, cardholders, levels })
    }
}

/// The secrets that a vendor named.
pub(crate) struct Given(BTreeMap<String, String>);

impl Given {
    pub(crate) fn of(secrets: Vec<(&'static str, String)>) -> Self {
        Self(secrets.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Secrets for Given {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let SecretRef::Env(name) = reference else {
            return Err(SecretError { reference: reference.clone(), message: "not given".to_owned() });
        };
        let value = self.0.get(name).cloned();
        value.map(Secret::new).ok_or_else(|| SecretError {
            reference: reference.clone(),
            message: "the simulator has no secret of this name".to_owned(),
        })
    }
}

/// A vendor's server with a connector opened on it.
pub struct Rig<V> {
    /// The server.
    pub server: Server<V>,
    target: Box<dyn Target>,
    cardholders: Vec<CardholderId>,
    levels: Vec<AccessLevelId>,
}

impl<V: Vendor> Rig<V> {
    /// The connector.
    pub fn target(&self) -> &dyn Target {
        &*self.target
    }

    /// The vendor behind the server.
    pub fn vendor(&self) -> &V {
        self.server.vendor()
    }
}

#[async_trait]
impl<V: Vendor> TargetBed for Bed<V> {
    fn name(&self) -> &str {
        self.name
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        Ok(Box::new(self.rig(seed).await?))
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        (self.make)(&Seed::default()).cannot(trouble)
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

#[async_trait]
impl<V: Vendor> TargetRig for Rig<V> {
    fn target(&self) -> &dyn Target {
        &*self.target
    }

    fn cardholders(&self) -> &[CardholderId] {
        &self.cardholders
    }

    fn levels(&self) -> &[AccessLevelId] {
        &self.levels
    }

    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        Some(Ok(self.server.vendor().record(id)))
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        let vendor = Mishap::Trouble(trouble);
        match trouble {
            Trouble::Down => self.server.stop().await,
            Trouble::Hang => self.server.mishap(When::ALWAYS, Mishap::Silence),
            Trouble::LostAnswer => self.server.mishap(When::every(Purpose::Write), Mishap::LostAnswer),
            Trouble::CutList => self.server.mishap(When { skip: 1, ..When::every(Purpose::List) }, Mishap::Cut),
            Trouble::ShortList | Trouble::RepeatedPage => self.server.mishap(When::every(Purpose::List), vendor),
            Trouble::IgnoredFilter => self.server.mishap(When::every(Purpose::Search), vendor),
            Trouble::Refuse => self.server.mishap(When::every(Purpose::Write), vendor),
            Trouble::Deny | Trouble::Unauthenticated | Trouble::Throttle => {
                self.server.mishap(When::ALWAYS, vendor);
            }
        }
        Ok(())
    }

    async fn heal(&self) {
        self.server.heal();
        // The port may be taken by somebody else only if the law would fail anyway.
        let _ = self.server.listen_again().await;
    }

    fn secrets(&self) -> Vec<String> {
        self.server.vendor().secrets().into_iter().map(|(_, value)| value).collect()
    }
}
