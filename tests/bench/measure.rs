//! Runs one measurement in a process of its own, so that peak memory is that of the measurement and of nothing else.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
            .stderr(Stdio::inherit())
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

/// What another program took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ran {
    /// Wall time, in seconds.
    pub seconds: f64,
    /// Processor time, in seconds: on a busy machine this is the steadier number.
    pub cpu_seconds: f64,
    /// Peak resident memory, in bytes.
    pub peak_bytes: u64,
    /// How it ended.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub output: Vec<u8>,
}

/// Runs another program and looks at its memory while it runs.
pub(crate) fn other(command: &mut Command) -> Result<Ran, String> {
    let cpu_before = children_cpu_seconds();
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let mut stdout = child.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut output).map(|_| output)
    });
    let file = format!("/proc/{}/status", child.id());
    let mut ran = Ran::default();
    let status = loop {
        ran.peak_bytes = ran.peak_bytes.max(peak_in(&file));
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    ran.seconds = started.elapsed().as_secs_f64();
    ran.cpu_seconds = children_cpu_seconds() - cpu_before;
    ran.code = status.code();
    ran.output = reader.join().map_err(|_| "no output")?.map_err(|error| error.to_string())?;
    Ok(ran)
}

/// Processor time of all processes that were waited for, in hundredths of seconds as proc(5) counts.
fn children_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, the 14th and 15th number are those of the children.
    let numbers = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    numbers.skip(13).take(2).filter_map(|number| number.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Peak resident memory of this process (`VmHWM`, proc(5)); 0 where the system does not tell.
pub(crate) fn peak_bytes() -> u64 {
    peak_in("/proc/self/status")
}

fn peak_in(file: &str) -> u64 {
    let status = std::fs::read_to_string(file).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
