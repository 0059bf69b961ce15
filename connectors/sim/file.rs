//! Keeps a world in one JSON file: replaced atomically, synced before the answer, locked while it is written, so that
//! two processes do not lose each other's writes. This module must not know what is in the world.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lockstep_contract::{Fault, FaultKind};

use crate::world::{VERSION, World};

/// How long a write waits for another process to finish its own.
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What tells one version of the file from another. The file is replaced with every write, so its length and time of
/// change say enough together with the node number where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    node: u64,
}

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} does not hold a simulated PACS: {source}", path.display())]
    Content { path: PathBuf, source: serde_json::Error },
    #[error("{} has layout {found}; this version reads layout {VERSION}", path.display())]
    Version { path: PathBuf, found: u32 },
    #[error("another process has been writing {} for over two seconds", path.display())]
    Locked { path: PathBuf },
}

impl FileError {
    pub(crate) fn fault(&self, system: &str, operation: &str) -> Fault {
        let (kind, help) = match self {
            Self::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                (FaultKind::Denied, "give this user read and write access to the file and its folder")
            }
            Self::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                (FaultKind::Unreachable, "check `file` in the configuration, or set `create = true`")
            }
            Self::Io { .. } => (FaultKind::Unreachable, "check the disk"),
            Self::Content { .. } => (FaultKind::Protocol, "restore the file from a copy; nothing was written to it"),
            Self::Version { .. } => (FaultKind::Protocol, "use the version of Lockstep that wrote the file"),
            Self::Locked { .. } => (FaultKind::Unreachable, "find out which process holds the `.lock` file beside it"),
        };
        Fault::new(kind, system, operation, self.to_string()).with_help(help)
    }
}

/// Reads the file unless it is the version already known.
pub(crate) fn read(path: &Path, known: Option<&Stamp>) -> Result<Option<(World, Stamp)>, FileError> {
    let stamp = stamp(path)?;
    if known == Some(&stamp) {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(io("read", path))?;
    let world: World =
        serde_json::from_slice(&bytes).map_err(|source| FileError::Content { path: path.to_owned(), source })?;
    if world.version != VERSION {
        return Err(FileError::Version { path: path.to_owned(), found: world.version });
    }
    // A file that was replaced between the two looks is read again next time: the stamp is the older one.
    Ok(Some((world, stamp)))
}

/// Replaces the file. The caller holds the lock.
pub(crate) fn write(path: &Path, world: &World) -> Result<Stamp, FileError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = beside(path, "new");
    let mut bytes =
        serde_json::to_vec_pretty(world).map_err(|source| FileError::Content { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    let mut file = File::create(&beside).map_err(io("create", &beside))?;
    file.write_all(&bytes).map_err(io("write", &beside))?;
    file.sync_all().map_err(io("sync", &beside))?;
    drop(file);
    fs::rename(&beside, path).map_err(io("replace", path))?;
    sync_folder(folder)?;
    stamp(path)
}

/// Held while the file is read, changed and replaced. The operating system lets go of it when the process ends.
pub(crate) struct Lock(#[expect(dead_code, reason = "open as long as the lock is held")] File);

/// Takes the lock, waiting a little for another process.
pub(crate) fn lock(path: &Path) -> Result<Lock, FileError> {
    let beside = beside(path, "lock");
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(io("open", &beside))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(io("lock", &beside)(source)),
        }
    }
    Err(FileError::Locked { path: path.to_owned() })
}

fn stamp(path: &Path) -> Result<Stamp, FileError> {
    let data = fs::metadata(path).map_err(io("read", path))?;
    Ok(Stamp { length: data.len(), modified: data.modified().ok(), node: node(&data) })
}

#[cfg(unix)]
fn node(data: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn node(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(io("sync", folder))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), FileError> {
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError::Io { doing, path, source }
}
