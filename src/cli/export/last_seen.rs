//! Who a record belongs to, from the sheets of an older set: for the worklist of a PACS that cannot be read now. A set
//! that is sealed or damaged says nothing.

use std::path::Path;

use lockstep_contract::Subject;
use lockstep_core::Who;

use super::manifest::Manifest;
use super::sets;
use crate::cli::worklist::Task;

/// The columns of the table of a sheet.
#[derive(serde::Deserialize)]
struct Line {
    name: String,
    #[serde(rename = "employee number")]
    employee_number: String,
    department: String,
    cardholder: String,
}

/// Puts a name to every task that has none, where an older set knows whose record that is.
pub(crate) fn name(tasks: &mut [Task], folder: &Path) {
    for task in tasks.iter_mut().filter(|task| task.who.name.is_empty()) {
        let Subject::Existing(id) = &task.action.subject else { continue };
        if let Some(who) = who(folder, task.action.target.as_str(), id.as_str()) {
            task.who = who;
        }
    }
}

/// In the newest set that has a whole table of this target.
fn who(folder: &Path, target: &str, cardholder: &str) -> Option<Who> {
    let sets = sets::list(folder).ok()?;
    sets.iter().rev().find_map(|set| {
        let manifest = Manifest::read(&set.path).ok()?;
        let table = &manifest.targets.get(target)?.files.first()?.table;
        let bytes = manifest.whole_file(&set.path, table).ok()?;
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let mut lines = csv::Reader::from_reader(text).into_deserialize::<Line>().flatten();
        let line = lines.find(|line| line.cardholder == cardholder)?;
        let known = |value: String| Some(value).filter(|value| !value.is_empty());
        Some(Who {
            name: line.name,
            employee_number: known(line.employee_number),
            department: known(line.department),
            ..Who::default()
        })
    })
}
