//! A real PostgreSQL on loopback, in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Leashed, await_listener, find, run};
use crate::slapd::free_port;

/// The account that may do everything.
pub const ADMIN: &str = "admin";
/// Its password.
pub const ADMIN_PASSWORD: &str = "Adm-test-71bd20";

/// A running server. Ends, and its folder is removed, when dropped.
#[derive(Debug)]
pub struct Postgres {
    address: SocketAddr,
    // Ends before its folder goes.
    _process: Leashed,
    _folder: TempDir,
}

impl Postgres {
    /// True when everything that it needs is installed.
    pub fn is_installed() -> bool {
        ["initdb", "postgres", "psql"].iter().all(|name| program(name).is_some())
    }

    /// Starts a server. `Ok(None)` when it is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start() -> Result<Option<Self>, String> {
        if !Self::is_installed() {
            return Ok(None);
        }
        let folder =
            tempfile::Builder::new().prefix("lockstep-postgres").tempdir().map_err(|error| error.to_string())?;
        let (data, secret) = (folder.path().join("data"), folder.path().join("password"));
        std::fs::write(&secret, ADMIN_PASSWORD).map_err(|error| error.to_string())?;
        let user = other_user();
        if let Some(user) = user {
            run(Command::new("chown").args(["-R", user]).arg(folder.path()), b"")?;
        }
        let (initdb, mut arguments) = as_user(user, "initdb")?;
        let own = ["-D", &data.display().to_string(), "-U", ADMIN, "--pwfile", &secret.display().to_string()]
            .map(str::to_owned);
        arguments.extend(own);
        arguments.extend(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"].map(str::to_owned));
        run(Command::new(initdb).args(arguments).current_dir(folder.path()), b"")?;
        let address = free_port()?;
        let (postgres, mut arguments) = as_user(user, "postgres")?;
        let own = ["-D", &data.display().to_string(), "-p", &address.port().to_string(), "-h", "127.0.0.1", "-k", ""];
        arguments.extend(own.map(str::to_owned));
        for setting in ["fsync=off", "max_connections=200", "shared_buffers=32MB", "lc_messages=C"] {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        let process = Leashed::start(&postgres, &arguments, "ready to accept connections")?;
        await_listener(address)?;
        Ok(Some(Self { address, _process: process, _folder: folder }))
    }

    /// Where it listens, without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create_database(&self, name: &str) -> Result<(), String> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).map(drop)
    }

    /// Runs SQL as the administrator, and returns what it selects, without headers.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = Command::new(program("psql").unwrap_or_else(|| "psql".into()));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
        command.args(["-p", &self.address.port().to_string(), "-U", ADMIN, "-d", database]);
        run(command.env("PGPASSWORD", ADMIN_PASSWORD), sql.as_bytes())
    }
}

/// Debian keeps the server's programs in a folder of their version.
fn program(name: &str) -> Option<PathBuf> {
    find(name).or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
        found.sort();
        found.into_iter().rev().find(|path| path.is_file())
    })
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made, or as nobody.
fn other_user() -> Option<&'static str> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0);
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = known.lines().any(|line| line.starts_with("postgres:"));
    root.then_some(if own { "postgres" } else { "nobody" })
}

/// The command line of a program, as another user where that is needed. It takes the place of the process, so that the
/// leash holds the server itself.
fn as_user(user: Option<&str>, name: &str) -> Result<(PathBuf, Vec<String>), String> {
    let program = program(name).ok_or_else(|| format!("{name} is not installed"))?;
    let Some(user) = user else { return Ok((program, Vec::new())) };
    let setpriv = find("setpriv").ok_or("setpriv is not installed")?;
    let shown = |path: &Path| path.display().to_string();
    Ok((setpriv, vec![format!("--reuid={user}"), "--clear-groups".to_owned(), shown(&program)]))
}
