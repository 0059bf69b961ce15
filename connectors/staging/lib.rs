//! Hands changes to a PACS that imports files or staging tables, by profiles that are data.

#![forbid(unsafe_code)]
