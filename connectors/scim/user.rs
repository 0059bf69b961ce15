//! What a server says of a user, read in one of two ways: from a tree, which understands every spelling that the
//! standard allows, or in place, which is many times faster and understands the usual one. What is not as usual is
//! refused here, and read from a tree then; both ways read the same user from the same text. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, FieldName, KeyKind, Profile, Revision,
    Status, Validity, field,
};
use lockstep_http::{Scanner, Value};

use crate::api::Object;
use crate::convert::{BadRecord, ENTERPRISE, Shape, get, items, ours, text, text_at};

type Text<'a> = Option<Cow<'a, str>>;

/// The names that are read in place, as they are usually spelled.
const NAMES: [&str; 12] = [
    "id",
    "externalId",
    "userName",
    "displayName",
    "title",
    "userType",
    "active",
    "name",
    "emails",
    "phoneNumbers",
    "groups",
    "meta",
];

/// A user, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "attributes are called as the standard calls them")]
pub(crate) struct User<'a> {
    pub(crate) id: Cow<'a, str>,
    external_id: Text<'a>,
    user_name: Text<'a>,
    display_name: Text<'a>,
    title: Text<'a>,
    user_type: Text<'a>,
    given_name: Text<'a>,
    family_name: Text<'a>,
    active: Active,
    emails: Addresses<'a>,
    phones: Addresses<'a>,
    /// The direct ones, in whatever order.
    pub(crate) groups: Vec<Cow<'a, str>>,
    employee_number: Text<'a>,
    department: Text<'a>,
    organization: Text<'a>,
    version: Text<'a>,
}

/// The attribute `active`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Active {
    Yes,
    No,
    #[default]
    Unsaid,
    NoBoolean,
}

/// The values of a list of addresses, and the one that a field stands for.
#[derive(Debug, Clone, Default, PartialEq)]
struct Addresses<'a> {
    values: Vec<Cow<'a, str>>,
    ours: Text<'a>,
}

impl<'a> User<'a> {
    /// Reads a user from a tree. `id` is the user's.
    pub(crate) fn of(user: &'a Object, id: &'a str) -> Self {
        let text = |name: &str| text(user, name).map(Cow::Borrowed);
        let part = |path: &str| text_at(user, path).map(Cow::Borrowed);
        let enterprise = get(user, ENTERPRISE).and_then(Value::as_object);
        let extra = |name: &str| enterprise.and_then(|e| crate::convert::text(e, name)).map(Cow::Borrowed);
        Self {
            id: Cow::Borrowed(id),
            external_id: text("externalId"),
            user_name: text("userName"),
            display_name: text("displayName"),
            title: text("title"),
            user_type: text("userType"),
            given_name: part("name.givenName"),
            family_name: part("name.familyName"),
            active: match get(user, "active") {
                Some(Value::Bool(true)) => Active::Yes,
                Some(Value::Bool(false)) => Active::No,
                None => Active::Unsaid,
                Some(_) => Active::NoBoolean,
            },
            emails: Addresses::of(user, "emails"),
            phones: Addresses::of(user, "phoneNumbers"),
            groups: crate::convert::groups_of(user).into_iter().flatten().map(Cow::Borrowed).collect(),
            employee_number: extra("employeeNumber"),
            department: extra("department"),
            organization: extra("organization"),
            version: part("meta.version"),
        }
    }

    /// Reads a user in place. `None` when it is not as usual.
    pub(crate) fn scan(scanner: &mut Scanner<'a>) -> Option<Self> {
        let mut user = Self::default();
        scanner.object(|scanner, name| {
            match name {
                "id" => user.id = scanner.text()?,
                "externalId" => user.external_id = scanner.text_or_null()?,
                "userName" => user.user_name = scanner.text_or_null()?,
                "displayName" => user.display_name = scanner.text_or_null()?,
                "title" => user.title = scanner.text_or_null()?,
                "userType" => user.user_type = scanner.text_or_null()?,
                "active" => user.active = if scanner.boolean()? { Active::Yes } else { Active::No },
                "name" => texts(scanner, [("givenName", &mut user.given_name), ("familyName", &mut user.family_name)])?,
                "emails" => user.emails = Addresses::scan(scanner)?,
                "phoneNumbers" => user.phones = Addresses::scan(scanner)?,
                "groups" => scan_groups(scanner, &mut user.groups)?,
                ENTERPRISE => texts(
                    scanner,
                    [
                        ("employeeNumber", &mut user.employee_number),
                        ("department", &mut user.department),
                        ("organization", &mut user.organization),
                    ],
                )?,
                "meta" => texts(scanner, [("version", &mut user.version)])?,
                other if is_unusual(other, &NAMES) || other.eq_ignore_ascii_case(ENTERPRISE) => return None,
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        if user.id.is_empty() { None } else { Some(user) }
    }

    /// The keys by which this user is recognised.
    pub(crate) fn keys(&self, shape: Shape) -> CorrelationKeys {
        let named = [
            (KeyKind::Directory, &self.external_id),
            (KeyKind::Employee, &self.employee_number),
            (shape.user_name_kind(), &self.user_name),
        ];
        let named = named.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref()?)));
        let mails = self.emails.values.iter().map(|mail| (KeyKind::Mail, mail));
        // A value that is no key (blanks at its ends, invisible characters) recognises nobody; it is not trimmed to fit.
        named.chain(mails).filter_map(|(kind, value)| CorrelationKey::new(kind, value).ok()).collect()
    }

    /// The cardholder, with the levels that were read elsewhere.
    pub(crate) fn cardholder(self, levels: BTreeSet<AccessLevelId>, shape: Shape) -> Result<Cardholder, BadRecord> {
        let id = CardholderId::new(&*self.id).map_err(|error| BadRecord::Id("user", error.to_string()))?;
        let keys = self.keys(shape);
        let status = match self.active {
            Active::Yes => Status::Active,
            Active::No => Status::Suspended,
            Active::Unsaid => Status::Other("the server does not say whether the user is active".to_owned()),
            Active::NoBoolean => Status::Other("the attribute `active` is no boolean".to_owned()),
        };
        let revision = self.version.as_deref().filter(|_| shape.revisions).map(|version| Revision(version.to_owned()));
        let profile = self.profile();
        let (credentials, validity) = (Vec::new(), Validity::ALWAYS);
        Ok(Cardholder { id, keys, profile, status, levels, credentials, validity, site: None, revision })
    }

    fn profile(self) -> Profile {
        // In the order of the names, so that it need not be sorted.
        let fields = [
            (field::COMPANY, self.organization),
            (field::DEPARTMENT, self.department),
            (field::DISPLAY_NAME, self.display_name),
            (field::EMPLOYEE_NUMBER, self.employee_number),
            (field::EMPLOYEE_TYPE, self.user_type),
            (field::FAMILY_NAME, self.family_name),
            (field::GIVEN_NAME, self.given_name),
            (field::MAIL, self.emails.ours),
            (field::PHONE, self.phones.ours),
            (field::TITLE, self.title),
            (field::USER_NAME, self.user_name),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((FieldName::known(name), value?.into_owned()))).collect()
    }
}

impl<'a> Addresses<'a> {
    fn of(user: &'a Object, name: &str) -> Self {
        let values = items(user, name).filter_map(|item| text(item, "value")).map(Cow::Borrowed);
        Self {
            values: values.collect(),
            ours: ours(user, name).and_then(|item| text(item, "value")).map(Cow::Borrowed),
        }
    }

    /// As [`ours`] chooses: the primary one, else the one for work, else the first.
    fn scan(scanner: &mut Scanner<'a>) -> Option<Self> {
        let mut all = Self::default();
        // How good the one is that was chosen so far.
        let mut best = 0;
        if scanner.null() {
            return Some(all);
        }
        scanner.array(|scanner| {
            let (mut value, mut kind, mut primary) = (None, None, false);
            scanner.object(|scanner, name| {
                match name {
                    "value" => value = scanner.text_or_null()?,
                    "type" => kind = scanner.text_or_null()?,
                    "primary" => primary = scanner.boolean()?,
                    other if is_unusual(other, &["value", "type", "primary"]) => return None,
                    _ => scanner.skip()?,
                }
                Some(())
            })?;
            let is_work = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
            let rank = if primary {
                3
            } else if is_work {
                2
            } else {
                1
            };
            if rank > best {
                best = rank;
                all.ours.clone_from(&value);
            }
            all.values.extend(value);
            Some(())
        })?;
        Some(all)
    }
}

/// The groups that a user names, direct ones only.
fn scan_groups<'a>(scanner: &mut Scanner<'a>, groups: &mut Vec<Cow<'a, str>>) -> Option<()> {
    if scanner.null() {
        return Some(());
    }
    scanner.array(|scanner| {
        let (mut value, mut kind) = (None, None);
        scanner.object(|scanner, name| {
            match name {
                "value" => value = scanner.text_or_null()?,
                "type" => kind = scanner.text_or_null()?,
                other if is_unusual(other, &["value", "type"]) => return None,
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        if kind.is_none_or(|kind| !kind.eq_ignore_ascii_case("indirect")) {
            groups.extend(value);
        }
        Some(())
    })
}

/// Reads some texts of an object.
fn texts<'a, const N: usize>(scanner: &mut Scanner<'a>, mut wanted: [(&str, &mut Text<'a>); N]) -> Option<()> {
    if scanner.null() {
        return Some(());
    }
    scanner.object(|scanner, name| {
        match wanted.iter_mut().find(|(wanted, _)| wanted.eq_ignore_ascii_case(name)) {
            Some((wanted, text)) if *wanted == name => **text = scanner.text_or_null()?,
            Some(_) => return None,
            None => scanner.skip()?,
        }
        Some(())
    })
}

/// True for a name that is one of these but for the case of its letters.
pub(crate) fn is_unusual(name: &str, usual: &[&str]) -> bool {
    usual.iter().any(|usual| usual.eq_ignore_ascii_case(name))
}
