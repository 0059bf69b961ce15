//! The HTTP client that connectors share: one TLS policy, one origin check, limits on everything, and one way to turn
//! what went wrong into a [`Fault`](lockstep_contract::Fault).
//!
//! Nothing here knows a vendor, follows a redirect, retries, or decides what a fault means for a plan. A secret is handed
//! over once, when the client is opened, and leaves it only in a request header to the configured origin.

#![forbid(unsafe_code)]

mod answer;
mod client;
mod extra;
mod fault;
mod json;
mod log;
mod origin;
mod scan;
mod settings;

pub use answer::Answer;
pub use client::{Auth, Call, Client, Method, Request};
pub use extra::Extra;
pub use fault::{CallFault, Effect, RETRY_AFTER_MAX, classify, retry_after};
pub use json::{JsonError, parse, parse_with};
pub use origin::{OriginError, checked_base, same_origin};
pub use scan::Scanner;
pub use settings::{ClientCertificate, Limits, Settings, Timeouts};

pub use lockstep_contract::quote;

/// JSON as this crate reads it: no duplicate keys, limited depth.
pub use serde_json::Value;
pub use url::Url;
