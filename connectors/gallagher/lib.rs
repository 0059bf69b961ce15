//! Speaks to Gallagher Command Centre through its REST API: access groups are access levels, a personal data field
//! holds the correlation key, and `authorised` is the switch of a cardholder.
//!
//! Nothing is known beforehand but `/api`: every other place is a link of the server, kept without its host and checked
//! against the configured one before each use. This crate never deletes a cardholder, a card or a group.

#![forbid(unsafe_code)]

mod api;
mod applying;
mod body;
mod by_hand;
mod cards;
mod config;
mod convert;
mod creating;
mod discovery;
mod finding;
mod learned;
mod listing;
mod probing;
pub mod simulator;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, CorrelationKey, CredentialSupport, Cursor, Cx,
    Enforcement, Fault, FieldName, FieldRule, Granularity, Health, Opening, Page, Receipt, Secret, Suspend, Target,
    TargetId, TargetInfo, TargetReader, field,
};
use lockstep_http::Client;

use api::{Api, Refusals};
use learned::Learned;
use listing::Walk;

pub use by_hand::CommandCentreByHand as ByHand;
pub use config::{CardStates, ClientCertificateConfig, Config};

/// First and last name have room for so many characters.
const NAME_CHARS_MAX: u32 = 50;

/// A Command Centre server.
#[derive(Debug)]
pub struct Gallagher {
    info: TargetInfo,
    config: Config,
    client: Client,
    key: Secret,
    refusals: Refusals,
    learned: Learned,
    walks: Mutex<BTreeMap<u64, Arc<tokio::sync::Mutex<Walk>>>>,
    walk_number: AtomicU64,
}

/// Opens a target. Reads files and secrets, and connects to nothing.
///
/// # Errors
/// [`FaultKind::Invalid`](lockstep_contract::FaultKind::Invalid) when the address, a file, a secret or a setting is not
/// usable.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Gallagher, Fault> {
    let (client, key) = config.client(id.as_str(), opening)?;
    let info = info(id, &config, client.base().as_str());
    Ok(Gallagher {
        info,
        config,
        client,
        key,
        refusals: Refusals::default(),
        learned: Learned::default(),
        walks: Mutex::new(BTreeMap::new()),
        walk_number: AtomicU64::new(0),
    })
}

fn info(id: TargetId, config: &Config, base: &str) -> TargetInfo {
    let name = FieldRule { required: false, chars_max: Some(NAME_CHARS_MAX) };
    let names = [field::GIVEN_NAME, field::FAMILY_NAME].map(|field| (FieldName::known(field), name));
    let data = config.fields.keys().map(|field| (field.clone(), FieldRule::default()));
    TargetInfo {
        id,
        kind: "gallagher".to_owned(),
        endpoint: base.to_owned(),
        fingerprint: config.fingerprint(base),
        capabilities: Capabilities {
            granularity: Granularity::Step,
            suspend: Suspend::CardholderFlag,
            credentials: CredentialSupport::Status,
            // Cards and memberships have dates; the cardholder has none.
            validity: false,
            revision: false,
            idempotency: false,
            keys: config.keys.keys().copied().collect(),
            fields: names.into_iter().chain(data).collect(),
            enforcement: Enforcement::Database,
            in_flight_max: config.in_flight_max,
            requests_per_minute: config.requests_per_minute,
        },
    }
}

impl Gallagher {
    fn api<'a>(&'a self, cx: &'a Cx) -> Api<'a> {
        Api::begin(&self.client, cx, &self.key, &self.refusals)
    }
}

#[async_trait]
impl TargetReader for Gallagher {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        Ok(probing::probe(self, &self.api(cx)).await?)
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        let api = self.api(cx);
        let groups = self.fresh_groups(&api).await?;
        let home = self.home(&api).await?;
        Ok(groups.catalog(home.as_deref()))
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        Ok(listing::page(self, &self.api(cx), at).await?)
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        Ok(finding::find(self, &self.api(cx), key).await?)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        Ok(finding::read(self, &self.api(cx), id).await?)
    }
}

#[async_trait]
impl Target for Gallagher {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        applying::apply(self, &self.api(cx), action).await
    }
}
