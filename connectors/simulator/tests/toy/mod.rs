//! A small vendor, and a connector to it into which bugs can be planted.

pub(crate) mod connector;
pub(crate) mod vendor;
