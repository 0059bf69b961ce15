//! Finding what no complaint may show: secrets that were written into a configuration by mistake, and card numbers.

use std::ops::Range;

use lockstep_contract::SecretRef;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::complaint::Source;

/// Parts of the names of keys whose values are secrets or references to secrets.
const TELLING: [&str; 8] = ["password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "pin"];

/// The source with every literal secret hidden, as far as the names of the keys tell.
pub(crate) fn hide_secrets(source: &Source) -> Source {
    let (root, syntax) = DeTable::parse_recoverable(source.text());
    let mut spans = Vec::new();
    collect(root.get_ref(), &mut spans);
    if !syntax.is_empty() {
        // The tree may lack the very line that is broken.
        by_line(source.text(), &mut spans);
    }
    if spans.is_empty() { source.clone() } else { source.hiding(&spans) }
}

/// The source with every card number hidden: in full, one is as good as the card.
pub(crate) fn hide_cards(source: &Source) -> Source {
    let text = source.text();
    let numbers: Vec<Range<usize>> = text
        .match_indices("card:")
        .map(|(at, word)| {
            let start = at + word.len();
            let rest = text.get(start..).unwrap_or_default();
            start..start + rest.find(['"', '\'', '\n']).unwrap_or(rest.len())
        })
        .collect();
    if numbers.is_empty() { source.clone() } else { source.hiding(&numbers) }
}

fn collect(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let telling = telling(key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => collect(inner, spans),
            DeValue::Array(items) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|inner| collect(inner, spans));
                if telling {
                    spans.extend(items.iter().filter(|item| literal(item)).map(Spanned::span));
                }
            }
            _ if telling && literal(value) => spans.push(value.span()),
            _ => {}
        }
    }
}

/// What follows the sign after a telling name, to the end of the line, unless it looks like a reference.
fn by_line(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for (at, _) in line.match_indices('=') {
            let before = line.get(..at).unwrap_or_default().trim_end();
            let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').next().unwrap_or_default();
            let after = line.get(at + 1..).unwrap_or_default().trim_start().trim_start_matches(['"', '\'']);
            let reference = ["systemd:", "keyring:", "file:", "env:"].iter().any(|kind| after.starts_with(kind));
            if telling(name) && !reference {
                spans.push(start + at + 1..start + line.len());
                break;
            }
        }
        start += line.len();
    }
}

fn telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let place = name.ends_with("_url") || name.ends_with("_file");
    !place && TELLING.iter().any(|part| name == *part || (part.len() > 3 && name.contains(part)))
}

/// True for a value that could be a secret itself: no table, no reference, no flag.
fn literal(value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::String(text) => text.parse::<SecretRef>().is_err(),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => true,
        DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => false,
    }
}
