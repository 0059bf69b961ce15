//! The common suite, against the example connector in Python: the same program and files that a reader gets.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/connector-python/connector.py");
    let args = vec!["-I".to_owned(), script.display().to_string()];
    match lockstep_exec::Bed::new("/usr/bin/python3".into(), args) {
        Ok(bed) => lockstep_conformance::target("exec with Python", bed).run(),
        Err(fault) => {
            // The test harness is not there yet to say it.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{fault}\n"));
            ExitCode::FAILURE
        }
    }
}
