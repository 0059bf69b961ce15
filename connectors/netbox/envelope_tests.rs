//! How commands are written, and what answers say.

use super::*;
use crate::xml::parse;

fn answer(text: &str) -> Result<Response, &'static str> {
    read(parse(text.as_bytes(), &[]).expect("xml"), "GetPerson", 4)
}

#[test]
fn a_command_is_written_as_nbapi_wants_it_and_escaped() {
    let edits =
        [LevelEdit { name: "Lab & <3>".to_owned(), delete: false }, LevelEdit { name: "Gym".to_owned(), delete: true }];
    let command = Command::new("ModifyPerson", "x").with("PERSONID", "O'Neil").with_levels(&edits);
    let document = command.document(Some(&Secret::new("3ce1".to_owned())), 7);
    assert_eq!(
        document,
        "<NETBOX-API sessionid=\"3ce1\"><COMMAND name=\"ModifyPerson\" num=\"7\" dateformat=\"tzoffset\"><PARAMS>\
         <PERSONID>O&apos;Neil</PERSONID><ACCESSLEVELS><ACCESSLEVEL><ACCESSLEVELNAME>Lab &amp; &lt;3&gt;</ACCESSLEVELNAME>\
         <DELETE>0</DELETE></ACCESSLEVEL><ACCESSLEVEL><ACCESSLEVELNAME>Gym</ACCESSLEVELNAME><DELETE>1</DELETE>\
         </ACCESSLEVEL></ACCESSLEVELS></PARAMS></COMMAND></NETBOX-API>"
    );
}

#[test]
fn no_edits_write_no_list_at_all() {
    let document = Command::new("ModifyPerson", "x").with_levels(&[]).document(None, 1);
    assert!(!document.contains("ACCESSLEVELS"), "{document}");
}

#[test]
fn errors_of_the_interface_are_found_in_either_place() {
    for text in [
        "<NETBOX><RESPONSE><APIERROR>5</APIERROR></RESPONSE></NETBOX>",
        "<NETBOX><APIERROR>5</APIERROR></NETBOX>",
        "<NETBOX sessionid=\"\"><RESPONSE command=\"Other\" num=\"9\"><APIERROR>5</APIERROR></RESPONSE></NETBOX>",
    ] {
        assert_eq!(answer(text), Ok(Response { session: None, says: Says::ApiError(5) }), "{text}");
    }
}

#[test]
fn not_found_is_said_in_two_ways() {
    let code = |inner: &str| {
        answer(&format!("<NETBOX><RESPONSE command=\"GetPerson\" num=\"4\">{inner}</RESPONSE></NETBOX>"))
            .map(|r| r.says)
    };
    assert_eq!(code("<CODE>NOT FOUND</CODE>"), Ok(Says::NotFound));
    assert_eq!(code("<CODE>FAIL</CODE><DETAILS><ERRMSG>NOT FOUND</ERRMSG></DETAILS>"), Ok(Says::NotFound));
    assert_eq!(code("<CODE>FAIL</CODE><DETAILS><ERRMSG>No</ERRMSG></DETAILS>"), Ok(Says::Fail("No".to_owned())));
    assert_eq!(code("<CODE>FAIL</CODE>"), Ok(Says::Fail(String::new())));
    assert_eq!(code("<CODE>SUCCESS</CODE>"), Ok(Says::Success(Element::default())));
    for wrong in ["<CODE>MAYBE</CODE>", "<CODE></CODE>", "", "<CODE>SUCCESS</CODE><CODE>FAIL</CODE>"] {
        assert!(code(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_answer_to_something_else_is_none() {
    for text in [
        "<HTML/>",
        "<NETBOX/>",
        "<NETBOX><RESPONSE/><RESPONSE/></NETBOX>",
        "<NETBOX><RESPONSE command=\"AddPerson\" num=\"4\"><CODE>SUCCESS</CODE></RESPONSE></NETBOX>",
        "<NETBOX><RESPONSE command=\"GetPerson\" num=\"3\"><CODE>SUCCESS</CODE></RESPONSE></NETBOX>",
        "<NETBOX><RESPONSE><APIERROR>five</APIERROR></RESPONSE></NETBOX>",
    ] {
        assert!(answer(text).is_err(), "{text}");
    }
    // Some versions name neither.
    assert!(answer("<NETBOX><RESPONSE><CODE>SUCCESS</CODE></RESPONSE></NETBOX>").is_ok());
}
