//! Every configuration and mapping that is shipped reads without a complaint or a warning.

use std::path::{Path, PathBuf};

use lockstep_config::{load, load_mapping};
use lockstep_core::ApprovalPolicy;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder");
    entries.map(|entry| entry.expect("entry").path()).collect()
}

#[test]
fn every_example_reads_without_a_warning() {
    let configurations: Vec<PathBuf> =
        entries(&root().join("examples")).iter().map(|folder| folder.join("lockstep.toml")).collect();
    let there: Vec<&PathBuf> = configurations.iter().filter(|path| path.exists()).collect();
    assert!(there.len() >= 2, "{there:?}");
    for path in there {
        let loaded = load(path).unwrap_or_else(|errors| panic!("{}", lines(errors.iter())));
        assert!(loaded.warnings.is_empty(), "{}", lines(loaded.warnings.iter()));
    }
}

#[test]
fn every_shipped_mapping_reads_without_a_warning() {
    let files = entries(&root().join("mappings"));
    let mappings: Vec<&PathBuf> = files.iter().filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    assert!(mappings.len() >= 3, "{mappings:?}");
    for path in mappings {
        let loaded =
            load_mapping(path, ApprovalPolicy::Recorded).unwrap_or_else(|errors| panic!("{}", lines(errors.iter())));
        assert!(loaded.warnings.is_empty(), "{}", lines(loaded.warnings.iter()));
        assert!(loaded.policy.levels.iter().any(|rule| rule.high_security), "each shows a high-security level");
    }
}

fn lines<'e>(complaints: impl Iterator<Item = &'e lockstep_config::ConfigError>) -> String {
    complaints.map(lockstep_config::ConfigError::one_line).collect::<Vec<_>>().join("\n")
}
