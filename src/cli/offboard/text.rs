//! The answer of `offboard` for people. It never says more than was read back.

use lockstep_offboard::Progress;
use lockstep_view::escape;

use super::{ByHand, Offboarded};

/// The whole answer.
pub(super) fn of(done: &Offboarded<'_>) -> String {
    let reports = done.people;
    let mut lines = Vec::new();
    for report in reports {
        let dry = if report.dry_run { " (dry run: nothing was written)" } else { "" };
        lines.push(format!("{}{dry}", report.who));
        for (target, outcome) in &report.targets {
            progress(&mut lines, target.as_str(), &outcome.progress);
            for one in &outcome.cardholders {
                let sign = if one.confirmed { '-' } else { '!' };
                lines.push(format!("  {sign} {target}: cardholder {} ({}): {}", one.cardholder, one.name, one.detail));
                if report.dry_run {
                    lines.extend(one.steps.iter().map(|step| format!("      would {step}")));
                }
            }
        }
        if !report.found_anywhere() && !report.targets.is_empty() {
            lines.push(
                "  ! NOT found on any PACS that answered: nobody was switched off; a run holds out whom it knows by this, \
                 if that is one person"
                    .into(),
            );
        }
        lines.extend(report.journal_faults.iter().map(|fault| format!("  ! not on record: {fault}")));
    }
    lines.extend(done.not_asked.iter().map(|one| format!("! {}: NOT asked: {}", one.what, one.why)));
    lines.extend(done.left_out.iter().map(|what| format!("! {what}: NOT asked: left out by --target")));
    lines.extend(done.by_hand.iter().map(hand));
    let targets = reports.iter().flat_map(|report| report.targets.values());
    let confirmed = targets.flat_map(|outcome| &outcome.cardholders).filter(|one| one.confirmed).count();
    lines.push(match (done.complete, reports.iter().any(|report| report.dry_run)) {
        (_, true) => "Dry run: nothing was written.".into(),
        (true, _) if !done.left_out.is_empty() => {
            format!("Out where asked: {confirmed} records switched off and read back; other PACS were left out.")
        }
        (true, _) => format!("Out everywhere: {confirmed} records switched off and read back."),
        (false, _) => format!("NOT out everywhere yet: {confirmed} records switched off and read back; see above."),
    });
    lines.iter().map(|line| escape::terminal(line)).collect::<Vec<_>>().join("\n")
}

fn hand(hand: &ByHand) -> String {
    let what = match hand.cardholders.as_slice() {
        [] => "look the person up and switch them off".to_owned(),
        records => format!("switch off {}", records.join(", ")),
    };
    let export = hand.export.as_ref().map(|path| format!(" (who has what: {path})"));
    format!("  by hand, {} on {}: {what}{}", hand.who, hand.target, export.unwrap_or_default())
}

fn progress(lines: &mut Vec<String>, target: &str, progress: &Progress) {
    match progress {
        Progress::Done => {}
        Progress::NotThere => lines.push(format!("  = {target}: no record of this person")),
        Progress::NotAsked { why } => lines.push(format!("  ! {target}: NOT asked: {why}")),
        Progress::Unreached { fault } => lines.push(format!("  ! {target}: NOT reached: {fault}")),
        Progress::Ambiguous { candidates } => {
            lines.push(format!("  ? {target}: not clear who is meant; nothing was done here. What matches:"));
            for one in candidates {
                let number = one.employee_number.as_deref().unwrap_or("no employee number");
                let state = if one.active { "active" } else { "not active" };
                lines.push(format!("      cardholder:{target}/{} {} ({number}), {state}", one.cardholder, one.name));
            }
        }
    }
}
