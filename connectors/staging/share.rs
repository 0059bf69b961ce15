//! What is done on a share: a handful of file operations behind a trait, so that tests can let each of them fail. This
//! module must not know what is in the files.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result, Write as _};
use std::path::Path;

use jiff::Timestamp;

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its length in bytes.
    pub length: u64,
    /// When it was last changed, by the clock of the share.
    pub modified: Timestamp,
}

/// The operations. Each may block; callers see to that.
pub trait Share: Send + Sync + std::fmt::Debug {
    /// Makes a new file with this content, on the disk before it returns. A file that is there is an error.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()>;
    /// Gives a file another name in the same folder.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file of our own.
    fn remove(&self, path: &Path) -> Result<()>;
    /// What a file is like; `None` when its folder is there and it is not.
    fn stat(&self, path: &Path) -> Result<Option<Stat>>;
    /// The names of the files in a folder.
    fn names(&self, folder: &Path) -> Result<Vec<String>>;
    /// The content of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
}

/// The file system.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Share for Disk {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a file under a temporary name is of no use to anybody.
            let _ = fs::remove_file(path);
        }
        written
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        if to.try_exists()? {
            return Err(ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)?;
        sync_folder(to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match fs::metadata(path) {
            Ok(data) if data.is_file() => {
                let modified = Timestamp::try_from(data.modified()?).map_err(std::io::Error::other)?;
                Ok(Some(Stat { length: data.len(), modified }))
            }
            Ok(_) => Err(std::io::Error::other("it is not a plain file")),
            // Not there is believed only where the folder is.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                path.parent().map_or(Ok(None), |folder| fs::metadata(folder).map(|_| None))
            }
            Err(error) => Err(error),
        }
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        fs::read(path)
    }
}

/// A folder on a network share cannot always be synced; then its server does it.
fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}
