//! The file of alerts: lines are added to its end, and a full one is moved aside once. It may be a pipe that nobody
//! reads or on a disk that hangs, so it is written on a thread that nobody has to wait for.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Alert;

/// So long a run waits for its alerts to be written.
const LIMIT: Duration = Duration::from_secs(2);
/// A file of this size is moved aside, over the one that was before.
const BYTES_MAX: u64 = 4 << 20;

/// Adds alerts to the file.
pub(super) async fn append(path: &Path, alerts: Vec<Alert>) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let path = path.to_owned();
    let spawned = std::thread::Builder::new().name("alerts".into()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(write(&path, &alerts).map_err(|error| error.to_string()));
    });
    spawned.map_err(|error| error.to_string())?;
    match tokio::time::timeout(LIMIT, told).await {
        Ok(answer) => answer.unwrap_or_else(|_| Err("the writer broke off".to_owned())),
        Err(_) => Err(format!("it does not take anything within {} s", LIMIT.as_secs())),
    }
}

fn write(path: &Path, alerts: &[Alert]) -> io::Result<()> {
    let mut text = Vec::new();
    for alert in alerts {
        serde_json::to_writer(&mut text, alert)?;
        text.push(b'\n');
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = open(path)?;
    if is_full(&file.metadata()?) {
        make_room(path, &file)?;
        file = open(path)?;
    }
    // One write, so that lines of two runs do not mix.
    file.write_all(&text)?;
    if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

fn is_full(found: &Metadata) -> bool {
    found.is_file() && found.len() >= BYTES_MAX
}

/// Moves the full file aside. Of several runs that found it full one does so, and the others see under the lock of the
/// full file that another one is in its place: moved once more, the fresh one would be put over everything older.
fn make_room(path: &Path, full: &File) -> io::Result<()> {
    full.lock()?;
    match std::fs::metadata(path) {
        Ok(found) if is_full(&found) => std::fs::rename(path, beside(path)),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// `alerts.jsonl.1`, beside `alerts.jsonl`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".1");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn alert() -> Vec<Alert> {
        vec![Alert::new(Kind::FuseOpen, "the fuse is open", "look")]
    }

    #[tokio::test]
    async fn lines_are_added_and_the_file_stays_bounded() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("deep/alerts.jsonl");
        for _ in 0..2 {
            append(&path, alert()).await.expect("written");
        }
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let read: serde_json::Value = serde_json::from_str(line).expect("one JSON document a line");
            assert_eq!(read["code"], "LA0102");
        }
        File::options().write(true).open(&path).expect("there").set_len(BYTES_MAX).expect("grown");
        append(&path, alert()).await.expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("there").lines().count(), 1);
        assert_eq!(std::fs::metadata(beside(&path)).expect("kept").len(), BYTES_MAX);
    }

    #[test]
    fn two_runs_that_find_it_full_move_it_aside_once() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("alerts.jsonl");
        let [first, second] = [(); 2].map(|()| open(&path).expect("opened"));
        first.set_len(BYTES_MAX).expect("grown");
        make_room(&path, &first).expect("moved aside");
        drop(first);
        std::fs::write(&path, "fresh").expect("written");
        make_room(&path, &second).expect("nothing to do");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "fresh");
        assert_eq!(std::fs::metadata(beside(&path)).expect("kept").len(), BYTES_MAX);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_that_nobody_reads_is_told_and_waited_for_no_longer_than_the_limit() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        let why = append(&path, alert()).await.expect_err("nobody reads");
        assert!(why.contains("within 2 s"), "{why}");
    }
}
