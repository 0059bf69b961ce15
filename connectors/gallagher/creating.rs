//! Creates a cardholder, and never a second one. A key shows only while its cardholder is in a group that carries it;
//! so "nobody has this key" is proved only as far as keys show, and somebody of the same name whose key does not show
//! is in the way. This module must not retry or decide.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Action, ApplyFault, CardholderId, CorrelationKey, CorrelationKeys, FaultKind, Profile, field};
use lockstep_http::{CallFault, Method, Value};
use serde_json::json;

use crate::Gallagher;
use crate::api::{Api, Object, path_of};
use crate::applying::{contradiction, not_read, refused};
use crate::body::{Refusal, Work, attributes, href};
use crate::convert::{Record, Shape};
use crate::discovery::{DataField, Groups};
use crate::finding::{by_key, by_name};

/// Creates the record, unless the key finds it already: a creation whose answer was lost is not repeated.
pub(crate) async fn create(
    gallagher: &Gallagher,
    api: &Api<'_>,
    action: &Action,
    key: &CorrelationKey,
    work: &Work<'_>,
) -> Result<CardholderId, ApplyFault> {
    let refuse = |refusal: Refusal| refused(api, action, &refusal);
    let Some((profile, keys)) = work.provision else {
        return Err(refuse(Refusal::new(FaultKind::Unsupported, "the action creates nobody")));
    };
    if !gallagher.learned.take_nobody(key) {
        let there = by_key(gallagher, api, key).await.map_err(not_read)?;
        if let Some(id) = there_already(gallagher, api, &there).await.map_err(not_read)?.map_err(refuse)? {
            return Ok(id);
        }
    }
    let groups = gallagher.groups(api).await.map_err(not_read)?;
    let shape = gallagher.shape(api).await.map_err(not_read)?;
    let Some(wanted) = &gallagher.config.division else {
        let message = "the settings name no division for new cardholders";
        return Err(refuse(Refusal::new(FaultKind::Invalid, message).help("set `division`")));
    };
    let division = division(gallagher, api, wanted).await.map_err(not_read)?;
    let body = new_body(profile, keys, key, work, &shape, &groups, &division).map_err(refuse)?;
    let name = |field: &str| profile.get(field).unwrap_or_default();
    let names = (name(field::GIVEN_NAME), name(field::FAMILY_NAME));
    let namesakes = by_name(gallagher, api, names).await.map_err(not_read)?;
    in_the_way(&namesakes, key, &shape, &groups).map_err(refuse)?;
    let root = gallagher.root(api).await.map_err(not_read)?;
    let operation = format!("create a cardholder for {key}");
    let answer = api.write(Method::POST, root.cardholders.clone(), &body, &operation).await;
    let answer = answer.map_err(CallFault::into_apply)?;
    let broken = |message: &str| ApplyFault::Uncertain(*answer.broken(message).fault);
    if let Some(fault) = contradiction(&answer, &body) {
        return Err(fault.into_apply());
    }
    let location = answer.location().ok_or_else(|| broken("it is created, but the answer does not say where"))?;
    let location = api.link(location, &operation).map_err(|fault| ApplyFault::Uncertain(*fault.fault))?;
    CardholderId::new(path_of(&location)).map_err(|_| broken("it is created, but its link is not usable"))
}

async fn there_already(
    gallagher: &Gallagher,
    api: &Api<'_>,
    there: &[Record],
) -> Result<Result<Option<CardholderId>, Refusal>, CallFault> {
    Ok(match there {
        [] => Ok(None),
        [one] if gallagher.is_ours(api, one).await? => Ok(Some(one.cardholder.id.clone())),
        [other] => Err(Refusal::new(
            FaultKind::Conflict,
            format!("cardholder {} has this key, and is in none of the configured divisions", other.cardholder.id),
        )),
        several => {
            Err(Refusal::new(FaultKind::Conflict, format!("{} cardholders have this key already", several.len())))
        }
    })
}

async fn division(gallagher: &Gallagher, api: &Api<'_>, wanted: &str) -> Result<String, CallFault> {
    if wanted.starts_with('/') {
        return Ok(wanted.to_owned());
    }
    gallagher.divisions(api).await?.named(api, wanted)
}

/// Somebody of the same name whose key does not show may be the same human.
fn in_the_way(namesakes: &[Record], key: &CorrelationKey, shape: &Shape, groups: &Groups) -> Result<(), Refusal> {
    let Some(field) = shape.data.keys.get(&key.kind()) else { return Ok(()) };
    let hidden = |record: &&Record| !record.shows(key.kind()) && !record.may_hold(field, groups, |_| true);
    match namesakes.iter().find(hidden) {
        None => Ok(()),
        Some(record) => {
            let message = format!(
                "cardholder {} has the same name, and its `{}` does not show: it may be the same person",
                record.cardholder.id, field.name
            );
            let help = "look at that cardholder: if it is the same person, put it into the home group so that its key \
                        shows; if not, put it into that group and leave the key empty";
            Err(Refusal::new(FaultKind::Conflict, message).help(help))
        }
    }
}

fn new_body(
    profile: &Profile,
    keys: &CorrelationKeys,
    key: &CorrelationKey,
    work: &Work<'_>,
    shape: &Shape,
    groups: &Groups,
    division: &str,
) -> Result<Object, Refusal> {
    let mut body = attributes(profile, shape)?;
    let named = |name: &str| body.get(name).and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    if !named("firstName") && !named("lastName") {
        let message = "Command Centre needs a first or a last name: map `given_name` or `family_name`";
        return Err(Refusal::new(FaultKind::Invalid, message));
    }
    let mut all = keys.clone();
    all.insert(key.clone());
    for (kind, field) in &shape.data.keys {
        // The one by which it is found again; else the first, where there are several.
        let value = if key.kind() == *kind { Some(key) } else { all.of(*kind).next() };
        if let Some(value) = value {
            store_key(&mut body, field, value)?;
        }
    }
    let levels = work.grant.iter().map(|level| level.as_str());
    let joined: BTreeSet<&str> = shape.home.as_deref().into_iter().chain(levels).collect();
    let data: BTreeMap<String, &DataField> =
        shape.data.all().into_values().map(|field| (field.attribute(), field)).collect();
    let dropped = |field: &&&DataField| !joined.iter().any(|group| groups.carries(group, field));
    let written = body.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, _)| data.get(name));
    if let Some(field) = written.clone().find(dropped) {
        let message =
            format!("no group of the new cardholder carries `{}`, so Command Centre would drop it", field.name);
        let help = "set `home_group` to an access group that carries all fields of `keys` and `fields`";
        return Err(Refusal::new(FaultKind::Invalid, message).help(help));
    }
    body.insert("authorised".to_owned(), Value::Bool(true));
    body.insert("division".to_owned(), json!({ "href": href(&shape.base, division)? }));
    let memberships =
        joined.into_iter().map(|group| Ok(json!({ "accessGroup": { "href": href(&shape.base, group)? } })));
    body.insert("accessGroups".to_owned(), memberships.collect::<Result<_, Refusal>>()?);
    Ok(body)
}

/// A key and a field may stand in one place. The field keeps its spelling, as long as it is the same key.
fn store_key(body: &mut Object, field: &DataField, key: &CorrelationKey) -> Result<(), Refusal> {
    let there = body.get(&field.attribute()).and_then(Value::as_str);
    match there.map(|value| CorrelationKey::new(key.kind(), value)) {
        Some(Ok(same)) if same == *key => Ok(()),
        Some(_) => {
            let message = format!("`{}` would have to hold {key} and another value as well", field.name);
            Err(Refusal::new(FaultKind::Invalid, message).help("look at the templates of the mapping"))
        }
        None => {
            body.insert(field.attribute(), Value::from(key.value()));
            Ok(())
        }
    }
}
