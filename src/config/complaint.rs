//! Complaints about a file: what is wrong, where, and what to write instead.
//!
//! A complaint shows the line, as an editor would. Somebody may have written a secret there by mistake, so a source
//! knows which of its bytes are never shown.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, Severity, SourceCode};

/// The text of one file and the name people know it by.
#[derive(Clone)]
pub(crate) struct Source {
    text: Arc<str>,
    /// What is shown: the text with secrets hidden, byte for byte of the same length.
    shown: Arc<NamedSource<String>>,
}

impl Source {
    pub(crate) fn new(name: impl AsRef<str>, text: String) -> Self {
        let shown = NamedSource::new(visible(name.as_ref()), visible(&text));
        Self { text: text.into(), shown: Arc::new(shown) }
    }

    pub(crate) fn name(&self) -> &str {
        self.shown.name()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same source, with the bytes of these spans hidden whenever a line of it is shown.
    pub(crate) fn hiding(&self, spans: &[Range<usize>]) -> Self {
        let mut shown = self.shown.inner().clone().into_bytes();
        for span in spans {
            for byte in shown.iter_mut().take(span.end).skip(span.start).filter(|byte| **byte != b'\n') {
                *byte = b'*';
            }
        }
        // Spans end where characters do; should one not, nothing is shown rather than too much.
        let shown = String::from_utf8(shown).unwrap_or_default();
        Self { text: Arc::clone(&self.text), shown: Arc::new(NamedSource::new(self.name(), shown)) }
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub(crate) fn place(&self, offset: usize) -> (u32, u32) {
        let before = self.text().get(..offset).unwrap_or(self.text());
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    pub(crate) fn line(&self, offset: usize) -> u32 {
        self.place(offset).0
    }
}

/// The text with every character replaced that would not show, or would rule the terminal; byte for byte of the same
/// length, so that places stay right.
fn visible(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let stand_in = |c: char| match c.len_utf8() {
        1 => '?',
        2 => '¿',
        3 => '\u{fffd}',
        _ => '\u{1f6ab}',
    };
    text.chars().map(|c| if hidden(c) { stand_in(c) } else { c }).collect()
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name())
    }
}

/// One complaint or warning. Prints as one sentence; as a [`miette::Diagnostic`] it shows the line and the help.
#[derive(Debug, Clone)]
pub struct ConfigError(Box<Parts>);

/// A warning is a complaint of a lower severity.
pub type Diagnostic = ConfigError;

#[derive(Debug, Clone)]
struct Parts {
    severity: Severity,
    message: String,
    source: Option<Source>,
    span: Range<usize>,
    label: Option<String>,
    also: Option<(Range<usize>, String)>,
    help: Option<String>,
}

impl ConfigError {
    /// A complaint about a place in a file.
    pub(crate) fn at(source: &Source, span: Range<usize>, message: impl Into<String>) -> Self {
        // A span must lie in the text and cover something, or the renderer has nothing to point at.
        let end = span.end.min(source.text().len());
        let span = span.start.min(end)..end;
        Self::build(message.into(), Some(source.clone()), span)
    }

    /// A complaint about no place in particular, such as a file that is not there.
    pub(crate) fn general(message: impl Into<String>) -> Self {
        Self::build(message.into(), None, 0..0)
    }

    fn build(message: String, source: Option<Source>, span: Range<usize>) -> Self {
        let message = visible(&message);
        let parts = Parts { severity: Severity::Error, message, source, span, label: None, also: None, help: None };
        Self(Box::new(parts))
    }

    /// Adds the short text that stands under the marked place.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.0.label = Some(visible(&label.into()));
        self
    }

    /// Marks a second place in the same file.
    pub(crate) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.0.also = Some((span, visible(&label.into())));
        self
    }

    /// Adds what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(visible(&help.into()));
        self
    }

    /// Makes it a warning.
    pub fn warning(mut self) -> Self {
        self.0.severity = Severity::Warning;
        self
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The file, as people know it; none when the complaint is about no file that could be read.
    pub fn file(&self) -> Option<&str> {
        self.0.source.as_ref().map(Source::name)
    }

    /// Line and column, both from 1.
    pub fn place(&self) -> Option<(u32, u32)> {
        self.0.source.as_ref().map(|source| source.place(self.0.span.start))
    }

    /// True when it is only a warning.
    pub fn is_warning(&self) -> bool {
        self.0.severity == Severity::Warning
    }

    /// `file:line:column: message`, for logs and for one line of a list.
    pub fn one_line(&self) -> String {
        match (self.file(), self.place()) {
            (Some(file), Some((line, column))) => format!("{file}:{line}:{column}: {}", self.0.message),
            _ => self.0.message.clone(),
        }
    }

    /// Where it is, in bytes from the start of the file.
    pub(crate) fn offset(&self) -> usize {
        self.0.span.start
    }

    fn key(&self) -> (Option<&str>, usize, &str) {
        (self.file(), self.0.span.start, &self.0.message)
    }
}

/// Puts complaints into the order of the files, each once.
pub(crate) fn arrange(complaints: &mut Vec<ConfigError>, first: &str) {
    complaints.sort_by(|a, b| (a.file() != Some(first), a.key()).cmp(&(b.file() != Some(first), b.key())));
    complaints.dedup_by(|a, b| a.key() == b.key());
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ConfigError {}

impl miette::Diagnostic for ConfigError {
    fn severity(&self) -> Option<Severity> {
        Some(self.0.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source.as_ref().map(|source| &*source.shown as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.source.as_ref()?;
        let span = &self.0.span;
        let main = LabeledSpan::new_primary_with_span(self.0.label.clone(), (span.start, span.len()));
        let also = self.0.also.as_ref().map(|(span, label)| LabeledSpan::at(span.clone(), label.clone()));
        Some(Box::new(std::iter::once(main).chain(also)))
    }
}

/// Every complaint about a configuration, in the order of the files. Never empty.
#[derive(Debug, Clone)]
pub struct ConfigErrors {
    list: Vec<ConfigError>,
    subject: String,
}

impl ConfigErrors {
    pub(crate) fn new(mut list: Vec<ConfigError>, subject: &str) -> Self {
        arrange(&mut list, subject);
        Self { list, subject: subject.to_owned() }
    }

    /// The complaints.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.list.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, subject } = self;
        match list.as_slice() {
            [_] => write!(f, "{subject}: one mistake; nothing was read or changed"),
            _ => write!(f, "{subject}: {} mistakes; nothing was read or changed", list.len()),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl miette::Diagnostic for ConfigErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.list.iter().map(|complaint| complaint as &dyn miette::Diagnostic)))
    }
}
