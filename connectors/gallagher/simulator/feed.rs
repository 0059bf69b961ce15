//! The feed of changes: polled, with a bookmark that moves and means nothing to anybody else.

use std::collections::BTreeSet;

use lockstep_simulator::{Reply, Request};
use serde_json::{Value, json};

use super::search::{Query, bad};
use super::show;
use super::state::{Change, State};

/// So many changes come in an answer, at most.
const TOP_MAX: usize = 1_000;
/// A bookmark is a place in the feed in disguise.
const DISGUISE: usize = 0x5eed_0001;

pub(super) fn changes(state: &State, root: &str, request: &Request) -> Reply {
    match answer(state, root, request) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn answer(state: &State, root: &str, request: &Request) -> Result<Reply, Reply> {
    let query = Query::of(request);
    if let Some(name) = query.unknown(&["top", "filter", "fields", "deadline", "pos", "v"]) {
        return Err(bad(&format!("Unknown parameter {name}")));
    }
    let top = query.top()?.min(TOP_MAX);
    // The first answer holds no change: only a place to come back to.
    let at = match query.get("pos") {
        None => state.changes.len(),
        Some(pos) => place(pos).filter(|at| *at <= state.changes.len()).ok_or_else(|| bad("Invalid value for pos"))?,
    };
    let filter: BTreeSet<&str> = query.get("filter").map(|text| text.split(',').collect()).unwrap_or_default();
    let counts = |change: &Change| {
        change.kind != "update" || filter.is_empty() || change.what.iter().any(|what| filter.contains(what))
    };
    let fields = query.get("fields").unwrap_or("href,time,type,item,oldValues,newValues");
    let wanted = show::Wanted::of(Some(fields), &[]);
    let mut results = Vec::new();
    let mut end = at;
    for change in state.changes.iter().skip(at) {
        if results.len() == top {
            break;
        }
        end += 1;
        if counts(change) {
            results.push(shown(state, root, end, change, &wanted));
        }
    }
    let pos = format!("SW{:x}", end ^ DISGUISE);
    let next = format!("{root}/api/cardholders/changes?{}", query.moved("pos", &pos));
    Ok(Reply::json(200, &json!({ "results": results, "next": { "href": next } })))
}

fn place(pos: &str) -> Option<usize> {
    usize::from_str_radix(pos.strip_prefix("SW")?, 16).ok().map(|at| at ^ DISGUISE)
}

fn shown(state: &State, root: &str, at: usize, change: &Change, wanted: &show::Wanted) -> Value {
    let mut shown = json!({});
    let item = json!({ "href": format!("{root}/api/cardholders/{}", change.id) });
    let operator = if change.own { super::OPERATOR } else { super::OTHER_OPERATOR };
    for (name, value) in [
        ("href", json!(format!("{root}/api/cardholders/changes/{at:x}"))),
        ("time", json!(change.at.to_string())),
        ("type", json!(change.kind)),
        ("item", item),
        ("operator", json!({ "href": format!("{root}/api/cardholders/{operator}") })),
    ] {
        if wanted.has(name) {
            shown[name] = value;
        }
    }
    if let (Some(inside), Some(holder)) = (wanted.inside("cardholder"), state.holders.get(&change.id)) {
        shown["cardholder"] = show::holder(state, root, change.id, holder, &inside);
    }
    shown
}
