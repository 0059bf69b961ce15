//! The house rules that a program can check, as a test. It reads the tree and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines in a Rust file: fails above this. The aim is half of it.
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the tree with one of these endings, build products and installed tools left out.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> =
            fs::read_dir(folder).expect("a folder of the tree").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !matches!(name, "target" | ".git" | "node_modules" | ".lockstep") {
                    walk(&path, endings, found);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), endings, &mut found);
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", name(path)))
}

fn complain(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n  {}", found.join("\n  "));
}

#[test]
fn files_have_one_subject_and_are_short_enough_to_read() {
    let long: Vec<String> = files(&[".rs"])
        .iter()
        .map(|path| (name(path), read(path).lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    complain(&format!("no Rust file has more than {LINES_MAX} lines"), &long);
}

#[test]
fn modules_open_with_what_they_are_for() {
    let bare: Vec<String> =
        files(&[".rs"]).iter().filter(|path| !read(path).starts_with("//!")).map(|path| name(path)).collect();
    complain("every Rust file opens with //!", &bare);
}

#[test]
fn nobody_waves_a_step_through() {
    // A `_ =>` arm in a match over Step or Reduction would swallow a new variant in silence.
    let mut found = Vec::new();
    for path in files(&[".rs"]) {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            if !(trimmed.starts_with("_ =>") || trimmed.starts_with("_ if")) {
                continue;
            }
            let indent = line.len() - trimmed.len();
            let arms = lines[..at].iter().rev().take_while(|earlier| {
                let earlier_indent = earlier.len() - earlier.trim_start().len();
                earlier.trim().is_empty() || earlier_indent >= indent
            });
            if arms.into_iter().any(|arm| {
                let arm_indent = arm.len() - arm.trim_start().len();
                let pattern = arm.trim_start();
                arm_indent == indent && (pattern.starts_with("Step::") || pattern.starts_with("Reduction::"))
            }) {
                found.push(format!("{}:{}", name(&path), at + 1));
            }
        }
    }
    complain("a match over Step or Reduction names every variant", &found);
}

#[test]
fn every_finding_is_explained() {
    let page = read(&root().join("docs/findings.md"));
    let missing: Vec<String> = lockstep_core::Code::ALL
        .iter()
        .filter(|code| !page.contains(code.as_str()))
        .map(|code| format!("{code} {}", code.title()))
        .collect();
    complain("docs/findings.md explains every code", &missing);
}

#[test]
fn adapters_say_what_they_speak_and_what_they_need() {
    let connectors: Vec<PathBuf> =
        fs::read_dir(root().join("connectors")).expect("connectors").map(|e| e.expect("an entry").path()).collect();
    let bare: Vec<String> = connectors
        .iter()
        .filter(|path| path.is_dir() && !path.join("README.md").exists())
        .map(|path| name(path))
        .collect();
    complain("every connector has a README.md", &bare);
}

#[test]
fn no_machine_is_named() {
    // Paths of the machine somebody happened to work on have no place in the tree.
    let mut found = Vec::new();
    for path in files(&[".rs", ".md", ".toml", ".py", ".mjs", ".html", ".css"]) {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        for (at, line) in read(&path).lines().enumerate() {
            if ["/root/", "/home/"].iter().any(|machine| line.contains(machine)) {
                found.push(format!("{}:{}", name(&path), at + 1));
            }
        }
    }
    complain("no file names a machine's own path", &found);
}

#[test]
fn the_target_trait_has_no_method_that_opens_unlocks_or_deletes() {
    // I2 and S2: the list of methods is the whole of what can ever be asked of a PACS.
    let text = read(&root().join("src/contract/target.rs"));
    let methods: Vec<&str> = text
        .lines()
        .map(str::trim_start)
        .filter_map(|line| line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert_eq!(methods, ["info", "probe", "catalog", "list", "find", "read", "enforced", "apply"]);
}
