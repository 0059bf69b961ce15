//! A connector in another language, the whole way: the example as a reader runs it.

use std::process::Command;

#[test]
fn the_example_in_python_runs_as_its_page_says() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/connector-python/run");
    let ran = Command::new(script).env("PROGRAM", env!("CARGO_BIN_EXE_lockstep")).env("NO_COLOR", "1").output();
    let ran = ran.expect("bash and Python are there");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("26 laws: 0 broken, 0 skipped."), "{said}");
}
