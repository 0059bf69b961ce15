//! Where profiles come from, and what makes one contradict itself.

use std::collections::BTreeSet;
use std::path::Path;

use crate::profile::{Format, Holds, ImportProfile, Table, TableName};

/// The profiles that come with the connector: name and text.
const SHIPPED: &[(&str, &str)] = &[
    ("genetec", include_str!("profiles/genetec.toml")),
    ("generic-csv", include_str!("profiles/generic-csv.toml")),
    ("generic-xml", include_str!("profiles/generic-xml.toml")),
    ("symmetry", include_str!("profiles/symmetry.toml")),
    ("net2", include_str!("profiles/net2.toml")),
    ("win-pak", include_str!("profiles/win-pak.toml")),
    ("protege", include_str!("profiles/protege.toml")),
    ("onguard", include_str!("profiles/onguard.toml")),
    ("pro-watch", include_str!("profiles/pro-watch.toml")),
    ("biostar", include_str!("profiles/biostar.toml")),
];

/// The profile that is used where no other is named, and for sheets that are made without opening the connector.
pub(crate) const REFERENCE: &str = "genetec";

impl ImportProfile {
    /// A profile that comes with the connector.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn shipped(name: &str) -> Result<Self, String> {
        let known = || SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let (_, text) = SHIPPED
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("there is no profile `{name}`; there are {}", known()))?;
        Self::parse(text)
    }

    /// The names of the profiles that come with the connector.
    pub fn shipped_names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// A profile from a file.
    ///
    /// # Errors
    /// When it cannot be read, or contradicts itself.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// A profile from its text.
    ///
    /// # Errors
    /// When it is no TOML of this form, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        profile.check()?;
        Ok(profile)
    }

    /// The tables that are written and read, by name, in the order of writing.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (TableName, &Table)> {
        TableName::ALL.into_iter().filter_map(|name| Some((name, self.table(name)?)))
    }

    /// A table by name.
    pub(crate) const fn table(&self, name: TableName) -> Option<&Table> {
        match name {
            TableName::People => Some(&self.people),
            TableName::Credentials => self.credentials.as_ref(),
            TableName::Memberships => self.memberships.as_ref(),
            TableName::Levels => self.levels.as_ref(),
        }
    }

    fn check(&self) -> Result<(), String> {
        for (name, table) in self.tables() {
            let headers: BTreeSet<&str> = table.columns.iter().map(|column| column.header.as_str()).collect();
            if headers.len() != table.columns.len() {
                return Err(format!("table `{}` names a column twice", name.as_str()));
            }
            for column in &table.columns {
                if column.holds.is_some() && column.field.is_some() {
                    return Err(format!("column `{}` holds one thing, not two", column.header));
                }
                if self.file.format == Format::Xml && !xml_name(&column.header) {
                    return Err(format!("column `{}` cannot be the name of an XML element", column.header));
                }
            }
            for holds in name.needs() {
                if table.place(*holds).is_none() {
                    return Err(format!("table `{}` needs a column that holds {holds:?}", name.as_str()));
                }
            }
        }
        let status = self.people.place(Holds::Status).is_some();
        let end = self.people.place(Holds::ValidUntil).is_some() && self.values.suspended_until.is_some();
        if !status && !end {
            return Err("nothing says that a person is switched off: a column that holds `status`, or one that holds \
                        `valid-until` with `values.suspended_until`"
                .to_owned());
        }
        if self.memberships.is_some() && self.people.place(Holds::Levels).is_some() {
            return Err("levels stand either in a column of the person or in `memberships`, not in both".to_owned());
        }
        if self.values.active.is_empty() || self.values.suspended.is_empty() {
            return Err("`values.active` and `values.suspended` need a word each".to_owned());
        }
        if !self.delivery.extension.starts_with('.') {
            return Err("`delivery.extension` starts with a dot".to_owned());
        }
        self.dates.check()
    }
}

/// A letter or `_`, then letters, digits, `_`, `-` and `.`; ASCII is all that importers take.
fn xml_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_is_whole_and_says_what_is_not_established() {
        for name in ImportProfile::shipped_names() {
            let profile = ImportProfile::shipped(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(profile.name, name);
            assert!(profile.verified || !profile.open_questions.is_empty(), "{name} hides what is not established");
        }
    }

    #[test]
    fn a_profile_that_contradicts_itself_is_refused() {
        let good = SHIPPED.iter().find(|(name, _)| *name == "generic-csv").expect("shipped").1;
        for (from, to, says) in [
            ("holds = \"status\"", "value = \"x\"", "switched off"),
            ("header = \"Department\"", "header = \"Title\"", "twice"),
            ("holds = \"key\"", "field = \"account\"", "Key"),
            ("verified", "verifed", "verifed"),
            ("extension = \".csv\"", "extension = \"csv\"", "dot"),
        ] {
            assert!(good.contains(from), "{from} is not in the profile any more");
            let error = ImportProfile::parse(&good.replacen(from, to, 1)).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
