//! Row counts: a reading that holds nobody, or far fewer rows than the one before, is not believed.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use lockstep_contract::{Fault, FaultKind};
use serde::{Deserialize, Serialize};

use crate::ledger::write_file;
use crate::people::Tables;
use crate::profile::TableName;

/// What is wrong with a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    pub(crate) help: String,
    /// It was replaced while it was read: another look may go well at once.
    pub(crate) replaced: bool,
}

impl Complaint {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: help.into(), replaced: false }
    }

    pub(crate) fn fault(self, system: &str, operation: &str) -> Fault {
        Fault::new(self.kind, system, operation, self.message).with_help(self.help)
    }
}

/// Where the counts of the last reading that was believed are kept, and by how much they may fall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) memory: &'a Path,
    pub(crate) shrink_percent_max: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Counts {
    counted: Option<Timestamp>,
    rows: BTreeMap<TableName, usize>,
}

impl Counted<'_> {
    /// Compares, and remembers what is believed.
    pub(crate) fn check(&self, tables: &Tables, as_of: Timestamp) -> Result<(), Complaint> {
        let rows: BTreeMap<TableName, usize> = tables.iter().map(|(name, rows)| (*name, rows.len())).collect();
        if rows.get(&TableName::People).copied().unwrap_or_default() == 0 {
            let help = "find out why it is empty; nothing is read from it until then";
            return Err(Complaint::new(
                FaultKind::Protocol,
                "it holds nobody; a PACS without anybody is not believed",
                help,
            ));
        }
        let known: Counts = match std::fs::read(self.memory) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Counts::default(),
        };
        for (name, before) in &known.rows {
            let now = rows.get(name).copied().unwrap_or_default();
            // One row more or less is no sign of anything, however few there are.
            let lost = before.saturating_sub(now).saturating_sub(1);
            if lost * 100 > before * self.shrink_percent_max as usize {
                let message = format!(
                    "it has {now} rows of {} and had {before}; it may shrink by {} percent",
                    name.as_str(),
                    self.shrink_percent_max
                );
                return Err(Complaint::new(FaultKind::Protocol, message, self.help()));
            }
        }
        if known.counted.is_none_or(|counted| counted < as_of) && known.rows != rows {
            let counts = Counts { counted: Some(as_of), rows };
            write_file(self.memory, &counts).map_err(|error| {
                let message = format!("{} cannot be written: {error}", self.memory.display());
                Complaint::new(FaultKind::Unreachable, message, "free space on this machine")
            })?;
        }
        Ok(())
    }

    fn help(&self) -> String {
        format!(
            "find out why; if so many rows are really gone, delete {}: the next reading is then believed as it is",
            self.memory.display()
        )
    }
}
