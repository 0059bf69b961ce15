//! What is written is what an importer reads that shares no code with us; and what cannot be written is an error.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::profile::{Encoding, Format, Formulas, ImportProfile, LineEnd, Quoting, Table};
use crate::rows::{Row, read, write};
use crate::simulator::parse_for_tests as parse;

fn profile(format: Format, encoding: Encoding, quote: Quoting, delimiter: char, line_end: LineEnd) -> ImportProfile {
    let mut profile = ImportProfile::shipped("generic-csv").expect("shipped");
    profile.file.format = format;
    profile.file.encoding = encoding;
    profile.file.quote = quote;
    profile.file.delimiter = delimiter;
    profile.file.line_end = line_end;
    profile
}

fn row(table: &Table, given: &str, family: &str) -> Row {
    let cell = |header: &str| match header {
        "PersonId" => "00123".to_owned(),
        "FirstName" => given.to_owned(),
        "LastName" => family.to_owned(),
        _ => String::new(),
    };
    table.columns.iter().map(|column| cell(&column.header)).collect()
}

fn headers(table: &Table) -> Vec<&str> {
    table.columns.iter().map(|column| column.header.as_str()).collect()
}

/// Both readers, the importer's own and ours, see the row that was written.
fn round_trip(profile: &ImportProfile, row: &Row) {
    let table = &profile.people;
    let bytes = write(profile, table, std::slice::from_ref(row)).expect("writable");
    let parsed = parse(&bytes, &profile.file, &headers(table)).expect("an importer reads it");
    let expected: BTreeMap<String, String> = headers(table).into_iter().map(str::to_owned).zip(row.clone()).collect();
    assert_eq!(parsed, [expected], "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!(read(profile, table, &bytes).as_ref(), Ok(&vec![row.clone()]));
}

#[test]
fn hostile_names_arrive_as_they_are() {
    let names = [
        "Nuala O'Brien-D'Angelo",
        "=HYPERLINK(\"http://x\";\"y\")",
        "+49 \"quoted\", with; every|sign\t",
        "Robert\"); DROP <b>&amp;</b> ]]> \\ *)(uid=*",
        " two blanks ",
        "''",
        "\"",
        "Þórbjörg Æsa",
    ];
    for (format, encoding, quote) in [
        (Format::Csv, Encoding::Utf8Bom, Quoting::All),
        (Format::Csv, Encoding::Windows1252, Quoting::Needed),
        (Format::Csv, Encoding::Utf16Le, Quoting::Needed),
        (Format::Xml, Encoding::Utf8, Quoting::Needed),
        (Format::Xml, Encoding::Utf16Le, Quoting::Needed),
    ] {
        for delimiter in [',', ';', '\t', '|'] {
            let profile = profile(format, encoding, quote, delimiter, LineEnd::Crlf);
            for name in names.iter().filter(|name| !name.contains('\t')) {
                round_trip(&profile, &row(&profile.people, name, "Family"));
            }
        }
    }
}

#[test]
fn what_an_importer_cannot_take_is_an_error_for_the_row_and_its_value_is_not_repeated() {
    let refused = |change: fn(&mut ImportProfile), given: &str| {
        let mut profile = profile(Format::Csv, Encoding::Windows1252, Quoting::Needed, ';', LineEnd::Lf);
        change(&mut profile);
        let bad = write(&profile, &profile.people, &[row(&profile.people, given, "Family")]).expect_err("refused");
        assert_eq!(bad.column, "FirstName");
        assert!(given.len() < 3 || !bad.why.contains(given), "{bad}");
        bad.why
    };
    assert!(refused(|_| {}, "Zoë 👩").contains("U+1F469"));
    assert!(refused(|_| {}, "two\nlines").contains("U+000A"));
    assert!(refused(|_| {}, "bell\u{7}").contains("U+0007"));
    assert!(refused(|_| {}, "").contains("empty"));
    assert!(refused(|profile| profile.file.formulas = Formulas::Reject, "=1+1").contains("formula"));
    assert!(refused(|profile| profile.file.quote = Quoting::Never, "a;b").contains("quotation marks"));
    assert!(refused(|profile| profile.people.columns[1].chars_max = Some(3), "four").contains("at most 3"));
}

#[test]
fn a_value_is_only_cut_where_the_profile_says_so() {
    let mut profile = profile(Format::Csv, Encoding::Utf8, Quoting::Never, ';', LineEnd::Lf);
    profile.people.columns[1].chars_max = Some(3);
    profile.file.cut_long_values = true;
    let bytes = write(&profile, &profile.people, &[row(&profile.people, "Zoë-Ann", "Family")]).expect("written");
    assert!(String::from_utf8(bytes).expect("UTF-8").contains("\n00123;Zoë;Family;"));
}

#[test]
fn leading_zeros_are_text_and_a_file_without_header_has_none() {
    let mut profile = profile(Format::Csv, Encoding::Utf8, Quoting::All, ',', LineEnd::Crlf);
    profile.file.header = false;
    let bytes = write(&profile, &profile.people, &[row(&profile.people, "Ada", "Lovelace")]).expect("written");
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(text.starts_with("\"00123\",\"Ada\",\"Lovelace\",") && text.ends_with("\r\n") && text.lines().count() == 1);
}

#[test]
fn a_torn_or_foreign_export_is_never_a_shorter_one() {
    let mut profile = profile(Format::Csv, Encoding::Utf8, Quoting::All, ',', LineEnd::Crlf);
    let rows: Vec<Row> = (0..4).map(|_| row(&profile.people, "Ada", "Lovelace")).collect();
    let table = profile.people.clone();
    let bytes = write(&profile, &table, &rows).expect("written");
    for cut in 1..bytes.len() {
        let torn = &bytes[..cut];
        if let Ok(found) = read(&profile, &table, torn) {
            assert!(torn.ends_with(b"\r\n"), "{} rows of a file torn at byte {cut}", found.len());
        }
    }
    profile.export.count_row = Some("END".into());
    let counted = [bytes.as_slice(), b"\"END\",\"4\"\r\n"].concat();
    assert_eq!(read(&profile, &table, &counted).map(|rows| rows.len()), Ok(4));
    for cut in 1..counted.len() {
        assert!(read(&profile, &table, &counted[..cut]).is_err(), "torn at byte {cut}");
    }
    let wrong = [bytes.as_slice(), b"\"END\",\"5\"\r\n"].concat();
    assert!(read(&profile, &table, &wrong).is_err());
    profile.export.count_row = None;
    let other = String::from_utf8(bytes).expect("UTF-8").replacen("FirstName", "firstname", 1);
    assert!(read(&profile, &table, other.as_bytes()).expect_err("another header").contains("FirstName"));
}

#[test]
fn an_xml_export_with_a_doctype_or_foreign_entities_is_refused() {
    let profile = profile(Format::Xml, Encoding::Utf8, Quoting::Needed, ',', LineEnd::Lf);
    let of = |text: &str| read(&profile, &profile.people, text.as_bytes());
    for (text, says) in [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><Import></Import>", "DOCTYPE"),
        ("<Import><Person><PersonId>&a;</PersonId></Person></Import>", "entity"),
        ("<Import><Person><PersonId>1</PersonId></Person>", "torn"),
        ("<Import><Other/></Import>", "element"),
        ("<Import>stray</Import>", "text between"),
    ] {
        assert!(of(text).expect_err(says).contains(says), "{text}");
    }
    let good = "<Import><Person><PersonId>&#x31;&amp;</PersonId><Unknown>x</Unknown></Person></Import>";
    assert_eq!(of(good).expect("read")[0][0], "1&");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_value_that_is_written_is_read_back(
        given in "[^\\p{Cc}\u{fffe}\u{ffff}]{1,24}",
        family in "[^\\p{Cc}\u{fffe}\u{ffff}]{1,24}",
        xml in any::<bool>(),
        utf16 in any::<bool>(),
        all in any::<bool>(),
        delimiter in prop::sample::select(vec![',', ';', '|']),
    ) {
        let format = if xml { Format::Xml } else { Format::Csv };
        let encoding = if utf16 { Encoding::Utf16Le } else { Encoding::Utf8 };
        let quote = if all { Quoting::All } else { Quoting::Needed };
        let profile = profile(format, encoding, quote, delimiter, LineEnd::Crlf);
        let row = row(&profile.people, &given, &family);
        if write(&profile, &profile.people, std::slice::from_ref(&row)).is_ok() {
            round_trip(&profile, &row);
        }
    }

    #[test]
    fn in_windows_1252_a_character_is_written_right_or_not_at_all(given in "\\PC{1,8}") {
        let profile = profile(Format::Csv, Encoding::Windows1252, Quoting::All, ';', LineEnd::Crlf);
        let row = row(&profile.people, &given, "Family");
        if write(&profile, &profile.people, std::slice::from_ref(&row)).is_ok() {
            round_trip(&profile, &row);
        }
    }
}
