//! The worklist: what a person has to click, cardholder by cardholder, when Lockstep cannot. For printing, in black
//! and white, with boxes to tick.

use askama::Template;
use lockstep_contract::Step;
use lockstep_core::{EntryState, PlanDocument};

use crate::escape::short_digest;
use crate::html::{STYLE, minute, policy, sentence};
use crate::row::{Row, rows, words};

#[derive(Template)]
#[template(path = "worklist.html")]
struct WorklistPage<'d> {
    style: &'static str,
    policy: String,
    digest: String,
    created: String,
    sheets: Vec<Sheet<'d>>,
}

struct Sheet<'d> {
    target: String,
    endpoint: String,
    rows: Vec<Item<'d>>,
}

struct Item<'d> {
    row: Row<'d>,
    /// It is not agreed to yet.
    waits: bool,
    clicks: Vec<String>,
}

/// The worklist of a plan: what takes access away first, sheet by sheet for each target. Held actions are left out,
/// since nobody has agreed to them; what waits for an approval says so.
///
/// # Panics
/// Never: the template is compiled in and writes to memory.
pub fn worklist_html(plan: &PlanDocument) -> String {
    let mut all = rows(plan);
    all.retain(|row| row.held_by.is_empty());
    all.sort_by_key(|row| row.category);
    let sheets = plan
        .targets
        .iter()
        .map(|section| Sheet {
            target: section.target.to_string(),
            endpoint: section.endpoint.clone(),
            rows: all
                .iter()
                .filter(|row| row.entry.action.target == section.target)
                .map(|row| Item { row: row.clone(), waits: waits(row), clicks: clicks(row) })
                .collect(),
        })
        .filter(|sheet| !sheet.rows.is_empty())
        .collect();
    WorklistPage {
        style: STYLE,
        policy: policy(),
        digest: short_digest(&plan.digest),
        created: minute(plan.header.created),
        sheets,
    }
    .render()
    .expect("a compiled template writes to memory")
}

fn waits(row: &Row<'_>) -> bool {
    matches!(row.entry.state, EntryState::NeedsApproval)
}

/// What to do by hand, in the order that cuts access first.
fn clicks(row: &Row<'_>) -> Vec<String> {
    let mut clicks = Vec::new();
    for step in &row.entry.action.steps {
        if let Step::Provision { profile, .. } = step {
            clicks.push("Look for the person first; create a cardholder only when there is none".to_owned());
            clicks.extend(profile.iter().map(|(name, value)| format!("Set {} to “{value}”", words(name.as_str()))));
        }
    }
    if clicks.is_empty() {
        clicks.push(format!("Open cardholder {}", row.subject()));
        clicks.extend(row.other.iter().map(|other| sentence(other)));
    }
    clicks.extend(row.losses.iter().map(|loss| format!("Remove access level “{}”", loss.level)));
    clicks.extend(row.gains.iter().map(|gain| format!("Add access level “{}”", gain.level)));
    clicks.push("Save, open the record again, and check that it shows all of this".into());
    clicks
}
