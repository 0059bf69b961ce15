//! TOML configuration and mapping files, checked, with a source span in every complaint.
