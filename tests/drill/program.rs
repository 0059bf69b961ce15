//! Runs the real program, in whatever surroundings a row wants: with streams nobody reads, with another clock, or killed
//! on the way.

use std::fs::File;
use std::io::{PipeReader, Read as _, Write as _, pipe};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

/// Whatever hangs longer than this fails its row.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// What a pipe takes before its writer has to wait.
const PIPE_BYTES: usize = 64 * 1024;

/// What a stream of the program is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stream {
    /// A file that is read afterwards.
    #[default]
    Kept,
    /// A pipe whose reader went away.
    Gone,
    /// A device that takes nothing: the disk is full.
    Full,
    /// Not open at all.
    Closed,
    /// A pipe that is full, and that nobody reads.
    Hung,
}

/// How the program is run.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    home: PathBuf,
    args: Vec<&'a str>,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    pub(crate) env: Vec<(String, String)>,
    /// The largest file it may write, in bytes.
    pub(crate) file_bytes_max: Option<u64>,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` when it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) began: (Instant, SystemTime),
    pub(crate) took: Duration,
}

impl<'a> Call<'a> {
    pub(crate) fn new(home: &Path, args: &[&'a str]) -> Self {
        Self {
            home: home.to_owned(),
            args: args.to_vec(),
            stdout: Stream::Kept,
            stderr: Stream::Kept,
            env: Vec::new(),
            file_bytes_max: None,
        }
    }

    /// Starts it, and leaves it to itself.
    pub(crate) fn start(&self) -> Child {
        self.spawn(Stdio::null(), Stdio::null())
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(&self) -> Ran {
        let ((out, kept_out), (err, kept_err)) = (open(self.stdout), open(self.stderr));
        let began = (Instant::now(), SystemTime::now());
        let mut child = self.spawn(out, err);
        let status = wait(&mut child);
        let took = began.0.elapsed();
        let (out, err) = (kept_out.text(), kept_err.text());
        let status = status.unwrap_or_else(|| panic!("{:?} did not end:\n{out}\n{err}", self.args));
        assert!(status.code().is_some() || status.signal() == Some(9), "{status}: {err}");
        Ran { code: status.code(), out, err, began, took }
    }

    fn spawn(&self, out: Stdio, err: Stdio) -> Child {
        let program = env!("CARGO_BIN_EXE_lockstep");
        let (limit, close) = (self.file_bytes_max, [self.stdout, self.stderr].map(|stream| stream == Stream::Closed));
        let mut command = Command::new("sh");
        // A write beyond the limit is an error then, and no signal.
        let limits = limit.map_or_else(String::new, |bytes| format!("trap '' XFSZ; ulimit -f {}; ", bytes / 512));
        let closed = [if close[0] { " >&-" } else { "" }, if close[1] { " 2>&-" } else { "" }].concat();
        if limit.is_some() || close.contains(&true) {
            command.args(["-c", &format!("{limits}exec \"$@\"{closed}"), "sh", program]);
        } else {
            command = Command::new(program);
        }
        for (name, _) in std::env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("LOCKSTEP_") || name.starts_with("TESTBED_"));
            if ours {
                command.env_remove(name);
            }
        }
        // No session of a desktop, unless a row has one.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        command.current_dir(&self.home).envs(self.env.iter().cloned()).args(&self.args);
        command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("it starts")
    }
}

/// Our end of a stream.
enum End {
    Read(JoinHandle<String>),
    /// Open, and nobody reads.
    Held(#[expect(dead_code, reason = "it only has to be there")] PipeReader),
    None,
}

impl End {
    fn text(self) -> String {
        match self {
            Self::Read(reader) => reader.join().expect("UTF-8"),
            Self::Held(_) | Self::None => String::new(),
        }
    }
}

fn open(stream: Stream) -> (Stdio, End) {
    let full = || File::options().write(true).open("/dev/full").expect("the device");
    let (mut reader, mut writer) = pipe().expect("a pipe");
    match stream {
        // A pipe, since a file would be under the limit on files.
        Stream::Kept => {
            let reader = std::thread::spawn(move || {
                let mut text = String::new();
                reader.read_to_string(&mut text).expect("UTF-8");
                text
            });
            (writer.into(), End::Read(reader))
        }
        Stream::Closed => (Stdio::null(), End::None),
        Stream::Full => (full().into(), End::None),
        Stream::Gone => (writer.into(), End::None),
        Stream::Hung => {
            writer.write_all(&vec![b'.'; PIPE_BYTES]).expect("it takes so much");
            (writer.into(), End::Held(reader))
        }
    }
}

/// `None` when it does not end; it is killed then.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

impl Ran {
    /// The one JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Fails with everything that was said unless it ended with one of these codes.
    #[track_caller]
    pub(crate) fn ends(self, codes: &[i32]) -> Self {
        let cut = |text: &str| text.chars().take(6_000).collect::<String>();
        let expected = self.code.is_some_and(|code| codes.contains(&code));
        assert!(expected, "{:?}, not {codes:?}\nstdout:\n{}\nstderr:\n{}", self.code, cut(&self.out), cut(&self.err));
        self
    }
}
