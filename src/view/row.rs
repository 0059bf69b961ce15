//! One row of a report: an action in the words of the person who reviews it. All views are made from these rows, so
//! text, CSV and HTML can never say different things.

use lockstep_contract::{Action, Reduction, Situation, Step, Subject, Why};
use lockstep_core::{Entry, EntryState, LevelFacts, PlanDocument, TargetSection};

/// What a reviewer would call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Loses all access.
    Leaver,
    /// Gets a record.
    Joiner,
    /// Comes back: what we switched off is switched on again.
    Return,
    /// Gains or loses levels.
    Mover,
    /// Only details of the record change.
    Details,
}

impl Category {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Leaver => "leaver",
            Self::Joiner => "joiner",
            Self::Return => "return",
            Self::Mover => "mover",
            Self::Details => "details",
        }
    }

    /// The sign before it: `-` disable, `+` joiner, `~` change.
    pub const fn sign(self) -> char {
        match self {
            Self::Leaver => '-',
            Self::Joiner | Self::Return => '+',
            Self::Mover | Self::Details => '~',
        }
    }
}

/// A level gained or lost, as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name on the PACS, or its id.
    pub level: String,
    /// The doors it opens.
    pub doors: Vec<String>,
    /// Its site.
    pub site: Option<String>,
    /// Tagged high-security.
    pub high_security: bool,
}

/// One action in a reviewer's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'d> {
    /// Where it stands in the plan.
    pub entry: &'d Entry,
    /// What a reviewer would call it.
    pub category: Category,
    /// The guards that hold it, by their titles.
    pub held_by: Vec<&'static str>,
    /// Levels gained.
    pub gains: Vec<Change>,
    /// Levels lost.
    pub losses: Vec<Change>,
    /// Everything else that changes, one phrase each.
    pub other: Vec<String>,
    /// Why, one sentence each.
    pub why: Vec<String>,
}

impl Row<'_> {
    /// The cardholder's id, or the key of one to be created.
    pub fn subject(&self) -> String {
        match &self.entry.action.subject {
            Subject::Existing(id) => id.to_string(),
            Subject::New(key) => format!("new ({key})"),
        }
    }

    /// What has to happen before it runs.
    pub fn state(&self) -> &'static str {
        match self.entry.state {
            EntryState::Standing => "runs unattended",
            EntryState::NeedsApproval => "needs approval",
            EntryState::Held { .. } => "held",
        }
    }
}

/// The rows of a plan, in its order.
pub fn rows(plan: &PlanDocument) -> Vec<Row<'_>> {
    plan.entries.iter().map(|entry| row(entry, plan.section(&entry.action.target))).collect()
}

/// A situation in a reviewer's words.
pub const fn situation_label(situation: Situation) -> &'static str {
    match situation {
        Situation::Confirmed => "known person",
        Situation::Found => "matched for the first time",
        Situation::Absent => "new person",
        Situation::Ambiguous => "several records match",
        Situation::Missing => "record is gone from the PACS",
        Situation::Unqualified => "no longer entitled",
        Situation::SourceMissing => "gone from the directory",
        Situation::Unassigned => "nobody accounts for this record",
        Situation::Undecided => "cannot be decided",
        Situation::Held => "held out by name",
    }
}

fn row<'d>(entry: &'d Entry, section: Option<&TargetSection>) -> Row<'d> {
    let mut row = Row {
        entry,
        category: category(&entry.action),
        held_by: held_by(entry, section),
        gains: Vec::new(),
        losses: Vec::new(),
        other: Vec::new(),
        why: reasons(&entry.action.because.why),
    };
    let change = |level: &lockstep_contract::AccessLevelId| {
        let facts = section.and_then(|section| section.facts.levels.get(level));
        describe(level.as_str(), facts)
    };
    for step in &entry.action.steps {
        match step {
            Step::Reduce(Reduction::Revoke { level }) => row.losses.push(change(level)),
            Step::Grant { level } => row.gains.push(change(level)),
            Step::Reduce(Reduction::Suspend) => row.other.push("switch the cardholder off".into()),
            Step::Reduce(Reduction::Deactivate { credential, .. }) => {
                row.other.push(format!("switch credential {credential} off"));
            }
            Step::Reduce(Reduction::Narrow { validity }) => {
                row.other.push(format!("shorten validity to {}", span(validity)));
            }
            Step::Provision { .. } => row.other.push("create the cardholder".into()),
            Step::Amend { profile } => row
                .other
                .extend(profile.iter().map(|(name, value)| format!("set {} to “{value}”", words(name.as_str())))),
            Step::Reinstate => row.other.push("switch the cardholder on again".into()),
            Step::Widen { validity } => row.other.push(format!("change validity to {}", span(validity))),
            Step::Activate { credential } => row.other.push(format!("switch credential {credential} on again")),
        }
    }
    row
}

fn category(action: &Action) -> Category {
    let any = |wanted: fn(&Step) -> bool| action.steps.iter().any(wanted);
    if any(|step| matches!(step, Step::Reduce(Reduction::Suspend))) {
        Category::Leaver
    } else if any(|step| matches!(step, Step::Provision { .. })) {
        Category::Joiner
    } else if any(|step| matches!(step, Step::Reinstate)) {
        Category::Return
    } else if any(|step| !matches!(step, Step::Amend { .. })) {
        Category::Mover
    } else {
        Category::Details
    }
}

fn held_by(entry: &Entry, section: Option<&TargetSection>) -> Vec<&'static str> {
    let (EntryState::Held { trips }, Some(section)) = (&entry.state, section) else { return Vec::new() };
    trips.iter().filter_map(|index| section.trips.get(*index)).map(|trip| trip.code.title()).collect()
}

fn describe(id: &str, facts: Option<&LevelFacts>) -> Change {
    let name = facts.map(|f| f.name.as_str()).filter(|name| !name.is_empty()).unwrap_or(id);
    Change {
        level: name.to_owned(),
        doors: facts.map(|f| f.doors.clone()).unwrap_or_default(),
        site: facts.and_then(|f| f.site.as_ref()).map(ToString::to_string),
        high_security: facts.is_some_and(|f| f.high_security),
    }
}

/// One sentence a reason, with the mapping lines it rests on: a leaver loses every level for the same one.
fn reasons(all: &[Why]) -> Vec<String> {
    let mut sentences: Vec<(&str, Vec<&str>)> = Vec::new();
    for why in all {
        let mapping = why.mapping.as_deref();
        match sentences.iter_mut().find(|(text, _)| *text == why.text) {
            Some((_, mappings)) => mappings.extend(mapping),
            None => sentences.push((&why.text, mapping.into_iter().collect())),
        }
    }
    let tell = |(text, mappings): (&str, Vec<&str>)| {
        if mappings.is_empty() { text.to_owned() } else { format!("{text} ({})", mappings.join(", ")) }
    };
    sentences.into_iter().map(tell).collect()
}

fn span(validity: &lockstep_contract::Validity) -> String {
    let bound = |at: Option<jiff::Timestamp>, open: &str| at.map_or_else(|| open.to_owned(), |at| at.to_string());
    format!("{} to {}", bound(validity.from, "always"), bound(validity.until, "no end"))
}

/// `employee_number` as people say it.
pub(crate) fn words(field: &str) -> String {
    field.replace('_', " ")
}
