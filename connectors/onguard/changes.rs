//! Fields and keys turned into properties, checked against what the site says of each before anything is sent. Pure.

use lockstep_contract::{CorrelationKeys, FieldName, Profile, field};
use lockstep_http::Value;
use serde_json::Map;

use crate::config::{Constant, Stored};
use crate::convert::Shape;
use crate::schema::{Properties, Property};

/// The properties of an amendment.
pub(crate) fn amended(profile: &Profile, shape: &Shape, site: &Properties) -> Result<Map<String, Value>, String> {
    let mut map = Map::new();
    for (name, value) in profile.iter() {
        let (property, value) = placed(name, value, shape, site)?;
        map.insert(property.name.clone(), value);
    }
    Ok(map)
}

/// The properties of a new cardholder.
pub(crate) fn new_cardholder<'c>(
    profile: &Profile,
    keys: &CorrelationKeys,
    constants: impl Iterator<Item = (&'c String, &'c Constant)>,
    shape: &Shape,
    site: &Properties,
) -> Result<Map<String, Value>, String> {
    let family = profile.get(field::FAMILY_NAME).unwrap_or_default();
    if family.is_empty() {
        return Err("OnGuard has no cardholder without a last name: map `family_name`".to_owned());
    }
    let mut map = Map::new();
    for (name, constant) in constants {
        let property = site.get(name).ok_or_else(|| no_property("new_cardholder", name))?;
        map.insert(property.name.clone(), constant.value());
    }
    for (kind, name) in shape.keys.each() {
        let Some(key) = keys.of(kind).next() else { continue };
        let property = site.get(name).ok_or_else(|| no_property("keys", name))?;
        map.insert(property.name.clone(), fitting(property, key.value(), None)?);
    }
    map.extend(amended(profile, shape, site)?);
    match site.required().find(|property| map.get(&property.name).is_none_or(is_empty)) {
        Some(lacking) => Err(format!(
            "this site requires `{}` of every cardholder: map it with `fields`, or give it a value in `new_cardholder`",
            lacking.name
        )),
        None => Ok(map),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn no_property(setting: &str, name: &str) -> String {
    format!("`{setting}` names `{name}`, and cardholders of this site have no such property")
}

fn placed<'s>(
    name: &FieldName,
    value: &str,
    shape: &Shape,
    site: &'s Properties,
) -> Result<(&'s Property, Value), String> {
    let stored = shape.fields.get(name.as_str()).ok_or_else(|| format!("`fields` has no place for `{name}`"))?;
    let property = site.get(stored.property()).ok_or_else(|| no_property("fields", stored.property()))?;
    if value.is_empty() && name.as_str() == field::FAMILY_NAME {
        return Err("OnGuard has no cardholder without a last name".to_owned());
    }
    Ok((property, fitting(property, value, Some(stored))?))
}

/// The value, when the property takes it.
fn fitting(property: &Property, value: &str, stored: Option<&Stored>) -> Result<Value, String> {
    let name = &property.name;
    if !property.editable {
        return Err(format!("the user of this connector may not change `{name}` on this site"));
    }
    let own = stored.map(|stored| u64::from(stored.chars_max()));
    let most = property.chars_max.into_iter().chain(own).min();
    if let Some(most) = most.filter(|most| value.chars().count() as u64 > *most) {
        return Err(format!("`{name}` holds at most {most} characters"));
    }
    match (property.numeric, value) {
        (false, text) => Ok(Value::from(text)),
        (true, "") => Ok(Value::Null),
        (true, text) => {
            let number = crate::wire::number_of(text);
            number.map(Value::from).ok_or_else(|| format!("`{name}` holds whole numbers, and this is none"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lockstep_contract::{CorrelationKey, KeyKind};
    use serde_json::json;

    use super::*;
    use crate::config::{Fields, Keys};

    fn site() -> Properties {
        Properties::of(&json!({"properties": [
            {"name": "ID", "type": "Int32", "is_key": true, "is_required": true},
            {"name": "LastName", "type": "String", "is_required": true, "max_length": 10},
            {"name": "SSNO", "type": "String", "max_length": 8},
            {"name": "CAMPUSID", "type": "Int32"},
            {"name": "SEGMENT", "type": "Int32", "is_required": true},
            {"name": "EMAIL", "type": "String", "access": "View"},
        ]}))
        .expect("properties")
    }

    fn shape() -> Shape {
        let field = |name, property: &str| (FieldName::known(name), Stored::In(property.to_owned()));
        let fields: Fields = [
            field(field::FAMILY_NAME, "LASTNAME"),
            field(field::MAIL, "EMAIL"),
            field(field::EMPLOYEE_NUMBER, "SSNO"),
            field(field::SITE, "CAMPUSID"),
            field(field::TITLE, "NOWHERE"),
        ]
        .into();
        Shape { keys: Keys { employee: Some("SSNO".to_owned()), ..Keys::default() }, fields }
    }

    fn profile(fields: &[(&'static str, &str)]) -> Profile {
        fields.iter().map(|(name, value)| (FieldName::known(name), (*value).to_owned())).collect()
    }

    fn new(
        fields: &[(&'static str, &str)],
        constants: &BTreeMap<String, Constant>,
    ) -> Result<Map<String, Value>, String> {
        let keys = [CorrelationKey::new(KeyKind::Employee, "00123").expect("a key")].into_iter().collect();
        new_cardholder(&profile(fields), &keys, constants.iter(), &shape(), &site())
    }

    #[test]
    fn a_new_cardholder_gets_the_constants_of_the_site_and_names_what_lacks() {
        let segment = BTreeMap::from([("segment".to_owned(), Constant::Number(3))]);
        let map = new(&[(field::FAMILY_NAME, "Boothroyd")], &segment).expect("a cardholder");
        assert_eq!(Value::Object(map), json!({"LastName": "Boothroyd", "SSNO": "00123", "SEGMENT": 3}));
        let lacking = new(&[(field::FAMILY_NAME, "Boothroyd")], &BTreeMap::new()).expect_err("the segment");
        assert!(lacking.contains("`SEGMENT`") && lacking.contains("new_cardholder"), "{lacking}");
        assert!(new(&[], &segment).expect_err("no name").contains("family_name"));
    }

    #[test]
    fn what_the_site_does_not_take_is_refused_before_it_is_sent() {
        for (name, value, why) in [
            (field::FAMILY_NAME, "Featherstonehaugh", "at most 10"),
            (field::FAMILY_NAME, "", "last name"),
            (field::EMPLOYEE_NUMBER, "123456789", "at most 8"),
            (field::MAIL, "a@x.example", "may not change"),
            (field::SITE, "north", "whole numbers"),
            (field::TITLE, "Guard", "no such property"),
            (field::COMPANY, "Corp", "no place"),
        ] {
            let error = amended(&profile(&[(name, value)]), &shape(), &site()).expect_err(name);
            assert!(error.contains(why), "{name}: {error}");
        }
        let map = amended(&profile(&[(field::SITE, "12"), (field::EMPLOYEE_NUMBER, "")]), &shape(), &site());
        assert_eq!(map.map(Value::Object), Ok(json!({"CAMPUSID": 12, "SSNO": ""})));
    }
}
