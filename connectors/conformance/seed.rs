//! The records that a system holds when a law begins. A bed stores what its system has a place for.

use lockstep_contract::{CorrelationKey, CorrelationKeys, FieldName, KeyKind, Profile, Status, Validity, field};

/// The records of a fresh system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// The access levels.
    pub levels: Vec<SeedLevel>,
    /// The cardholders.
    pub cardholders: Vec<SeedCardholder>,
}

/// An access level of a fresh system; the system gives it an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedLevel {
    /// Its name.
    pub name: String,
    /// Its doors, where the system has them.
    pub doors: Vec<String>,
}

/// A cardholder of a fresh system; the system gives it an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedCardholder {
    /// One key of each kind; a bed stores those that its system has a place for.
    pub keys: CorrelationKeys,
    /// Fields; a bed stores those that its system has a place for.
    pub profile: Profile,
    /// Active or suspended.
    pub status: Status,
    /// Levels, as positions in [`Seed::levels`].
    pub levels: Vec<usize>,
    /// Numbers of the cards, where the system has cards. All of them work.
    pub cards: Vec<String>,
    /// Validity, where the system has such a thing.
    pub validity: Validity,
}

impl Seed {
    /// How many cardholders the laws use: more than two pages of ten.
    pub const CARDHOLDERS: usize = 25;

    /// Six levels and 25 cardholders. Cardholder 0 is active and has levels 0, 1 and 2; cardholder 1 is active without
    /// levels; cardholder 2 is suspended and has level 0; the others have levels by a fixed rule.
    pub fn standard() -> Self {
        let levels = (0..6)
            .map(|n| SeedLevel { name: format!("Conformance level {n}"), doors: vec![format!("Door {n}")] })
            .collect();
        let cardholders = (0..Self::CARDHOLDERS).map(SeedCardholder::nth).collect();
        Self { levels, cardholders }
    }
}

impl SeedCardholder {
    /// The person of that number, whatever the number: those of the seed and any newcomer.
    pub fn nth(n: usize) -> Self {
        let levels = match n {
            0 => vec![0, 1, 2],
            1 => vec![],
            2 => vec![0],
            _ => vec![n % 6, 3],
        };
        Self {
            keys: keys_of(n),
            profile: profile_of(n),
            status: if n == 2 { Status::Suspended } else { Status::Active },
            levels: levels.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect(),
            cards: vec![format!("26-{}", 40_000 + n)],
            validity: Validity::ALWAYS,
        }
    }
}

/// One key of each kind for the person of that number; the suite makes newcomers with it, too.
pub(crate) fn keys_of(n: usize) -> CorrelationKeys {
    let id = uuid::Uuid::from_u128(0xc0f0_0000_0000_4000_8000_0000_0000_0000 + n as u128);
    [
        (KeyKind::Directory, id.to_string()),
        (KeyKind::Employee, format!("{:05}", 900 + n)),
        (KeyKind::Upn, format!("person{n}@conformance.example")),
        (KeyKind::Mail, format!("person{n}@conformance.example")),
        (KeyKind::Account, format!("person{n}")),
        (KeyKind::Card, format!("26-{}", 40_000 + n)),
    ]
    .into_iter()
    .map(|(kind, value)| CorrelationKey::new(kind, &value).expect("a plain value is a key"))
    .collect()
}

/// Every field that Lockstep knows, for the person of that number.
pub(crate) fn profile_of(n: usize) -> Profile {
    let id = uuid::Uuid::from_u128(0xc0f0_0000_0000_4000_8000_0000_0000_0000 + n as u128);
    [
        (field::GIVEN_NAME, format!("Given{n}")),
        (field::FAMILY_NAME, format!("Family{n}")),
        (field::DISPLAY_NAME, format!("Given{n} Family{n}")),
        (field::EMPLOYEE_NUMBER, format!("{:05}", 900 + n)),
        (field::EMPLOYEE_TYPE, "Employee".to_owned()),
        (field::DEPARTMENT, format!("Department {}", n % 3)),
        (field::TITLE, "Examiner".to_owned()),
        (field::MANAGER, id.to_string()),
        (field::COMPANY, "Conformance".to_owned()),
        (field::SITE, "HQ".to_owned()),
        (field::MAIL, format!("person{n}@conformance.example")),
        (field::PHONE, format!("+1 555 01{n:02}")),
        (field::UPN, format!("person{n}@conformance.example")),
        (field::ACCOUNT, format!("person{n}")),
        (field::USER_NAME, format!("person{n}@conformance.example")),
    ]
    .into_iter()
    .map(|(name, value)| (FieldName::known(name), value))
    .collect()
}
