//! The JSON Schemas of the `--json` documents, kept in `docs/schemas/` and held current by a test.

use std::path::PathBuf;

use schemars::{Schema, schema_for};

use crate::cli::{
    alerts, apply, approve, check, conform, connector, explain, export, fuse, init, offboard, probe, secret, settle,
    simulate, status, sync, watch,
};

/// Each document with its schema. What comes from another crate is described there and stands here as any value.
fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("alert", schema_for!(alerts::Alert)),
        ("apply", schema_for!(apply::Applied<'static>)),
        ("approve", schema_for!(approve::Approved)),
        ("check", schema_for!(check::Checked)),
        ("connector", schema_for!(connector::List)),
        ("connector-conform", schema_for!(conform::Conformance)),
        ("connector-simulate", schema_for!(simulate::Simulation)),
        ("explain", schema_for!(explain::Explained)),
        ("export", schema_for!(export::Exports<'static>)),
        ("export-manifest", schema_for!(export::Manifest)),
        ("export-reconcile", schema_for!(export::Reconciled)),
        ("export-verify", schema_for!(export::Verified)),
        ("fuse", schema_for!(fuse::Reset)),
        ("init", schema_for!(init::Written)),
        ("offboard", schema_for!(offboard::Offboarded)),
        ("probe", schema_for!(probe::Probed)),
        ("secret", schema_for!(secret::Done)),
        ("settle", schema_for!(settle::Document)),
        ("status", schema_for!(status::Standing)),
        ("sync", schema_for!(sync::Synced<'static>)),
        ("watch", schema_for!(watch::Event)),
    ]
}

#[test]
fn the_schemas_in_docs_are_current() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for (name, schema) in all() {
        let path = folder.join(format!("{name}.json"));
        let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        text.push('\n');
        if update {
            std::fs::create_dir_all(&folder).expect("docs/schemas");
            std::fs::write(&path, &text).expect("written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "docs/schemas/{name}.json is not current; run this test with UPDATE_DOCS=1");
    }
}
