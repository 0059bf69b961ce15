//! Reads people and groups from CSV or LDIF files: the feed that small sites have.
