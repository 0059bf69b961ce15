//! Carries out one action, once, in one request: Command Centre does all of a request or nothing. What cannot be done
//! refuses the whole action before anything is sent. This module must not retry or decide.

#![expect(clippy::result_large_err, reason = "the size of `ApplyFault` is the contract's matter")]

use lockstep_contract::{Action, ApplyFault, CardholderId, Enforcement, Fault, FaultKind, Receipt, Subject};
use lockstep_http::{Answer, CallFault, Effect, Method, Value};

use crate::Gallagher;
use crate::api::{Api, Object};
use crate::body::{Refusal, Work, change, dropped};
use crate::convert::Record;
use crate::creating::create;
use crate::finding::{read_record, url_of};

const HOME_HELP: &str = "put the cardholder into the home group in Command Centre";

/// Applies an action.
pub(crate) async fn apply(gallagher: &Gallagher, api: &Api<'_>, action: &Action) -> Result<Receipt, ApplyFault> {
    let work = Work::of(action).map_err(|refusal| refused(api, action, &refusal))?;
    let cardholder = match &action.subject {
        Subject::Existing(id) => {
            update(gallagher, api, action, id, &work).await?;
            id.clone()
        }
        Subject::New(key) => create(gallagher, api, action, key, &work).await?,
    };
    Ok(Receipt { cardholder, enforced: Enforcement::Database })
}

/// The action is refused before anything was sent.
pub(crate) fn refused(api: &Api<'_>, action: &Action, refusal: &Refusal) -> ApplyFault {
    let fault: Fault = api.fault(refusal.kind, &format!("apply {}", action.id), refusal.message.as_str());
    ApplyFault::Refused(Fault { help: refusal.help.map(str::to_owned), ..fault })
}

/// A read that failed: nothing was written.
pub(crate) fn not_read(fault: CallFault) -> ApplyFault {
    ApplyFault::NotSent(*fault.fault)
}

async fn update(
    gallagher: &Gallagher,
    api: &Api<'_>,
    action: &Action,
    id: &CardholderId,
    work: &Work<'_>,
) -> Result<(), ApplyFault> {
    let operation = format!("change cardholder {id}");
    let url = url_of(api, id, &operation).map_err(CallFault::into_apply)?;
    let looked = gallagher.learned.take_record(id);
    let needs_look = work.needs_record() || !gallagher.config.divisions.is_empty();
    let record = match looked {
        Some(record) => Some(record),
        None if needs_look => Some(look(gallagher, api, action, id).await?),
        None => None,
    };
    if let Some(record) = &record
        && !gallagher.is_ours(api, record).await.map_err(not_read)?
    {
        let message = "the cardholder is in none of the configured divisions; nothing was changed";
        return Err(refused(api, action, &Refusal::new(FaultKind::Denied, message)));
    }
    let shape = gallagher.shape(api).await.map_err(not_read)?;
    if let Some(record) = record.as_ref().filter(|_| work.amends_data() && !work.reduces()) {
        let groups = gallagher.groups(api).await.map_err(not_read)?;
        if let Some(field) = dropped(work, record, &shape, &groups) {
            let message = format!("no group of the cardholder carries `{}`: Command Centre would drop it", field.name);
            let refusal = Refusal::new(FaultKind::Invalid, message).help(HOME_HELP);
            return Err(refused(api, action, &refusal));
        }
    }
    let card_types =
        if work.switches_cards() { Some(gallagher.card_types(api).await.map_err(not_read)?) } else { None };
    let body = change(work, record.as_ref(), &shape, card_types.as_deref());
    let body = body.map_err(|refusal| refused(api, action, &refusal))?;
    if body.is_empty() {
        return Ok(());
    }
    let answer = api.write(Method::PATCH, url, &body, &operation).await.map_err(CallFault::into_apply)?;
    contradiction(&answer, &body).map_or(Ok(()), |fault| Err(fault.into_apply()))
}

async fn look(gallagher: &Gallagher, api: &Api<'_>, action: &Action, id: &CardholderId) -> Result<Record, ApplyFault> {
    let shape = gallagher.shape(api).await.map_err(not_read)?;
    let record = read_record(gallagher, api, &shape, id).await.map_err(not_read)?;
    let missing = Refusal::new(FaultKind::Missing, "the cardholder is not there, or the operator may not see it");
    record.ok_or_else(|| refused(api, action, &missing))
}

/// A success whose own answer shows another value than the one that was sent. Versions so far answer with nothing;
/// later ones may send the record back.
pub(crate) fn contradiction(answer: &Answer, sent: &Object) -> Option<CallFault> {
    let Ok(Value::Object(told)) = answer.json() else { return None };
    let differs = |(name, value): &(&String, &Value)| {
        let plain = value.is_string() || value.is_boolean();
        plain && told.get(*name).is_some_and(|there| there != *value)
    };
    let (name, _) = sent.iter().find(differs)?;
    let message = format!("the server says that it is done, and that `{name}` is something else");
    let fault = answer.broken(&lockstep_http::quote(&message, &[]));
    Some(CallFault { effect: Effect::Uncertain, ..fault })
}
