//! Composition root.
#![expect(missing_docs, reason = "stub")]
fn main() {}
