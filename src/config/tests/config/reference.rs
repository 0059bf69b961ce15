//! The reference page says what the code says.

use std::path::Path;

use lockstep_config::{CONNECTOR_TITLE, core_reference, reference_markdown};
use schemars::JsonSchema;

/// The page starts with what is written from this crate; the connectors' sections follow and are checked where the
/// connectors are known. `UPDATE_DOCS=1` rewrites this part.
#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let expected = reference_markdown(&core_reference());
    let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    if !found.starts_with(&expected) && std::env::var_os("UPDATE_DOCS").is_some() {
        let tail = found.find(&format!("\n## {CONNECTOR_TITLE}")).and_then(|at| found.get(at..)).unwrap_or_default();
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        std::fs::write(&path, format!("{expected}{tail}")).expect("written");
        return;
    }
    assert!(found.starts_with(&expected), "docs/configuration.md is out of date; rewrite it with UPDATE_DOCS=1");
}

/// A connector's settings.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Connector {
    /// Where it is, `ldaps://` or
    /// `ldap://` with a pipe | in it.
    url: String,
    /// How to log in.
    bind: Bind,
    /// Entries a page.
    #[schemars(default = "hundred")]
    page_size: u32,
    /// Attributes.
    fields: Option<std::collections::BTreeMap<String, String>>,
    mode: Option<Mode>,
    /// One file or several.
    files: Files,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described")]
enum Files {
    One(String),
    Many(Vec<String>),
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Bind {
    /// The account.
    user: String,
    /// Its password.
    password: Option<String>,
}

/// How.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described")]
enum Mode {
    /// All at once.
    Whole,
    ByPage,
}

fn hundred() -> u32 {
    100
}

#[test]
fn settings_of_a_connector_are_described_with_their_tables() {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<Connector>();
    let page = reference_markdown(&[("Connector ldap", schema)]);
    let section = page.split_once("## Connector ldap").expect("section").1;
    insta::assert_snapshot!(section.trim());
}
