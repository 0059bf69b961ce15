//! What is read as XML, and what is refused.

use proptest::prelude::*;

use super::*;

fn refused(text: &str, expect: &str) {
    let error = parse(text.as_bytes(), &[]).expect_err(text).to_string();
    assert!(error.contains(expect), "{text}: {error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_doctype_is_refused_wherever_it_stands() {
    let bomb = "<!DOCTYPE b [<!ENTITY a \"hunter2\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    refused(&format!("{bomb}<NETBOX>&b;</NETBOX>"), "DOCTYPE");
    refused(&format!("<?xml version=\"1.0\"?>\n<!-- x -->{bomb}<NETBOX/>"), "DOCTYPE");
    refused("<!DOCTYPE x SYSTEM \"http://127.0.0.1/hunter2\"><NETBOX/>", "DOCTYPE");
    refused("<!doctype x><NETBOX/>", "DOCTYPE");
    assert!(parse(format!("<NETBOX/>{bomb}").as_bytes(), &[]).is_err());
    assert!(parse(format!("<NETBOX>{bomb}</NETBOX>").as_bytes(), &[]).is_err());
}

#[test]
fn entities_of_the_document_itself_do_not_exist() {
    refused("<A>&hunter2;</A>", "entity");
    refused("<A b=\"&hunter2;\"/>", "attribute");
    refused("<A>&#0;</A>", "character");
    refused("<A>&#8;</A>", "character");
    refused("<A>&#xD800;</A>", "character");
    refused("<A>&amp</A>", "no XML");
    let read = parse(b"<A>&lt;&gt;&amp;&apos;&quot;&#x1F600;&#66;</A>", &[]).expect("predefined");
    assert_eq!(read.text, "<>&'\"\u{1f600}B");
}

#[test]
fn what_is_cut_or_goes_on_is_refused() {
    for text in ["", "   ", "<A>", "<A><B></A></B>", "<A", "<A>x</A", "hunter2", "</A>"] {
        assert!(parse(text.as_bytes(), &[]).is_err(), "{text}");
    }
    refused("<A/><B/>", "follows the end");
    refused("<A/>hunter2", "outside");
    refused("<A x='1' x='2'/>", "twice");
}

#[test]
fn depth_and_number_have_an_end() {
    refused(&format!("{}{}", "<A>".repeat(100_000), "</A>".repeat(100_000)), "nested too deeply");
    let attributes = (0..300).fold(String::new(), |all, n| format!("{all} a{n}=\"\""));
    refused(&format!("<A{attributes}/>"), "too many attributes");
}

#[test]
fn the_encoding_is_utf_8_and_says_so() {
    assert!(parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?><A>é</A>".as_bytes(), &[]).is_ok());
    assert_eq!(parse("\u{feff}<A>é</A>".as_bytes(), &[]).expect("with a mark").text, "é");
    refused("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><A>x</A>", "encoding other than UTF-8");
    refused("<?xml version=\"1.0\" encoding=\"UTF-16\"?><A>x</A>", "encoding other than UTF-8");
    let latin = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><A>\xe9</A>";
    assert!(parse(latin, &[]).expect_err("declared and actual differ").to_string().contains("not UTF-8"));
    assert!(parse(b"\xff\xfe<\0A\0/\0>\0", &[]).is_err());
}

#[test]
fn a_secret_in_the_answer_is_not_kept() {
    let read = parse(b"<P><PIN>4711</PIN><LASTNAME>O</LASTNAME></P>", &["PIN"]).expect("xml");
    assert_eq!((read.text_of("PIN"), read.text_of("LASTNAME")), (Some(""), Some("O")));
    assert!(!format!("{read:?}").contains("4711"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_written_is_read(text in "\\PC{0,24}", value in "\\PC{0,12}", broken in "[\t\n\r ]?x[\t\n\r]x") {
        let mut writer = Writer::default();
        writer.wrap_with("A", &[("v", &value)], |inside| {
            inside.leaf("T", &text);
            inside.leaf("B", &broken);
        });
        let read = parse(writer.into_text().as_bytes(), &[]).expect("our own");
        prop_assert_eq!(read.attribute("v"), Some(value.as_str()));
        prop_assert_eq!(read.child("T").map(|t| t.text.as_str()), Some(text.as_str()));
        prop_assert_eq!(read.child("B").map(|t| t.text.as_str()), Some(broken.as_str()));
    }

    #[test]
    fn a_document_cut_anywhere_is_an_error(text in "\\PC{0,24}", at in any::<proptest::sample::Index>()) {
        let mut writer = Writer::default();
        writer.wrap("A", |inside| inside.leaf("T", &text));
        let written = writer.into_text();
        prop_assert!(parse(&written.as_bytes()[..at.index(written.len())], &[]).is_err());
    }
}
