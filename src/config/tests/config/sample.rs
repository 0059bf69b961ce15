//! A small deployment in a temporary folder, to be spoilt one way or another.

use std::path::{Path, PathBuf};

use lockstep_config::{ConfigErrors, Loaded};

pub(crate) const CONFIG: &str = r#"approval = "recorded"
state = "state"

[[directory]]
id = "corp"
kind = "ldap"
url = "ldaps://dc1.corp.example"
bind = { user = "svc-lockstep", password = "systemd:ldap-bind" }

[[target]]
id = "hq"
kind = "scim"
url = "https://pacs.corp.example/scim"
token = "systemd:pacs-token"
mapping = "mappings/hq.toml"
limits = { reductions_per_run = 50, reductions_percent = 2 }
"#;

pub(crate) const MAPPING: &str = r#"correlate = ["employee", "upn"]
mover = "with-grant"
ownership = "linked"
out_of_scope = "hold"
provision = true
sites = ["HQ"]
protected = ["employee:10482", "upn:guard@corp.example"]

[[scope]]
field = "employee_type"
any = ["Employee", "Contractor"]

[profile]
given_name = "{given_name}"
display_name = "{family_name}, {given_name}"

[[level]]
id = "HQ-Lab"
any = ["GRP-HQ-Lab", "GRP-HQ-Lab-Visitors"]
all = ["GRP-Safety-Trained"]
may_be_empty = true

[[level]]
id = "HQ-Vault"
any = ["GRP-HQ-Vault"]
none = ["GRP-On-Notice"]
tags = ["high-security"]
"#;

/// A folder with a configuration and one mapping.
pub(crate) struct Deployment {
    folder: tempfile::TempDir,
}

impl Deployment {
    pub(crate) fn new(config: &str, mapping: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(folder.path().join("mappings")).expect("folder");
        std::fs::write(folder.path().join("lockstep.toml"), config).expect("configuration");
        std::fs::write(folder.path().join("mappings/hq.toml"), mapping).expect("mapping");
        Self { folder }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("lockstep.toml")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn load(&self) -> Result<Loaded, ConfigErrors> {
        lockstep_config::load(&self.config())
    }

    /// Every complaint as a person reads it, with the name of the temporary folder left out.
    pub(crate) fn complaints(&self) -> String {
        let errors = self.load().expect_err("this configuration must be refused");
        self.rendered(&errors)
    }

    pub(crate) fn rendered(&self, diagnostic: &dyn miette::Diagnostic) -> String {
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
        let mut text = String::new();
        handler.with_width(100).without_syntax_highlighting().render_report(&mut text, diagnostic).expect("rendered");
        let folder = format!("{}{}", self.folder.path().display(), std::path::MAIN_SEPARATOR);
        text.replace(&folder, "")
    }
}

/// The messages of all complaints, each with its line.
pub(crate) fn messages(errors: &ConfigErrors) -> Vec<String> {
    errors.iter().map(|error| format!("{}: {}", error.place().map_or(0, |(line, _)| line), error.message())).collect()
}
