//! The types of the simulated site and what `/type` says about them.

use serde_json::{Value, json};

/// A property of a type.
#[derive(Debug, Clone)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) kind: PropertyKind,
    pub(super) is_key: bool,
    pub(super) required: bool,
    pub(super) max_length: usize,
    pub(super) default: Option<i64>,
    pub(super) editable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PropertyKind {
    Text,
    Number,
    Flag,
    Time,
}

/// A type.
#[derive(Debug, Clone)]
pub(super) struct TypeOf {
    pub(super) name: &'static str,
    pub(super) properties: Vec<Property>,
    /// The properties by which rows are found without looking at all of them.
    pub(super) indexed: &'static [&'static str],
    /// The server makes the key of a new instance.
    pub(super) makes_keys: bool,
}

impl TypeOf {
    pub(super) fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| property.is_key)
    }

    pub(super) fn described(&self) -> Value {
        let properties: Vec<Value> = self.properties.iter().map(Property::described).collect();
        json!({"version": "1.0", "type_name": self.name, "display_name": self.name.trim_start_matches("Lnl_"),
            "access": "View, Edit, Add, Delete", "properties": properties, "methods": []})
    }
}

impl Property {
    fn described(&self) -> Value {
        let kind = match self.kind {
            PropertyKind::Text => "String",
            PropertyKind::Number => "Int64",
            PropertyKind::Flag => "Boolean",
            PropertyKind::Time => "DateTime",
        };
        json!({"name": self.name, "type": kind, "is_key": self.is_key, "is_required": self.required,
            "max_length": self.max_length, "default_value": self.default, "possible_values": null,
            "access": if self.editable { "View, Edit" } else { "View" }, "display_name": self.name})
    }
}

const fn property(name: &'static str, kind: PropertyKind) -> Property {
    Property { name, kind, is_key: false, required: false, max_length: 0, default: None, editable: true }
}

const fn key(name: &'static str) -> Property {
    Property { is_key: true, required: true, ..property(name, PropertyKind::Number) }
}

const fn number(name: &'static str) -> Property {
    property(name, PropertyKind::Number)
}

const fn text(name: &'static str, max_length: usize) -> Property {
    Property { max_length, ..property(name, PropertyKind::Text) }
}

const fn required(of: Property) -> Property {
    Property { required: true, ..of }
}

const fn fixed(of: Property) -> Property {
    Property { editable: false, ..of }
}

/// All types of the site.
pub(super) fn types() -> Vec<TypeOf> {
    let plain = |name, properties| TypeOf { name, properties, indexed: &[], makes_keys: false };
    vec![
        TypeOf {
            name: "Lnl_Cardholder",
            properties: vec![
                key("ID"),
                required(text("LASTNAME", 64)),
                text("FIRSTNAME", 64),
                text("MIDNAME", 64),
                text("SSNO", 64),
                text("EMAIL", 80),
                text("OPHONE", 32),
                text("LOCKSTEPID", 64),
                text("UDF_DEPARTMENT", 64),
                text("UDF_TITLE", 64),
                number("DEPT"),
                number("PRIMARYSEGMENTID"),
                property("ALLOWEDVISITORS", PropertyKind::Flag),
                fixed(property("LASTCHANGED", PropertyKind::Time)),
            ],
            indexed: &["ID", "SSNO", "EMAIL", "LOCKSTEPID"],
            makes_keys: true,
        },
        TypeOf {
            name: "Lnl_Badge",
            properties: vec![
                key("BADGEKEY"),
                required(number("ID")),
                required(number("PERSONID")),
                required(number("TYPE")),
                Property { default: Some(1), ..number("STATUS") },
                property("ACTIVATE", PropertyKind::Time),
                property("DEACTIVATE", PropertyKind::Time),
                number("ISSUECODE"),
                fixed(property("LASTCHANGED", PropertyKind::Time)),
            ],
            indexed: &["BADGEKEY", "PERSONID"],
            makes_keys: true,
        },
        TypeOf {
            name: "Lnl_AccessLevelAssignment",
            properties: vec![
                key("BadgeKey"),
                key("AccessLevelID"),
                property("Activate", PropertyKind::Time),
                property("Deactivate", PropertyKind::Time),
            ],
            indexed: &["BADGEKEY"],
            makes_keys: false,
        },
        plain("Lnl_AccessLevel", vec![key("ID"), text("Name", 64), number("SegmentID")]),
        plain("Lnl_BadgeStatus", vec![key("ID"), text("Name", 64)]),
        plain("Lnl_BadgeType", vec![key("ID"), text("Name", 64), number("BadgeTypeClass")]),
    ]
}
