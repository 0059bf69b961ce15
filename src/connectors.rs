//! The registry: one line for each connector that this program was built with, and nothing else. No connector registers
//! itself, so this list is what there is.

use std::sync::Arc;

use lockstep_config::{ConfigError, Settings};
use lockstep_contract::{ByHand, Directory, DirectoryId, Fault, GeneralByHand, Opening, Target, TargetId};
use schemars::Schema;

/// What both sides of the registry say about a connector crate with `Config` and `open`.
macro_rules! entry {
    ($type:ident, $kind:literal, $connector:ident, $about:literal $(, $more:ident: $value:expr)*) => {
        $type {
            kind: $kind,
            about: $about,
            open: |id, settings, opening| {
                let config: $connector::Config = settings.parse().map_err(|e| OpenError::Settings(Box::new(e)))?;
                Ok(Arc::new($connector::open(id, config, opening).map_err(OpenError::Fault)?))
            },
            check: |settings| settings.parse::<$connector::Config>().map(drop),
            schema: || schemars::schema_for!($connector::Config),
            $($more: $value,)*
        }
    };
}
#[cfg(any(feature = "entra", feature = "hr-csv", feature = "ldap"))]
macro_rules! directory {
    ($kind:literal, $connector:ident, $about:literal) => {
        entry!(DirectoryKind, $kind, $connector, $about)
    };
}
#[cfg(any(
    feature = "exec",
    feature = "gallagher",
    feature = "netbox",
    feature = "onguard",
    feature = "scim",
    feature = "sim",
    feature = "staging"
))]
macro_rules! target {
    // With a simulator of the vendor's server, `simulator::Simulator`.
    ($kind:literal, $connector:ident, $about:literal, simulator) => {
        target!(
            $kind,
            $connector,
            $about,
            Simulate::Server(|address, seed, watcher| {
                lockstep_simulator::rehearse($connector::simulator::Simulator::new, address, seed, watcher)
            })
        )
    };
    // Without one: why, and what to do instead.
    ($kind:literal, $connector:ident, $about:literal, $why:literal, $next:literal) => {
        target!($kind, $connector, $about, Simulate::No { why: $why, next: $next })
    };
    ($kind:literal, $connector:ident, $about:literal, $simulate:expr) => {
        entry!(TargetKind, $kind, $connector, $about, by_hand: &$connector::ByHand, simulate: $simulate)
    };
}

/// The directories.
pub(crate) const DIRECTORIES: &[DirectoryKind] = &[
    #[cfg(feature = "entra")]
    directory!("entra", lockstep_entra, "Microsoft Entra ID, through Microsoft Graph"),
    #[cfg(feature = "hr-csv")]
    directory!("hr-csv", lockstep_hr_csv, "people and groups from CSV or LDIF files, as an HR feed gives them"),
    #[cfg(feature = "ldap")]
    directory!("ldap", lockstep_ldap, "Active Directory and other LDAP servers"),
];

/// The PACS.
pub(crate) const TARGETS: &[TargetKind] = &[
    #[cfg(feature = "exec")]
    target!(
        "exec",
        lockstep_exec,
        "a PACS that is reached through a program of somebody else",
        "what is behind somebody else's program is that program's matter",
        "begin with the example, which brings a PACS of its own: examples/connector-python"
    ),
    #[cfg(feature = "netbox")]
    target!("netbox", lockstep_netbox, "LenelS2 NetBox, through its NBAPI v2", simulator),
    #[cfg(feature = "gallagher")]
    target!("gallagher", lockstep_gallagher, "Gallagher Command Centre, through its REST API", simulator),
    #[cfg(feature = "onguard")]
    target!("onguard", lockstep_onguard, "LenelS2 OnGuard, through OpenAccess", simulator),
    #[cfg(feature = "scim")]
    target!(
        "scim",
        lockstep_scim,
        "a PACS that speaks SCIM 2.0: users as cardholders, groups as access levels",
        "real SCIM servers cost nothing",
        "start one of those that connectors/scim/README.md names, and enter its address as `url`"
    ),
    #[cfg(feature = "sim")]
    target!(
        "sim",
        lockstep_sim,
        "a simulated PACS in one file, to try Lockstep on",
        "it is a simulation itself, and needs no server",
        "lockstep init --directory hr-csv --target sim"
    ),
    #[cfg(feature = "staging")]
    target!(
        "staging",
        lockstep_staging,
        "a PACS that imports files or staging tables, by a profile: Genetec, Symmetry, and others",
        "an importer is a folder or a table, and no server",
        "point `drop` and `export` at two folders of your own, as connectors/staging/README.md shows"
    ),
];

/// How a kind of PACS is rehearsed by those who have none.
pub(crate) enum Simulate {
    /// With a server of this program.
    Server(lockstep_simulator::Rehearse),
    /// Not with a server of this program.
    No {
        /// Why not.
        why: &'static str,
        /// What to do instead.
        next: &'static str,
    },
}

/// Opens a system from its id and settings.
type Open<Id, System> = fn(Id, &Settings, &Opening<'_>) -> Result<Arc<System>, OpenError>;

/// A kind of directory.
pub(crate) struct DirectoryKind {
    /// As `kind` in the configuration.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Opens one. Does not talk to it yet.
    pub open: Open<DirectoryId, dyn Directory>,
    /// Reads the settings and opens nothing.
    pub check: fn(&Settings) -> Result<(), ConfigError>,
    /// The JSON Schema of its settings.
    pub schema: fn() -> Schema,
}

/// A kind of PACS.
pub(crate) struct TargetKind {
    /// As `kind` in the configuration.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Opens one. Does not talk to it yet.
    pub open: Open<TargetId, dyn Target>,
    /// Reads the settings and opens nothing.
    pub check: fn(&Settings) -> Result<(), ConfigError>,
    /// The JSON Schema of its settings.
    pub schema: fn() -> Schema,
    /// What people do with their hands there. Known without opening one: sheets are made while it is down.
    pub by_hand: &'static dyn ByHand,
    /// How to rehearse without one.
    pub simulate: Simulate,
}

/// A connector could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Its settings are not right.
    Settings(Box<ConfigError>),
    /// The connector says why.
    Fault(Fault),
}

/// The directory of this kind.
pub(crate) fn directory(kind: &str) -> Option<&'static DirectoryKind> {
    DIRECTORIES.iter().find(|known| known.kind == kind)
}

/// What people do with their hands on a PACS of this kind; general words for one that this program does not know.
pub(crate) fn by_hand(kind: &str) -> &'static dyn ByHand {
    target(kind).map_or(&GeneralByHand, |known| known.by_hand)
}

/// The PACS of this kind.
pub(crate) fn target(kind: &str) -> Option<&'static TargetKind> {
    TARGETS.iter().find(|known| known.kind == kind)
}

#[cfg(all(
    test,
    feature = "entra",
    feature = "exec",
    feature = "gallagher",
    feature = "hr-csv",
    feature = "ldap",
    feature = "netbox",
    feature = "onguard",
    feature = "scim",
    feature = "sim",
    feature = "staging"
))]
mod tests {
    use lockstep_config::{CONNECTOR_TITLE, core_reference, reference_markdown};

    use super::{DIRECTORIES, TARGETS};

    #[test]
    fn the_reference_page_has_every_setting_of_every_connector() {
        let directories = DIRECTORIES.iter().map(|known| (known.kind, (known.schema)()));
        let targets = TARGETS.iter().map(|known| (known.kind, (known.schema)()));
        let connectors: Vec<_> =
            directories.chain(targets).map(|(kind, schema)| (format!("{CONNECTOR_TITLE}`{kind}`"), schema)).collect();
        let mut sections = core_reference();
        sections.extend(connectors.iter().map(|(title, schema)| (title.as_str(), schema.clone())));
        let expected = reference_markdown(&sections);
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(page, &expected).expect("the page can be written");
        }
        let found = std::fs::read_to_string(page).expect("the page is there");
        assert!(found == expected, "docs/configuration.md is not current; run this test with UPDATE_DOCS=1");
    }
}
