//! The whole program, as an operator runs it: the binary, a folder of files, and a simulated PACS.

#![cfg(all(feature = "sim", feature = "hr-csv"))]
#![expect(missing_docs, reason = "a test binary has no public items")]

mod approving;
mod documents;
mod emergency;
mod full_pass;
mod help;
mod looking;
mod refusals;
mod site;
