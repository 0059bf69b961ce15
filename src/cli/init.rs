//! `init`: a commented configuration and mapping to start from, for a chosen directory and PACS. Never overwrites.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use schemars::Schema;
use serde::Serialize;
use serde_json::Value;

use crate::cli::files;
use crate::connectors;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Write a configuration to start from
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The kind of directory; lockstep connector list has them all
    #[arg(long, value_name = "KIND")]
    directory: String,
    /// The kind of PACS
    // The same id as the option of all other verbs, which this one replaces.
    #[arg(id = "targets", long = "target", value_name = "KIND", required = true)]
    target: String,
    /// The folder to write to
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// The document of `init --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Written {
    schema: &'static str,
    files: Vec<String>,
}

/// The configuration; the connectors' part is written from the descriptions in their code.
const CONFIG: &str = "lockstep.toml";
/// The mapping of the one target.
const MAPPING: &str = "mappings/hq.toml";

/// Values for what must be set: plausible, and plainly to be changed.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("entra", "tenant", "\"00112233-4455-6677-8899-aabbccddeeff\""),
    (
        "entra",
        "auth",
        "{ client_id = \"00112233-4455-6677-8899-aabbccddeeff\", certificate = \"entra.pem\", key = \"keyring:entra-key\" }",
    ),
    ("exec", "command", "\"/usr/local/lib/lockstep/our-pacs\""),
    ("exec", "sha256", "\"0000000000000000000000000000000000000000000000000000000000000000\""),
    ("gallagher", "url", "\"https://cc.corp.example:8904\""),
    ("gallagher", "api_key", "\"keyring:command-centre\""),
    ("gallagher", "keys", "{ employee = \"Employee ID\" }"),
    ("hr-csv", "people", "\"people.csv\""),
    ("hr-csv", "groups", "\"groups.csv\""),
    ("ldap", "url", "\"ldaps://dc1.corp.example\""),
    ("ldap", "bind", "{ user = \"svc-lockstep@corp.example\", password = \"keyring:ldap-bind\" }"),
    ("ldap", "people", "{ base = \"OU=People,DC=corp,DC=example\" }"),
    ("ldap", "groups", "{ base = \"OU=Groups,DC=corp,DC=example\" }"),
    ("netbox", "url", "\"https://netbox.corp.example\""),
    ("netbox", "user", "\"lockstep\""),
    ("netbox", "password", "\"keyring:netbox\""),
    ("netbox", "time_zone", "\"America/New_York\""),
    ("netbox", "suspension_field", "\"UDF20\""),
    ("onguard", "url", "\"https://onguard.corp.example:8080/api/access/onguard/openaccess\""),
    ("onguard", "application_id", "\"LOCKSTEP_CONNECTOR\""),
    ("onguard", "user_name", "\"svc-lockstep\""),
    ("onguard", "password", "\"keyring:onguard\""),
    ("onguard", "keys", "{ employee = \"SSNO\" }"),
    ("onguard", "badge_status", "{ switched_off = \"Switched off by Lockstep\" }"),
    ("scim", "url", "\"https://pacs.corp.example/scim/v2\""),
    ("scim", "token", "\"keyring:pacs-token\""),
    ("sim", "file", "\"sim-hq.json\""),
    ("sim", "create", "true"),
    ("staging", "site", "\"hq\""),
    ("staging", "manifests", "\"manifests\""),
    ("staging", "drop", "{ folder = \"/srv/pacs/import\" }"),
    ("staging", "export", "{ folder = \"/srv/pacs/export\" }"),
];

impl Init {
    pub(crate) fn run(self, terminal: Terminal) -> Result<Exit, Failure> {
        let unknown = |side: &str, kind: &str, known: Vec<&str>| {
            Failure::new(Exit::Usage, format!("there is no {side} of kind `{kind}`"))
                .not_done("nothing was written")
                .next(format!("name one of: {}", known.join(", ")))
        };
        let directory = connectors::directory(&self.directory).ok_or_else(|| {
            unknown("directory", &self.directory, connectors::DIRECTORIES.iter().map(|it| it.kind).collect())
        })?;
        let target = connectors::target(&self.target)
            .ok_or_else(|| unknown("PACS", &self.target, connectors::TARGETS.iter().map(|it| it.kind).collect()))?;
        let config = config(&self.directory, &(directory.schema)(), &self.target, &(target.schema)());
        let files = [(CONFIG, config.as_str()), (MAPPING, include_str!("templates/mapping.toml"))];
        let paths = files.map(|(name, _)| self.folder.join(name));
        if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(Failure::new(Exit::Failed, format!("{} is there already", there.display()))
                .not_done("nothing was written; init never overwrites")
                .next("name another folder: lockstep init … DIR"));
        }
        for (path, (_, text)) in paths.iter().zip(files) {
            files::folder(path.parent().unwrap_or(Path::new(".")))?;
            files::create(path, text.as_bytes())?;
        }
        let written =
            Written { schema: "lockstep/init/1", files: paths.iter().map(|path| path.display().to_string()).collect() };
        terminal.show(&written, || {
            written.files.iter().map(|file| format!("Written: {file}")).collect::<Vec<_>>().join("\n")
        })?;
        let config = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        terminal.say(&format!("Next: edit both files, then: lockstep check --config {config}"));
        Ok(Exit::Done)
    }
}

fn config(directory: &str, directory_schema: &Schema, target: &str, target_schema: &Schema) -> String {
    let mut text = String::from(include_str!("templates/head.toml"));
    text.push_str(
        "\n# Where people and groups are read. Nothing is ever written there.\n[[directory]]\nid = \"corp\"\n",
    );
    let _ = writeln!(text, "kind = \"{directory}\""); // writing to a String cannot fail
    text.push_str(&settings(directory, directory_schema));
    text.push_str("\n# A PACS to keep in step; one such section for each.\n[[target]]\nid = \"hq\"\n");
    let _ = writeln!(text, "kind = \"{target}\"\nmapping = \"{MAPPING}\"");
    text.push_str(&settings(target, target_schema));
    text.push_str(include_str!("templates/limits.toml"));
    text
}

/// A connector's settings: what must be set, with an example, then everything else as a comment.
fn settings(kind: &str, schema: &Schema) -> String {
    let required: Vec<&str> = array(schema.get("required")).filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let (mut set, mut optional) = (String::new(), String::new());
    for (name, property) in properties.into_iter().flatten() {
        let example = EXAMPLES.iter().find(|(of, key, _)| *of == kind && key == name).map(|(_, _, value)| *value);
        let is_set = example.is_some() || required.contains(&name.as_str());
        let (text, comment) = if is_set { (&mut set, "") } else { (&mut optional, "# ") };
        let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
        for line in about.lines() {
            text.push_str(format!("# {line}").trim_end());
            text.push('\n');
        }
        let value = example.map_or_else(|| placeholder(schema, property), str::to_owned);
        let _ = writeln!(text, "{comment}{name} = {value}");
    }
    if optional.is_empty() { set } else { format!("{set}\n{optional}") }
}

fn array(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// What stands where a value belongs: the default, or something of the right type.
fn placeholder(schema: &Schema, property: &Value) -> String {
    if let Some(default) = property.get("default").and_then(plain) {
        return default;
    }
    if let Some(choice) = ["anyOf", "oneOf"].iter().flat_map(|key| array(property.get(*key))).next() {
        return placeholder(schema, choice);
    }
    if let Some(definition) = property.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#')) {
        return schema
            .as_value()
            .pointer(definition)
            .map_or_else(|| "\"…\"".into(), |found| placeholder(schema, found));
    }
    if let Some(word) = property.get("const").or_else(|| array(property.get("enum")).next()).and_then(plain) {
        return word;
    }
    let types: Vec<&str> = match property.get("type") {
        Some(Value::String(one)) => vec![one],
        several => array(several).filter_map(Value::as_str).collect(),
    };
    let placeholder = match types.first().copied() {
        Some("boolean") => "false",
        Some("integer" | "number") => "1",
        Some("array") => "[]",
        Some("object") => "{}",
        _ => "\"…\"",
    };
    placeholder.to_owned()
}

/// A value that is written in TOML as it is in JSON.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) if items.iter().all(Value::is_string) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) | Value::Null => None,
    }
}
