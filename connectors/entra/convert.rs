//! From a user of Graph to a person. Pure. Nothing is repaired or made up: what is `null` is not known, and a user without
//! an id or with a broken employee number is set aside with a reason.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_contract::{
    CorrelationKey, CorrelationKeys, FieldName, KeyKind, Person, PersonId, Profile, Standing, field,
};
use lockstep_http::Value;
use uuid::Uuid;

use crate::api::{Object, id_of};

/// What is always asked for: who it is, whether the account is on, and whether we are shown anything.
const ALWAYS: [&str; 6] =
    ["id", "accountEnabled", "userPrincipalName", "userType", "externalUserState", "onPremisesImmutableId"];

const USUAL: [(&str, &str); 14] = [
    (field::GIVEN_NAME, "givenName"),
    (field::FAMILY_NAME, "surname"),
    (field::DISPLAY_NAME, "displayName"),
    (field::EMPLOYEE_NUMBER, "employeeId"),
    (field::EMPLOYEE_TYPE, "employeeType"),
    (field::DEPARTMENT, "department"),
    (field::TITLE, "jobTitle"),
    (field::COMPANY, "companyName"),
    (field::SITE, "officeLocation"),
    (field::MAIL, "mail"),
    (field::PHONE, "businessPhones"),
    (field::UPN, "userPrincipalName"),
    (field::ACCOUNT, "onPremisesSamAccountName"),
    (field::USER_NAME, "userPrincipalName"),
];

/// The fields that are also keys.
const KEYS: [(KeyKind, &str); 4] = [
    (KeyKind::Employee, field::EMPLOYEE_NUMBER),
    (KeyKind::Upn, field::UPN),
    (KeyKind::Mail, field::MAIL),
    (KeyKind::Account, field::ACCOUNT),
];

/// Properties that are kept elsewhere than in the directory: asking for one in a list makes the whole list fail.
const ELSEWHERE: [&str; 11] = [
    "aboutMe",
    "birthday",
    "hireDate",
    "interests",
    "mailboxSettings",
    "mySite",
    "pastProjects",
    "preferredName",
    "responsibilities",
    "schools",
    "skills",
];

/// Which property holds which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldMap(BTreeMap<FieldName, String>);

impl FieldMap {
    /// The usual properties, and what the configuration says instead.
    ///
    /// # Errors
    /// When a name is none that Graph can be asked for.
    pub(crate) fn new(overrides: &BTreeMap<FieldName, String>) -> Result<Self, String> {
        let mut map: BTreeMap<FieldName, String> =
            USUAL.iter().map(|(name, property)| (FieldName::known(name), (*property).to_owned())).collect();
        for (name, property) in overrides {
            let part = |part: &str| {
                part.starts_with(|c: char| c.is_ascii_alphabetic())
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            if !property.split('.').all(part) {
                return Err(format!("`fields.{name}`: `{property}` is no name of a property"));
            }
            if ELSEWHERE.contains(&root(property)) {
                return Err(format!("`fields.{name}`: Graph does not give `{property}` in a list of users"));
            }
            map.insert(name.clone(), property.clone());
        }
        Ok(Self(map))
    }

    /// What to ask for: what is always needed, the keys, and these fields. `None` for all fields.
    pub(crate) fn select(&self, fields: Option<&BTreeSet<FieldName>>, leave_date: bool) -> String {
        let wanted = |name: &FieldName| fields.is_none_or(|fields| fields.contains(name)) || is_key(name.as_str());
        let mapped = self.0.iter().filter(|(name, _)| wanted(name)).map(|(_, property)| root(property));
        let date = leave_date.then_some("employeeLeaveDateTime");
        let all: BTreeSet<&str> = ALWAYS.into_iter().chain(date).chain(mapped).collect();
        all.into_iter().collect::<Vec<_>>().join(",")
    }

    /// The property that holds a kind of key, as a filter names it.
    pub(crate) fn filter_name(&self, kind: KeyKind) -> Option<String> {
        let (_, name) = KEYS.iter().find(|(known, _)| *known == kind)?;
        self.0.get(*name).map(|property| property.replace('.', "/"))
    }

    /// The person in a user.
    ///
    /// # Errors
    /// Why the user is no person that anything may rest on.
    pub(crate) fn person(
        &self,
        user: &Object,
        standing: Standing,
        fields: Option<&BTreeSet<FieldName>>,
    ) -> Result<Person, String> {
        let id = id_of(user).map(PersonId::from_uuid).ok_or("the id is missing or malformed")?;
        let mut keys = CorrelationKeys::new();
        let anchor = text(user, "onPremisesImmutableId").and_then(anchor);
        for id in std::iter::once(id.to_string()).chain(anchor.map(|uuid| uuid.to_string())) {
            if let Ok(key) = CorrelationKey::new(KeyKind::Directory, &id) {
                keys.insert(key);
            }
        }
        for (kind, name) in KEYS {
            let Some(property) = self.0.get(name) else { continue };
            let Some(value) = text(user, property).filter(|value| !value.is_empty()) else { continue };
            match CorrelationKey::new(kind, value) {
                Ok(key) => keys.insert(key),
                // A broken employee number may be somebody else's: nothing may rest on it. A broken address is only one
                // way less to recognise the person.
                Err(why) if kind == KeyKind::Employee => return Err(format!("{property} cannot be a key: {why}")),
                Err(_) => {}
            }
        }
        Ok(Person { id, keys, profile: self.profile(user, fields), standing })
    }

    fn profile(&self, user: &Object, fields: Option<&BTreeSet<FieldName>>) -> Profile {
        let wanted = |name: &FieldName| fields.is_none_or(|fields| fields.contains(name));
        self.0
            .iter()
            .filter(|(name, _)| wanted(name))
            .filter_map(|(name, property)| Some((name.clone(), value_at(user, property).and_then(shown)?)))
            .collect()
    }
}

fn is_key(name: &str) -> bool {
    KEYS.iter().any(|(_, key)| *key == name)
}

/// What can be asked for: of an object within a user only the whole.
fn root(property: &str) -> &str {
    property.split('.').next().unwrap_or(property)
}

fn value_at<'u>(user: &'u Object, property: &str) -> Option<&'u Value> {
    let mut parts = property.split('.');
    let first = user.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

fn text<'u>(user: &'u Object, property: &str) -> Option<&'u str> {
    value_at(user, property).and_then(Value::as_str)
}

/// A value as text; of a list the first, as people see it.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => items.first().and_then(shown),
        Value::Null | Value::Object(_) => None,
    }
}

/// The object id that the same person has in Active Directory: the source anchor is its 16 bytes, mixed-endian
/// ([MS-DTYP] 2.3.4.2). An anchor of the site's own making is none.
pub(crate) fn anchor(text: &str) -> Option<Uuid> {
    let bytes: [u8; 16] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(Uuid::from_bytes_le(bytes))
}

/// The source anchor of an object id of Active Directory.
pub(crate) fn to_anchor(id: Uuid) -> String {
    STANDARD.encode(id.to_bytes_le())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

    fn convert(extra: Value, overrides: &[(&str, &str)]) -> Result<Person, String> {
        let mut user = json!({"id": ID, "accountEnabled": true, "userPrincipalName": "Ann@corp.example"});
        for (name, value) in extra.as_object().expect("object") {
            user[name] = value.clone();
        }
        let overrides =
            overrides.iter().map(|(name, to)| (FieldName::new(*name).expect("name"), (*to).to_owned())).collect();
        let map = FieldMap::new(&overrides).expect("map");
        map.person(user.as_object().expect("object"), Standing::Active, None)
    }

    fn keys(person: &Person) -> Vec<String> {
        person.keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_key_of_a_person_and_the_id_that_active_directory_gave() {
        let person = convert(
            json!({"employeeId": "00123", "mail": "Ann@corp.example", "onPremisesSamAccountName": "ANN",
                "onPremisesImmutableId": "MyIRAFVEd2aImaq7zN3u/w=="}),
            &[],
        )
        .expect("a person");
        assert_eq!(
            keys(&person),
            [
                format!("directory:{ID}").as_str(),
                "employee:00123",
                "upn:ann@corp.example",
                "mail:ann@corp.example",
                "account:ann",
            ],
            "the anchor decodes to the same id, so it is one key"
        );
        let other = convert(json!({"onPremisesImmutableId": "MyIRAFVEd2aImaq7zN3u/g=="}), &[]).expect("a person");
        assert!(keys(&other).contains(&"directory:00112233-4455-6677-8899-aabbccddeefe".to_owned()));
        let own = convert(json!({"onPremisesImmutableId": "ann@corp"}), &[]).expect("a person");
        assert_eq!(keys(&own).len(), 2, "an anchor of the site's own making is no id");
    }

    #[test]
    fn what_is_null_is_not_known() {
        let person =
            convert(json!({"employeeId": null, "department": null, "businessPhones": []}), &[]).expect("person");
        assert_eq!(person.profile.get(field::DEPARTMENT), None);
        assert_eq!(person.profile.get(field::PHONE), None);
        assert_eq!(person.keys.of(KeyKind::Employee).count(), 0);
    }

    #[test]
    fn a_broken_employee_number_sets_the_record_aside_and_a_broken_address_does_not() {
        assert!(convert(json!({"employeeId": "1\u{200b}2"}), &[]).expect_err("invisible").contains("employeeId"));
        assert!(convert(json!({"id": "not-a-guid"}), &[]).is_err());
        assert!(convert(json!({"mail": " a@x.example"}), &[]).is_ok());
    }

    #[test]
    fn extension_attributes_are_read_by_configuration() {
        let person = convert(
            json!({"onPremisesExtensionAttributes": {"extensionAttribute3": "B7"}, "extension_ab_badge": 17,
                "employeeOrgData": {"division": "North"}}),
            &[
                ("site", "onPremisesExtensionAttributes.extensionAttribute3"),
                ("badge", "extension_ab_badge"),
                ("division", "employeeOrgData.division"),
            ],
        )
        .expect("a person");
        for (name, value) in [("site", "B7"), ("badge", "17"), ("division", "North")] {
            assert_eq!(person.profile.get(name), Some(value));
        }
        for bad in ["skills", "mailboxSettings.timeZone", "a b", "a,b", "", "a..b", "$x"] {
            let overrides = [(FieldName::known("x"), bad.to_owned())].into();
            assert!(FieldMap::new(&overrides).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_selection_is_explicit_and_holds_what_the_fields_and_keys_need() {
        let fields: BTreeSet<FieldName> = [FieldName::known("x")].into();
        let overrides =
            [(FieldName::known("x"), "onPremisesExtensionAttributes.extensionAttribute1".to_owned())].into();
        let map = FieldMap::new(&overrides).expect("map");
        let select = map.select(Some(&fields), true);
        let parts: Vec<&str> = select.split(',').collect();
        for needed in ["accountEnabled", "employeeId", "employeeLeaveDateTime", "id", "onPremisesExtensionAttributes"] {
            assert!(parts.contains(&needed), "{select}");
        }
        assert!(!parts.contains(&"department") && !select.contains('.'), "{select}");
    }

    proptest! {
        #[test]
        fn an_anchor_is_written_and_read_alike(id in any::<u128>()) {
            let id = Uuid::from_u128(id);
            prop_assert_eq!(anchor(&to_anchor(id)), Some(id));
        }

        #[test]
        fn no_anchor_makes_it_panic(text in ".{0,40}") {
            let _ = anchor(&text);
        }
    }
}
