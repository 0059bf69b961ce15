//! Looks at a server before it is relied on. This module must not write and must not decide.

use lockstep_contract::{Check, CheckOutcome, Health, ServerMark};
use lockstep_http::CallFault;

use crate::Gallagher;
use crate::api::{Api, with_query};
use crate::cards::{label_for_off, label_for_on};
use crate::convert::Record;
use crate::discovery::{DataFields, Groups, Root};
use crate::finding::{blind, broken};

/// So many cardholders are looked at.
const SAMPLE: &str = "1000";
/// So many access groups are shown with their paths.
const LEVELS_SHOWN: usize = 50;

/// Probes a server.
pub(crate) async fn probe(gallagher: &Gallagher, api: &Api<'_>) -> Result<Health, CallFault> {
    let root = gallagher.fresh_root(api).await?;
    let data = gallagher.fresh_data_fields(api).await?;
    let groups = gallagher.fresh_groups(api).await?;
    let sample = sample(gallagher, api, &root).await?;
    let mut checks = vec![version(&root)];
    checks.extend(fields(&data));
    checks.push(levels(&groups));
    checks.push(home(gallagher, api, &data, &groups).await?);
    checks.push(showing(&sample, &data, &groups));
    checks.push(division(gallagher, api).await?);
    checks.push(states(gallagher, api).await?);
    let domain = gallagher.info.fingerprint.clone();
    let mark = ServerMark { domain, replica: None, generation: None, clock: None };
    Ok(Health { checks, server: Some(mark) })
}

fn check(name: &str, outcome: CheckOutcome, detail: String, help: Option<&str>) -> Check {
    Check { name: name.to_owned(), outcome, detail, help: help.map(str::to_owned) }
}

fn pass(name: &str, detail: String) -> Check {
    check(name, CheckOutcome::Pass, detail, None)
}

fn warn(name: &str, detail: String, help: &str) -> Check {
    check(name, CheckOutcome::Warn, detail, Some(help))
}

async fn sample(gallagher: &Gallagher, api: &Api<'_>, root: &Root) -> Result<Vec<Record>, CallFault> {
    let operation = "look at some cardholders";
    let shape = gallagher.shape(api).await?;
    let fields = shape.fields("");
    let divisions = gallagher.config.divisions.join(",");
    let mut query = vec![("sort", "-id"), ("top", SAMPLE), ("fields", &*fields)];
    if !divisions.is_empty() {
        query.push(("division", &divisions));
    }
    let page = api.page(with_query(root.cardholders.clone(), &query), operation).await?;
    if page.items.is_empty() && !gallagher.config.may_be_empty {
        return Err(blind(api, operation));
    }
    page.items.iter().map(|item| shape.record(item).map_err(|bad| broken(api, operation, &bad))).collect()
}

fn version(root: &Root) -> Check {
    let detail = format!("Command Centre {} accepts the key", root.version);
    if root.changes.is_none() {
        let help = "from version 8.30, changes that are made while a list is read are followed";
        return warn("sign-in", format!("{detail}; it has no feed of changes"), help);
    }
    pass("sign-in", detail)
}

fn fields(data: &DataFields) -> Vec<Check> {
    let checks = data.all().into_values().map(|field| {
        let name = format!("personal data field {}", field.name);
        match field.access.as_deref() {
            Some("noAccess") => check(
                &name,
                CheckOutcome::Fail,
                "the operator may not see it".to_owned(),
                Some("give the operator group access to it, under Personal Data in its properties"),
            ),
            Some("readOnly") => warn(
                &name,
                "the operator may see it and not write it".to_owned(),
                "give the operator group full access to it, if Lockstep is to write it",
            ),
            Some(_) | None => pass(&name, format!("id {}, {}", field.id, field.kind)),
        }
    });
    let loose = data.keys.values().find(|field| !field.unique);
    let unique = loose.map(|field| {
        let detail = format!("`{}` need not be unique: two cardholders may have one value", field.name);
        warn("unique key", detail, "mark the field as unique in the Configuration Client")
    });
    checks.chain(unique).collect()
}

/// A mapping names a group by its path, which no screen of Command Centre shows.
fn levels(groups: &Groups) -> Check {
    let shown = groups.0.iter().take(LEVELS_SHOWN).map(|(path, group)| format!("{path} is “{}”", group.name));
    let shown: Vec<String> = shown.collect();
    let more = if groups.0.len() > LEVELS_SHOWN { ", …" } else { "" };
    pass("access groups", format!("{}: {}{more}", groups.0.len(), shown.join(", ")))
}

async fn home(gallagher: &Gallagher, api: &Api<'_>, data: &DataFields, groups: &Groups) -> Result<Check, CallFault> {
    const NAME: &str = "home group";
    let Some(home) = gallagher.home(api).await? else {
        return Ok(warn(
            NAME,
            "none is set: a new cardholder is created only if a granted group carries its key".to_owned(),
            "set `home_group` to an access group that carries the fields and opens nothing",
        ));
    };
    let lacks = data.all().into_values().find(|field| !groups.carries(&home, field));
    if let Some(field) = lacks {
        let detail = format!("it does not carry `{}`", field.name);
        return Ok(check(NAME, CheckOutcome::Fail, detail, Some("add the field to the group's personal data")));
    }
    let opens: Vec<&str> = groups
        .upwards(&home)
        .filter_map(|(_, group)| group)
        .flat_map(|group| &group.zones)
        .map(String::as_str)
        .collect();
    if opens.is_empty() {
        return Ok(pass(NAME, "it carries every field, and opens nothing".to_owned()));
    }
    let help = "use a group without access for it: it is not shown as an access level";
    Ok(warn(NAME, format!("its members may enter {}", opens.join(", ")), help))
}

/// How many keys do not show, so that nobody knows whether they are there.
fn showing(sample: &[Record], data: &DataFields, groups: &Groups) -> Check {
    const NAME: &str = "keys";
    let hidden = |record: &&Record| {
        data.keys.iter().all(|(kind, field)| !record.shows(*kind) && !record.may_hold(field, groups, |_| true))
    };
    let count = sample.iter().filter(hidden).count();
    let keyed = sample.iter().filter(|record| !record.cardholder.keys.is_empty()).count();
    let detail = format!("of {} cardholders, {keyed} show a key, and those of {count} cannot show", sample.len());
    if count == 0 {
        return pass(NAME, detail);
    }
    warn(NAME, detail, "put cardholders that are to be managed into a group that carries the key")
}

async fn division(gallagher: &Gallagher, api: &Api<'_>) -> Result<Check, CallFault> {
    const NAME: &str = "divisions";
    let divisions = gallagher.divisions(api).await?;
    let unknown = |id: &&String| !divisions.0.values().any(|division| division.id == **id);
    if let Some(id) = gallagher.config.divisions.iter().find(unknown) {
        let detail = format!("there is no division with the id {id}, or the operator has no rights in it");
        return Ok(check(NAME, CheckOutcome::Fail, detail, Some("check `divisions`: they are ids, not names")));
    }
    match &gallagher.config.division {
        Some(wanted) if wanted.starts_with('/') => {
            Ok(pass(NAME, "the division of new cardholders is a path".to_owned()))
        }
        Some(wanted) => {
            divisions.named(api, wanted)?;
            Ok(pass(NAME, format!("new cardholders go into {wanted}")))
        }
        None => Ok(warn(NAME, "no cardholder can be created".to_owned(), "set `division`")),
    }
}

async fn states(gallagher: &Gallagher, api: &Api<'_>) -> Result<Check, CallFault> {
    const NAME: &str = "card states";
    let card_types = gallagher.card_types(api).await?;
    let states = &gallagher.config.card_states;
    let wrong = card_types.0.values().find_map(|there| {
        let off = label_for_off(lockstep_contract::InactiveStatus::Disabled, states, Some(there)).err();
        off.or_else(|| label_for_on(states, Some(there)).err())
    });
    Ok(match wrong {
        Some(detail) => {
            check(NAME, CheckOutcome::Fail, detail, Some("cards of this type cannot be switched off until then"))
        }
        None if card_types.0.is_empty() => warn(
            NAME,
            "the operator sees no card type, so the names of card states are taken as they are set".to_owned(),
            "give it `View Site` or the right to assign cards, or check `card_states` by hand",
        ),
        None => pass(NAME, format!("the states of {} card types are known", card_types.0.len())),
    })
}
