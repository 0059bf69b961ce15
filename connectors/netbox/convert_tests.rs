//! How people of NBAPI are read, and what is written for them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use lockstep_contract::field;

use super::*;
use crate::xml::parse;

fn shape() -> Shape {
    let place = |name: &str| Place::try_from(name.to_owned()).expect("a place");
    Shape {
        keys: BTreeMap::from([(KeyKind::Employee, Place::PERSON_ID), (KeyKind::Mail, place("CONTACTEMAIL"))]),
        fields: Place::known_fields(),
        suspension: place("UDF20"),
        clock: Clock { zone: TimeZone::UTC, suspended: Date::constant(2000, 1, 1), open_end: None },
        formats: BTreeMap::from([("26".to_owned(), "26 bit Wiegand".to_owned())]),
        statuses: BTreeMap::from([("handed back".to_owned(), InactiveStatus::Returned)]),
    }
}

fn person(inside: &str) -> Element {
    parse(format!("<P><PERSONID>E1</PERSONID>{inside}</P>").as_bytes(), &[]).expect("xml")
}

fn read(inside: &str) -> Cardholder {
    shape().cardholder(&person(inside), &Levels::default()).expect(inside)
}

fn card(inside: &str) -> CredentialStatus {
    let cards = format!("<ACCESSCARDS><ACCESSCARD><CREDENTIALID>7</CREDENTIALID>{inside}</ACCESSCARD></ACCESSCARDS>");
    read(&cards).credentials.remove(0).status
}

#[test]
fn what_is_not_assigned_is_not_sent_and_is_none() {
    let record = read("");
    assert!(record.levels.is_empty() && record.credentials.is_empty() && record.profile.is_empty());
    assert_eq!((record.status, record.validity, record.site), (Status::Active, Validity::ALWAYS, None));
}

#[test]
fn levels_are_read_in_either_form() {
    let plain = read("<ACCESSLEVELS><ACCESSLEVEL>Lab</ACCESSLEVEL></ACCESSLEVELS>");
    let dated = read(
        "<ACCESSLEVELS><ACCESSLEVEL><ACCESSLEVELNAME>Lab</ACCESSLEVELNAME><EXPDATE/></ACCESSLEVEL></ACCESSLEVELS>",
    );
    assert_eq!(plain.levels, dated.levels);
    assert_eq!(
        plain.levels.first().map(lockstep_contract::AccessLevelId::as_str),
        Some("-:Lab"),
        "not on the list: of no use to a mapping"
    );
}

#[test]
fn every_spelling_of_yes_and_no_is_understood_and_nothing_else() {
    for (text, expect) in [("1", true), ("TRUE", true), ("true", true), ("0", false), ("FALSE", false)] {
        assert_eq!(boolean(text), Some(expect), "{text}");
    }
    for text in ["", "yes", "2", "T"] {
        assert_eq!(boolean(text), None, "{text}");
    }
}

#[test]
fn a_card_works_unless_something_says_that_it_does_not() {
    use CredentialStatus::{Active, Inactive, Other};
    for (inside, expect) in [
        ("<DISABLED>0</DISABLED><CARDSTATUS>Active</CARDSTATUS>", Active),
        ("<DISABLED>FALSE</DISABLED><CARDSTATUS>ACTIVE</CARDSTATUS>", Active),
        ("", Active),
        ("<DISABLED>1</DISABLED><CARDSTATUS>Active</CARDSTATUS>", Inactive(InactiveStatus::Disabled)),
        ("<DISABLED>TRUE</DISABLED><CARDSTATUS>Stolen</CARDSTATUS>", Inactive(InactiveStatus::Stolen)),
        ("<DISABLED>0</DISABLED><CARDSTATUS>Stolen</CARDSTATUS>", Other("Stolen".to_owned())),
        ("<DISABLED>0</DISABLED><CARDSTATUS>Handed Back</CARDSTATUS>", Inactive(InactiveStatus::Returned)),
        ("<DISABLED>1</DISABLED><CARDSTATUS>Handed Back</CARDSTATUS>", Inactive(InactiveStatus::Returned)),
        ("<DISABLED>1</DISABLED><CARDSTATUS>Damaged</CARDSTATUS>", Inactive(InactiveStatus::Disabled)),
    ] {
        assert_eq!(card(inside), expect, "{inside}");
    }
}

#[test]
fn a_card_is_a_key_only_in_a_format_that_is_named() {
    let cards = |format: &str| {
        format!(
            "<ACCESSCARDS><ACCESSCARD><CREDENTIALID>7</CREDENTIALID><CARDFORMAT>{format}</CARDFORMAT>\
             <ENCODEDNUM>20551</ENCODEDNUM></ACCESSCARD></ACCESSCARDS>"
        )
    };
    let keys = |format: &str| read(&cards(format)).keys.of(KeyKind::Card).count();
    assert_eq!((keys("26 bit Wiegand"), keys("37 bit")), (1, 0));
    let key = CorrelationKey::new(KeyKind::Card, "26-20551").expect("a key");
    assert_eq!(shape().card_of(&key), Some(("26 bit Wiegand", "20551")));
}

#[test]
fn what_was_kept_is_read_again_and_what_others_wrote_is_theirs() {
    for end in [None, "2031-06-30T12:00:00Z".parse().ok()] {
        let kept = Kept::write(end);
        assert!(kept.len() <= 40, "{kept}: nobody has published how much such a field holds");
        assert_eq!(Kept::read(&kept), Kept::End(end));
    }
    assert_eq!(Kept::read(" "), Kept::Nothing);
    for theirs in ["Parking lot 7", "lockstep:until=", "lockstep:until=soon", "lockstep:until=2031-06-30T12:0"] {
        assert_eq!(Kept::read(theirs), Kept::Foreign, "{theirs}");
    }
}

#[test]
fn a_new_person_has_their_fields_and_the_keys_that_have_a_place() {
    let keys: CorrelationKeys =
        [(KeyKind::Employee, "E1"), (KeyKind::Mail, "ada@x.example"), (KeyKind::Upn, "ada@x.example")]
            .into_iter()
            .map(|(kind, value)| CorrelationKey::new(kind, value).expect("a key"))
            .collect();
    let profile = |mail: &str| {
        let fields = [(field::FAMILY_NAME, "Lovelace"), (field::MAIL, mail)];
        fields.into_iter().map(|(name, value)| (FieldName::known(name), value.to_owned())).collect::<Profile>()
    };
    let written = |mail: &str| {
        let writes = shape().writes_new(&profile(mail), &keys).expect("writes");
        writes.into_iter().map(|(place, text)| (place.name(), text)).collect::<BTreeMap<_, _>>()
    };
    let same = written("Ada@X.example");
    assert_eq!(same.get("PERSONID").map(String::as_str), Some("E1"));
    assert_eq!(same.get("CONTACTEMAIL").map(String::as_str), Some("Ada@X.example"), "with its capitals");
    assert_eq!(written("other@x.example").get("CONTACTEMAIL").map(String::as_str), Some("ada@x.example"));
    assert!(shape().writes_new(&Profile::new(), &keys).is_err(), "a last name is needed");
}

#[test]
fn what_xml_cannot_carry_is_refused_before_it_is_sent() {
    let of = |name: &str, value: &str| {
        Profile::from_iter([
            (FieldName::known(field::GIVEN_NAME), value.to_owned()),
            (name.parse().expect("a name"), value.to_owned()),
        ])
    };
    assert!(shape().writes(&of(field::MAIL, "a\u{0}b")).is_err());
    assert!(shape().writes(&of("pin", "4711")).is_err(), "there is no place for it");
    assert!(shape().writes(&of(field::FAMILY_NAME, " ")).is_err());
    assert!(shape().writes(&of(field::MAIL, "👩🏽\u{200d}🔬 <&>")).is_ok());
}
