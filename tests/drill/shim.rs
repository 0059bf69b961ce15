//! The library that is loaded before the C library into the program: `shim.c`, compiled when it is first needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drill/shim.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("drill-shim-{}.so", std::process::id()));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success(), "the library is compiled");
        library
    })
}

/// The library is left nowhere.
pub(crate) fn clean_up() {
    let _ = std::fs::remove_file(library());
}

fn loaded(name: &str, value: &str) -> [(String, String); 2] {
    [("LD_PRELOAD".into(), library().display().to_string()), (name.into(), value.into())]
}

/// The wall clock is off by so many seconds.
pub(crate) fn clock(seconds: i64) -> [(String, String); 2] {
    loaded("TESTBED_CLOCK_SHIFT", &seconds.to_string())
}

/// Every point is written to this file.
pub(crate) fn points(file: &Path) -> [(String, String); 2] {
    loaded("TESTBED_POINTS", &file.display().to_string())
}

/// The process is killed at the point of this number, from 1.
pub(crate) fn kill_at(number: usize) -> [(String, String); 2] {
    loaded("TESTBED_KILL_AT", &number.to_string())
}
