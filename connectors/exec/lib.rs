//! Runs connectors of others as child processes that speak JSON-RPC 2.0 over stdio.

#![forbid(unsafe_code)]
