//! File operations that fail on demand: a full disk, a read-only share, a file that somebody holds open, a crash between
//! two steps.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::share::{Disk, Share, Stat};

/// A kind of file operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A new file is written.
    Write,
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
    /// A file is looked at.
    Stat,
    /// A folder is listed.
    Names,
    /// A file is read.
    Read,
}

/// The file system, until told otherwise.
#[derive(Debug, Default)]
pub struct Faulty {
    failing: Mutex<Vec<Failing>>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    operation: Option<Operation>,
    kind: ErrorKind,
    /// So many of them go well before.
    skip: u32,
    /// It is done, and fails all the same: the answer of the share got lost.
    after: bool,
}

impl Faulty {
    fn failing(&self) -> MutexGuard<'_, Vec<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this operation fails, after so many that go well.
    pub fn fail(&self, operation: Operation, skip: u32, kind: ErrorKind) {
        self.failing().push(Failing { operation: Some(operation), kind, skip, after: false });
    }

    /// From now on this operation is done and fails all the same.
    pub fn fail_after(&self, operation: Operation, skip: u32, kind: ErrorKind) {
        self.failing().push(Failing { operation: Some(operation), kind, skip, after: true });
    }

    /// From now on every operation fails.
    pub fn fail_all(&self, kind: ErrorKind) {
        self.failing().push(Failing { operation: None, kind, skip: 0, after: false });
    }

    /// Everything goes well again.
    pub fn heal(&self) {
        self.failing().clear();
    }

    fn run<T>(&self, operation: Operation, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut hit = None;
        for one in self.failing().iter_mut().filter(|one| one.operation.is_none_or(|of| of == operation)) {
            if one.skip == 0 {
                hit = Some(*one);
            } else {
                one.skip -= 1;
            }
        }
        match hit {
            None => work(),
            Some(one) if one.after => {
                work()?;
                Err(Error::from(one.kind))
            }
            Some(one) => Err(Error::from(one.kind)),
        }
    }
}

impl Share for Faulty {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.run(Operation::Write, || Disk.write(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.run(Operation::Rename, || Disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.run(Operation::Remove, || Disk.remove(path))
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.run(Operation::Stat, || Disk.stat(path))
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        self.run(Operation::Names, || Disk.names(folder))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.run(Operation::Read, || Disk.read(path))
    }
}
