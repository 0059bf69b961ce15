//! The settings of a simulated PACS. This module must not open anything.

use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// A simulated PACS: `kind = "sim"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The JSON file that holds the whole PACS. A relative path starts at the folder of the configuration file.
    pub file: PathBuf,
    /// How many cardholders one page of a list holds. Default: 100.
    #[serde(default = "default_page_size")]
    pub page_size: NonZeroU32,
    /// Start with an empty PACS when the file is not there. Default: false; a missing file is a fault, since it may be
    /// a slip in the path.
    #[serde(default)]
    pub create: bool,
    /// How many requests may be in flight. Default: 8.
    #[serde(default = "default_in_flight")]
    pub in_flight_max: NonZeroU32,
    /// How long each answer takes, in milliseconds, as across a network. Default: 0.
    #[serde(default)]
    pub answer_ms: u32,
    /// How long the controllers take to get what the database has, in milliseconds. Without it this PACS cannot tell
    /// what its controllers have, as most.
    #[serde(default)]
    pub controllers_lag_ms: Option<u32>,
}

const fn default_page_size() -> NonZeroU32 {
    NonZeroU32::new(100).expect("not zero")
}

const fn default_in_flight() -> NonZeroU32 {
    NonZeroU32::new(8).expect("not zero")
}
