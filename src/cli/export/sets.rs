//! The sets in the folder of exports: each is a folder of its own that is written beside, renamed once it is whole, and
//! never changed again. A number in front orders them, whatever the clock says. `START-HERE.html` leads to the newest.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::manifest::{FileFacts, MANIFEST, Manifest};
use super::seal::Seal;
use crate::cli::{failures, files};
use crate::exit::Failure;

const PREFIX: &str = "set-";
/// The page that leads to the newest set.
pub(crate) const START: &str = "START-HERE.html";
/// So many are kept however old they are: a clock that jumps must not empty the folder.
const KEPT_MIN: usize = 3;
/// A folder with a larger number is no set of ours: there would be no next number.
const NUMBER_MAX: u64 = u32::MAX as u64;
/// What a process that died left beside is removed when it is older: nobody writes for so long.
const LEFT_BESIDE: Duration = Duration::from_secs(6 * 60 * 60);

/// One set on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Set {
    number: u64,
    /// Its folder.
    pub path: PathBuf,
}

impl Set {
    /// The name of its folder.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The sets of a folder, oldest first. A folder that is not there has none.
pub(crate) fn list(folder: &Path) -> Result<Vec<Set>, Failure> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failures::file("list", folder, error)),
        Ok(entries) => entries,
    };
    let mut sets: Vec<Set> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()?;
            (number <= NUMBER_MAX).then_some(())?;
            entry.path().join(MANIFEST).is_file().then(|| Set { number, path: entry.path() })
        })
        .collect();
    sets.sort();
    Ok(sets)
}

/// The newest set whose manifest can be read, with it.
pub(crate) fn newest(folder: &Path) -> Result<Option<(Set, Manifest)>, Failure> {
    let sets = list(folder)?;
    Ok(sets.into_iter().rev().find_map(|set| Manifest::read(&set.path).ok().map(|manifest| (set, manifest))))
}

/// A set being written.
pub(crate) struct Draft<'s> {
    folder: PathBuf,
    beside: PathBuf,
    seal: &'s Seal,
    /// What is in it.
    pub manifest: Manifest,
}

impl<'s> Draft<'s> {
    /// Begins one.
    pub(crate) fn begin(folder: &Path, seal: &'s Seal, now: Timestamp) -> Result<Self, Failure> {
        files::folder(folder)?;
        sweep(folder);
        let beside = folder.join(format!(".writing-{}", uuid::Uuid::now_v7()));
        files::folder(&beside)?;
        let mut manifest = Manifest::new(now.to_string());
        manifest.recipients = seal.recipients();
        Ok(Self { folder: folder.to_path_buf(), beside, seal, manifest })
    }

    /// Writes a file, sealed when the sets are, and returns the name that it has.
    pub(crate) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<String, Failure> {
        let (name, bytes) = self.seal.close(name, bytes)?;
        self.place(&name, &bytes)?;
        Ok(name)
    }

    /// Writes a page that names nobody and leads to the others: it can be read without a key.
    pub(crate) fn put_open(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.place(name, bytes)
    }

    /// Takes over a file of an older set as it is there.
    pub(crate) fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.place(name, bytes)
    }

    fn place(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.beside.join(name);
        if let Some(parent) = path.parent() {
            files::folder(parent)?;
        }
        files::create(&path, bytes)?;
        self.manifest.files.insert(name.to_owned(), FileFacts::of(bytes));
        Ok(())
    }

    /// Writes the manifest, and puts the set in its place.
    pub(crate) fn finish(self) -> Result<(Set, Manifest), Failure> {
        let path = self.beside.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&self.manifest).map_err(|error| failures::file("write", &path, error))?;
        files::create(&path, &text)?;
        let folders: BTreeSet<PathBuf> = self.manifest.files.keys().map(|name| self.beside.join(name)).collect();
        folders.iter().try_for_each(|file| files::sync_folder(file))?;
        files::sync_folder(&path)?;
        let day = self.manifest.written_at.get(..16).unwrap_or_default().replace(':', "").replace('T', "-");
        // Somebody else may write a set at the same time: whoever comes second takes the next number.
        let mut number = list(&self.folder)?.last().map_or(1, |last| last.number + 1);
        loop {
            let place = self.folder.join(format!("{PREFIX}{number:06}-{day}"));
            let taken = list(&self.folder)?.iter().any(|set| set.number == number);
            match if taken { Ok(false) } else { fs::rename(&self.beside, &place).map(|()| true) } {
                Ok(true) => {
                    files::sync_folder(&place)?;
                    return Ok((Set { number, path: place }, self.manifest.clone()));
                }
                Ok(false) => number += 1,
                Err(_) if place.exists() => number += 1,
                Err(error) => return Err(failures::file("put in place", &place, error)),
            }
        }
    }
}

impl Drop for Draft<'_> {
    /// What was not finished is not left lying: it lists everybody's access.
    fn drop(&mut self) {
        if self.beside.exists() {
            let _ = fs::remove_dir_all(&self.beside); // the next export tries again
        }
    }
}

/// Removes what a process that died left beside.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(".writing-");
        let changed = entry.metadata().and_then(|data| data.modified()).unwrap_or_else(|_| SystemTime::now());
        if ours && changed.elapsed().is_ok_and(|age| age > LEFT_BESIDE) {
            let _ = fs::remove_dir_all(entry.path()); // the next export tries again
        }
    }
}

/// Removes what is older than it has to be kept: all of the last day stay, then the last one of each day. The newest is
/// never removed, and it has the last good reading of every target.
pub(crate) fn prune(folder: &Path, keep: SignedDuration, now: Timestamp) -> Result<usize, Failure> {
    let sets = list(folder)?;
    let mut days = BTreeSet::new();
    let mut removed = 0;
    for (nth, set) in sets.iter().rev().enumerate() {
        let Ok(manifest) = Manifest::read(&set.path) else { continue };
        let Ok(written) = manifest.written_at.parse::<Timestamp>() else { continue };
        let age = now.duration_since(written);
        let last_of_day = days.insert(written.strftime("%F").to_string());
        let fresh = age < SignedDuration::from_hours(24);
        if nth < KEPT_MIN || (age <= keep && (fresh || last_of_day)) {
            continue;
        }
        // The manifest goes first: a set without one counts for nothing, however far the removal gets.
        let gone = fs::remove_file(set.path.join(MANIFEST)).and_then(|()| fs::remove_dir_all(&set.path));
        gone.map_err(|error| failures::file("remove", &set.path, error))?;
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, at: &str) -> Set {
        let seal = Seal::new(&[]).expect("nobody");
        let mut draft = Draft::begin(folder, &seal, at.parse().expect("an instant")).expect("begun");
        draft.put("hq/all.csv", at.as_bytes()).expect("written");
        draft.finish().expect("in place").0
    }

    #[test]
    fn old_sets_go_day_by_day_and_the_newest_never() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path();
        let times = [
            "2026-11-01T10:00:00Z", // older than it is kept
            "2026-11-20T01:00:00Z", // not the last of its day
            "2026-11-20T23:00:00Z",
            "2026-11-25T01:00:00Z", // not the last of its day, and of the last 24 hours
            "2026-11-25T02:00:00Z",
            "2026-11-25T03:00:00Z",
            "2026-11-25T04:00:00Z",
        ];
        let sets: Vec<Set> = times.iter().map(|at| write(folder, at)).collect();
        let now: Timestamp = "2026-11-25T05:00:00Z".parse().expect("an instant");
        assert_eq!(prune(folder, SignedDuration::from_hours(14 * 24), now).expect("pruned"), 2);
        assert_eq!(list(folder).expect("listed"), [&sets[2..]].concat());
        let years_later: Timestamp = "2036-11-25T05:00:00Z".parse().expect("an instant");
        prune(folder, SignedDuration::from_hours(24), years_later).expect("pruned");
        assert_eq!(list(folder).expect("listed"), sets[4..], "a clock that jumps empties nothing");
    }

    #[test]
    fn a_number_that_has_no_next_one_is_no_set_of_ours() {
        let home = tempfile::tempdir().expect("a folder");
        let first = write(home.path(), "2026-11-25T01:00:00Z");
        let strange = home.path().join(format!("{PREFIX}{}-x", u64::MAX));
        fs::create_dir(&strange).expect("a folder");
        fs::copy(first.path.join(MANIFEST), strange.join(MANIFEST)).expect("copied");
        let second = write(home.path(), "2026-11-25T02:00:00Z");
        assert_eq!(list(home.path()).expect("listed"), [first, second]);
    }

    #[test]
    fn a_set_that_is_not_finished_is_none_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().expect("a folder");
        let seal = Seal::new(&[]).expect("nobody");
        let mut draft = Draft::begin(home.path(), &seal, Timestamp::UNIX_EPOCH).expect("begun");
        draft.put("hq/all.csv", b"who has what").expect("written");
        assert_eq!(list(home.path()).expect("listed"), []);
        drop(draft);
        assert_eq!(fs::read_dir(home.path()).expect("a folder").count(), 0, "it lists everybody's access");
        let first = write(home.path(), "2026-11-25T01:00:00Z");
        let second = write(home.path(), "2016-11-25T01:00:00Z");
        assert!(second > first, "the number orders them, not the clock");
        assert_eq!(newest(home.path()).expect("read").expect("a set").0, second);
    }
}
