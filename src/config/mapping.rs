//! Reading a mapping file: who gets what on one target.

mod level;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use lockstep_contract::{CorrelationKey, FieldName, KeyKind, SiteId, sha256_hex};
use lockstep_core::{ApprovalPolicy, Mover, OutOfScope, Ownership, Policy, RuleSource, ScopeRule, Template};
use toml::de::DeTable;

use crate::complaint::{ConfigErrors, Diagnostic, Source, arrange};
use crate::file::{read_text, syntax_error};
use crate::redact::hide_cards;
use crate::table::{Report, Section, Text};

#[cfg(test)]
pub(crate) use level::LEVEL_KEYS;

/// Keys of a mapping file.
pub(crate) const MAPPING_KEYS: &[&str] = &[
    "correlate",
    "mover",
    "ownership",
    "out_of_scope",
    "provision",
    "sites",
    "protected",
    "scope",
    "profile",
    "level",
];
/// Keys of a `[[scope]]`.
pub(crate) const SCOPE_KEYS: &[&str] = &["field", "any"];

/// A mapping that may be used, and what a person should still look at.
#[derive(Debug, Clone)]
pub struct LoadedMapping {
    /// The policy.
    pub policy: Policy,
    /// Allowed, but hardly meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks one mapping file by itself.
///
/// # Errors
/// Everything that is wrong in it.
pub fn load_mapping(path: &Path, approval: ApprovalPolicy) -> Result<LoadedMapping, ConfigErrors> {
    let name = path.display().to_string();
    let text = read_text(path, "mapping").map_err(|error| ConfigErrors::new(vec![error], &name))?;
    let mut read = read(Source::new(&name, text), &name, approval);
    if read.errors.is_empty() {
        arrange(&mut read.warnings, &name);
        Ok(LoadedMapping { policy: read.policy, warnings: read.warnings })
    } else {
        Err(ConfigErrors::new(read.errors, &name))
    }
}

/// What could be read of a mapping. The policy is whole only when there is no complaint.
pub(crate) struct Read {
    pub(crate) policy: Policy,
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// The policy of a mapping that could not be read at all: it manages nothing.
pub(crate) fn nothing(approval: ApprovalPolicy) -> Policy {
    Policy {
        correlate: Vec::new(),
        mover: Mover::WithGrant,
        ownership: Ownership::Linked,
        out_of_scope: OutOfScope::Hold,
        scope: Vec::new(),
        sites: BTreeSet::new(),
        protected: BTreeSet::new(),
        levels: Vec::new(),
        profile: BTreeMap::new(),
        provision: false,
        approval,
        digest: String::new(),
    }
}

/// Reads a mapping from its text. `cited` is the name that rules are cited by.
pub(crate) fn read(source: Source, cited: &str, approval: ApprovalPolicy) -> Read {
    let source = hide_cards(&source);
    let mut report = Report::new(source.clone());
    let (root, syntax) = DeTable::parse_recoverable(source.text());
    report.errors.extend(syntax.iter().map(|error| syntax_error(&source, error)));
    let whole = Section::new(root.get_ref(), 0..0);
    let mut policy = nothing(approval);
    policy.digest = sha256_hex(source.text().as_bytes());
    if report.errors.is_empty() {
        whole.refuse_unknown(MAPPING_KEYS, &mut report);
        words(&whole, &mut policy, &mut report);
        policy.correlate = correlate(&whole, &mut report);
        policy.sites = sites(&whole, &mut report);
        policy.protected = protected(&whole, &mut report);
        policy.scope = scope(&whole, cited, &mut report);
        policy.profile = profile(&whole, &mut report);
        policy.levels = level::levels(&whole, cited, &mut report);
    }
    Read { policy, errors: report.errors, warnings: report.warnings }
}

pub(crate) fn cite(report: &Report, cited: &str, offset: usize) -> RuleSource {
    RuleSource { file: cited.to_owned(), line: report.source.line(offset) }
}

fn words(whole: &Section<'_>, policy: &mut Policy, report: &mut Report) {
    let mover = [("with-grant", Mover::WithGrant), ("revoke-first", Mover::RevokeFirst)];
    let ownership = [("linked", Ownership::Linked), ("created", Ownership::Created)];
    let out_of_scope = [("hold", OutOfScope::Hold), ("leaver", OutOfScope::Leaver)];
    policy.mover = whole.word("mover", &mover, report).unwrap_or(policy.mover);
    policy.ownership = whole.word("ownership", &ownership, report).unwrap_or(policy.ownership);
    policy.out_of_scope = whole.word("out_of_scope", &out_of_scope, report).unwrap_or(policy.out_of_scope);
    policy.provision = whole.flag("provision", report).unwrap_or(true);
}

fn correlate(whole: &Section<'_>, report: &mut Report) -> Vec<KeyKind> {
    let example = "[\"employee\", \"upn\"]";
    let Some(value) = whole.get("correlate") else {
        let complaint = report.at(0..0, "`correlate` is missing: nothing says how people and cardholders are matched");
        report.refuse(complaint.help(format!("add correlate = {example}, the most trusted key first")));
        return Vec::new();
    };
    let before = report.errors.len();
    let texts = whole.texts("correlate", report);
    if texts.is_empty() && report.errors.len() == before {
        let complaint = report.at(value.span(), "`correlate` is empty: nobody could ever be matched");
        report.refuse(complaint.help(format!("write correlate = {example}, the most trusted key first")));
    }
    let mut kinds: Vec<KeyKind> = Vec::new();
    for text in texts {
        match KeyKind::from_str(&text.value) {
            Ok(kind) if kinds.contains(&kind) => {
                let complaint = report.at(text.span, format!("`{kind}` stands in `correlate` twice"));
                report.refuse(complaint.help("remove one; the first of them decides"));
            }
            Ok(kind) => kinds.push(kind),
            Err(_) => {
                let known: Vec<&str> = KeyKind::ALL.iter().map(|kind| kind.as_str()).collect();
                let complaint = report.at(text.span, format!("`{}` is no kind of key", text.value));
                let complaint = match crate::table::nearest(&text.value, known.iter().copied()) {
                    Some(near) => complaint.label(format!("did you mean `{near}`?")),
                    None => complaint,
                };
                report.refuse(complaint.help(format!("the kinds are: {}", known.join(", "))));
            }
        }
    }
    kinds
}

fn sites(whole: &Section<'_>, report: &mut Report) -> BTreeSet<SiteId> {
    let mut sites = BTreeSet::new();
    for text in whole.texts("sites", report) {
        names::check("site", &text, report);
        let Some(site) = text.parse::<SiteId>("write the site as the PACS names it", report) else { continue };
        if !sites.insert(site) {
            report.refuse(report.at(text.span, format!("site `{}` stands here twice", text.value)).help("remove one"));
        }
    }
    sites
}

fn protected(whole: &Section<'_>, report: &mut Report) -> BTreeSet<CorrelationKey> {
    let mut keys = BTreeSet::new();
    for text in whole.texts("protected", report) {
        let help = "write the kind and the value, such as \"employee:10482\" or \"upn:guard@corp.example\"";
        let parsed = match text.value.split_once(':') {
            None => Err("it has no kind in front".to_owned()),
            Some((kind, value)) => KeyKind::from_str(kind)
                .and_then(|kind| CorrelationKey::new(kind, value))
                .map_err(|error| error.to_string()),
        };
        match parsed {
            Ok(key) => {
                // A key prints with its card number masked; the text of the file would not.
                let message = format!("`{key}` is protected twice");
                if !keys.insert(key) {
                    report.refuse(report.at(text.span, message).help("remove one"));
                }
            }
            Err(why) => report.refuse(report.at(text.span, format!("this protects nobody: {why}")).help(help)),
        }
    }
    keys
}

fn scope(whole: &Section<'_>, cited: &str, report: &mut Report) -> Vec<ScopeRule> {
    let mut rules: Vec<ScopeRule> = Vec::new();
    for section in whole.tables("scope", report) {
        section.refuse_unknown(SCOPE_KEYS, report);
        let source = cite(report, cited, section.span.start);
        let field = section.required_text("field", "\"employee_type\"", report);
        let before = report.errors.len();
        let values = section.texts("any", report);
        if values.is_empty() && report.errors.len() == before {
            let complaint =
                report.at(section.key_span("any"), "this scope names no value, so nobody would be in scope");
            report.refuse(complaint.help("write any = [\"…\"] with the values that are in scope"));
        }
        let any = scope_values(values, report);
        let field = field.and_then(|field| {
            names::field(&field.value, &field.span, report);
            field.parse::<FieldName>("fields are written like employee_type", report)
        });
        let Some(field) = field else { continue };
        if let Some(other) = rules.iter().find(|rule| rule.field == field) {
            let message = format!("`{field}` is scoped at line {} already", other.source.line);
            let help = "put the values into one rule; two rules on one field would both have to hold";
            report.refuse(report.at(section.key_span("field"), message).help(help));
        }
        rules.push(ScopeRule { field, any, source });
    }
    rules
}

fn scope_values(values: Vec<Text>, report: &mut Report) -> BTreeSet<String> {
    let mut any = BTreeSet::new();
    for text in values {
        names::check("value", &text, report);
        if text.value.trim().is_empty() {
            let complaint = report.at(text.span, "an empty value would bring in everybody whose field is empty");
            report.refuse(complaint.help("name the value"));
        } else if !any.insert(text.value.clone()) {
            report.refuse(report.at(text.span, format!("`{}` stands here twice", text.value)).help("remove one"));
        }
    }
    any
}

fn profile(whole: &Section<'_>, report: &mut Report) -> BTreeMap<FieldName, Template> {
    let mut profile = BTreeMap::new();
    let Some(table) = whole.table("profile", report) else { return profile };
    for (key, _) in table.entries() {
        let name = key.parse::<FieldName>("fields are written like given_name", report);
        names::field(&key.value, &key.span, report);
        let Some(text) = table.text(&key.value, report) else { continue };
        if text.value.trim().is_empty() {
            let complaint =
                report.at(text.span, format!("an empty template would empty `{}` for everybody", key.value));
            report.refuse(complaint.help("remove the line to leave the field as it is"));
            continue;
        }
        match (name, Template::parse(&text.value)) {
            (Some(name), Ok(template)) => {
                template.fields().for_each(|field| names::field(field.as_str(), &text.span, report));
                profile.insert(name, template);
            }
            (_, Ok(_)) => {}
            (_, Err(error)) => {
                let complaint = report.at(text.span, error.to_string());
                report
                    .refuse(complaint.help("a template is text with fields in braces: \"{given_name} {family_name}\""));
            }
        }
    }
    profile
}
