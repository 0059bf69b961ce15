//! When what is due: the daily or hourly census, and the look at whether the configuration is still the same. No I/O but
//! on the files of the configuration.

use std::path::PathBuf;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lockstep_config::CensusWhen;

use super::event::Teller;
use crate::cli::context::Context;
use crate::exit::Failure;

/// Why a census is made when it is its time.
pub(super) const TIME: &str = "it is time for it";

/// Whether everybody is to be read by the clock.
pub(super) fn census_is_due(when: CensusWhen, last: Option<Timestamp>, now: Timestamp) -> bool {
    let Some(last) = last else { return true };
    match when {
        CensusWhen::Every(span) => {
            // A clock that went back must not put it off.
            now.duration_since(last).abs() >= SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
        }
        CensusWhen::Daily(time) => {
            let here = now.to_zoned(TimeZone::system());
            let Ok(today) = here.date().to_datetime(time).to_zoned(TimeZone::system()) else { return false };
            let due = if today.timestamp() <= now {
                today.timestamp()
            } else {
                today.timestamp().saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)
            };
            last < due || last > now
        }
    }
}

/// A number between 0 and 1 that is not the same on every machine, and need not be more than that.
pub(super) fn jitter() -> f64 {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    f64::from(nanos.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24)
}

/// The files of the configuration, as they were.
pub(super) struct Files(Vec<(PathBuf, Option<(u64, SystemTime)>)>);

impl Files {
    pub(super) fn of(context: &Context) -> Self {
        let mappings = context.config.targets.iter().map(|target| target.mapping.clone());
        let files = std::iter::once(context.config.path.clone()).chain(mappings);
        Self(files.map(|path| (path.clone(), stamp(&path))).collect())
    }

    pub(super) fn changed(&self) -> bool {
        self.0.iter().any(|(path, before)| stamp(path) != *before)
    }
}

fn stamp(path: &std::path::Path) -> Option<(u64, SystemTime)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}

/// Whether the configuration on disk can be used. One that cannot is told, and the old one stays: whoever leaves meanwhile
/// goes out all the same.
pub(super) fn reads_well(context: &Context, teller: &mut Teller) -> Result<bool, Failure> {
    match lockstep_config::load(&context.config.path) {
        Ok(_) => Ok(true),
        Err(errors) => {
            let what = format!("the configuration changed and cannot be used; the old one stays in force: {errors}");
            teller.once(&what)?;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_census_is_due_when_the_last_one_is_old_enough_and_when_there_was_none() {
        let hourly = CensusWhen::Every(Duration::from_secs(3_600));
        let now = at("2026-11-25T12:00:00Z");
        assert!(census_is_due(hourly, None, now));
        assert!(!census_is_due(hourly, Some(at("2026-11-25T11:00:01Z")), now));
        assert!(census_is_due(hourly, Some(at("2026-11-25T11:00:00Z")), now));
        assert!(census_is_due(hourly, Some(at("2026-11-25T14:00:00Z")), now), "the clock went back");
    }

    #[test]
    fn a_daily_census_is_due_once_after_its_time() {
        let zone = TimeZone::system();
        let local = |text: &str| {
            let civil: jiff::civil::DateTime = text.parse().expect("a time");
            civil.to_zoned(zone.clone()).expect("exists").timestamp()
        };
        let daily = CensusWhen::Daily("02:15".parse().expect("a time"));
        assert!(!census_is_due(daily, Some(local("2026-11-24T02:16")), local("2026-11-25T02:14")));
        assert!(census_is_due(daily, Some(local("2026-11-24T02:16")), local("2026-11-25T02:15")));
        assert!(!census_is_due(daily, Some(local("2026-11-25T02:15:01")), local("2026-11-25T23:59")));
        assert!(census_is_due(daily, Some(local("2026-11-23T02:16")), local("2026-11-25T01:00")), "a day was missed");
    }
}
