//! Real SCIM servers of other people, on loopback: scim2-server (Python) and SCIMMY (Node). `tests/support/install-scim`
//! installs them; what is not installed is not there, and the caller decides whether that is a failure.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimKind {
    /// scim2-server, pages by index: PATCH answers 204, ETag, no `groups` at the user.
    Scim2,
    /// scim2-server, pages by cursor (RFC 9865).
    Scim2Cursor,
    /// SCIMMY: PATCH answers 200 with a body, no ETag, `groups` at the user.
    Scimmy,
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub struct ScimServer {
    port: u16,
    kind: ScimKind,
    /// The bearer token that it accepts.
    pub token: String,
    child: Child,
    /// Its end is the server's end, even if this process is killed.
    _leash: Option<ChildStdin>,
}

impl ScimServer {
    /// Starts a server. `Ok(None)` when it is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start(kind: ScimKind) -> Result<Option<Self>, String> {
        let token = format!("testbed-token-{}", std::process::id());
        let Some(mut command) = command(kind) else { return Ok(None) };
        let mut child = command
            .env("LOCKSTEP_SCIM_TOKEN", &token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{kind:?} does not start: {error}"))?;
        let leash = child.stdin.take();
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
        if let (Ok(_), Some(port)) = (read, port) {
            return Ok(Some(Self { port, kind, token, child, _leash: leash }));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("{kind:?} ended before it said its port; it said {line:?}"))
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of one world's base: each name is an empty server of its own.
    pub fn base_path(&self, world: &str) -> String {
        match self.kind {
            ScimKind::Scim2 | ScimKind::Scim2Cursor => format!("/{world}/v2"),
            ScimKind::Scimmy => format!("/{world}/scim/v2"),
        }
    }

    /// The base address of one world.
    pub fn url(&self, world: &str) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.base_path(world))
    }
}

impl Drop for ScimServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True when a missing server is a failure: set where everything is installed on purpose.
pub fn real_servers_are_demanded() -> bool {
    std::env::var_os("TESTBED_REAL_SERVERS").is_some_and(|value| value == "1")
}

fn command(kind: ScimKind) -> Option<Command> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    match kind {
        ScimKind::Scim2 | ScimKind::Scim2Cursor => {
            let python = found("TESTBED_SCIM2_PYTHON", "venv/bin/python")?;
            let mut command = Command::new(python);
            command.arg(here.join("scim2/server.py"));
            if kind == ScimKind::Scim2Cursor {
                command.arg("cursor");
            }
            Some(command)
        }
        ScimKind::Scimmy => {
            let folder = found("TESTBED_SCIMMY", "scimmy")?;
            folder.join("node_modules/scimmy-routers").exists().then(|| {
                let mut command = Command::new("node");
                command.arg(folder.join("server.mjs")).current_dir(folder);
                command
            })
        }
    }
}

/// Where a tool is: what the variable says, else below the folder of build products.
fn found(variable: &str, below: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(
        || {
            let tools = std::env::var_os("TESTBED_TOOLS").map(PathBuf::from);
            let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
            tools.unwrap_or(target).join(below)
        },
        PathBuf::from,
    );
    path.exists().then_some(path)
}
