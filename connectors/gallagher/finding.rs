//! Reads one record, and finds records by a key or a name. Every answer is checked against what was asked for. This
//! module must not decide which of several records is meant.

use lockstep_contract::{Cardholder, CardholderId, CorrelationKey, FaultKind};
use lockstep_http::{Answer, CallFault, Effect, Url, Value};

use crate::Gallagher;
use crate::api::{Api, checked, object, path_of, with_query};
use crate::convert::{BadRecord, Record, Shape};

/// More records than this with one key are a filter that was ignored.
const FOUND_MAX: usize = 100;

/// Reads one cardholder.
pub(crate) async fn read(
    gallagher: &Gallagher,
    api: &Api<'_>,
    id: &CardholderId,
) -> Result<Option<Cardholder>, CallFault> {
    let shape = gallagher.shape(api).await?;
    let Some(record) = read_record(gallagher, api, &shape, id).await? else { return Ok(None) };
    gallagher.learned.saw(record.clone());
    Ok(Some(record.cardholder))
}

/// Reads one record; `None` when the server says that it is not there, and shows others.
pub(crate) async fn read_record(
    gallagher: &Gallagher,
    api: &Api<'_>,
    shape: &Shape,
    id: &CardholderId,
) -> Result<Option<Record>, CallFault> {
    let operation = format!("read cardholder {id}");
    let url = with_query(url_of(api, id, &operation)?, &[("fields", &shape.fields(""))]);
    let answer = api.get(url, &operation).await?;
    if answer.status() == 404 {
        // Any gateway can say 404. Command Centre says it with a message, and shows others.
        if !is_told(&answer) {
            return Err(
                answer.broken("the server has nothing at this address, and does not say so as Command Centre does")
            );
        }
        return others_show(gallagher, api).await.map(|()| None);
    }
    let answer = checked(answer)?;
    let item = object(&answer, answer.json()?)?;
    let record = shape.record(&item.into()).map_err(|bad| broken(api, &operation, &bad))?;
    if record.cardholder.id != *id {
        return Err(api.protocol(&operation, "the server sent another record than the one asked for"));
    }
    Ok(Some(record))
}

/// Whether an answer is in the words of Command Centre.
fn is_told(answer: &Answer) -> bool {
    answer.json().is_ok_and(|body| body.get("message").is_some_and(Value::is_string))
}

/// The address of a record. A path that was kept goes to the configured server and nowhere else.
pub(crate) fn url_of(api: &Api<'_>, id: &CardholderId, operation: &str) -> Result<Url, CallFault> {
    let refused = |message: &str| CallFault::not_sent(api.fault(FaultKind::Invalid, operation, message));
    if !id.as_str().starts_with('/') {
        return Err(refused("this is no id of a cardholder of Command Centre: it must be a path"));
    }
    let url = api.link(id.as_str(), operation).map_err(|_| refused("this id leads to another server"))?;
    if path_of(&url) == id.as_str() { Ok(url) } else { Err(refused("this id is not written plainly")) }
}

/// Proves that cardholders can be seen at all: "not there" and "you may not see it" are the same answer.
async fn others_show(gallagher: &Gallagher, api: &Api<'_>) -> Result<(), CallFault> {
    let operation = "look whether any cardholder can be seen";
    let root = gallagher.root(api).await?;
    let divisions = gallagher.config.divisions.join(",");
    let mut query = vec![("sort", "id"), ("top", "1"), ("fields", "href")];
    if !divisions.is_empty() {
        query.push(("division", &divisions));
    }
    let page = api.page(with_query(root.cardholders.clone(), &query), operation).await?;
    if page.items.is_empty() && !gallagher.config.may_be_empty {
        return Err(blind(api, operation));
    }
    Ok(())
}

/// Nobody can be seen at all.
pub(crate) fn blind(api: &Api<'_>, operation: &str) -> CallFault {
    let message =
        "Command Centre shows not a single cardholder, as it does for an operator without the right to see them";
    let help = "give the operator `View Cardholders` on the division, and check `divisions`; `may_be_empty = true` only \
                if this site really has no cardholder";
    CallFault::new(Effect::Refused, None, api.fault(FaultKind::Denied, operation, message).with_help(help))
}

pub(crate) fn broken(api: &Api<'_>, operation: &str, bad: &BadRecord) -> CallFault {
    api.protocol(operation, lockstep_http::quote(&bad.0, &[]))
}

/// The cardholders with a key, as far as it shows.
pub(crate) async fn find(
    gallagher: &Gallagher,
    api: &Api<'_>,
    key: &CorrelationKey,
) -> Result<Vec<Cardholder>, CallFault> {
    let mut ours = Vec::new();
    let records = by_key(gallagher, api, key).await?;
    if records.is_empty() {
        gallagher.learned.saw_nobody(key.clone());
    }
    for record in records {
        if gallagher.is_ours(api, &record).await? {
            ours.push(record.cardholder);
        }
    }
    Ok(ours)
}

/// The records that show a key, in every division that can be seen.
pub(crate) async fn by_key(
    gallagher: &Gallagher,
    api: &Api<'_>,
    key: &CorrelationKey,
) -> Result<Vec<Record>, CallFault> {
    let operation = format!("find cardholder {key}");
    let refused = |kind, message: &str| CallFault::not_sent(api.fault(kind, &operation, message));
    if !gallagher.config.keys.contains_key(&key.kind()) {
        let message = "no personal data field is set for this kind of key";
        return Err(refused(FaultKind::Unsupported, message));
    }
    if key.value().contains('"') {
        return Err(refused(FaultKind::Invalid, "Command Centre cannot look for a value with a quotation mark"));
    }
    let shape = gallagher.shape(api).await?;
    let Some(field) = shape.data.keys.get(&key.kind()) else {
        return Err(refused(FaultKind::Unsupported, "no personal data field is set for this kind of key"));
    };
    let parameter = format!("pdf_{}", field.id);
    let mut found = search(gallagher, api, &shape, (&parameter, &format!("\"{}\"", key.value())), &operation).await?;
    // The search ignores case, and a server may ignore the search.
    found.retain(|record| record.cardholder.keys.contains(key));
    Ok(found)
}

/// The records with this first and last name, in every division that can be seen.
pub(crate) async fn by_name(
    gallagher: &Gallagher,
    api: &Api<'_>,
    (given, family): (&str, &str),
) -> Result<Vec<Record>, CallFault> {
    let operation = "look for a cardholder of the same name";
    let whole = match (given.is_empty(), family.is_empty()) {
        (false, false) => format!("{family}, {given}"),
        (true, _) => family.to_owned(),
        (_, true) => given.to_owned(),
    };
    // There is no way to write a quotation mark inside of quotation marks; a wildcard stands for it.
    let pattern = if whole.contains('"') { whole.replace('"', "_") } else { format!("\"{whole}\"") };
    let shape = gallagher.shape(api).await?;
    let mut found = search(gallagher, api, &shape, ("name", &pattern), operation).await?;
    let same = |record: &Record, name: &str, wanted: &str| {
        record.cardholder.profile.get(name).unwrap_or_default().to_lowercase() == wanted.to_lowercase()
    };
    found.retain(|record| same(record, "given_name", given) && same(record, "family_name", family));
    Ok(found)
}

async fn search(
    gallagher: &Gallagher,
    api: &Api<'_>,
    shape: &Shape,
    filter: (&str, &str),
    operation: &str,
) -> Result<Vec<Record>, CallFault> {
    let root = gallagher.root(api).await?;
    let top = FOUND_MAX.to_string();
    let query = [("sort", "id"), ("top", top.as_str()), filter, ("fields", &shape.fields(""))];
    let page = api.page(with_query(root.cardholders.clone(), &query), operation).await?;
    if page.next.is_some() {
        let message = "the server finds more cardholders than can have this value: it ignores the filter";
        return Err(api.protocol(operation, message));
    }
    page.items.iter().map(|item| shape.record(item).map_err(|bad| broken(api, operation, &bad))).collect()
}
