//! The rhythm of a watch: how often it looks, when it reads everybody, how often it says that it is there.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Time;

use crate::table::{Report, Section};
use crate::value::Bounded;

/// Keys of `watch`.
pub(crate) const WATCH_KEYS: &[&str] = &["poll", "census", "heartbeat"];
const POLL: Bounded = Bounded { key: "poll", default: 5, min: 1, max: 3_600 };
const HEARTBEAT: Bounded = Bounded { key: "heartbeat", default: 60, min: 5, max: 3_600 };
const CENSUS: Duration = Duration::from_secs(3_600);
const CENSUS_MIN: Duration = Duration::from_secs(60);
const CENSUS_MAX: Duration = Duration::from_secs(7 * 86_400);

/// The rhythm of `sync --watch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchConfig {
    /// How often the directory is asked what changed.
    pub poll: Duration,
    /// When everybody is read.
    pub census: CensusWhen,
    /// How often the watch says that it is there.
    pub heartbeat: Duration,
}

/// When a watch reads everybody, besides whenever it has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CensusWhen {
    /// So long after the last one.
    Every(Duration),
    /// Every day at this time, by the clock of this machine.
    Daily(Time),
}

impl Default for WatchConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { poll: seconds(POLL.default), census: CensusWhen::Every(CENSUS), heartbeat: seconds(HEARTBEAT.default) }
    }
}

pub(crate) fn watch(whole: &Section<'_>, report: &mut Report) -> WatchConfig {
    let Some(table) = whole.table("watch", report) else { return WatchConfig::default() };
    table.refuse_unknown(WATCH_KEYS, report);
    WatchConfig {
        poll: POLL.read(&table, report),
        census: census(&table, report),
        heartbeat: HEARTBEAT.read(&table, report),
    }
}

fn census(table: &Section<'_>, report: &mut Report) -> CensusWhen {
    let usual = CensusWhen::Every(CENSUS);
    let Some(text) = table.text("census", report) else { return usual };
    if text.value.contains(':') {
        return text.value.parse().map_or_else(
            |_| {
                let message = format!("`census` is no time of day: `{}`", text.value);
                report.refuse(report.at(text.span.clone(), message).help("write a time such as \"02:15\""));
                usual
            },
            CensusWhen::Daily,
        );
    }
    let span = text.value.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    if let Some(span) = span.filter(|span| (CENSUS_MIN..=CENSUS_MAX).contains(span)) {
        return CensusWhen::Every(span);
    }
    let message = format!("`census` is neither a span from 1 minute to 168 hours nor a time of day: `{}`", text.value);
    report.refuse(report.at(text.span, message).help("write \"1h\" for every hour, or \"02:15\" for once a day"));
    usual
}
