//! From an entry to a person. Pure. Nothing is repaired or made up: a value that is no text is not known, and an entry
//! without an id or with a broken employee number is set aside with a reason.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{
    CorrelationKey, CorrelationKeys, FieldName, KeyKind, Person, PersonId, Profile, Standing, field,
};

use crate::entry::Entry;
use crate::guid;

/// How an immutable id is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdAttribute {
    /// 16 bytes, mixed-endian: `objectGUID`.
    ObjectGuid,
    /// Text: `entryUUID`, `nsUniqueId`, `ipaUniqueID`.
    Text(String),
}

impl IdAttribute {
    /// The name of the attribute.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::ObjectGuid => "objectGUID",
            Self::Text(name) => name,
        }
    }

    /// The id of an entry.
    pub(crate) fn of(&self, entry: &Entry) -> Option<PersonId> {
        match self {
            Self::ObjectGuid => guid::from_object_guid(entry.only("objectGUID")?).map(PersonId::from_uuid),
            Self::Text(name) => {
                let text = entry.only_text(name)?;
                guid::from_text(text).map(PersonId::from_uuid).or_else(|| PersonId::new(text).ok())
            }
        }
    }

    /// A filter for the entry with this id.
    pub(crate) fn filter(&self, id: &PersonId) -> Option<String> {
        match self {
            Self::ObjectGuid => {
                let bytes = guid::to_object_guid(id.as_uuid()?);
                Some(format!("(objectGUID={})", crate::filter::escape_all(&bytes)))
            }
            Self::Text(name) if name.eq_ignore_ascii_case("nsUniqueId") => {
                // 8-8-8-8, and compared as text.
                let hex = id.as_uuid()?.simple().to_string();
                let parts: Vec<&str> = [0..8, 8..16, 16..24, 24..32].into_iter().filter_map(|r| hex.get(r)).collect();
                Some(crate::filter::equals(name, &parts.join("-")))
            }
            Self::Text(name) => Some(crate::filter::equals(name, &id.to_string())),
        }
    }
}

/// Which attribute holds which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldMap(BTreeMap<FieldName, String>);

const ACTIVE_DIRECTORY: [(&str, &str); 15] = [
    (field::GIVEN_NAME, "givenName"),
    (field::FAMILY_NAME, "sn"),
    (field::DISPLAY_NAME, "displayName"),
    (field::EMPLOYEE_NUMBER, "employeeID"),
    (field::EMPLOYEE_TYPE, "employeeType"),
    (field::DEPARTMENT, "department"),
    (field::TITLE, "title"),
    (field::MANAGER, "manager"),
    (field::COMPANY, "company"),
    (field::SITE, "physicalDeliveryOfficeName"),
    (field::MAIL, "mail"),
    (field::PHONE, "telephoneNumber"),
    (field::UPN, "userPrincipalName"),
    (field::ACCOUNT, "sAMAccountName"),
    (field::USER_NAME, "userPrincipalName"),
];

const OPENLDAP: [(&str, &str); 14] = [
    (field::GIVEN_NAME, "givenName"),
    (field::FAMILY_NAME, "sn"),
    (field::DISPLAY_NAME, "displayName"),
    (field::EMPLOYEE_NUMBER, "employeeNumber"),
    (field::EMPLOYEE_TYPE, "employeeType"),
    (field::DEPARTMENT, "departmentNumber"),
    (field::TITLE, "title"),
    (field::MANAGER, "manager"),
    (field::COMPANY, "o"),
    (field::SITE, "l"),
    (field::MAIL, "mail"),
    (field::PHONE, "telephoneNumber"),
    (field::ACCOUNT, "uid"),
    (field::USER_NAME, "uid"),
];

/// The one attribute of bytes that a field may hold: by it, Entra ID recognises whoever was moved between forests.
const CONSISTENCY_GUID: &str = "mS-DS-ConsistencyGuid";

/// The fields that are also keys.
const KEYS: [(KeyKind, &str); 4] = [
    (KeyKind::Employee, field::EMPLOYEE_NUMBER),
    (KeyKind::Upn, field::UPN),
    (KeyKind::Mail, field::MAIL),
    (KeyKind::Account, field::ACCOUNT),
];

impl FieldMap {
    /// The usual attributes of such a server, and what the configuration says instead.
    pub(crate) fn new(active_directory: bool, overrides: &BTreeMap<FieldName, String>) -> Self {
        let usual: &[(&'static str, &str)] = if active_directory { &ACTIVE_DIRECTORY } else { &OPENLDAP };
        let mut map: BTreeMap<FieldName, String> =
            usual.iter().map(|(name, attribute)| (FieldName::known(name), (*attribute).to_owned())).collect();
        map.extend(overrides.iter().map(|(name, attribute)| (name.clone(), attribute.clone())));
        Self(map)
    }

    /// The attribute that holds a kind of key.
    pub(crate) fn attribute_of(&self, kind: KeyKind) -> Option<&str> {
        let (_, name) = KEYS.iter().find(|(known, _)| *known == kind)?;
        self.0.get(*name).map(String::as_str)
    }

    /// The attributes to ask for: those of the keys, and of these fields. `None` for all fields.
    pub(crate) fn attributes(&self, fields: Option<&BTreeSet<FieldName>>) -> BTreeSet<String> {
        let wanted = |name: &FieldName| fields.is_none_or(|fields| fields.contains(name)) || is_key(name.as_str());
        self.0.iter().filter(|(name, _)| wanted(name)).map(|(_, attribute)| attribute.clone()).collect()
    }

    /// The person in an entry.
    ///
    /// # Errors
    /// Why the entry is no person that anything may rest on.
    pub(crate) fn person(
        &self,
        entry: &Entry,
        id: &IdAttribute,
        standing: Standing,
        fields: Option<&BTreeSet<FieldName>>,
    ) -> Result<Person, String> {
        let id = id.of(entry).ok_or_else(|| format!("{} is missing or malformed", id.name()))?;
        let mut keys = CorrelationKeys::new();
        if let Ok(key) = CorrelationKey::new(KeyKind::Directory, &id.to_string()) {
            keys.insert(key);
        }
        for (kind, name) in KEYS {
            let Some(attribute) = self.0.get(name) else { continue };
            for value in entry.values(attribute).iter().filter(|value| !value.is_empty()) {
                let key = std::str::from_utf8(value)
                    .map_err(|_| "it is no text".to_owned())
                    .and_then(|text| CorrelationKey::new(kind, text).map_err(|error| error.to_string()));
                match key {
                    Ok(key) => keys.insert(key),
                    // A broken employee number may be somebody else's: nothing may rest on it. A broken address is only
                    // one way less to recognise the person.
                    Err(why) if kind == KeyKind::Employee => return Err(format!("{attribute} cannot be a key: {why}")),
                    Err(_) => {}
                }
            }
        }
        Ok(Person { id, keys, profile: self.profile(entry, fields), standing })
    }

    fn profile(&self, entry: &Entry, fields: Option<&BTreeSet<FieldName>>) -> Profile {
        let wanted = |name: &FieldName| fields.is_none_or(|fields| fields.contains(name));
        // Values come in any order: of several, the same one every time.
        let value = |attribute: &str| {
            if attribute.eq_ignore_ascii_case(CONSISTENCY_GUID) {
                return entry.only(attribute).and_then(guid::from_object_guid).map(|guid| guid.to_string());
            }
            entry.texts(attribute).min().map(str::to_owned)
        };
        self.0
            .iter()
            .filter(|(name, _)| wanted(name))
            .filter_map(|(name, attribute)| Some((name.clone(), value(attribute)?)))
            .collect()
    }
}

fn is_key(name: &str) -> bool {
    KEYS.iter().any(|(_, key)| *key == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: [u8; 16] =
        [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

    fn convert(attributes: &[(&str, &[&[u8]])]) -> Result<Person, String> {
        let mut all: Vec<(&str, &[&[u8]])> = vec![("objectGUID", &[&GUID])];
        all.extend(attributes);
        let map = FieldMap::new(true, &BTreeMap::new());
        map.person(&Entry::of("cn=a", &all), &IdAttribute::ObjectGuid, Standing::Active, None)
    }

    fn keys(person: &Person) -> Vec<String> {
        person.keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_key_of_a_person() {
        let person = convert(&[
            ("employeeID", &[b"00123"]),
            ("userPrincipalName", &[b"Ann@corp.example"]),
            ("mail", &[b"ann@corp.example", b"a.smith@corp.example"]),
            ("sAMAccountName", &[b"ANN"]),
        ])
        .expect("a person");
        assert_eq!(
            keys(&person),
            [
                "directory:00112233-4455-6677-8899-aabbccddeeff",
                "employee:00123",
                "upn:ann@corp.example",
                "mail:a.smith@corp.example",
                "mail:ann@corp.example",
                "account:ann",
            ]
        );
        assert_eq!(person.profile.get(field::MAIL), Some("a.smith@corp.example"), "the same one every time");
    }

    #[test]
    fn a_broken_employee_number_sets_the_record_aside_and_a_broken_address_does_not() {
        assert!(convert(&[("employeeID", &["1\u{200b}2".as_bytes()])]).expect_err("invisible").contains("employeeID"));
        assert!(convert(&[("employeeID", &[b"\xff"])]).is_err());
        let person = convert(&[("mail", &[b"\xff", b" a@x.example", b"b@x.example"])]).expect("a person");
        assert_eq!(keys(&person).len(), 2, "{:?}", keys(&person));
    }

    #[test]
    fn without_an_id_there_is_no_person() {
        let map = FieldMap::new(true, &BTreeMap::new());
        let entry = Entry::of("cn=a", &[("objectGUID", &[b"short"])]);
        assert!(map.person(&entry, &IdAttribute::ObjectGuid, Standing::Active, None).is_err());
    }

    #[test]
    fn only_the_fields_asked_for_and_what_the_keys_need() {
        let fields: BTreeSet<FieldName> = [FieldName::known(field::TITLE)].into();
        let map = FieldMap::new(false, &[(FieldName::known(field::TITLE), "role".to_owned())].into());
        let attributes = map.attributes(Some(&fields));
        assert_eq!(
            attributes.iter().map(String::as_str).collect::<Vec<_>>(),
            ["employeeNumber", "mail", "role", "uid"]
        );
        let entry = Entry::of(
            "uid=a",
            &[("entryUUID", &[b"00112233-4455-6677-8899-aabbccddeeff"]), ("role", &[b"Guard"]), ("mail", &[b"a@x.y"])],
        );
        let id = IdAttribute::Text("entryUUID".to_owned());
        let person = map.person(&entry, &id, Standing::Active, Some(&fields)).expect("a person");
        assert_eq!(person.profile.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [field::TITLE]);
        assert_eq!(keys(&person).len(), 2);
    }

    #[test]
    fn filters_for_ids() {
        let id = PersonId::new("00112233-4455-6677-8899-aabbccddeeff").expect("id");
        let guid = IdAttribute::ObjectGuid.filter(&id).expect("filter");
        assert!(guid.starts_with(r"(objectGUID=\33\22\11\00\55"), "{guid}");
        let entry_uuid = IdAttribute::Text("entryUUID".into()).filter(&id).expect("filter");
        assert_eq!(entry_uuid, "(entryUUID=00112233-4455-6677-8899-aabbccddeeff)");
        let unique = IdAttribute::Text("nsUniqueId".into()).filter(&id).expect("filter");
        assert_eq!(unique, "(nsUniqueId=00112233-44556677-8899aabb-ccddeeff)");
        assert_eq!(IdAttribute::ObjectGuid.filter(&PersonId::new("abc").expect("id")), None);
    }

    #[test]
    fn a_consistency_guid_is_a_field_in_the_spelling_of_an_id() {
        let overrides = [(FieldName::known("anchor"), "mS-DS-ConsistencyGuid".to_owned())].into();
        let attributes: [(&str, &[&[u8]]); 2] = [("objectGUID", &[&GUID]), ("mS-DS-ConsistencyGuid", &[&GUID])];
        let entry = Entry::of("cn=a", &attributes);
        let map = FieldMap::new(true, &overrides);
        let person = map.person(&entry, &IdAttribute::ObjectGuid, Standing::Active, None).expect("a person");
        assert_eq!(person.profile.get("anchor"), Some(person.id.to_string().as_str()));
    }
}
