//! The complaints people read most, as they read them: no colour, a hundred columns.

use lockstep_contract::{SecretRef, SecretRefs};
use serde::Deserialize;

use crate::sample::{CONFIG, Deployment, MAPPING};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its complaints are looked at")]
struct Connector {
    url: String,
    token: SecretRefs,
    page_size: Option<u32>,
    bind: Option<Bind>,
    paging: Option<Paging>,
    in_flight: Option<std::num::NonZeroU32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Paging {
    ByIndex,
    ByCursor,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its complaints are looked at")]
struct Bind {
    user: String,
    password: SecretRef,
}

fn config(from: &str, to: &str) -> String {
    assert!(CONFIG.contains(from), "{from}");
    Deployment::new(&CONFIG.replace(from, to), MAPPING).complaints()
}

fn mapping(from: &str, to: &str) -> String {
    assert!(MAPPING.contains(from), "{from}");
    Deployment::new(CONFIG, &MAPPING.replace(from, to)).complaints()
}

fn settings(from: &str, to: &str) -> String {
    assert!(CONFIG.contains(from), "{from}");
    let deployment = Deployment::new(&CONFIG.replace(from, to), MAPPING);
    let loaded = deployment.load().expect("only the settings are wrong");
    let error = loaded.config.targets[0].settings.parse::<Connector>().expect_err("refused");
    deployment.rendered(&error)
}

#[test]
fn a_line_that_is_not_toml() {
    insta::assert_snapshot!(config("kind = \"scim\"", "kind = scim"));
}

#[test]
fn a_misspelt_key() {
    insta::assert_snapshot!(config("approval = \"recorded\"", "aproval = \"recorded\""));
}

#[test]
fn a_limit_beyond_its_ceiling() {
    insta::assert_snapshot!(config("reductions_percent = 2", "reductions_percent = 80"));
}

#[test]
fn an_approval_of_a_later_version() {
    insta::assert_snapshot!(config("\"recorded\"", "\"two-signed\""));
}

#[test]
fn a_mapping_that_is_not_there() {
    insta::assert_snapshot!(config("mappings/hq.toml", "mappings/hp.toml"));
}

#[test]
fn two_targets_with_one_id() {
    let twin = CONFIG.split_once("[[target]]").expect("target").1;
    insta::assert_snapshot!(Deployment::new(&format!("{CONFIG}\n[[target]]{twin}"), MAPPING).complaints());
}

#[test]
fn a_level_without_groups() {
    insta::assert_snapshot!(mapping("any = [\"GRP-HQ-Vault\"]", "any = []"));
}

#[test]
fn a_wildcard_in_a_group() {
    insta::assert_snapshot!(mapping("GRP-HQ-Vault", "GRP-HQ-*"));
}

#[test]
fn one_level_twice() {
    insta::assert_snapshot!(mapping("id = \"HQ-Vault\"", "id = \"HQ-Lab\""));
}

#[test]
fn a_group_asked_for_and_shut_out() {
    insta::assert_snapshot!(mapping("none = [\"GRP-On-Notice\"]", "none = [\"GRP-HQ-Vault\"]"));
}

#[test]
fn an_invisible_character() {
    insta::assert_snapshot!(mapping("GRP-HQ-Vault", "GRP-\u{200b}HQ-Vault"));
}

#[test]
fn a_tag_that_nearly_says_high_security() {
    insta::assert_snapshot!(mapping("\"high-security\"", "\"High Security\""));
}

#[test]
fn a_setting_that_the_connector_does_not_know() {
    insta::assert_snapshot!(settings("token = ", "page_sise = 100\ntoken = "));
}

#[test]
fn a_setting_that_is_missing() {
    insta::assert_snapshot!(settings("url = \"https://pacs.corp.example/scim\"\n", ""));
}

#[test]
fn a_setting_of_the_wrong_type() {
    insta::assert_snapshot!(settings("token = ", "page_size = \"many\"\ntoken = "));
}

#[test]
fn a_setting_that_is_none_of_the_words() {
    insta::assert_snapshot!(settings("token = ", "paging = \"by-curser\"\ntoken = "));
}

#[test]
fn a_secret_among_references_is_not_shown() {
    let line = CONFIG.lines().find(|line| line.starts_with("token = ")).expect("a token");
    let shown = settings(line, "token = [\"keyring:hq\", \"hunter2\"]");
    assert!(shown.contains("must be a reference") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_setting_that_must_not_be_zero() {
    let shown = settings("token = ", "in_flight = 0\ntoken = ");
    assert!(shown.contains("`in_flight`: this must be a whole number from 1 up"), "{shown}");
}

#[test]
fn a_warning_for_two_spellings_of_one_group() {
    let spelt = MAPPING.replace("none = [\"GRP-On-Notice\"]", "none = [\"grp-hq-lab\"]");
    let deployment = Deployment::new(CONFIG, &spelt);
    let loaded = deployment.load().expect("only a warning");
    let [warning] = loaded.warnings.as_slice() else { panic!("one warning: {:?}", loaded.warnings) };
    assert!(warning.is_warning());
    insta::assert_snapshot!(deployment.rendered(warning));
}

#[test]
fn a_secret_in_place_of_a_reference_is_never_shown() {
    let shown = settings("\"systemd:pacs-token\"", "\"hunter2\"");
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
}

/// A secret written by mistake is not shown by a complaint about the line beside it either.
#[test]
fn a_secret_on_the_next_line_is_not_shown() {
    let literal = CONFIG.replace("\"systemd:pacs-token\"", "\"hunter2\"");
    let beside = literal.replace("mapping =", "maping =");
    let torn = literal.replace("\"hunter2\"", "\"hunter2");
    let inline = CONFIG.replace("\"systemd:ldap-bind\" }", "hunter2 }");
    for text in [&beside, &torn, &inline] {
        let shown = Deployment::new(text, MAPPING).complaints();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let wrong_type = settings("token = ", "bind = \"hunter2\"\ntoken = ");
    assert!(wrong_type.contains("`bind`: this must be a table, and is a text"), "{wrong_type}");
    let nested = settings("token = ", "bind = { usr = \"svc\", password = \"hunter2\" }\ntoken = ");
    assert!(!nested.contains("hunter2"), "{nested}");
}

/// A file cannot rule the terminal that its complaints are shown on.
#[test]
fn control_characters_are_not_passed_on() {
    let escape = config("kind = \"scim\"", "kind = \"\u{1b}[31mscim\"");
    let override_ = mapping("GRP-HQ-Vault", "GRP-\u{202e}HQ-Vault*");
    for shown in [escape, override_] {
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    }
}

/// A card number in full is as good as the card.
#[test]
fn card_numbers_are_not_shown() {
    let twice = mapping("upn:guard@corp.example", "card:26-0012345\", \"card:26-0012345");
    let beside = mapping("upn:guard@corp.example\"]", "card:26-0012345\"]\nsights = [\"HQ\"]");
    for shown in [twice, beside] {
        assert!(shown.contains("card:") && !shown.contains("0012345"), "{shown}");
    }
}
