//! The two streams: data on stdout, talk and progress on stderr. Nothing else in the program writes to either.

mod talk;

use std::io::{self, IsTerminal, Write};

use lockstep_view::{Paint, escape};
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// One JSON document on stdout instead of text.
    pub json: bool,
    /// No talk on stderr but failures.
    pub quiet: bool,
    paint: Paint,
}

impl Terminal {
    pub(crate) fn new(json: bool, quiet: bool, color: Color) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !no_color && io::stdout().is_terminal(),
        };
        Self { json, quiet, paint: if colour { Paint::Colour } else { Paint::Plain } }
    }

    /// Whether text on stdout is coloured.
    pub(crate) fn paint(self) -> Paint {
        self.paint
    }

    #[expect(clippy::unused_self, reason = "whoever may write data was handed the terminal")]
    /// Data, as it is. A reader that went away (`| head`) is not a failure; a full disk is.
    pub(crate) fn data(self, bytes: &[u8]) -> Result<(), Failure> {
        // What was said before stands before it, where both go to one terminal.
        flush();
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Lines of text on stdout.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.data(format!("{text}{end}").as_bytes())
    }

    /// One JSON document on stdout.
    pub(crate) fn document(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot write the result as JSON: {error}")))?;
        self.text(&text)
    }

    /// The document with `--json`, the text without.
    pub(crate) fn show(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { self.document(value) } else { self.text(&text()) }
    }

    /// Talk on stderr. Whatever it quotes is made harmless; line ends stay.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Whether somebody watches stderr, so that a progress bar makes sense.
    pub(crate) fn watched(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// A failure on stderr, even when quiet.
pub(crate) fn complain(text: &str) {
    let clean: Vec<String> = text.lines().map(escape::terminal).collect();
    talk::write(format!("{}\n", clean.join("\n")).into_bytes());
}

/// The log, a line at a time, on the same way as all other talk.
pub(crate) fn log() -> impl Write {
    struct Log;
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            talk::write(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    io::LineWriter::new(Log)
}

/// Waits until all talk is out, but not for a reader that does not read.
pub(crate) fn flush() {
    talk::flush();
}

/// Asks a question on the terminal and returns the answer; `None` when nobody is there to answer.
pub(crate) fn ask(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    flush();
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question} ");
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}
