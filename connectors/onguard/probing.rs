//! Looks at the server without changing anything: licence, log-in, types, badge statuses, filters, limits. This module must
//! not write.

use lockstep_contract::{Check, CheckOutcome, FaultKind, Health};
use lockstep_http::{CallFault, Value};

use crate::Onguard;
use crate::api::Api;
use crate::schema::Schema;
use crate::walk::Walk;
use crate::wire::Kind;

/// Probes.
pub(crate) async fn probe(onguard: &Onguard, api: &Api<'_>) -> Result<Health, CallFault> {
    let mut checks = vec![version(api).await?];
    let schema = match onguard.schema(api).await {
        Ok(schema) => schema,
        Err(fault) if fault.fault.kind == FaultKind::Invalid => {
            checks.push(check(
                "settings",
                CheckOutcome::Fail,
                fault.fault.message,
                Some("correct the setting or the site"),
            ));
            return Ok(Health { checks, server: None });
        }
        Err(fault) => return Err(fault),
    };
    checks.push(pass("licence and log-in", "the application id is licensed, and the user is logged on".to_owned()));
    checks.push(properties(onguard, &schema));
    checks.push(statuses(&schema));
    checks.push(filter(onguard, api).await?);
    checks.push(limits(onguard, api).await?);
    checks.push(levels(onguard, api).await?);
    Ok(Health { checks, server: None })
}

fn check(name: &str, outcome: CheckOutcome, detail: String, help: Option<&str>) -> Check {
    Check { name: name.to_owned(), outcome, detail, help: help.map(str::to_owned) }
}

fn pass(name: &str, detail: String) -> Check {
    check(name, CheckOutcome::Pass, detail, None)
}

async fn version(api: &Api<'_>) -> Result<Check, CallFault> {
    let json = api.version().await?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(|text| lockstep_http::quote(text, &[]));
    let detail = text("product_name").unwrap_or_else(|| "a server that does not tell its version".to_owned());
    Ok(pass("version", detail))
}

/// Every property of the settings is there, may be changed, and holds what the settings say.
fn properties(onguard: &Onguard, schema: &Schema) -> Check {
    const NAME: &str = "properties";
    let mut problems = Vec::new();
    for (name, stored) in &onguard.shape.fields {
        match schema.cardholder.get(stored.property()) {
            None => problems.push(format!("`{name}`: there is no property {}", stored.property())),
            Some(property) => {
                if !property.editable {
                    problems.push(format!("`{name}`: {} may not be changed", property.name));
                }
                let most = property.chars_max.filter(|most| *most < u64::from(stored.chars_max()));
                if let Some(most) = most {
                    let name_there = &property.name;
                    problems.push(format!("`{name}`: {name_there} holds {most} characters; say so in `chars_max`"));
                }
            }
        }
    }
    let may_switch = schema.badge.get("STATUS").is_some_and(|status| status.editable);
    if !may_switch {
        problems.push("the status of badges may not be changed: nobody can be switched off".to_owned());
    }
    if problems.is_empty() {
        return pass(NAME, format!("{} fields are there and may be changed", onguard.shape.fields.len()));
    }
    let outcome = if may_switch { CheckOutcome::Warn } else { CheckOutcome::Fail };
    check(NAME, outcome, problems.join("; "), Some("correct `fields`, or the rights of the OnGuard user"))
}

fn statuses(schema: &Schema) -> Check {
    const NAME: &str = "badge statuses";
    let statuses = &schema.statuses;
    let meaning =
        format!("“{}” opens doors, “{}” is set", statuses.name(statuses.active), statuses.name(statuses.switched_off));
    let unexplained = statuses.unexplained();
    if unexplained.is_empty() {
        return pass(NAME, meaning);
    }
    let detail =
        format!("{meaning}; not known here, and taken as working when access is cut: {}", unexplained.join(", "));
    check(
        NAME,
        CheckOutcome::Warn,
        detail,
        Some("name them in `badge_status`: disabled, lost, stolen, returned, expired"),
    )
}

/// A canary that nobody has: whoever finds somebody by it ignores filters.
async fn filter(onguard: &Onguard, api: &Api<'_>) -> Result<Check, CallFault> {
    const NAME: &str = "filter";
    let found =
        Walk::new(Kind::Cardholder, onguard.config.page_size.get()).filtered("ID=-1".to_owned()).next(api).await?;
    Ok(if found.is_empty() {
        pass(NAME, "a filter that fits nobody finds nobody".to_owned())
    } else {
        let detail = "the server ignores filters: it finds somebody by an id that nobody has".to_owned();
        check(
            NAME,
            CheckOutcome::Fail,
            detail,
            Some("nobody can be read one by one on this server; ask LenelS2 support"),
        )
    })
}

async fn limits(onguard: &Onguard, api: &Api<'_>) -> Result<Check, CallFault> {
    let limits = onguard.limits(api).await?;
    let words = |limit: Option<u64>| limit.map_or_else(|| "not told".to_owned(), |limit| limit.to_string());
    let badges = words(limits.active_badges);
    Ok(pass(
        "limits",
        format!("working badges a person: {badges}; access levels a badge: {}", words(limits.levels_per_badge)),
    ))
}

/// The levels by number, as a mapping names them.
async fn levels(onguard: &Onguard, api: &Api<'_>) -> Result<Check, CallFault> {
    const NAME: &str = "access levels";
    const SHOWN_MAX: usize = 50;
    let catalog = onguard.levels(api).await?;
    let count = catalog.levels.len();
    if count == 0 {
        let help = "let the OnGuard user see access levels, in the segments that the mapping names";
        return Ok(check(NAME, CheckOutcome::Warn, "none can be seen".to_owned(), Some(help)));
    }
    let named = catalog.levels.iter().take(SHOWN_MAX);
    let named: Vec<String> =
        named.map(|(id, level)| format!("{id} {}", lockstep_http::quote(&level.name, &[]))).collect();
    let more = if count > SHOWN_MAX { ", …" } else { "" };
    Ok(pass(NAME, format!("{count} can be seen: {}{more}", named.join(", "))))
}
