//! Whether somebody still works here, from a status and a last day. Pure: the time is handed in. Nothing is defaulted:
//! a word that is not configured and a date that does not parse are *not known*.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lockstep_contract::Standing;

use crate::config::{Config, StatusWords};

/// The rules by which standing is read.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    words: StatusWords,
    formats: Vec<String>,
    zone: TimeZone,
    listed_means_active: bool,
    now: Timestamp,
}

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Active,
    Ended,
    Unclear,
}

impl Rules {
    pub(crate) fn new(config: &Config, zone: TimeZone, now: Timestamp) -> Self {
        Self {
            words: config.status.clone(),
            formats: config.date_formats.clone(),
            zone,
            listed_means_active: config.listed_means_active,
            now,
        }
    }

    /// The standing of a person, from the two cells; `None` where the file has no such column.
    ///
    /// The last day counts whole. An earlier last day outweighs a status that was not brought up to date; a status that
    /// says *ended* with a last day still to come is a contradiction.
    pub(crate) fn standing(&self, status: Option<&str>, leave_date: Option<&str>) -> Standing {
        let said = self.said(status);
        let end = match leave_date {
            None | Some("") => None,
            Some(text) => match self.end_of(text) {
                Some(end) => Some(end),
                None => return Standing::Unknown,
            },
        };
        // Without a status column, somebody with a last day to come, or without one, is here if the file can say so.
        let here = said == Said::Active || leave_date.is_some() || self.listed_means_active;
        match (said, end) {
            (Said::Nothing | Said::Active | Said::Ended, Some(end)) if end <= self.now => {
                Standing::Ended { since: Some(end) }
            }
            (Said::Ended, None) => Standing::Ended { since: None },
            (Said::Nothing | Said::Active, _) if here => Standing::Active,
            (Said::Nothing | Said::Active | Said::Ended | Said::Unclear, _) => Standing::Unknown,
        }
    }

    fn said(&self, status: Option<&str>) -> Said {
        let Some(status) = status.map(str::trim) else { return Said::Nothing };
        let is = |words: &[String]| words.iter().any(|word| word.eq_ignore_ascii_case(status));
        match (is(&self.words.active), is(&self.words.ended)) {
            (true, false) => Said::Active,
            (false, true) => Said::Ended,
            _ => Said::Unclear,
        }
    }

    /// The instant at which that day is over.
    fn end_of(&self, text: &str) -> Option<Timestamp> {
        let day = self.formats.iter().find_map(|format| Date::strptime(format, text.trim()).ok())?;
        // The start of the next day, which is not always midnight.
        Some(day.tomorrow().ok()?.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(now: &str) -> Rules {
        let config = crate::feed::tests::config();
        let zone = TimeZone::get("America/Los_Angeles").expect("a zone");
        Rules::new(&config, zone, now.parse().expect("a time"))
    }

    #[test]
    fn a_last_day_is_whole_where_the_person_works() {
        let ended = Standing::Ended { since: Some("2026-12-01T08:00:00Z".parse().expect("a time")) };
        let before = rules("2026-12-01T07:59:59Z");
        assert_eq!(before.standing(Some("active"), Some("2026-11-30")), Standing::Active);
        let after = rules("2026-12-01T08:00:00Z");
        assert_eq!(after.standing(Some("active"), Some("2026-11-30")), ended, "a status may lag behind");
        assert_eq!(after.standing(None, Some("2026-11-30")), ended);
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let rules = rules("2026-11-24T12:00:00Z");
        for (status, leave, expected) in [
            (Some("ACTIVE"), None, Standing::Active),
            (Some("Left"), Some(""), Standing::Ended { since: None }),
            (Some(""), None, Standing::Unknown),
            (Some("on leave"), None, Standing::Unknown),
            (Some("left"), Some("2027-01-31"), Standing::Unknown),
            (Some("active"), Some("31.01.2027"), Standing::Unknown),
            (None, Some(""), Standing::Active),
            (None, None, Standing::Unknown),
        ] {
            assert_eq!(rules.standing(status, leave), expected, "{status:?} {leave:?}");
        }
    }
}
