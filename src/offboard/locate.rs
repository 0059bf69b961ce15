//! Finds the cardholders of one person on one PACS: by what the roster says and by asking the PACS itself.

use std::collections::BTreeMap;

use lockstep_contract::{Cardholder, CardholderId, Cx, Fault};

use crate::{Place, Request, Who};

/// Every record that is this person's, by id.
///
/// A roster entry that the PACS no longer has is not an error. A failed look-up is one only when nothing was found
/// another way: the person is named, and what is known is enough to act on.
pub(crate) async fn cardholders(
    request: &Request,
    place: &Place,
    cx: &Cx,
) -> Result<BTreeMap<CardholderId, Cardholder>, Fault> {
    let mut found = BTreeMap::new();
    let mut fault = None;
    let info = place.target.info();
    let mut ids = place.known.clone();
    if let Who::Cardholder { target, id } = &request.who
        && *target == info.id
    {
        ids.insert(id.clone());
    }
    for id in ids {
        match place.target.read(cx, &id).await {
            Ok(Some(cardholder)) => drop(found.insert(id, cardholder)),
            Ok(None) => {}
            Err(why) => fault = Some(why),
        }
    }
    for key in request.who.keys() {
        if !info.capabilities.keys.contains(&key.kind()) {
            continue;
        }
        match place.target.find(cx, &key).await {
            Ok(some) => found.extend(some.into_iter().map(|cardholder| (cardholder.id.clone(), cardholder))),
            Err(why) => fault = Some(why),
        }
    }
    match fault {
        Some(fault) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}
