//! The connector's own part of a `[[directory]]` or `[[target]]` table.
//!
//! What stands there is known to the connector only, so it is kept as a place in the file and read again, from there,
//! into the connector's own type. That way every complaint of that type still points at a line.

use std::fmt;
use std::ops::Range;

use lockstep_contract::NotASecretRef;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::complaint::{ConfigError, Source};
use crate::table::nearest;

/// The settings of one connector, with their place in the file.
#[derive(Clone)]
pub struct Settings {
    source: Source,
    /// `directory` or `target`.
    array: &'static str,
    /// Which of them, in the order of the file.
    index: usize,
    /// Keys of the table that are not the connector's.
    ours: &'static [&'static str],
    /// The header of the table.
    header: Range<usize>,
}

impl Settings {
    pub(crate) fn new(
        source: &Source,
        array: &'static str,
        index: usize,
        ours: &'static [&'static str],
        header: Range<usize>,
    ) -> Self {
        Self { source: source.clone(), array, index, ours, header }
    }

    /// Reads the settings as the connector's own type.
    ///
    /// # Errors
    /// With the place, when a key is unknown or missing, or a value is not what the type needs.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let text = self.source.text();
        let whole = DeTable::parse_recoverable(text).0.into_inner();
        let table = whole.get(self.array).and_then(|array| array.get_ref().get(self.index));
        let Some(table) = table.and_then(|table| table.get_ref().as_table()) else {
            return Err(self.error("this section is not a table", "write it as a table, with one `key = value` a line"));
        };
        let mut own = table.clone();
        for key in self.ours {
            own.remove(*key);
        }
        let present: Vec<Present> = own
            .iter()
            .map(|(key, value)| Present { name: key.get_ref().to_string(), key: key.span(), value: value.span() })
            .collect();
        let value = Spanned::new(self.header.clone(), DeValue::Table(own));
        T::deserialize(value.into_deserializer()).map_err(|error| self.translate(&error, &present))
    }

    /// A complaint about the whole section, for what its type alone cannot say.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> ConfigError {
        ConfigError::at(&self.source, self.header.clone(), message).help(help)
    }

    /// A complaint about the value of one key of the section, or about the whole section when it has no such key.
    pub fn error_at(&self, key: &str, message: impl Into<String>, help: impl Into<String>) -> ConfigError {
        let whole = DeTable::parse_recoverable(self.source.text()).0.into_inner();
        let table = whole.get(self.array).and_then(|array| array.get_ref().get(self.index));
        let span = table.and_then(|table| table.get_ref().get(key)).map_or(self.header.clone(), Spanned::span);
        ConfigError::at(&self.source, span, message).help(help)
    }

    /// Line of the section, from 1.
    pub fn line(&self) -> u32 {
        self.source.line(self.header.start)
    }

    fn translate(&self, error: &toml::de::Error, present: &[Present]) -> ConfigError {
        let span = error.span().unwrap_or_else(|| self.header.clone());
        let message = error.message().trim().replace('\n', ": ");
        if message == NotASecretRef.to_string() {
            // What stands there may be the secret itself.
            return ConfigError::at(&self.source.hiding(std::slice::from_ref(&span)), span, message)
                .label("not a reference")
                .help(
                    "keep the secret in a file only its owner can read and write \"file:PATH\", or store it with \
                       `lockstep secret set NAME` and write \"keyring:NAME\"",
                );
        }
        if let Some((found, expected)) = unknown(&message, "unknown variant `") {
            let complaint = ConfigError::at(&self.source, span, format!("this cannot be `{found}`"));
            let help = format!("write one of: \"{}\"", expected.join("\", \""));
            return match nearest(&found, expected.iter().map(String::as_str)) {
                Some(near) => complaint.label(format!("did you mean `{near}`?")).help(help),
                None => complaint.help(help),
            };
        }
        if let Some((found, expected)) = unknown(&message, "unknown field `") {
            let here = self.source.text().get(span.clone()).is_some_and(|text| text.contains(&found));
            let span = if here { None } else { present.iter().find(|one| one.name == found) }
                .map_or(span, |one| one.key.clone());
            let complaint = ConfigError::at(&self.source, span, format!("unknown key `{found}`"));
            let help = format!("allowed here: `{}`", expected.join("`, `"));
            return match nearest(&found, expected.iter().map(String::as_str)) {
                Some(near) => complaint.label(format!("did you mean `{near}`?")).help(help),
                None => complaint.label("not known here").help(help),
            };
        }
        if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return ConfigError::at(&self.source, span, format!("`{key}` is missing"))
                .label("in this section")
                .help(format!("add `{key} = …`; docs/configuration.md says what this connector takes"));
        }
        let help = "docs/configuration.md says what this connector takes";
        let within = |one: &&Present| one.value.start <= span.start && span.end <= one.value.end;
        let key = present.iter().find(within).map(|one| one.name.as_str());
        ConfigError::at(&self.source, span.clone(), without_value(&message, key)).help(help)
    }
}

/// A key that stands in the section, with its place and that of its value.
struct Present {
    name: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({}:{})", self.source.name(), self.line())
    }
}

/// Serde's "invalid type: string "…", expected …" without the value, which may be something that must not be shown.
fn without_value(message: &str, key: Option<&str>) -> String {
    let named = |what: &str| key.map_or_else(|| what.to_owned(), |key| format!("`{key}`: {what}"));
    if message.starts_with("data did not match any variant") {
        return named("this is written in none of the ways that are allowed here");
    }
    let Some(rest) = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: ")) else {
        return named(message);
    };
    match rest.rsplit_once(", expected ") {
        Some((found, expected)) => {
            let found = found.split(['"', '`']).next().unwrap_or_default().trim();
            named(&format!("this must be {}, and is {}", plain(expected), plain(found)))
        }
        None => named("this value is not of the right type"),
    }
}

/// Serde's word for a type, in ours.
fn plain(word: &str) -> &str {
    match word {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" | "integer" => "a whole number",
        "a string" | "string" => "a text",
        "a boolean" | "boolean" => "true or false",
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "a table",
        "floating point" | "f64" => "a number with a point",
        other if other.starts_with("a nonzero ") => "a whole number from 1 up",
        other => other.strip_prefix("struct ").map_or(other, |_| "a table"),
    }
}

/// Takes serde's sentence about an unknown name apart: the name found, and the names expected.
fn unknown(message: &str, start: &str) -> Option<(String, Vec<String>)> {
    let (found, rest) = message.strip_prefix(start)?.split_once('`')?;
    let names = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((found.to_owned(), names))
}
