//! Looks at a server before it is relied on. This module must not write and must not decide.

use lockstep_contract::{Check, CheckOutcome, FaultKind, Health, ServerMark};
use lockstep_http::{CallFault, Value};

use crate::Scim;
use crate::api::{Api, Resource, objects, quoted};
use crate::config::MemberRemoval;
use crate::convert::{ENTERPRISE, get};
use crate::discovery::Provider;
use crate::listing::Walk;
use crate::memberships::{self, Source};

/// Probes a server.
pub(crate) async fn probe(scim: &Scim, api: &Api<'_>) -> Result<Health, CallFault> {
    let document = api.document("ServiceProviderConfig").await?;
    let provider = crate::discovery::provider(document.as_ref(), &scim.config);
    scim.provider.set(provider.clone());
    let mut users = Walk::new(Resource::Users, &provider).at_most(1);
    users.next(api, objects).await?;
    let total = users.total().map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
    let mut checks = vec![
        pass("sign-in", format!("{total} users can be read")),
        described(&provider),
        enterprise(scim, api).await?,
        filter(api, &provider).await?,
        members(scim, api, &provider).await?,
    ];
    checks.extend(removal(scim));
    let mark = ServerMark { domain: scim.info.fingerprint.clone(), replica: None, generation: None, clock: None };
    Ok(Health { checks, server: Some(mark) })
}

fn check(name: &str, outcome: CheckOutcome, detail: String, help: Option<&str>) -> Check {
    Check { name: name.to_owned(), outcome, detail, help: help.map(str::to_owned) }
}

fn pass(name: &str, detail: String) -> Check {
    check(name, CheckOutcome::Pass, detail, None)
}

fn warn(name: &str, detail: &str, help: &str) -> Check {
    check(name, CheckOutcome::Warn, detail.to_owned(), Some(help))
}

fn described(provider: &Provider) -> Check {
    let yes = |name: &'static str, it: bool| it.then_some(name);
    let features: Vec<&str> = [
        yes("patch", provider.patch),
        yes("filter", provider.filter),
        yes("sort", provider.sort),
        yes("versions", provider.etag),
        yes("cursor paging", provider.cursor),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !provider.described {
        return warn(
            "description",
            "the server has no ServiceProviderConfig; filters and PATCH are taken for granted",
            "check the base address; some vendors have no such document",
        );
    }
    if provider.patch {
        pass("description", format!("the server has {}", features.join(", ")))
    } else {
        warn(
            "description",
            "the server has no PATCH: records are read, changed and written back whole",
            "do not let other programs write the same users and groups at the same time",
        )
    }
}

async fn enterprise(scim: &Scim, api: &Api<'_>) -> Result<Check, CallFault> {
    const NAME: &str = "enterprise extension";
    if !scim.config.enterprise {
        return Ok(pass(NAME, "not used".to_owned()));
    }
    let Some(document) = api.document("ResourceTypes").await? else {
        return Ok(warn(NAME, "the server does not say whether it has it", "set `enterprise = false` if it has not"));
    };
    let types = match &document {
        Value::Array(types) => types.as_slice(),
        Value::Object(list) => get(list, "Resources").and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => &[],
    };
    let has = types.iter().filter_map(Value::as_object).any(|kind| {
        let extensions = get(kind, "schemaExtensions").and_then(Value::as_array).into_iter().flatten();
        extensions
            .filter_map(|e| e.get("schema").and_then(Value::as_str))
            .any(|schema| schema.eq_ignore_ascii_case(ENTERPRISE))
    });
    Ok(if has {
        pass(NAME, "the server has it".to_owned())
    } else {
        warn(
            NAME,
            "the server does not list it: employee number, department and company will not be stored",
            "set `enterprise = false`",
        )
    })
}

/// A canary that nobody has: whoever finds somebody by it ignores filters.
async fn filter(api: &Api<'_>, provider: &Provider) -> Result<Check, CallFault> {
    const NAME: &str = "filter";
    let help = "people are found by reading all users, which is slow; ask the vendor about filters on `externalId`";
    if !provider.filter {
        return Ok(warn(NAME, "the server has no filters", help));
    }
    let filter = format!("externalId eq {}", quoted("lockstep-nobody-has-this-id"));
    match Walk::new(Resource::Users, provider).at_most(1).filtered(filter).next(api, objects).await {
        Ok(users) if users.is_empty() => Ok(pass(NAME, "a filter that fits nobody finds nobody".to_owned())),
        Ok(_) => Ok(check(
            NAME,
            CheckOutcome::Fail,
            "the server ignores filters: it finds somebody by an id that nobody has".to_owned(),
            Some("nobody can be found by a key on this server; ask the vendor about filters on `externalId`"),
        )),
        Err(fault) if matches!(fault.fault.kind, FaultKind::Invalid | FaultKind::Unsupported) => {
            Ok(warn(NAME, "the server does not accept a filter on `externalId`", help))
        }
        Err(fault) => Err(fault),
    }
}

async fn members(scim: &Scim, api: &Api<'_>, provider: &Provider) -> Result<Check, CallFault> {
    const NAME: &str = "memberships";
    if let Some(source) = memberships::fixed(scim.config.memberships) {
        return Ok(pass(NAME, format!("read {}, as configured", way(source))));
    }
    let truth = memberships::scan(api, provider).await?;
    let levels = truth.group_count();
    Ok(match memberships::calibrate(api, provider, &truth).await? {
        Some(Source::AllGroups) => warn(
            NAME,
            "only the members of all groups tell the truth; each look at one user reads them all",
            "keep the number of groups on this server small",
        ),
        Some(source) => {
            scim.source.set(source);
            pass(NAME, format!("{levels} groups; those of one user are read {}", way(source)))
        }
        None => pass(NAME, format!("{levels} groups, nobody is in any of them")),
    })
}

const fn way(source: Source) -> &'static str {
    match source {
        Source::AllGroups => "from the members of all groups",
        Source::UserGroups => "from the user",
        Source::GroupFilter => "by a filter on groups",
    }
}

fn removal(scim: &Scim) -> Option<Check> {
    (scim.config.member_removal == MemberRemoval::Value).then(|| {
        warn(
            "member removal",
            "set to `value`: servers that keep to the standard empty the whole group on it",
            "try it on a group of two test users first",
        )
    })
}
