//! From JSON schemas to Markdown. Understands what schemars writes for plain settings: objects, lists, texts, numbers,
//! flags, and enumerations with a description for each word.

use std::fmt::Write as _;

use schemars::Schema;
use serde_json::{Map, Value};

/// Tables within tables are described this deep; a schema that refers to itself ends here.
const DEPTH_MAX: usize = 4;

const HEAD: &str = "\
# Configuration reference

Every key of `lockstep.toml` and of mapping files. This page is written from the code; a test fails when the two differ.

`lockstep check` reads a configuration with its mapping files and names every mistake with its line, without talking to
any system. A secret is never a value: it is a reference, one of `systemd:NAME` (a credential that systemd passes),
`keyring:NAME` (the credential store of the operating system), `file:PATH` (a file that only its owner can read) and
`env:NAME` (an environment variable; the weakest). Where a list of them is allowed, name a second place: the credential
store of a session may be locked when somebody has to be put out.
";

pub(super) fn page(sections: &[(&str, Schema)]) -> String {
    let mut page = HEAD.to_owned();
    for (title, schema) in sections {
        page.push_str(&section(title, schema));
    }
    page
}

fn section(title: &str, schema: &Schema) -> String {
    let title = if title.contains('[') || title.contains('.') { code_words(title) } else { title.to_owned() };
    let mut text = format!("\n## {title}\n");
    let Some(root) = schema.as_object() else { return text };
    if let Some(description) = description(root) {
        let _ = write!(text, "\n{}\n", wrapped(&description)); // writing to a String cannot fail
    }
    let mut rows = Vec::new();
    let place = Place { defs: root.get("$defs").and_then(Value::as_object), prefix: String::new(), depth: 0 };
    place.rows(root, &mut rows);
    if !rows.is_empty() {
        text.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for row in rows {
            let _ = writeln!(text, "| `{}` | {} | {} | {} |", row.key, row.kind, row.default, row.meaning);
        }
    }
    text
}

struct Row {
    key: String,
    kind: String,
    default: String,
    meaning: String,
}

/// Where in the schema we are.
struct Place<'s> {
    defs: Option<&'s Map<String, Value>>,
    prefix: String,
    depth: usize,
}

impl<'s> Place<'s> {
    fn rows(&self, object: &'s Map<String, Value>, rows: &mut Vec<Row>) {
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
        // What must be written comes first; a stable sort leaves the rest in order.
        let mut properties: Vec<(&String, &Value)> = properties.collect();
        properties.sort_by_key(|(name, _)| !required.contains(&name.as_str()));
        for (name, property) in properties {
            let Some(property) = property.as_object() else { continue };
            let inner = self.resolve(property);
            let key = format!("{}{name}", self.prefix);
            let default = match property.get("default").filter(|value| !value.is_null()) {
                Some(_) if inner.contains_key("properties") => "as below".to_owned(),
                Some(value) => format!("`{}`", written(value)),
                None if required.contains(&name.as_str()) => "required".to_owned(),
                None => "–".to_owned(),
            };
            let meaning = self.meaning(property, inner);
            rows.push(Row { key: key.clone(), kind: self.kind(property, inner), default, meaning });
            if inner.contains_key("properties") && self.depth < DEPTH_MAX {
                let below = Place { defs: self.defs, prefix: format!("{key}."), depth: self.depth + 1 };
                below.rows(inner, rows);
            }
        }
    }

    /// Follows references, and takes the one real schema of an optional value.
    fn resolve(&self, schema: &'s Map<String, Value>) -> &'s Map<String, Value> {
        let mut found = schema;
        for _ in 0..DEPTH_MAX {
            let reference = found.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
            let next = match (reference, found.get("anyOf").and_then(Value::as_array)) {
                (Some(name), _) => self.defs.and_then(|defs| defs.get(name)),
                (None, Some(choices)) => {
                    let mut real = choices.iter().filter(|choice| choice.get("type") != Some(&"null".into()));
                    real.next().filter(|_| real.next().is_none())
                }
                (None, None) => None,
            };
            match next.and_then(Value::as_object) {
                Some(next) => found = next,
                None => break,
            }
        }
        found
    }

    fn kind(&self, property: &'s Map<String, Value>, inner: &'s Map<String, Value>) -> String {
        match property.get("x-shape").and_then(Value::as_str) {
            Some("tables") => return "tables".to_owned(),
            Some(_) => return "table".to_owned(),
            None => {}
        }
        let words = words(inner);
        if !words.is_empty() {
            return "a word".to_owned();
        }
        let of = match inner.get("type") {
            Some(Value::String(one)) => one.as_str(),
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or("")
            }
            _ => "",
        };
        match of {
            "string" => "text".to_owned(),
            "integer" => "whole number".to_owned(),
            "number" => "number".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "object" => "table".to_owned(),
            "array" => match inner.get("items").and_then(Value::as_object).map(|items| self.resolve(items)) {
                Some(items) if !self::words(items).is_empty() => "list of words".to_owned(),
                Some(items) if items.contains_key("properties") => "tables".to_owned(),
                _ => "list of texts".to_owned(),
            },
            _ => self.choices(inner),
        }
    }

    /// A value that may be written in several ways.
    fn choices(&self, inner: &'s Map<String, Value>) -> String {
        let ways = inner.get("anyOf").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        let kinds: Vec<String> = ways
            .filter(|way| way.get("type").and_then(Value::as_str) != Some("null") && !way.contains_key("anyOf"))
            .map(|way| self.kind(way, self.resolve(way)))
            .collect();
        if kinds.is_empty() { "value".to_owned() } else { kinds.join(" or ") }
    }

    /// The description, followed by the words it can be.
    fn meaning(&self, property: &'s Map<String, Value>, inner: &'s Map<String, Value>) -> String {
        let mut text = description(property).or_else(|| description(inner)).unwrap_or_default();
        let items = inner.get("items").and_then(Value::as_object).map(|items| self.resolve(items));
        let mut words = words(inner);
        if let Some(items) = items {
            words.extend(self::words(items));
        }
        for (word, meaning) in words {
            let meaning = meaning.map(|meaning| format!(": {meaning}")).unwrap_or_default();
            let _ = write!(text, "<br>`\"{word}\"`{meaning}");
        }
        text.replace('|', "\\|")
    }
}

/// The words of an enumeration, each with its description.
fn words(schema: &Map<String, Value>) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    if let Some(plain) = schema.get("enum").and_then(Value::as_array) {
        found.extend(plain.iter().filter_map(Value::as_str).map(|word| (word.to_owned(), None)));
    }
    for choice in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        match (choice.get("const").and_then(Value::as_str), choice.get("enum").and_then(Value::as_array)) {
            (Some(word), _) => found.push((word.to_owned(), description(choice))),
            (None, Some(plain)) => {
                found.extend(plain.iter().filter_map(Value::as_str).map(|word| (word.to_owned(), None)));
            }
            (None, None) => {}
        }
    }
    found
}

fn description(schema: &Map<String, Value>) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A value as TOML writes it.
fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{key} = {}", written(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn code_words(title: &str) -> String {
    let code = |word: &str| word.contains('[') || word.contains('.') || word == "limits";
    let word = |word: &str| if code(word) { format!("`{word}`") } else { word.to_owned() };
    title.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Breaks a paragraph at 120 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > 120 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
