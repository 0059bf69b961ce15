//! What a plan that lets somebody back in lifts, in a reviewer's words: one list for every view.

use lockstep_core::PlanDocument;

use crate::html::minute;

/// What an approval of this plan would lift; empty for every other plan.
pub fn reinstatement_lines(plan: &PlanDocument) -> Vec<String> {
    let Some(what) = &plan.header.reinstate else { return Vec::new() };
    let names: Vec<&str> = what.names.iter().map(String::as_str).collect();
    let known = if names.is_empty() { "no record on any PACS".to_owned() } else { names.join(", ") };
    let by = plan.header.by.as_deref().unwrap_or("nobody in particular");
    let mut lines = vec![format!("Lets {} back in ({known}), asked for by {by}: {}", what.who, what.reason)];
    for held in &what.holds {
        lines.push(format!("Lifts the hold set on {} by {}: {}", minute(held.since), held.by, held.reason));
    }
    if !what.left_out.is_empty() {
        let left: Vec<String> = what.left_out.iter().map(ToString::to_string).collect();
        lines.push(format!("The hold ends everywhere, but nothing is given back on {}", left.join(", ")));
    }
    if plan.entries.is_empty() {
        lines.push("Nothing that was taken can be given back; the hold ends all the same".to_owned());
    }
    lines
}
