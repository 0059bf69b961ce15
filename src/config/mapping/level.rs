//! The `[[level]]` tables: which groups give which access level.

use std::collections::BTreeSet;
use std::ops::Range;

use lockstep_contract::{AccessLevelId, GroupId};
use lockstep_core::Rule;

use super::{cite, names};
use crate::table::{Report, Section, Text};

/// Keys of a `[[level]]`.
pub(crate) const LEVEL_KEYS: &[&str] = &["id", "any", "all", "none", "may_be_empty", "high_security", "tags"];

/// The tag that means the same as `high_security = true`.
pub(crate) const HIGH_SECURITY: &str = "high-security";

/// Every rule, in the order of the file.
pub(super) fn levels(whole: &Section<'_>, cited: &str, report: &mut Report) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut ids: Vec<Text> = Vec::new();
    let mut groups: Vec<Text> = Vec::new();
    for section in whole.tables("level", report) {
        section.refuse_unknown(LEVEL_KEYS, report);
        let rule = level(&section, cited, &mut ids, &mut groups, report);
        rules.extend(rule);
    }
    if whole.get("level").is_none() {
        let complaint = report.at(0..0, "no [[level]]: no access level is managed, only cardholders are switched off");
        report.warn(complaint.help("add [[level]] with `id` and `any` for each access level that follows groups"));
    }
    names::case_variants("access level", &ids, report);
    names::case_variants("group", &groups, report);
    rules
}

fn level(
    section: &Section<'_>,
    cited: &str,
    ids: &mut Vec<Text>,
    groups: &mut Vec<Text>,
    report: &mut Report,
) -> Option<Rule> {
    let source = cite(report, cited, section.span.start);
    let id = section.required_text("id", "\"…\", as the PACS names the level", report);
    let level = id.as_ref().and_then(|id| {
        names::check("access level", id, report);
        refuse_twice(id, ids, report);
        ids.push(id.clone());
        id.parse::<AccessLevelId>("write the id as the PACS shows it", report)
    });
    let name = id.map_or_else(|| format!("the level at line {}", source.line), |id| format!("`{}`", id.value));
    let (any, all, none) = (section.texts("any", report), section.texts("all", report), section.texts("none", report));
    if any.is_empty() {
        let complaint = report.at(section.key_span("any"), format!("{name} has no group in `any`, so nobody gets it"));
        let help = "write any = [\"…\"]; to take the level from everybody, empty the group; to leave it alone, \
                    remove this [[level]]";
        report.refuse(complaint.help(help));
    }
    contradictions(&any, &all, &none, report);
    let mut read = |texts: Vec<Text>| -> Vec<GroupId> {
        let mut found = Vec::new();
        for text in texts {
            names::check("group", &text, report);
            found.extend(text.parse::<GroupId>("write the group as the directory shows it", report));
            groups.push(text);
        }
        found
    };
    let (any, all, none) = (read(any), read(all), read(none));
    let tags = tags(section, report);
    let may_be_empty = section.flag("may_be_empty", report).unwrap_or(false);
    let flag = section.flag("high_security", report);
    if flag == Some(false) && tags.contains(HIGH_SECURITY) {
        let complaint = report.at(section.key_span("high_security"), format!("{name} is tagged \"{HIGH_SECURITY}\""));
        report.refuse(complaint.label("but this says it is not").help("remove one of the two"));
    }
    let high_security = flag.unwrap_or(false) || tags.contains(HIGH_SECURITY);
    Some(Rule { level: level?, any, all, none, may_be_empty, high_security, tags, source })
}

fn refuse_twice(id: &Text, ids: &[Text], report: &mut Report) {
    if let Some(first) = ids.iter().find(|other| other.value == id.value) {
        let complaint = report.at(id.span.clone(), format!("access level `{}` has two rules", id.value));
        let complaint = complaint.label("again here").also(first.span.clone(), "first here");
        report.refuse(complaint.help("put the groups of both into `any` of one rule"));
    }
}

/// A group in two lists, or twice in one.
fn contradictions(any: &[Text], all: &[Text], none: &[Text], report: &mut Report) {
    for (name, list) in [("any", any), ("all", all), ("none", none)] {
        for (index, text) in list.iter().enumerate() {
            if list.iter().take(index).any(|other| other.value == text.value) {
                let complaint = report.at(text.span.clone(), format!("`{}` stands in `{name}` twice", text.value));
                report.refuse(complaint.help("remove one"));
            }
        }
    }
    for (name, list) in [("any", any), ("all", all)] {
        for (text, first) in shared(none, list) {
            let complaint = report.at(text.span.clone(), format!("`{}` is both asked for and shut out", text.value));
            let complaint = complaint.label("in `none`").also(first, format!("and in `{name}`"));
            report.refuse(complaint.help("a member would never get the level; remove the group from one of the lists"));
        }
    }
    for (text, first) in shared(all, any) {
        let complaint = report.at(text.span.clone(), format!("`{}` stands in `any` and in `all`", text.value));
        let complaint = complaint.label("in `all`").also(first, "and in `any`");
        report.warn(
            complaint.help("each member of `all` fulfils `any` by it; remove it from `any` if others count there"),
        );
    }
}

fn shared<'t>(these: &'t [Text], those: &[Text]) -> Vec<(&'t Text, Range<usize>)> {
    let found = |text: &Text| those.iter().find(|other| other.value == text.value).map(|other| other.span.clone());
    these.iter().filter_map(|text| found(text).map(|span| (text, span))).collect()
}

fn tags(section: &Section<'_>, report: &mut Report) -> BTreeSet<String> {
    let mut tags = BTreeSet::new();
    for text in section.texts("tags", report) {
        if text.value.trim().is_empty() {
            report.refuse(report.at(text.span, "a tag is empty").help("name it or remove it"));
            continue;
        }
        // A tag that decides about approvals must not be missed for a blank or a capital.
        let folded = text.value.trim().to_lowercase().replace(['_', ' '], "-");
        let near = strsim::osa_distance(&folded, HIGH_SECURITY) <= 2;
        if text.value != HIGH_SECURITY && near {
            let complaint = report.at(text.span, format!("`{}` is not the tag \"{HIGH_SECURITY}\"", text.value));
            report.refuse(complaint.label("did you mean `high-security`?").help("write it exactly so"));
        } else if !tags.insert(text.value.clone()) {
            report.refuse(report.at(text.span, format!("tag `{}` stands here twice", text.value)).help("remove one"));
        }
    }
    tags
}
