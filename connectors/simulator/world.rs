//! A small world that looks real: people with names, departments and cards, levels with doors. The same for the same number
//! of people. This module must not know any vendor.

use lockstep_conformance::{Seed, SeedCardholder, SeedLevel};
use lockstep_contract::{CorrelationKey, FieldName, KeyKind, Profile, Status, Validity, field};

/// Given names.
const GIVEN: [&str; 24] = [
    "Amara", "Björn", "Chloé", "Dmitri", "Elif", "Fatima", "George", "Hana", "Ivan", "Jelena", "Kwame", "Leila",
    "Mateo", "Ngozi", "Olga", "Pedro", "Qing", "Rosa", "Søren", "Tomasz", "Uma", "Viktor", "Wanjiru", "Zoë",
];
/// Family names.
const FAMILY: [&str; 29] = [
    "Adeyemi",
    "Bergström",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fernández",
    "García",
    "Hoffmann",
    "Ibrahim",
    "Jansen",
    "Kowalski",
    "Larsen",
    "Müller",
    "Nakamura",
    "O'Brien",
    "Petrov",
    "Quinn",
    "Rossi",
    "Schneider",
    "Tanaka",
    "Ünal",
    "van Dijk",
    "Weber",
    "Xu",
    "Yılmaz",
    "Zhang",
    "Smith",
    "Novák",
    "Silva",
];
/// Departments, each with what its people are called.
const DEPARTMENTS: [(&str, &str); 8] = [
    ("Research", "Chemist"),
    ("Production", "Operator"),
    ("Logistics", "Driver"),
    ("Sales", "Account manager"),
    ("Finance", "Accountant"),
    ("IT", "Engineer"),
    ("Facilities", "Technician"),
    ("Human Resources", "Partner"),
];
/// Levels and their doors.
const LEVELS: [(&str, &[&str]); 10] = [
    ("HQ Main Entrance", &["HQ Front Door", "HQ Turnstile 1", "HQ Turnstile 2"]),
    ("HQ Car Park", &["HQ Barrier In", "HQ Barrier Out"]),
    ("HQ Research Laboratories", &["Lab Corridor", "Lab 1", "Lab 2"]),
    ("HQ Production Hall", &["Hall North", "Hall South"]),
    ("HQ Warehouse", &["Warehouse Gate"]),
    ("HQ Sales Floor", &["Sales Floor"]),
    ("HQ Finance", &["Finance Office", "Archive"]),
    ("HQ Server Room", &["Server Room"]),
    ("HQ Plant Rooms", &["Boiler Room", "Roof"]),
    ("HQ Personnel Files", &["Personnel Files"]),
];

/// So many people, ten levels. Everybody may come in; every third may park; each has the rooms of their department. Nobody's
/// personnel files are open to anybody but Human Resources.
pub fn world(people: usize) -> Seed {
    let doors = |doors: &[&str]| doors.iter().map(|door| (*door).to_owned()).collect();
    let levels = LEVELS.iter().map(|(name, of)| SeedLevel { name: (*name).to_owned(), doors: doors(of) }).collect();
    Seed { levels, cardholders: (0..people).map(person).collect() }
}

fn person(n: usize) -> SeedCardholder {
    let (given, family) = (GIVEN[n % GIVEN.len()], FAMILY[(n / GIVEN.len() + n) % FAMILY.len()]);
    let place = (n / 3) % DEPARTMENTS.len();
    let (department, title) = DEPARTMENTS[place];
    let id = uuid::Uuid::from_u128(0x10c5_7e90_0000_4000_8000_0000_0000_0000 + n as u128).to_string();
    let employee = format!("{:06}", 100_000 + n);
    let account = format!("p{n:06}");
    let mail = format!("{account}@contoso.example");
    let card = format!("26-{}", 400_000 + n);
    let keys = [
        (KeyKind::Directory, &id),
        (KeyKind::Employee, &employee),
        (KeyKind::Upn, &mail),
        (KeyKind::Mail, &mail),
        (KeyKind::Account, &account),
        (KeyKind::Card, &card),
    ];
    let profile = [
        (field::GIVEN_NAME, given.to_owned()),
        (field::FAMILY_NAME, family.to_owned()),
        (field::DISPLAY_NAME, format!("{given} {family}")),
        (field::EMPLOYEE_NUMBER, employee.clone()),
        (field::EMPLOYEE_TYPE, "Employee".to_owned()),
        (field::DEPARTMENT, department.to_owned()),
        (field::TITLE, title.to_owned()),
        (field::COMPANY, "Contoso".to_owned()),
        (field::SITE, "HQ".to_owned()),
        (field::MAIL, mail.clone()),
        (field::UPN, mail.clone()),
        (field::ACCOUNT, account.clone()),
        (field::USER_NAME, mail.clone()),
    ];
    let mut levels = vec![0];
    levels.extend(n.is_multiple_of(3).then_some(1));
    levels.push(place + 2);
    SeedCardholder {
        keys: keys.into_iter().filter_map(|(kind, value)| CorrelationKey::new(kind, value).ok()).collect(),
        profile: Profile::from_iter(profile.map(|(name, value)| (FieldName::known(name), value))),
        status: if n % 40 == 39 { Status::Suspended } else { Status::Active },
        levels,
        cards: vec![card],
        validity: Validity::ALWAYS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_shares_a_key_and_the_same_number_of_people_is_the_same_world() {
        let seed = world(5_000);
        let keys: BTreeSet<_> = seed.cardholders.iter().flat_map(|one| one.keys.iter()).collect();
        assert_eq!(keys.len(), 5_000 * 6);
        assert_eq!(seed, world(5_000));
        assert!(seed.cardholders.iter().all(|one| one.levels.iter().all(|nth| *nth < seed.levels.len())));
    }
}
