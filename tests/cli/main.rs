//! The whole program, as an operator runs it: the binary, a folder of files, and a simulated PACS.

#![cfg(all(feature = "sim", feature = "hr-csv"))]

mod approving;
mod connector_of_others;
mod documents;
mod emergency;
mod exporting;
mod fallback_example;
mod full_pass;
mod help;
mod looking;
mod offboarding;
mod offboarding_two;
mod refusals;
mod reinstating;
mod settling;
mod settling_again;
mod several;
mod simulating;
mod site;
mod watching;
