//! Instants into the dates of a profile and back. Pure. A date that would come back as another instant is not written.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How a profile writes dates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dates {
    /// The form, in the letters of `strftime`. Years have four digits.
    pub format: String,
    /// The time zone: `UTC`, `Europe/Berlin`.
    pub zone: String,
    /// Whether the end that is written still counts: the last day, or the last second.
    pub end_inclusive: bool,
    /// What stands for no bound.
    pub open: String,
}

impl Default for Dates {
    fn default() -> Self {
        Self { format: "%Y-%m-%dT%H:%M:%SZ".into(), zone: "UTC".into(), end_inclusive: false, open: String::new() }
    }
}

/// Which bound of a validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    From,
    Until,
}

impl Dates {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.format.contains("%y") {
            return Err("`dates.format`: a year of two digits may be another century; use %Y".to_owned());
        }
        if !["%Y", "%m", "%d"].iter().all(|part| self.format.contains(part)) {
            return Err("`dates.format` needs %Y, %m and %d".to_owned());
        }
        self.zone().map(drop)
    }

    /// True when the form has seconds, so that any instant can be said in it.
    pub(crate) fn has_time(&self) -> bool {
        ["%H", "%M", "%S"].iter().all(|part| self.format.contains(part))
    }

    fn zone(&self) -> Result<TimeZone, String> {
        TimeZone::get(&self.zone).map_err(|_| format!("`dates.zone`: `{}` is no time zone", self.zone))
    }

    /// By how much an inclusive end lies before the exclusive one.
    fn inclusive_by(&self, bound: Bound) -> SignedDuration {
        match bound {
            Bound::Until if self.end_inclusive && self.has_time() => SignedDuration::from_secs(1),
            Bound::Until | Bound::From => SignedDuration::ZERO,
        }
    }

    /// Writes a bound.
    ///
    /// # Errors
    /// When the form cannot say it, for people.
    pub(crate) fn write(&self, at: Option<Timestamp>, bound: Bound) -> Result<String, String> {
        let Some(at) = at else { return Ok(self.open.clone()) };
        let cannot = || format!("{at} cannot be said as `{}` in {}", self.format, self.zone);
        let local = (at - self.inclusive_by(bound)).to_zoned(self.zone()?);
        let local = match bound {
            Bound::Until if self.end_inclusive && !self.has_time() => local.yesterday().map_err(|_| cannot())?,
            Bound::Until | Bound::From => local,
        };
        let text = BrokenDownTime::from(&local).to_string(&self.format).map_err(|_| cannot())?;
        match self.read(&text, bound) {
            Ok(back) if back == Some(at) => Ok(text),
            _ => Err(cannot()),
        }
    }

    /// Reads a bound.
    ///
    /// # Errors
    /// When it is no such date, for people.
    pub(crate) fn read(&self, text: &str, bound: Bound) -> Result<Option<Timestamp>, String> {
        if text == self.open || text.is_empty() {
            return Ok(None);
        }
        let bad = || format!("`{}` is no date of the form `{}`", text.escape_debug(), self.format);
        let parts = BrokenDownTime::parse(&self.format, text).map_err(|_| bad())?;
        let date = parts.to_date().map_err(|_| bad())?;
        let civil: DateTime = if self.has_time() { parts.to_datetime().map_err(|_| bad())? } else { date.into() };
        let civil = match bound {
            Bound::Until if self.end_inclusive && !self.has_time() => civil.tomorrow().map_err(|_| bad())?,
            Bound::Until | Bound::From => civil,
        };
        let at = civil.to_zoned(self.zone()?).map_err(|_| bad())?.timestamp();
        Ok(Some(at + self.inclusive_by(bound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn dates(format: &str, zone: &str, end_inclusive: bool) -> Dates {
        Dates { format: format.into(), zone: zone.into(), end_inclusive, open: String::new() }
    }

    #[test]
    fn each_form_says_what_it_means() {
        for (dates, bound, instant, text) in [
            (dates("%Y-%m-%dT%H:%M:%SZ", "UTC", false), Bound::Until, "2027-10-31T01:30:00Z", "2027-10-31T01:30:00Z"),
            (dates("%d.%m.%Y", "Europe/Berlin", true), Bound::Until, "2027-10-31T23:00:00Z", "31.10.2027"),
            (dates("%d.%m.%Y", "Europe/Berlin", true), Bound::From, "2027-10-30T22:00:00Z", "31.10.2027"),
            (dates("%d.%m.%Y", "Europe/Berlin", false), Bound::Until, "2027-10-30T22:00:00Z", "31.10.2027"),
            (
                dates("%m/%d/%Y %H:%M:%S", "America/New_York", true),
                Bound::Until,
                "2027-07-01T04:00:00Z",
                "06/30/2027 23:59:59",
            ),
            (dates("%Y%m%d", "UTC", true), Bound::Until, "2028-03-01T00:00:00Z", "20280229"),
        ] {
            assert_eq!(dates.write(Some(at(instant)), bound).as_deref(), Ok(text));
            assert_eq!(dates.read(text, bound), Ok(Some(at(instant))));
        }
    }

    #[test]
    fn what_cannot_come_back_is_not_written() {
        let days = dates("%d.%m.%Y", "Europe/Berlin", true);
        assert!(days.write(Some(at("2027-06-30T12:00:00Z")), Bound::Until).is_err(), "not a whole day");
        let local = dates("%Y-%m-%d %H:%M:%S", "Europe/Berlin", false);
        assert!(local.write(Some(at("2027-10-31T01:30:00Z")), Bound::Until).is_err(), "the second 02:30 of that night");
        assert!(local.write(Some(at("2027-10-31T00:30:00Z")), Bound::Until).is_ok(), "the first one");
        assert!(local.write(Some(at("2027-06-30T12:00:00.5Z")), Bound::From).is_err(), "half a second");
        assert!(days.read("31.02.2027", Bound::From).is_err());
        assert!(days.read("2027-10-31", Bound::From).is_err());
        assert_eq!(days.read("", Bound::Until), Ok(None));
    }

    #[test]
    fn two_digits_are_no_year() {
        assert!(dates("%d.%m.%y", "UTC", false).check().is_err());
        assert!(dates("%Y-%m-%d", "Mars/Olympus", false).check().is_err());
        assert!(dates("%Y-%m", "UTC", false).check().is_err());
    }
}
