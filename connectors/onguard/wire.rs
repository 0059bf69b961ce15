//! Instances as they come over the wire: properties by name without case, values read strictly. This module must not know
//! what a property means.

use std::collections::BTreeMap;

use lockstep_http::Value;

/// The types of OnGuard that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Cardholder,
    Badge,
    Assignment,
    Level,
    BadgeStatus,
}

impl Kind {
    /// The name of the type.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cardholder => "Lnl_Cardholder",
            Self::Badge => "Lnl_Badge",
            Self::Assignment => "Lnl_AccessLevelAssignment",
            Self::Level => "Lnl_AccessLevel",
            Self::BadgeStatus => "Lnl_BadgeStatus",
        }
    }

    /// The key properties; the first one is what lists are ordered by.
    pub(crate) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Cardholder | Self::Level | Self::BadgeStatus => &["ID"],
            Self::Badge => &["BADGEKEY"],
            Self::Assignment => &["BadgeKey", "AccessLevelID"],
        }
    }

    /// For people.
    pub(crate) const fn many(self) -> &'static str {
        match self {
            Self::Cardholder => "cardholders",
            Self::Badge => "badges",
            Self::Assignment => "access level assignments",
            Self::Level => "access levels",
            Self::BadgeStatus => "badge statuses",
        }
    }
}

/// A property that is not what it has to be. Never repeats a value: it may be a card number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadInstance {
    #[error("an instance is no object with a `property_value_map`")]
    Shape,
    #[error("an instance has the property {0} twice")]
    Twice(String),
    #[error("the property {0} of an instance is no whole number")]
    NoNumber(&'static str),
    #[error("the property {0} of an instance is neither a text nor a number")]
    NoText(String),
    #[error("an instance lacks the property {0}")]
    Lacks(&'static str),
}

/// One instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Instance(BTreeMap<String, Value>);

impl Instance {
    /// Takes an item of a list apart.
    pub(crate) fn of(item: Value) -> Result<Self, BadInstance> {
        let Value::Object(mut item) = item else { return Err(BadInstance::Shape) };
        let Some(Value::Object(map)) = item.remove("property_value_map") else { return Err(BadInstance::Shape) };
        let mut properties = BTreeMap::new();
        for (name, value) in map {
            let name = name.to_ascii_uppercase();
            if properties.insert(name.clone(), value).is_some() {
                return Err(BadInstance::Twice(name));
            }
        }
        Ok(Self(properties))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let value = match self.0.get(name) {
            Some(value) => Some(value),
            None => self.0.get(&name.to_ascii_uppercase()),
        };
        value.filter(|value| !value.is_null())
    }

    /// A whole number; `None` when it is absent or null.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<i64>, BadInstance> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number.as_i64().map(Some).ok_or(BadInstance::NoNumber(name)),
            Some(Value::String(text)) => number_of(text).map(Some).ok_or(BadInstance::NoNumber(name)),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(BadInstance::NoNumber(name)),
        }
    }

    /// A whole number that must be there.
    pub(crate) fn key(&self, name: &'static str) -> Result<i64, BadInstance> {
        self.number(name)?.ok_or(BadInstance::Lacks(name))
    }

    /// A text, or a number as one; `None` when it is absent or null.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, BadInstance> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                Err(BadInstance::NoText(name.to_owned()))
            }
        }
    }
}

/// A whole number as OnGuard writes its ids: digits without a leading zero, so that two texts are never one id.
pub(crate) fn number_of(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_read_without_case_and_values_strictly() {
        let instance = Instance::of(json!({"property_value_map": {
            "BadgeKey": 7, "id": "4711", "Name": null, "SSNO": 12, "UDF": true, "TYPE": 1.5, "STATUS": "01"
        }}))
        .expect("an instance");
        assert_eq!(instance.number("BADGEKEY"), Ok(Some(7)));
        assert_eq!(instance.number("ID"), Ok(Some(4711)));
        assert_eq!(instance.text("NAME"), Ok(None));
        assert_eq!(instance.text("ssno"), Ok(Some("12".to_owned())));
        assert!(
            instance.text("UDF").is_err() && instance.number("TYPE").is_err() && instance.number("STATUS").is_err()
        );
        assert_eq!(instance.key("PERSONID"), Err(BadInstance::Lacks("PERSONID")));
    }

    #[test]
    fn what_is_no_instance_is_refused() {
        for wrong in [json!(null), json!({}), json!({"property_value_map": []}), json!([1])] {
            assert_eq!(Instance::of(wrong), Err(BadInstance::Shape));
        }
        let twice = json!({"property_value_map": {"ID": 1, "id": 2}});
        assert_eq!(Instance::of(twice), Err(BadInstance::Twice("ID".to_owned())));
    }
}
