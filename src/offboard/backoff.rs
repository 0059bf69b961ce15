//! How long to wait before a PACS that did not answer is asked again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(15);

/// One second, and each wait twice the one before.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    /// The next wait; longer when the PACS asked for that, up to the longest of ours.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.0;
        self.0 = (own * 2).min(MOST);
        own.max(asked.unwrap_or_default().min(MOST))
    }
}
