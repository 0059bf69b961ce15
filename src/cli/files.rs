//! Files of ours: readable by their owner only, whole or not there at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::failures;
use crate::exit::Failure;

/// Makes a folder and those above it that are missing; new ones can be entered by their owner only.
pub(crate) fn folder(path: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| failures::file("make the folder", path, error))
}

/// Writes a file that must not be there yet, and makes it durable.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = private().create_new(true).write(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| failures::file("write", path, error))
}

/// Writes beside, then renames: a reader sees the old file or the new one, never half of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let beside = beside(path);
    let _ = fs::remove_file(&beside); // of a process that died; if it cannot go, the next line says why
    create(&beside, bytes)?;
    fs::rename(&beside, path).map_err(|error| failures::file("put in place", path, error))?;
    sync_folder(path)
}

/// Adds one line to the end of a file and makes it durable.
pub(crate) fn append_line(path: &Path, line: &str) -> Result<(), Failure> {
    let write = || {
        let mut file = private().create(true).append(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| failures::file("write", path, error))?;
    sync_folder(path)
}

/// The whole file, if it is no larger than `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// Makes a rename or a new name in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failures::file("make durable", parent, error))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A name beside a path that nobody else uses.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_is_whole_and_private() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("deep/er/file");
        folder(path.parent().expect("parent")).expect("made");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written again");
        assert_eq!(read(&path, 3).expect("read"), b"two");
        assert!(read(&path, 2).is_err(), "too large");
        assert_eq!(fs::read_dir(path.parent().expect("parent")).expect("list").count(), 1, "nothing left beside");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert!(create(&path, b"three").is_err(), "never overwrites");
    }
}
