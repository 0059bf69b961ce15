//! Runs one measurement in a process of its own, so that peak memory is that of the measurement and of nothing else.

use std::process::Command;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What one measurement gave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Wall time of what was measured, in seconds.
    pub seconds: f64,
    /// Peak resident memory of the process, in bytes.
    pub peak_bytes: u64,
    /// Peak resident memory before the measured part began, in bytes.
    pub before_bytes: u64,
    /// What was done, in words, so that a reader can check that it was the whole work.
    pub note: String,
}

/// Measures some work in this process.
pub(crate) fn here(work: impl FnOnce() -> String) -> Reading {
    let before_bytes = peak_bytes();
    let started = Instant::now();
    let note = work();
    Reading { seconds: started.elapsed().as_secs_f64(), peak_bytes: peak_bytes(), before_bytes, note }
}

/// Has a measurement done by a fresh process of this very program. The best of `times` counts: noise only ever adds.
pub(crate) fn child(name: &str, arguments: &[String], times: u32) -> Result<Reading, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut best: Option<Reading> = None;
    for _ in 0..times {
        let output = Command::new(&program)
            .arg("--measure")
            .arg(name)
            .args(arguments)
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("measurement {name} failed: {}", output.status));
        }
        let reading: Reading = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        if best.as_ref().is_none_or(|best| reading.seconds < best.seconds) {
            best = Some(reading);
        }
    }
    best.ok_or_else(|| "no measurement was asked for".to_owned())
}

/// Peak resident memory of this process (`VmHWM`, proc(5)); 0 where the system does not tell.
pub(crate) fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
