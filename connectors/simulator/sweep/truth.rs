//! Every record of a vendor's server, as the server has it. This module must not go through a connector.

use std::collections::BTreeMap;

use lockstep_contract::{Cardholder, CardholderId};

use crate::vendor::Vendor;

/// All records at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truth {
    /// The ids, in the order of the server.
    pub(crate) order: Vec<CardholderId>,
    /// The records.
    pub(crate) records: BTreeMap<CardholderId, Cardholder>,
}

impl Truth {
    pub(crate) fn of(vendor: &impl Vendor) -> Self {
        let order = vendor.cardholders();
        let records = order.iter().filter_map(|id| Some((id.clone(), vendor.record(id)?))).collect();
        Self { order, records }
    }

    /// The records that are there and were not before.
    pub(crate) fn newer<'t>(&'t self, before: &Self) -> Vec<&'t Cardholder> {
        self.records.iter().filter(|(id, _)| !before.records.contains_key(*id)).map(|(_, record)| record).collect()
    }

    /// The first record, other than that one, that is not as it was before.
    pub(crate) fn disturbed(&self, before: &Self, other_than: Option<&CardholderId>) -> Option<CardholderId> {
        let mut known = before.records.iter().filter(|(id, _)| Some(*id) != other_than);
        known.find(|(id, was)| self.records.get(*id) != Some(*was)).map(|(id, _)| id.clone())
    }

    /// Keys and credentials that stand at several places.
    pub(crate) fn duplicates(&self) -> Vec<String> {
        let (mut keys, mut credentials) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
        for record in self.records.values() {
            record.keys.iter().for_each(|key| *keys.entry(key).or_default() += 1);
            record.credentials.iter().for_each(|one| *credentials.entry(&one.id).or_default() += 1);
        }
        let keys = keys.into_iter().filter(|(_, count)| *count > 1).map(|(key, count)| format!("{count} × {key}"));
        let credentials = credentials.into_iter().filter(|(_, count)| *count > 1);
        keys.chain(credentials.map(|(id, count)| format!("{count} × credential `{id}`"))).collect()
    }
}
