//! What every HTML page here has in common: one style sheet, allowed by its hash and by nothing else, no script, no
//! remote load. A page opens from a file share without a network and cannot be made to call anywhere.

use base64::Engine as _;
use sha2::{Digest, Sha256};

/// The style sheet of reports.
pub(crate) const STYLE: &str = include_str!("templates/style.css");
/// The style sheet of what is printed for human hands: black and white, large.
pub(crate) const SHEET_STYLE: &str = include_str!("templates/sheet.css");

/// The content security policy of a page: nothing but this style sheet.
pub(crate) fn policy(style: &str) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

/// An instant for people: minutes are enough, and the zone is always said.
pub(crate) fn minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A phrase with a capital letter in front.
pub(crate) fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
