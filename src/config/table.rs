//! Reading one TOML table key by key, collecting complaints instead of stopping at the first.

use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::complaint::{ConfigError, Source};

/// Where complaints are collected while a file is read.
pub(crate) struct Report {
    pub(crate) source: Source,
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) warnings: Vec<ConfigError>,
}

impl Report {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, errors: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn refuse(&mut self, complaint: ConfigError) {
        self.errors.push(complaint);
    }

    pub(crate) fn warn(&mut self, complaint: ConfigError) {
        self.warnings.push(complaint.warning());
    }

    pub(crate) fn at(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::at(&self.source, span, message)
    }
}

/// A text and its place.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Range<usize>,
}

/// One table of a file.
pub(crate) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// The header, or the whole inline table.
    pub(crate) span: Range<usize>,
}

impl<'t> Section<'t> {
    pub(crate) fn new(table: &'t DeTable<'t>, span: Range<usize>) -> Self {
        Self { table, span }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    /// The place of a key, or the section when it is not there.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// Every key and value, in the order of the file.
    pub(crate) fn entries(&self) -> Vec<(Text, &'t Spanned<DeValue<'t>>)> {
        let text = |key: &Spanned<toml::de::DeString<'t>>| Text { value: key.get_ref().to_string(), span: key.span() };
        let mut entries: Vec<_> = self.table.iter().map(|(key, value)| (text(key), value)).collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    /// Refuses every key that is not among `known`.
    pub(crate) fn refuse_unknown(&self, known: &[&str], report: &mut Report) {
        self.refuse_unknown_but(known, &[], report);
    }

    /// The same, but says nothing of `others`, about which something was said already.
    pub(crate) fn refuse_unknown_but(&self, known: &[&str], others: &[&str], report: &mut Report) {
        for (key, _) in self.entries() {
            if known.contains(&key.value.as_str()) || others.contains(&key.value.as_str()) {
                continue;
            }
            let complaint = report.at(key.span, format!("unknown key `{}`", key.value));
            let help = format!("allowed here: `{}`", known.join("`, `"));
            report.refuse(match nearest(&key.value, known.iter().copied()) {
                Some(near) => complaint.label(format!("did you mean `{near}`?")).help(help),
                None => complaint.label("not known here").help(help),
            });
        }
    }

    /// A text, if the key is there.
    pub(crate) fn text(&self, key: &str, report: &mut Report) -> Option<Text> {
        let value = self.get(key)?;
        let found = text_of(value);
        if found.is_none() {
            report.refuse(wrong_type(report, (key, "a text in quotes", "\"…\""), value));
        }
        found
    }

    /// A text that must be there.
    pub(crate) fn required_text(&self, key: &str, example: &str, report: &mut Report) -> Option<Text> {
        if self.get(key).is_none() {
            self.missing(key, example, report);
        }
        self.text(key, report)
    }

    pub(crate) fn missing(&self, key: &str, example: &str, report: &mut Report) {
        let complaint = report.at(self.span.clone(), format!("`{key}` is missing"));
        report.refuse(complaint.label("in this section").help(format!("add `{key} = {example}`")));
    }

    /// One of a few words, if the key is there.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], report: &mut Report) -> Option<T> {
        let text = self.text(key, report)?;
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let complaint = report.at(text.span, format!("`{key}` cannot be `{}`", text.value));
            let complaint = match nearest(&text.value, list.iter().copied()) {
                Some(near) => complaint.label(format!("did you mean `{near}`?")),
                None => complaint,
            };
            report.refuse(complaint.help(format!("write one of: \"{}\"", list.join("\", \""))));
        }
        found
    }

    /// True or false, if the key is there.
    pub(crate) fn flag(&self, key: &str, report: &mut Report) -> Option<bool> {
        let value = self.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            report.refuse(wrong_type(report, (key, "true or false, without quotes", "true"), value));
        }
        found
    }

    /// A list of texts; empty when the key is not there.
    pub(crate) fn texts(&self, key: &str, report: &mut Report) -> Vec<Text> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            report.refuse(wrong_type(report, (key, "a list of texts", "[\"…\", \"…\"]"), value));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array {
            match text_of(item) {
                Some(text) => texts.push(text),
                None => report.refuse(wrong_type(report, (key, "a list of texts", "[\"…\", \"…\"]"), item)),
            }
        }
        texts
    }

    /// A table, if the key is there.
    pub(crate) fn table(&self, key: &str, report: &mut Report) -> Option<Section<'t>> {
        let value = self.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            report.refuse(wrong_type(report, (key, "a table", "{ … }"), value));
            return None;
        };
        Some(Section::new(table, value.span()))
    }

    /// The tables under `[[key]]`; empty when there is none.
    pub(crate) fn tables(&self, key: &str, report: &mut Report) -> Vec<Section<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            let complaint = report.at(self.key_span(key), format!("`{key}` is a list of tables"));
            report.refuse(complaint.help(format!("write the header with two brackets: [[{key}]]")));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section::new(table, item.span())),
                None => report.refuse(wrong_type(report, (key, "a list of tables", "[{ … }]"), item)),
            }
        }
        sections
    }
}

impl Text {
    /// Parses the text, or complains with the reason its type gives.
    pub(crate) fn parse<T>(&self, help: &str, report: &mut Report) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        match self.value.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                report.refuse(report.at(self.span.clone(), error.to_string()).help(help));
                None
            }
        }
    }
}

fn text_of(value: &Spanned<DeValue<'_>>) -> Option<Text> {
    value.get_ref().as_str().map(|text| Text { value: text.to_owned(), span: value.span() })
}

/// `wanted` is the key, what its value must be, and how that is written.
fn wrong_type(report: &Report, wanted: (&str, &str, &str), value: &Spanned<DeValue<'_>>) -> ConfigError {
    let (key, expected, example) = wanted;
    let found = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    report
        .at(value.span(), format!("`{key}` must be {expected}"))
        .label(format!("this is {found}"))
        .help(format!("write {key} = {example}"))
}

/// The word people most likely meant, if any is near enough.
pub(crate) fn nearest<'w>(found: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let near = |word: &&str| strsim::osa_distance(&found.to_lowercase(), word);
    words.min_by_key(near).filter(|word| near(word) <= 1 + word.chars().count() / 4)
}
