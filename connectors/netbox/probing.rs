//! Looks at a NetBox before it is relied on. This module must not write and must not decide.

use lockstep_contract::{Check, CheckOutcome, Health, ServerMark};
use lockstep_http::CallFault;

use crate::NetBox;
use crate::api::Api;
use crate::convert::{BadRecord, Kept};
use crate::levels::Levels;
use crate::xml::Element;

/// So many people are looked at.
const SOME: u32 = 20;

/// Probes a NetBox.
pub(crate) async fn probe(netbox: &NetBox, api: &Api<'_>) -> Result<Health, CallFault> {
    let version = api.version().await?;
    // A log-in proves nothing here: without the right setting, everything after it is refused.
    let some = api.people(0, SOME, 1).await?.people;
    let levels = api.levels().await?;
    let mut checks = vec![
        pass("sign-in", "people and access levels can be read".to_owned()),
        level_ids(&levels).map_err(|error| api.bad("list access levels", &error))?,
        version_check(version.as_deref()),
        partition(netbox, api).await?,
        suspension_field(netbox, &some),
        zone(netbox, &some),
    ];
    checks.extend(statuses(netbox, &some));
    let mark = ServerMark { domain: netbox.info.fingerprint.clone(), replica: None, generation: None, clock: None };
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

/// The ids that a mapping is written with.
fn level_ids(levels: &Levels) -> Result<Check, BadRecord> {
    let ids: Vec<String> = levels.catalog()?.levels.into_keys().map(String::from).collect();
    Ok(pass("access levels", format!("{}, for the mapping: {}", ids.len(), ids.join(", "))))
}

fn version_check(version: Option<&str>) -> Check {
    const NAME: &str = "version";
    let Some(version) = version else {
        return warn(NAME, "the NetBox does not say which version it is".to_owned(), "5.6 or newer is needed");
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if number >= (5, 6) {
        pass(NAME, format!("NBAPI {version}"))
    } else {
        warn(NAME, format!("NBAPI {version} is older than anything tried"), "update the NetBox to 5.6 or newer")
    }
}

async fn partition(netbox: &NetBox, api: &Api<'_>) -> Result<Check, CallFault> {
    const NAME: &str = "partition";
    let all = api.partitions().await?;
    let configured = netbox.config.partition.as_deref();
    let named = configured.map(|key| all.iter().find(|(known, _)| known == key).map_or(key, |(_, name)| name.as_str()));
    Ok(match named {
        Some(name) => pass(NAME, format!("works in partition “{name}”")),
        None if all.len() > 1 => warn(
            NAME,
            format!("there are {} partitions, and none is named: the one that the user signs in to is used", all.len()),
            "set `partition`: whoever changes the user's partition on the NetBox changes what is seen here",
        ),
        None => pass(NAME, "there is one".to_owned()),
    })
}

fn suspension_field(netbox: &NetBox, some: &[Element]) -> Check {
    const NAME: &str = "suspension field";
    let place = netbox.shape.suspension;
    let foreign =
        some.iter().filter(|person| person.text_of(place.name()).is_some_and(|text| Kept::read(text) == Kept::Foreign));
    match foreign.count() {
        0 => pass(NAME, format!("{place} is free")),
        n => check(
            NAME,
            CheckOutcome::Fail,
            format!("{n} of {} people have something else in {place}", some.len()),
            Some(
                "name a user-defined field that nobody uses: what stands there is not overwritten, and then is in the way",
            ),
        ),
    }
}

fn zone(netbox: &NetBox, some: &[Element]) -> Check {
    const NAME: &str = "time zone";
    let dates = some.iter().flat_map(|person| ["LASTEDIT", "ACTDATE", "EXPDATE"].map(|name| person.text_of(name)));
    let verdicts: Vec<bool> = dates.flatten().filter_map(|text| netbox.shape.clock.agrees(text)).collect();
    if verdicts.contains(&false) {
        return check(
            NAME,
            CheckOutcome::Fail,
            "the NetBox sends dates of another time zone than the one configured".to_owned(),
            Some("set `time_zone` to that of the controller: otherwise every date is written some hours off"),
        );
    }
    if verdicts.is_empty() {
        let help = "compare the clock on the screen of the NetBox with `time_zone`";
        return warn(NAME, "no date with an offset was seen, so it could not be compared".to_owned(), help);
    }
    pass(NAME, "the dates of the NetBox fit the time zone".to_owned())
}

/// Card statuses that nobody has said anything about.
fn statuses(netbox: &NetBox, some: &[Element]) -> Option<Check> {
    let cards = some.iter().flat_map(|person| person.all("ACCESSCARDS").flat_map(|list| list.all("ACCESSCARD")));
    let mut unknown: Vec<&str> = cards.filter_map(|card| card.text_of("CARDSTATUS")).collect();
    unknown.retain(|word| {
        let word = word.to_ascii_lowercase();
        !word.is_empty() && word != "active" && !netbox.shape.statuses.contains_key(&word)
    });
    unknown.sort_unstable();
    unknown.dedup();
    (!unknown.is_empty()).then(|| {
        let words = lockstep_http::quote(&unknown.join(", "), &[]);
        let help = "list under `card_statuses` those with which a card opens nothing";
        warn("card statuses", format!("cards have these statuses, and count as working: {words}"), help)
    })
}
