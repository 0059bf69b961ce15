//! Outcomes left for the one table that `tests/run` prints: a file for each suite, in the folder that `TESTBED_OUTCOMES`
//! names. Nothing is left when it names none. This module must not judge.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::law::Outcome;

/// The environment variable that names the folder.
const FOLDER: &str = "TESTBED_OUTCOMES";

/// Leaves the outcomes of a suite: a law and what became of it, a line each. What an earlier run of the same suite left is
/// replaced.
pub fn leave_outcomes(suite: &str, outcomes: impl IntoIterator<Item = (String, Outcome)>) {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut by_kind: Vec<(String, Outcome)> = outcomes.into_iter().collect();
    by_kind.sort_by(|one, other| one.0.cmp(&other.0));
    write(&folder, suite, &by_kind);
}

fn write(folder: &Path, suite: &str, outcomes: &[(String, Outcome)]) {
    let mut text = String::new();
    for (law, outcome) in outcomes {
        let (word, why) = match outcome {
            Outcome::Kept => ("kept", ""),
            Outcome::Skipped(why) => ("not applicable", why.as_str()),
            Outcome::Broken(how) => ("BROKEN", how.as_str()),
        };
        let plain = |text: &str| text.replace(['\t', '\n', '\r'], " ");
        let _ = writeln!(text, "{}\t{}\t{word}\t{}", plain(suite), plain(law), plain(why));
    }
    let part = outcomes.first().map_or("none", |(law, _)| law.split(':').next().unwrap_or("laws"));
    let name: String =
        format!("{suite}-{part}").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    // A table is a convenience: a test does not fail because its folder is gone.
    let _ = std::fs::create_dir_all(folder);
    let _ = std::fs::write(folder.join(format!("{name}.tsv")), text);
}
