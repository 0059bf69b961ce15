//! Starts real servers on loopback for tests.

pub mod certificates;
pub mod ldif;
pub mod postgres;
mod process;
pub mod proxy;
pub mod samba;
pub mod scim;
pub mod scripted;
pub mod situations;
pub mod slapd;
