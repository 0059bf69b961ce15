//! What those concerned by a trip have in common. Most false alarms and most real accidents have one cause, and a
//! reviewer sees it at once when it is named.

use std::collections::BTreeMap;

use lockstep_contract::ActionId;

use super::Item;
use super::words::number;
use crate::Who;

/// One who is alone has everything in common with himself.
const ACTIONS_MIN: usize = 2;
/// So many of ten must share a trait for it to be named when not all do.
const TENTHS_MIN: usize = 8;

/// A sentence like `all 212 are in department Old`, or nothing.
pub(super) fn common<'a>(
    who: &BTreeMap<ActionId, Who>,
    items: impl Iterator<Item = &'a Item<'a>> + Clone,
) -> Option<String> {
    let total = items.clone().count();
    if total < ACTIONS_MIN {
        return None;
    }
    let people = || items.clone().filter_map(|item| who.get(item.id));
    let reasons =
        || items.clone().flat_map(|item| once_each(item.because.why.iter().flat_map(|why| why.groups.iter())));
    let lines =
        || items.clone().flat_map(|item| once_each(item.because.why.iter().filter_map(|why| why.mapping.as_ref())));
    let sentences = [
        sentence(total, "are in department", people().filter_map(|who| who.department.as_deref())),
        sentence(total, "have the title", people().filter_map(|who| who.title.as_deref())),
        sentence(total, "report to", people().filter_map(|who| who.manager.as_deref())),
        sentence(total, "rest on group", reasons().map(lockstep_contract::GroupId::as_str)),
        sentence(total, "rest on", lines().map(String::as_str)),
    ];
    let named: Vec<String> = sentences.into_iter().flatten().collect();
    if named.is_empty() { None } else { Some(named.join("; ")) }
}

/// The different values of one action, so that an action counts once for each.
fn once_each<'a, T: Ord + ?Sized>(values: impl Iterator<Item = &'a T>) -> std::collections::btree_set::IntoIter<&'a T> {
    values.collect::<std::collections::BTreeSet<_>>().into_iter()
}

fn sentence<'a>(total: usize, verb: &str, values: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values.filter(|value| !value.is_empty()) {
        *counts.entry(value).or_default() += 1;
    }
    // Of several that are equally common, the first by name: the same inputs give the same bytes.
    let (value, count) = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(a.0)))?;
    if count == total {
        Some(format!("all {} {verb} {value}", number(total as u64)))
    } else if count >= ACTIONS_MIN && count * 10 >= total * TENTHS_MIN {
        Some(format!("{} of {} {verb} {value}", number(count as u64), number(total as u64)))
    } else {
        None
    }
}
