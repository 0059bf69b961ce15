//! The one suite that every connector must pass.
