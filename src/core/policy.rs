//! The policy of one target: what a mapping file says, checked. Data only; a reviewer must be able to say who gets in
//! by reading it, so there is no scripting, no wildcard and no regular expression.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{AccessLevelId, CorrelationKey, FieldName, GroupId, KeyKind, SiteId};
use serde::{Deserialize, Serialize};

/// The policy of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Which keys match people and cardholders, in this order.
    pub correlate: Vec<KeyKind>,
    /// When a mover loses the old access.
    pub mover: Mover,
    /// Whose records are ours to change.
    pub ownership: Ownership,
    /// What becomes of a linked person who is in the directory, but not where we read.
    pub out_of_scope: OutOfScope,
    /// Who is in scope at all, by field. Empty: everybody the directory lists.
    pub scope: Vec<ScopeRule>,
    /// The sites or partitions of the PACS that are ours. Empty: all.
    pub sites: BTreeSet<SiteId>,
    /// Cardholders who must not lose access without their being named: guards, responders, break-glass badges.
    pub protected: BTreeSet<CorrelationKey>,
    /// The managed levels. A level that is not here is never changed.
    pub levels: Vec<Rule>,
    /// The fields to write, each from a template.
    pub profile: BTreeMap<FieldName, Template>,
    /// Create cardholders for joiners.
    pub provision: bool,
    /// What may run without a person's approval.
    pub approval: ApprovalPolicy,
    /// SHA-256 of the mapping file as it was read.
    pub digest: String,
}

impl Policy {
    /// The rule of a level.
    pub fn rule(&self, level: &AccessLevelId) -> Option<&Rule> {
        self.levels.iter().find(|rule| rule.level == *level)
    }

    /// Every group that any rule names.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.levels.iter().flat_map(Rule::groups).cloned().collect()
    }

    /// Every field that any template or scope rule reads.
    pub fn fields(&self) -> BTreeSet<FieldName> {
        let templates = self.profile.values().flat_map(Template::fields);
        templates.chain(self.scope.iter().map(|rule| &rule.field)).cloned().collect()
    }
}

/// When a mover loses the old access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mover {
    /// Together with the new access, in one action, once approved. Nobody stands before a closed door in between.
    WithGrant,
    /// At once; the new access follows when approved.
    RevokeFirst,
}

/// Whose records are ours to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Every cardholder that is linked to a person.
    Linked,
    /// Only cardholders that we created.
    Created,
}

/// What becomes of a linked person who is in the directory, but not where we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutOfScope {
    /// A finding; a person decides. An edit of the scope cannot lock anybody out.
    Hold,
    /// A leaver.
    Leaver,
}

/// A person is in scope when the field has one of the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRule {
    /// The field.
    pub field: FieldName,
    /// The values, compared in NFC and otherwise exactly.
    pub any: BTreeSet<String>,
    /// Where it stands.
    pub source: RuleSource,
}

/// Who gets one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The level.
    pub level: AccessLevelId,
    /// At least one of these groups. Never empty.
    pub any: Vec<GroupId>,
    /// And each of these.
    pub all: Vec<GroupId>,
    /// And none of these.
    pub none: Vec<GroupId>,
    /// The groups may be empty: an empty answer is believed.
    pub may_be_empty: bool,
    /// Never granted without an approval by name.
    pub high_security: bool,
    /// Free tags, for reports.
    pub tags: BTreeSet<String>,
    /// Where it stands.
    pub source: RuleSource,
}

impl Rule {
    /// The groups it names.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.any.iter().chain(&self.all).chain(&self.none)
    }
}

/// A place in a mapping file, as people cite it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleSource {
    /// The file, as the configuration names it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl std::fmt::Display for RuleSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What may run without a person's approval. Ordered from the loosest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalPolicy {
    /// Guarded grants of ordinary levels run unattended; high-security levels wait for a named person.
    Standing,
    /// A named person says yes; the name is recorded with the plan's digest.
    Recorded,
    /// A signature by an approver's key. Not in this version: refused by `check`.
    Signed,
    /// Two signatures by two persons. Not in this version: refused by `check`.
    TwoSigned,
}

/// A decision of a named person over one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who decided.
    pub by: String,
    /// When.
    pub at: jiff::Timestamp,
    /// The digest of the plan decided on.
    pub plan: String,
    /// The actions decided on; `None`: the whole plan but what is rejected.
    pub only: Option<BTreeSet<lockstep_contract::ActionId>>,
    /// Actions this person says no to. One no outweighs every yes.
    #[serde(default)]
    pub reject: BTreeSet<lockstep_contract::ActionId>,
    /// Also what a guard holds. Needs two persons, and names each action.
    #[serde(default)]
    pub overrule: bool,
    /// What the approver wrote.
    #[serde(default)]
    pub note: String,
}

/// A text with fields in braces: `{given_name} {family_name}`. A brace is written twice to mean itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(FieldName),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace is open at the end, or closes nothing.
    #[error("a brace at character {at} has no partner; write it twice to mean a brace")]
    Brace {
        /// Its place, counted in characters from 1.
        at: usize,
    },
    /// What stands between the braces is no field name.
    #[error(transparent)]
    Field(#[from] lockstep_contract::FieldNameError),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// When braces do not pair or hold something that is no field name.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '{' | '}' if chars.peek().is_some_and(|(_, next)| *next == c) => {
                    chars.next();
                    plain.push(c);
                }
                '{' => {
                    let name: String = chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '}').collect();
                    if text.chars().nth(at + 1 + name.chars().count()) != Some('}') {
                        return Err(TemplateError::Brace { at: at + 1 });
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Field(FieldName::new(name)?));
                }
                '}' => return Err(TemplateError::Brace { at: at + 1 }),
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The fields it reads.
    pub fn fields(&self) -> impl Iterator<Item = &FieldName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(name) => Some(name),
            Part::Text(_) => None,
        })
    }

    /// The one field that is the whole template, when it is so simple. Lets the diff compare without copying.
    pub fn single_field(&self) -> Option<&FieldName> {
        match self.parts.as_slice() {
            [Part::Field(name)] => Some(name),
            _ => None,
        }
    }

    /// Fills it in. `None` when a field is not known: then nothing is written, rather than half a value.
    pub fn render<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(name) => out.push_str(lookup(name.as_str())?),
            }
        }
        Some(out)
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fill_in_whole_or_not_at_all() {
        let full = Template::parse("{given_name} {family_name} {{x}}").expect("template");
        let lookup = |name: &str| (name == "given_name").then_some("Ada");
        assert_eq!(full.render(lookup), None, "half a name is never written");
        assert_eq!(full.render(|_| Some("A")).as_deref(), Some("A A {x}"));
    }

    #[test]
    fn broken_templates_say_where() {
        assert_eq!(Template::parse("ab}").expect_err("brace"), TemplateError::Brace { at: 3 });
        assert_eq!(Template::parse("a{b").expect_err("brace"), TemplateError::Brace { at: 2 });
        assert!(matches!(Template::parse("{Not A Field}"), Err(TemplateError::Field(_))));
    }
}
