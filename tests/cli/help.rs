//! `--help` of every verb, as a snapshot: what operators read is reviewed like code.

use std::path::Path;

use crate::site::{program, ran};

#[test]
fn help_of_every_verb() {
    let verbs: [&[&str]; 23] = [
        &[],
        &["init"],
        &["check"],
        &["probe"],
        &["plan"],
        &["show"],
        &["approve"],
        &["apply"],
        &["sync"],
        &["offboard"],
        &["reinstate"],
        &["rollback"],
        &["explain"],
        &["export"],
        &["status"],
        &["fuse"],
        &["fuse", "reset"],
        &["secret"],
        &["secret", "set"],
        &["connector"],
        &["connector", "list"],
        &["connector", "schema"],
        &["connector", "conform"],
    ];
    for verb in verbs {
        let help = ran(program(Path::new(".")).args(verb).arg("--help")).ends(0);
        insta::assert_snapshot!(format!("help {}", verb.join(" ")).trim_end().replace(' ', "_"), help.out);
    }
}

#[test]
fn the_version_is_one_line() {
    let version = ran(program(Path::new(".")).arg("--version")).ends(0);
    assert_eq!(version.out, format!("lockstep {}\n", env!("CARGO_PKG_VERSION")));
}
