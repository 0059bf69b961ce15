//! The spool: what an emergency wrote down when the state database could not be had, or before it was asked. One file
//! for each command; each line is synced before the next thing happens, and chained to the line before.
//!
//! What a line says is not looked at here.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lockstep_contract::{canonical_json, sha256_hex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files;

const WAITING: &str = "spool";
const OPEN: &str = "open";
const ABSORBED: &str = "absorbed";
const BROKEN: &str = "broken";
/// How every line begins: after a write that broke off, a whole line may stand behind the remains of another.
const START: &[u8] = br#"{"seq":"#;

/// The spool could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("spool {path}: {detail}")]
pub struct SpoolError {
    /// The file or folder.
    pub path: PathBuf,
    /// What happened.
    pub detail: String,
}

/// What a spool is written to.
trait Medium: Write + Debug + Send {
    /// Returns after everything is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Forgets everything behind this length, and goes on writing there.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// One file of the spool, being written.
#[derive(Debug)]
pub struct Spool {
    file: Box<dyn Medium>,
    path: PathBuf,
    lines: u64,
    last: String,
    /// How long the file is with all its whole lines.
    good: u64,
    /// The remains of a line that could not be written may stand behind them.
    soiled: bool,
}

/// One file of the spool, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolFile<E> {
    /// The file.
    pub path: PathBuf,
    /// What it says, in order.
    pub events: Vec<E>,
    /// Its last line was cut off while it was written; what that line said never happened.
    pub torn: bool,
    /// What is damaged in it. What is whole stands in `events` all the same.
    pub broken: Option<String>,
    /// So many bytes of it were read.
    pub length: u64,
}

impl<E> SpoolFile<E> {
    /// True when nobody writes it any more, and it says nothing but what was read. Asked when it was taken over: in the
    /// meantime its writer may have added lines and let go of it. An empty file may not be held by its writer yet.
    pub fn is_read_to_the_end(&self) -> bool {
        let length = || std::fs::metadata(&self.path).map(|found| found.len());
        self.length > 0 && !is_being_written(&self.path) && length().is_ok_and(|length| length == self.length)
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    event: Value,
    hash: String,
}

fn chained(before: &str, seq: u64, event: &Value) -> String {
    sha256_hex(&canonical_json(&(before, seq, event)))
}

impl Spool {
    /// A new file in this folder, which is made when it is not there. `name` is part of the file's name, so that files
    /// sort by time and a person finds theirs; characters that do not belong in a name are left out.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn create(folder: impl AsRef<Path>, name: &str) -> Result<Self, SpoolError> {
        let folder = folder.as_ref();
        let failed = |error: io::Error| SpoolError { path: folder.to_owned(), detail: error.to_string() };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let plain: String =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(64).collect();
        for number in 0..1_000_u32 {
            let path = folder.join(format!("{plain}-{number:03}.{WAITING}"));
            match files::new_private(&path) {
                Ok(file) => {
                    claim_for_writing(&file);
                    files::sync_folder(&path).map_err(failed)?;
                    return Ok(Self::on(Box::new(file), path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(SpoolError { path: folder.to_owned(), detail: format!("a thousand files are named {plain} already") })
    }

    fn on(file: Box<dyn Medium>, path: PathBuf) -> Self {
        Self { file, path, lines: 0, last: String::new(), good: 0, soiled: false }
    }

    /// The remains of a line could not be taken away again: go on in another file.
    pub const fn is_soiled(&self) -> bool {
        self.soiled
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. Returns after it is on the disk. What cannot be written leaves no remains: the next line stands
    /// where this one would have stood.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append<E: Serialize>(&mut self, event: &E) -> Result<(), SpoolError> {
        self.append_all(std::slice::from_ref(event))
    }

    /// Adds lines, all of them or none, with one wait for the disk.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append_all<E: Serialize>(&mut self, events: &[E]) -> Result<(), SpoolError> {
        let failed = |detail: String| SpoolError { path: self.path.clone(), detail };
        let (mut seq, mut last, mut text) = (self.lines, self.last.clone(), Vec::new());
        for event in events {
            let event = serde_json::to_value(event).map_err(|error| failed(error.to_string()))?;
            seq += 1;
            last = chained(&last, seq, &event);
            let line = Line { seq, event, hash: last.clone() };
            serde_json::to_writer(&mut text, &line).map_err(|error| failed(error.to_string()))?;
            text.push(b'\n');
        }
        if let Err(error) = self.put(&text) {
            let detail = error.to_string();
            self.soiled = self.file.cut(self.good).is_err();
            return Err(SpoolError { path: self.path.clone(), detail });
        }
        (self.lines, self.last) = (seq, last);
        self.good += text.len() as u64;
        Ok(())
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        if self.soiled {
            self.file.cut(self.good)?;
            self.soiled = false;
        }
        self.file.write_all(text)?;
        self.file.sync()
    }
}

/// Whoever writes a file holds it, and the system lets go when the process ends, however it ends. A file system that
/// knows no locks loses nothing but this knowledge.
fn claim_for_writing(file: &File) {
    #[cfg(unix)]
    let _ = file.try_lock();
    #[cfg(not(unix))]
    let _ = file;
}

/// True while a process still writes this file.
pub fn is_being_written(path: impl AsRef<Path>) -> bool {
    #[cfg(unix)]
    {
        let held = |file: File| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock));
        File::open(path).is_ok_and(held)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Every file of a spool that was not absorbed yet, in the order of their names. A folder that is not there has none.
///
/// A file that says something else than was written to it is given with what of it is whole, and says so itself.
///
/// # Errors
/// When a file cannot be read at all.
pub fn read_all<E: DeserializeOwned>(folder: impl AsRef<Path>) -> Result<Vec<SpoolFile<E>>, SpoolError> {
    read_each(folder.as_ref(), WAITING)
}

/// Every file that was absorbed and says something that is not done yet, in the order of their names.
///
/// # Errors
/// When a file cannot be read at all.
pub fn read_open<E: DeserializeOwned>(folder: impl AsRef<Path>) -> Result<Vec<SpoolFile<E>>, SpoolError> {
    read_each(folder.as_ref(), OPEN)
}

fn read_each<E: DeserializeOwned>(folder: &Path, kind: &str) -> Result<Vec<SpoolFile<E>>, SpoolError> {
    let failed = |error: io::Error| SpoolError { path: folder.to_owned(), detail: error.to_string() };
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == kind) {
            paths.push(path);
        }
    }
    paths.sort();
    // Whoever takes files over at the same time renames them; what is not there is read under its new name, or done.
    paths.into_iter().filter_map(|path| read(path).transpose()).collect()
}

/// What a file says was taken over: it is kept, under another name, and not read again.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: impl AsRef<Path>) -> Result<(), SpoolError> {
    rename(path.as_ref(), ABSORBED)
}

/// What a file says was taken over, and not all of it is done: it is kept, under another name, and read by
/// [`read_open`].
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside_open(path: impl AsRef<Path>) -> Result<(), SpoolError> {
    rename(path.as_ref(), OPEN)
}

/// What is whole in a damaged file was taken over: it is kept for people to look at, and not read again.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside_broken(path: impl AsRef<Path>) -> Result<(), SpoolError> {
    rename(path.as_ref(), BROKEN)
}

/// Somebody else gave the file its name.
fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn rename(path: &Path, extension: &str) -> Result<(), SpoolError> {
    std::fs::rename(path, path.with_extension(extension))
        .or_else(gone)
        .and_then(|()| files::sync_folder(path))
        .map_err(|error| SpoolError { path: path.to_owned(), detail: error.to_string() })
}

fn read<E: DeserializeOwned>(path: PathBuf) -> Result<Option<SpoolFile<E>>, SpoolError> {
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| SpoolError { path: path.clone(), detail: error.to_string() })?,
    };
    let mut file = SpoolFile { path, events: Vec::new(), torn: false, broken: None, length: bytes.len() as u64 };
    let mut chain = Chain::default();
    for (nth, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            file.torn = true;
            break;
        }
        let event = chain.follow(line).and_then(|(event, whole)| match serde_json::from_value(event) {
            Ok(event) => Ok((event, whole)),
            Err(error) => Err(error.to_string()),
        });
        let damage = match event {
            Ok((event, whole)) => {
                file.events.push(event);
                (!whole).then(|| "lines are missing or glued together".to_owned())
            }
            Err(damage) => Some(damage),
        };
        if let Some(damage) = damage {
            file.broken.get_or_insert_with(|| format!("line {}: {damage}", nth + 1));
        }
    }
    Ok(Some(file))
}

/// What lines are checked against. Behind damage a line still counts when it proves itself by what stands before it.
#[derive(Default)]
struct Chain {
    seq: u64,
    last: String,
    /// What the hash of the line before may be, when that line itself proved nothing.
    claimed: Vec<String>,
}

impl Chain {
    /// The event of a line, and whether it stands where it was written.
    fn follow(&mut self, text: &[u8]) -> Result<(Value, bool), String> {
        let parsed = match serde_json::from_slice::<Line>(text) {
            Ok(line) => Ok((line, true)),
            Err(error) => glued(text).map(|line| (line, false)).ok_or_else(|| error.to_string()),
        };
        let (line, alone) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => {
                self.claimed = claim(text).into_iter().collect();
                return Err(why);
            }
        };
        let next = line.seq == self.seq + 1 && chained(&self.last, line.seq, &line.event) == line.hash;
        let after_damage = |before: &String| line.seq > self.seq && chained(before, line.seq, &line.event) == line.hash;
        if !next && !self.claimed.iter().any(after_damage) {
            self.claimed = vec![chained(&self.last, line.seq, &line.event), line.hash];
            return Err("it is not what was written".to_owned());
        }
        (self.seq, self.last, self.claimed) = (line.seq, line.hash, Vec::new());
        Ok((line.event, next && alone))
    }
}

/// The line behind the remains of another one.
fn glued(text: &[u8]) -> Option<Line> {
    let at = text.windows(START.len()).rposition(|bytes| bytes == START)?;
    serde_json::from_slice(text.get(at..)?).ok()
}

/// The hash at the end of a line that cannot be read otherwise.
fn claim(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text.get(text.len().checked_sub(67)?..)?).ok()?;
    let hash = text.strip_suffix("\"}\n")?;
    (hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What happens to one write: so many bytes get through, or all and the sync fails; and whether a cut works.
    #[derive(Debug, Clone, Copy)]
    enum Trouble {
        Partly(usize),
        Sync,
        PartlyForGood(usize),
    }

    #[derive(Debug, Default)]
    struct Flaky {
        bytes: Arc<Mutex<Vec<u8>>>,
        trouble: Arc<Mutex<Option<Trouble>>>,
    }

    impl Write for Flaky {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut bytes = self.bytes.lock().expect("whole");
            match *self.trouble.lock().expect("whole") {
                Some(Trouble::Partly(some) | Trouble::PartlyForGood(some)) => {
                    bytes.extend(text.iter().take(some));
                    Err(io::Error::other("no space left"))
                }
                Some(Trouble::Sync) | None => {
                    bytes.extend(text);
                    Ok(text.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Medium for Flaky {
        fn sync(&mut self) -> io::Result<()> {
            match *self.trouble.lock().expect("whole") {
                Some(Trouble::Sync) => Err(io::Error::other("the disk is gone")),
                _ => Ok(()),
            }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            if matches!(*self.trouble.lock().expect("whole"), Some(Trouble::PartlyForGood(_))) {
                return Err(io::Error::other("the disk is gone"));
            }
            self.bytes.lock().expect("whole").truncate(usize::try_from(length).expect("short"));
            Ok(())
        }
    }

    fn readable(bytes: &[u8]) -> SpoolFile<String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x.spool"), bytes).expect("written");
        read_all(folder.path()).expect("readable").remove(0)
    }

    #[test]
    fn a_failed_write_leaves_no_trace_and_the_next_line_takes_its_place() {
        let failures = [Trouble::Partly(0), Trouble::Partly(7), Trouble::Partly(40), Trouble::Sync];
        for trouble in failures.into_iter().chain([Trouble::PartlyForGood(9)]) {
            let disk = Flaky::default();
            let (bytes, switch) = (disk.bytes.clone(), disk.trouble.clone());
            let mut spool = Spool::on(Box::new(disk), "x".into());
            spool.append(&"held").expect("on the disk");
            *switch.lock().expect("whole") = Some(trouble);
            spool.append(&"lost").expect_err("no disk");
            assert_eq!(spool.is_soiled(), matches!(trouble, Trouble::PartlyForGood(_)), "{trouble:?}");
            spool.append(&"lost again").expect_err("no disk");
            *switch.lock().expect("whole") = None;
            spool.append(&"done").expect("on the disk");
            let file = readable(&bytes.lock().expect("whole"));
            assert_eq!(file.events, ["held", "done"], "{trouble:?}");
            assert_eq!((file.torn, file.broken), (false, None), "{trouble:?}");
        }
    }

    #[test]
    fn lines_added_together_are_all_there_or_none() {
        let disk = Flaky::default();
        let (bytes, switch) = (disk.bytes.clone(), disk.trouble.clone());
        let mut spool = Spool::on(Box::new(disk), "x".into());
        spool.append_all(&["held", "sent"]).expect("on the disk");
        *switch.lock().expect("whole") = Some(Trouble::Partly(150));
        spool.append_all(&["lost", "lost"]).expect_err("no disk");
        *switch.lock().expect("whole") = None;
        spool.append_all(&["seen", "done"]).expect("on the disk");
        let file = readable(&bytes.lock().expect("whole"));
        assert_eq!(
            (file.events, file.torn, file.broken),
            (["held", "sent", "seen", "done"].map(String::from).to_vec(), false, None)
        );
    }

    #[test]
    fn a_file_is_known_to_be_written_until_its_writer_lets_go_and_has_one_name_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::create(folder.path(), "x").expect("made");
        spool.append_all(&["held", "sent"]).expect("on the disk");
        let path = spool.path().to_owned();
        assert_eq!(is_being_written(&path), cfg!(unix));
        drop(spool);
        assert!(!is_being_written(&path));
        set_aside_open(&path).expect("renamed");
        let files = |read: fn(&Path) -> Result<Vec<SpoolFile<String>>, SpoolError>| read(folder.path()).expect("read");
        assert_eq!(files(|folder| read_all(folder)), []);
        let open = files(|folder| read_open(folder));
        assert_eq!(open[0].events, ["held", "sent"]);
        set_aside(&open[0].path).expect("renamed");
        assert_eq!(files(|folder| read_open(folder)), []);
    }

    #[test]
    fn a_line_behind_the_remains_of_another_is_found_and_the_damage_is_told() {
        let disk = Flaky::default();
        let bytes = disk.bytes.clone();
        let mut spool = Spool::on(Box::new(disk), "x".into());
        spool.append(&"held").expect("on the disk");
        bytes.lock().expect("whole").extend(br#"{"seq":2,"event":"lo"#);
        spool.append(&"done").expect("on the disk");
        let file = readable(&bytes.lock().expect("whole"));
        assert_eq!(file.events, ["held", "done"]);
        assert!(file.broken.is_some_and(|damage| damage.contains("line 2")));
    }
}
