//! Fields: who is in scope by them, and what the PACS should show.
//!
//! A value is written whole or not at all: what is not known is not written, what is too long is not cut.

use std::borrow::Cow;

use lockstep_contract::{Entitled, FieldName, Profile};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::{CardholderRef, Inputs, PersonRef, ScopeRule, Template};

/// The fields that the mapping writes and the PACS can store.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    written: Vec<Written<'a>>,
    required: Vec<&'a FieldName>,
}

#[derive(Debug)]
struct Written<'a> {
    name: &'a FieldName,
    template: &'a Template,
    chars_max: Option<u32>,
    /// The number of the one field of the directory that is the whole template.
    single: Option<u32>,
    /// The number of the field on the PACS.
    number: Option<u32>,
}

/// What is to be written, and what stands in the way.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) profile: Profile,
    /// Fields whose value is longer than the PACS accepts: name, characters, most.
    pub(super) too_long: Vec<(&'a FieldName, usize, u32)>,
    /// Fields that a new record must have and nothing is known for.
    pub(super) missing: Vec<&'a FieldName>,
}

/// Values by field number, for one record. Reused from person to person.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    person: Vec<Option<&'a [u8]>>,
    cardholder: Vec<Option<&'a [u8]>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(inputs: Inputs<'a>) -> Self {
        let stored = &inputs.target.capabilities.fields;
        let written = inputs.policy.profile.iter().filter_map(|(name, template)| {
            let rule = stored.get(name)?;
            Some(Written {
                name,
                template,
                chars_max: rule.chars_max,
                single: template.single_field().and_then(|field| inputs.people.field_number(field)),
                number: inputs.cardholders.field_number(name),
            })
        });
        let required = stored.iter().filter(|(_, rule)| rule.required).map(|(name, _)| name);
        Self { written: written.collect(), required: required.collect() }
    }

    /// Whether any field differs. Looks at bytes, makes no copies for the many of whom nothing changed.
    pub(super) fn differ(&self, person: PersonRef<'a>, cardholder: CardholderRef<'a>, values: &mut Values<'a>) -> bool {
        if self.written.is_empty() {
            return false;
        }
        fill(&mut values.person, person.numbered_fields());
        fill(&mut values.cardholder, cardholder.numbered_fields());
        self.written.iter().any(|written| {
            let there = written.number.and_then(|number| value(&values.cardholder, number)).unwrap_or_default();
            if written.template.single_field().is_some() {
                let Some(wanted) = written.single.and_then(|number| value(&values.person, number)) else {
                    return false;
                };
                return wanted != there && !same(text(wanted), text(there));
            }
            let wanted = written.template.render(|name| person.field(name));
            wanted.is_some_and(|wanted| !same(&wanted, text(there)))
        })
    }

    /// The fields that differ.
    pub(super) fn changes(&self, person: PersonRef<'a>, cardholder: CardholderRef<'a>) -> Wanted<'a> {
        self.wanted(person, |name, wanted| !same(wanted, cardholder.field(name.as_str()).unwrap_or_default()))
    }

    /// All fields of a new record.
    pub(super) fn all(&self, person: PersonRef<'a>) -> Wanted<'a> {
        let mut wanted = self.wanted(person, |_, value| !value.is_empty());
        let too_long = |name: &FieldName| wanted.too_long.iter().any(|(long, ..)| *long == name);
        let missing =
            self.required.iter().filter(|name| wanted.profile.get(name.as_str()).is_none() && !too_long(name));
        wanted.missing = missing.copied().collect();
        wanted
    }

    fn wanted(&self, person: PersonRef<'a>, counts: impl Fn(&FieldName, &str) -> bool) -> Wanted<'a> {
        let mut wanted = Wanted::default();
        for Written { name, template, chars_max, .. } in &self.written {
            let Some(value) = template.render(|field| person.field(field)) else { continue };
            if !counts(name, &value) {
                continue;
            }
            let chars = value.chars().count();
            match chars_max {
                Some(most) if chars > *most as usize => wanted.too_long.push((name, chars, *most)),
                Some(_) | None => wanted.profile.set((*name).clone(), value),
            }
        }
        wanted
    }
}

/// Whether a person is in scope by field: every scope rule must say yes. A field that is not known decides nothing.
pub(super) fn in_scope<'r>(rules: &'r [ScopeRule], person: PersonRef<'_>) -> (Entitled, Option<&'r ScopeRule>) {
    let mut worst = (Entitled::Yes, None);
    for rule in rules {
        let value = match person.field(rule.field.as_str()) {
            None => Entitled::Unknown,
            Some(value) if rule.any.contains(value) || rule.any.iter().any(|any| same(any, value)) => Entitled::Yes,
            Some(_) => Entitled::No,
        };
        if value < worst.0 {
            worst = (value, Some(rule));
        }
    }
    worst
}

fn fill<'v>(values: &mut Vec<Option<&'v [u8]>>, fields: impl Iterator<Item = (u32, &'v [u8])>) {
    values.fill(None);
    for (number, value) in fields {
        let number = number as usize;
        if values.len() <= number {
            values.resize(number + 1, None);
        }
        if let Some(slot) = values.get_mut(number) {
            *slot = Some(value);
        }
    }
}

fn value<'v>(values: &[Option<&'v [u8]>], number: u32) -> Option<&'v [u8]> {
    values.get(number as usize).copied().flatten()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Equal but for composition: a PACS may store an accent in another way than the directory.
fn same(a: &str, b: &str) -> bool {
    a == b || (!(a.is_ascii() && b.is_ascii()) && composed(a) == composed(b))
}

fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    }
}
