//! What is printed for human hands: the sheets, the worklist, and the page to start with.

use jiff::Timestamp;
use lockstep_view::{
    FileLink, Import, Pass, Sheet, SheetRow, StartPage, TargetLinks, Urgency, WorkRow, WorkSheet, Worklist, sheet_csv,
    sheet_html, start_html, worklist_csv, worklist_html,
};

use crate::assert_inert;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn person(name: &str, cardholder: &str, card: &str, active: bool) -> SheetRow {
    SheetRow {
        name: name.into(),
        employee_number: "00123".into(),
        department: "Nursing".into(),
        sites: vec!["NORTH".into()],
        cardholder: cardholder.into(),
        status: if active { "active" } else { "off" }.into(),
        active,
        levels: vec!["Main door".into(), "Laboratory".into()],
        passes: vec![Pass {
            what: format!("card …{card}"),
            last_four: Some(card.into()),
            status: if active { "active" } else { "lost" }.into(),
            works: active,
        }],
    }
}

fn sheet() -> Sheet {
    Sheet {
        target: "hq".into(),
        place: "HQ, site NORTH".into(),
        only_site: true,
        endpoint: "https://pacs.example".into(),
        read_at: at("2026-11-25T01:10:00Z"),
        lock_out: vec!["Open the cardholder.".into(), "Switch the cardholder off.".into()],
        rows: vec![
            person("<script>alert(1)</script>\u{202e}gpj.exe", "-9", "0001", true),
            person("=HYPERLINK(\"x\")", "h-8", "9999", false),
            person("Lovelace, Ada", "5871", "3456", true),
        ],
    }
}

fn row(id: &str, urgency: Urgency, name: &str, record: &str) -> WorkRow {
    WorkRow {
        id: id.into(),
        urgency,
        name: name.into(),
        employee_number: "10482".into(),
        department: String::new(),
        record: record.into(),
        because: "put out by Desk: theft".into(),
        steps: vec!["Open cardholder 5871".into(), "Switch the cardholder off".into()],
    }
}

fn worklist() -> Worklist {
    Worklist {
        made: at("2026-11-25T01:10:00Z"),
        basis: "From everything that is known.".into(),
        notes: vec!["The state of Lockstep could not be read.".into()],
        sheets: vec![WorkSheet {
            target: "hq".into(),
            endpoint: "https://pacs.example".into(),
            import: Some(Import { name: "hq/bulk.json".into(), how: "Send it.".into(), actions: 1 }),
            rows: vec![
                row("row-1", Urgency::PutOut, "Lovelace, Ada", "5871"),
                row("row-2", Urgency::Agreed, "<b>Hopper</b>", "5872"),
                row("row-3", Urgency::Waits, "=1+1", ""),
            ],
        }],
    }
}

fn records(bytes: &[u8]) -> Vec<csv::StringRecord> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").expect("marked as UTF-8: spreadsheets guess otherwise");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("valid CSV");
    for cell in records.iter().flat_map(csv::StringRecord::iter) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?} would be a formula");
    }
    records
}

#[test]
fn the_sheet_is_inert_and_says_first_how_old_it_is_and_what_to_do() {
    let html = sheet_html(&sheet());
    assert_inert(&html.replace("https://pacs.example", ""));
    let places: Vec<usize> = [
        "Lockstep manual fallback: who has what at HQ, site NORTH</h1>",
        "<b>Read 2026-11-25 01:10 UTC</b>",
        "3 people: 2 active, 1 off",
        "To lock one person out",
        "Switch the cardholder off.",
        "lockstep offboard cardholder:hq/RECORD",
        "Index by name",
        "Index by the last four of the card",
        "Everybody, by name",
        "Initials, time",
    ]
    .iter()
    .map(|text| html.find(text).unwrap_or_else(|| panic!("{text:?} is missing")))
    .collect();
    assert!(places.is_sorted(), "in the order of work: {places:?}");
    assert!(
        html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"),
        "a name with markup is shown as text"
    );
}

#[test]
fn whoever_holds_only_a_card_finds_the_line() {
    let html = sheet_html(&sheet());
    let by_card = html.find("Index by the last four").expect("the index");
    let card = html[by_card..].find("<b>3456</b>").expect("the card") + by_card;
    let line = &html[card..card + html[card..].find("</li>").expect("one line")];
    assert!(line.contains("Lovelace, Ada") && line.contains("No. 3"), "{line}");
    let lost = html[by_card..].find("<b>9999</b>").expect("the lost card") + by_card;
    assert!(html[lost..].starts_with("<b>9999</b>") && html[lost..lost + 400].contains("card does not work"));
}

#[test]
fn the_page_prints_with_headings_on_every_page_and_no_line_torn() {
    let html = sheet_html(&sheet());
    for needed in
        ["@page", "counter(page)", "table-header-group", "break-inside: avoid", "font: 12pt", "font-size: 14pt"]
    {
        assert!(html.contains(needed), "{needed}");
    }
    assert!(html.contains("<thead>\n<tr class=\"run\">"), "what and when stands above every page of the table");
}

#[test]
fn the_table_keeps_every_name_as_data() {
    let records = records(&sheet_csv(&sheet()));
    assert_eq!(records.len(), 4);
    assert!(records.iter().any(|record| record.iter().any(|cell| cell == "'=HYPERLINK(\"x\")")));
    assert!(records.iter().any(|record| record.iter().any(|cell| cell == "'-9")));
}

#[test]
fn the_worklist_puts_people_out_first_and_keeps_apart_what_nobody_agreed_to() {
    let html = worklist_html(&worklist());
    assert_inert(&html.replace("https://pacs.example", ""));
    let places: Vec<usize> = [
        "1 to lock out now, 1 to do, 1 only after approval",
        "The state of Lockstep could not be read.",
        "How to work with this list",
        "hq/bulk.json",
        "<h3>Lock these people out now</h3>",
        "row-1",
        "<h3>Agreed: do these next</h3>",
        "row-2",
        "<h3>Only after approval</h3>",
        "Do none of them before somebody who may decide says so.",
        "row-3",
    ]
    .iter()
    .map(|text| html.find(text).unwrap_or_else(|| panic!("{text:?} is missing")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
    let empty = Worklist { sheets: Vec::new(), ..worklist() };
    assert!(worklist_html(&empty).contains("There is nothing to do by hand."));
}

#[test]
fn the_worklist_has_empty_columns_for_hands() {
    let records = records(&worklist_csv(&worklist()));
    let head: Vec<&str> = records[0].iter().collect();
    assert_eq!(head[7..], ["done", "by", "time", "note"]);
    assert_eq!(records[1].iter().take(4).collect::<Vec<_>>(), ["row-1", "hq", "now", "5871"]);
    assert!(records[1..].iter().all(|record| record.iter().skip(7).all(str::is_empty)));
}

#[test]
fn the_first_page_says_how_old_each_sheet_is() {
    let link = |path: &str| FileLink { path: path.into(), label: "everybody".into() };
    let page = StartPage {
        written: at("2026-11-25T01:10:00Z"),
        program: "0.1.0".into(),
        warnings: vec!["Something is missing.".into()],
        targets: vec![TargetLinks {
            target: "hq".into(),
            read_at: Some(at("2026-11-22T01:10:00Z")),
            people: 12,
            trouble: "NOT READ NOW. This is the last good one.".into(),
            sheets: vec![link("hq/all.html")],
            tables: vec![link("hq/all.csv")],
        }],
        open: "1 to lock out now.".into(),
        worklist: vec![link("worklist.html")],
        imports: Vec::new(),
        older: Vec::new(),
    };
    let html = start_html(&page);
    assert_inert(&html);
    for needed in ["3 days old", "NOT READ NOW", "href=\"hq/all.html\"", "Something is missing.", "1 to lock out now."]
    {
        assert!(html.contains(needed), "{needed}");
    }
}
