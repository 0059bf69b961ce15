//! Child processes on a leash: a server ends when its handle is dropped, and also when the test program is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server process.
#[derive(Debug)]
pub(crate) struct Leashed {
    child: Child,
}

/// Starts the program in the background, and ends it when standard input ends: that happens when the handle is dropped,
/// and also when the program that holds it is killed.
const SCRIPT: &str =
    r#""$@" & server=$!; cat >/dev/null; kill "$server"; (sleep 5; kill -9 "$server") 2>/dev/null & wait "$server""#;

impl Leashed {
    /// Starts a server and waits until a line of its error output holds `ready`, if that is not empty.
    pub(crate) fn start(program: &Path, arguments: &[String], ready: &str) -> Result<Self, String> {
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "leash"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut output = BufReader::new(child.stderr.take().ok_or("no error output")?);
        let mut said = String::new();
        while !ready.is_empty() {
            let mut line = String::new();
            match output.read_line(&mut line) {
                Ok(0) | Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("{} ended at once: {said}", program.display()));
                }
                Ok(_) if line.contains(ready) => break,
                Ok(_) => said.push_str(&line),
            }
        }
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(Self { child })
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs a tool with text on its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Result<String, String> {
    let what = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{what}: {error}"))?;
    let mut stdin = child.stdin.take().ok_or("no input")?;
    let mut stdout = child.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.read_to_end(&mut text);
        text
    });
    let mut stderr = child.stderr.take().ok_or("no error output")?;
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        text
    });
    // A tool that stops reading early says why by itself.
    let _ = stdin.write_all(input);
    drop(stdin);
    let status = child.wait().map_err(|error| format!("{what}: {error}"))?;
    let text = reader.join().unwrap_or_default();
    let errors = errors.join().unwrap_or_default();
    if status.success() {
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let said = [text, errors].concat();
    let said = String::from_utf8_lossy(&said);
    let tail: Vec<&str> = said.lines().rev().take(6).collect();
    Err(format!("{what}: {status}: {}", tail.into_iter().rev().collect::<Vec<_>>().join(" | ")))
}

/// Where a program is, if it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Waits until somebody listens there: a server says that it starts a moment before it does.
pub(crate) fn await_listener(address: std::net::SocketAddr) -> Result<(), String> {
    const TRIES: u32 = 500;
    for _ in 0..TRIES {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(format!("nobody listens at {address}"))
}
