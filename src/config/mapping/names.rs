//! Names that look like others: wildcards, blanks, capitals, letters of another script.
//!
//! Ids are compared exactly, and a reader cannot see every difference; here is what we can see for them.

use std::collections::BTreeMap;
use std::ops::Range;

use lockstep_contract::field;

use crate::table::{Report, Text};

/// Refuses what is surely a mistake in a name, and warns of what may be one. Invisible characters are refused by the
/// types of the ids themselves.
pub(super) fn check(what: &str, text: &Text, report: &mut Report) {
    if text.value.contains('*') {
        let complaint = report.at(text.span.clone(), format!("{what} `{}` has a wildcard", text.value));
        report
            .refuse(complaint.label("no wildcards").help("name each one; who gets in must be readable from the file"));
    }
    if text.value.trim() != text.value {
        let complaint = report.at(text.span.clone(), format!("{what} `{}` starts or ends with a blank", text.value));
        report.refuse(complaint.help("remove the blank; ids are compared exactly"));
    }
    if let Some((word, other)) = mixed_word(&text.value) {
        let message = format!("{what} `{}` mixes alphabets in one word", text.value);
        let code = other as u32;
        let complaint = report.at(text.span.clone(), message).label(format!("`{other}` in `{word}` is U+{code:04X}"));
        report.warn(complaint.help("type the name again by hand if it should be in Latin letters only"));
    }
}

/// The fields that connectors fill by themselves; others come from their settings.
const FIELDS: [&str; 15] = [
    field::GIVEN_NAME,
    field::FAMILY_NAME,
    field::DISPLAY_NAME,
    field::EMPLOYEE_NUMBER,
    field::EMPLOYEE_TYPE,
    field::DEPARTMENT,
    field::TITLE,
    field::MANAGER,
    field::COMPANY,
    field::SITE,
    field::MAIL,
    field::PHONE,
    field::UPN,
    field::ACCOUNT,
    field::USER_NAME,
];

/// Warns of a field that is nearly one of the known ones: a template that reads it would never be filled in.
pub(super) fn field(name: &str, span: &Range<usize>, report: &mut Report) {
    if FIELDS.contains(&name) {
        return;
    }
    let near = FIELDS.into_iter().find(|known| strsim::osa_distance(name, known) <= 1 + known.len() / 8);
    if let Some(near) = near {
        let complaint = report.at(span.clone(), format!("`{name}` is nearly the field `{near}`"));
        let help = "a field of your own is filled only if the directory's settings name an attribute or column for it";
        report.warn(complaint.label(format!("did you mean `{near}`?")).help(help));
    }
}

/// Warns of names that differ in capitals only, or look alike.
pub(super) fn case_variants(what: &str, names: &[Text], report: &mut Report) {
    let mut seen: BTreeMap<String, &Text> = BTreeMap::new();
    for name in names {
        let key: String = name.value.chars().flat_map(char::to_lowercase).map(look).collect();
        let first = *seen.entry(key).or_insert(name);
        if first.value != name.value {
            let message = format!("{what} `{}` is also written `{}`", name.value, first.value);
            let complaint = report.at(name.span.clone(), message).label("here").also(first.span.clone(), "and here");
            report.warn(complaint.help("write it the same way everywhere if it is the same one"));
        }
    }
}

/// The first word with Latin letters and letters that only look Latin.
fn mixed_word(text: &str) -> Option<(&str, char)> {
    text.split(|c: char| !c.is_alphabetic()).find_map(|word| {
        let latin = word.chars().any(|c| c.is_ascii_alphabetic());
        let other = word.chars().find(|c| foreign(*c));
        other.filter(|_| latin).map(|other| (word, other))
    })
}

/// Letters of scripts that have look-alikes of Latin letters: Greek, Cyrillic, Armenian, Cherokee, full width.
fn foreign(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{530}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}'
        | '\u{1f00}'..='\u{1fff}' | '\u{ff21}'..='\u{ff5a}')
}

/// The Latin letter that a small Greek or Cyrillic letter looks like.
fn look(c: char) -> char {
    match c {
        'а' | 'α' => 'a',
        'е' => 'e',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'х' | 'χ' => 'x',
        'у' | 'υ' => 'y',
        'і' | 'ι' => 'i',
        'ѕ' => 's',
        'ј' => 'j',
        'в' | 'β' => 'b',
        'к' | 'κ' => 'k',
        'м' | 'μ' => 'm',
        'н' | 'η' => 'h',
        'т' | 'τ' => 't',
        'ν' => 'n',
        'ζ' => 'z',
        other => other,
    }
}
