//! Single values of the configuration that need more than their type: spans of time, words of a later version, limits.

use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;
use lockstep_core::{ApprovalPolicy, Limits};
use toml::Spanned;

use crate::table::{Report, Section};

pub(crate) const CALL_BUDGET: Bounded = Bounded { key: "call_budget", default: 30, min: 1, max: 600 };
pub(crate) const OFFBOARD_PATIENCE: Bounded = Bounded { key: "offboard_patience", default: 60, min: 5, max: 1_800 };

/// So many people one operator may put out within an hour without a second person.
pub(crate) const OFFBOARD_PER_HOUR: u32 = 10;
/// More than this is no emergency of one operator any more, whatever is configured.
const OFFBOARD_PER_HOUR_MAX: u32 = 50;

/// How many people one operator may put out within an hour.
pub(crate) fn offboard_per_hour(whole: &Section<'_>, report: &mut Report) -> usize {
    let key = "offboard_per_hour";
    let Some(value) = whole.get(key) else { return OFFBOARD_PER_HOUR as usize };
    if let Some(number) = whole_number(value).filter(|number| (1..=OFFBOARD_PER_HOUR_MAX).contains(number)) {
        return number as usize;
    }
    let message = format!("`{key}` must be a whole number between 1 and {OFFBOARD_PER_HOUR_MAX}");
    let help = "the first ones are never kept waiting; beyond this a second named person agrees";
    report.refuse(report.at(value.span(), message).help(help));
    OFFBOARD_PER_HOUR as usize
}

/// A daily export may be late by two hours before anybody is told.
pub(crate) const EXPORT_AGE: Bounded = Bounded { key: "export_age", default: 93_600, min: 3_600, max: 2_678_400 };

/// How many days exports are kept.
pub(crate) const EXPORT_KEEP_DAYS: u32 = 14;
const EXPORT_KEEP_DAYS_MAX: u32 = 3_650;

/// How many days exports are kept.
pub(crate) fn export_keep_days(whole: &Section<'_>, report: &mut Report) -> u32 {
    let key = "export_keep_days";
    let Some(value) = whole.get(key) else { return EXPORT_KEEP_DAYS };
    if let Some(number) = whole_number(value).filter(|number| (1..=EXPORT_KEEP_DAYS_MAX).contains(number)) {
        return number;
    }
    let message = format!("`{key}` must be a whole number between 1 and {EXPORT_KEEP_DAYS_MAX}");
    report.refuse(report.at(value.span(), message).help("write the number of days, without quotes"));
    EXPORT_KEEP_DAYS
}

/// Whom the exports are encrypted to.
pub(crate) fn export_recipients(whole: &Section<'_>, report: &mut Report) -> Vec<String> {
    let named = whole.texts("export_recipients", report);
    let mut recipients = Vec::new();
    for text in named {
        let rest = text.value.strip_prefix("age1").unwrap_or_default();
        if rest.len() >= 58 && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            recipients.push(text.value);
            continue;
        }
        let complaint = report.at(text.span, "this is no age recipient").label("age1…, as `age-keygen` prints it");
        report.refuse(complaint.help("write the public key of whoever may read the exports; never the secret key"));
    }
    recipients
}

/// A span of time with its range, in seconds.
pub(crate) struct Bounded {
    pub(crate) key: &'static str,
    pub(crate) default: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Bounded {
    pub(crate) fn read(&self, whole: &Section<'_>, report: &mut Report) -> Duration {
        let default = Duration::from_secs(self.default);
        let Some(text) = whole.text(self.key, report) else { return default };
        let help = format!("write a time such as \"{}s\" or \"2m\"", self.default);
        let found = text.value.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
        let Some(found) = found else {
            let message = format!("`{}` is no span of time: `{}`", self.key, text.value);
            report.refuse(report.at(text.span, message).help(help));
            return default;
        };
        if !(Duration::from_secs(self.min)..=Duration::from_secs(self.max)).contains(&found) {
            let message = format!("`{}` must be between {} and {} seconds", self.key, self.min, self.max);
            report.refuse(report.at(text.span, message).help(help));
            return default;
        }
        found
    }
}

/// `approval` of the file or of one target.
pub(crate) fn approval(section: &Section<'_>, report: &mut Report) -> Option<ApprovalPolicy> {
    const WORDS: [(&str, ApprovalPolicy); 4] = [
        ("standing", ApprovalPolicy::Standing),
        ("recorded", ApprovalPolicy::Recorded),
        ("signed", ApprovalPolicy::Signed),
        ("two-signed", ApprovalPolicy::TwoSigned),
    ];
    let value = section.get("approval")?;
    let span = value.span();
    if value.get_ref().is_table() {
        let complaint = report.at(span, "`approval` is one word in this version");
        report.refuse(complaint.help("write approval = \"recorded\" or approval = \"standing\""));
        return None;
    }
    match section.word("approval", &WORDS, report)? {
        policy @ (ApprovalPolicy::Standing | ApprovalPolicy::Recorded) => Some(policy),
        ApprovalPolicy::Signed | ApprovalPolicy::TwoSigned => {
            let complaint = report.at(span, "signed approval is not in this version");
            let help = "write approval = \"recorded\": a named person approves each plan, and the name is recorded";
            report.refuse(complaint.label("not in this version").help(help));
            None
        }
    }
}

/// The limits of one target; a complaint stands at the value it is about.
pub(crate) fn limits(section: &Section<'_>, report: &mut Report) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = section.table("limits", report) else { return limits };
    let names: Vec<&str> = limits.table().iter().map(|(ceiling, _)| ceiling.name).collect();
    table.refuse_unknown(&names, report);
    let mut found = serde_json::to_value(&limits).unwrap_or_default();
    let mut places: Vec<(String, Range<usize>)> = Vec::new();
    for (key, value) in table.entries() {
        if names.contains(&key.value.as_str()) {
            let number = whole_number(value);
            if number.is_none() {
                let message = format!("limits.{} must be a whole number", key.value);
                report.refuse(report.at(value.span(), message).help("write the number without quotes and without %"));
            }
            if let (Some(number), Some(slot)) = (number, found.get_mut(&key.value)) {
                *slot = number.into();
                places.push((key.value, value.span()));
            }
        }
    }
    if let Ok(read) = serde_json::from_value(found) {
        limits = read;
    }
    for error in limits.check() {
        let span =
            places.iter().find(|(name, _)| name == error.name).map_or(table.span.clone(), |(_, span)| span.clone());
        let complaint = report.at(span, error.to_string()).label(format!("{} to {}", error.min, error.max));
        let help = "limits stop a wrong plan before people stand before closed doors; a run that must exceed one is \
                    approved by name instead";
        report.refuse(complaint.help(help));
    }
    limits
}

fn whole_number(value: &Spanned<toml::de::DeValue<'_>>) -> Option<u32> {
    let number = value.get_ref().as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}
