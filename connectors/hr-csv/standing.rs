//! Whether somebody works here now, from a status and the dates that a file gives. Pure: the time is handed in. Nothing is
//! defaulted: a word that is not configured and a date that does not parse are *not known*.

use jiff::Timestamp;
use lockstep_contract::Standing;

use crate::config::{Config, StatusWords};
use crate::days::{Days, Sites};

/// The rules by which standing is read.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    words: StatusWords,
    formats: Vec<String>,
    sites: Sites,
    listed_means_active: bool,
}

/// The cells that say whether somebody works here; `None` where the file has no such column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cells<'a> {
    pub(crate) status: Option<&'a str>,
    pub(crate) start_date: Option<&'a str>,
    pub(crate) leave_date: Option<&'a str>,
    pub(crate) absent_from: Option<&'a str>,
    pub(crate) absent_to: Option<&'a str>,
    pub(crate) site: Option<&'a str>,
}

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Active,
    Away,
    Ended,
    Unclear,
}

/// From when on somebody is on leave, and until when, if that is known.
type Absence = (Timestamp, Option<Timestamp>);

/// What the file says about one person, for any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    said: Said,
    /// Without a status, there is something else by which this person is here.
    here: bool,
    /// Some cell does not say what it must, or they contradict each other.
    unclear: bool,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    absence: Option<Absence>,
}

impl Rules {
    pub(crate) fn new(config: &Config, sites: Sites) -> Self {
        Self {
            words: config.status.clone(),
            formats: config.date_formats.clone(),
            sites,
            listed_means_active: config.listed_means_active,
        }
    }

    /// What the cells of one person say.
    pub(crate) fn schedule(&self, cells: Cells<'_>) -> Schedule {
        let said = self.said(cells.status);
        // Without a status column, somebody with a last day to come, or without one, is here if the file can say so.
        let here = said == Said::Active || cells.leave_date.is_some() || self.listed_means_active;
        let nothing = Schedule { said, here, unclear: false, start: None, end: None, absence: None };
        self.dated(cells, nothing).unwrap_or(Schedule { unclear: true, ..nothing })
    }

    fn dated(&self, cells: Cells<'_>, nothing: Schedule) -> Option<Schedule> {
        let given = [cells.start_date, cells.leave_date, cells.absent_from, cells.absent_to];
        if given.into_iter().flatten().all(str::is_empty) {
            return Some(nothing);
        }
        let days = self.sites.of(cells.site)?;
        let on = |cell: Option<&str>, at: fn(&Days, jiff::civil::Date) -> Option<Timestamp>| match cell {
            None | Some("") => Some(None),
            Some(text) => at(days, self.day(text)?).map(Some),
        };
        let start = on(cells.start_date, Days::begin_of)?;
        let end = on(cells.leave_date, Days::end_of)?;
        let from = on(cells.absent_from, Days::begin_of_absence)?;
        let to = on(cells.absent_to, Days::end_of_absence)?;
        let absence = match (from, to) {
            (None, None) => None,
            (Some(from), to) if to.is_none_or(|to| from < to) => Some((from, to)),
            (None | Some(_), _) => return None,
        };
        // Somebody who left before the first day is a slip, or another employment: nobody can tell which.
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            return None;
        }
        Some(Schedule { start, end, absence, ..nothing })
    }

    fn said(&self, status: Option<&str>) -> Said {
        let Some(status) = status.map(str::trim) else { return Said::Nothing };
        let is = |words: &[String]| words.iter().any(|word| word.eq_ignore_ascii_case(status));
        match (is(&self.words.active), is(&self.words.away), is(&self.words.ended)) {
            (true, false, false) => Said::Active,
            (false, true, false) => Said::Away,
            (false, false, true) => Said::Ended,
            _ => Said::Unclear,
        }
    }

    fn day(&self, text: &str) -> Option<jiff::civil::Date> {
        self.formats.iter().find_map(|format| jiff::civil::Date::strptime(format, text.trim()).ok())
    }
}

impl Schedule {
    /// The standing at a time.
    ///
    /// The last day counts whole. An earlier last day outweighs a status that was not brought up to date; a status that
    /// says *ended* with a last day still to come is a contradiction.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        if self.unclear {
            return Standing::Unknown;
        }
        let ended = self.end.filter(|end| *end <= now);
        match (self.said, ended) {
            (Said::Nothing | Said::Active | Said::Away | Said::Ended, Some(end)) => {
                return Standing::Ended { since: Some(end) };
            }
            (Said::Ended, None) if self.end.is_none() => return Standing::Ended { since: None },
            (Said::Ended, None) | (Said::Unclear, Some(_)) => return Standing::Unknown,
            (Said::Nothing | Said::Active | Said::Away | Said::Unclear, None) => {}
        }
        if let Some(start) = self.start.filter(|start| now < *start) {
            return Standing::Away { until: Some(start) };
        }
        if let Some((_, until)) = self.absence.filter(|(from, to)| *from <= now && to.is_none_or(|to| now < to)) {
            return Standing::Away { until };
        }
        match self.said {
            Said::Away => Standing::Away { until: None },
            Said::Nothing | Said::Active if self.here => Standing::Active,
            Said::Nothing | Said::Active | Said::Ended | Said::Unclear => Standing::Unknown,
        }
    }

    /// The next time after this at which the standing may be another.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let (from, to) = self.absence.map_or((None, None), |(from, to)| (Some(from), to));
        [self.start, self.end, from, to].into_iter().flatten().filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(zone: &str) -> Rules {
        let mut config = crate::feed::tests::config();
        config.time_zone = Some(zone.to_owned());
        config.status.away = vec!["sabbatical".to_owned()];
        let sites = Sites::new(&config).expect("settings");
        Rules::new(&config, sites)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn standing(status: Option<&str>, leave: Option<&str>, now: &str) -> Standing {
        let cells = Cells { status, leave_date: leave, ..Cells::default() };
        rules("America/Los_Angeles").schedule(cells).standing(at(now))
    }

    #[test]
    fn a_last_day_is_whole_where_the_person_works() {
        let ended = Standing::Ended { since: Some(at("2026-12-01T08:00:00Z")) };
        assert_eq!(standing(Some("active"), Some("2026-11-30"), "2026-12-01T07:59:59Z"), Standing::Active);
        let after = "2026-12-01T08:00:00Z";
        assert_eq!(standing(Some("active"), Some("2026-11-30"), after), ended, "a status may lag behind");
        assert_eq!(standing(None, Some("2026-11-30"), after), ended);
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        for (status, leave, expected) in [
            (Some("ACTIVE"), None, Standing::Active),
            (Some("Left"), Some(""), Standing::Ended { since: None }),
            (Some(""), None, Standing::Unknown),
            (Some("on leave"), None, Standing::Unknown),
            (Some("on leave"), Some("2020-01-31"), Standing::Unknown),
            (Some("sabbatical"), None, Standing::Away { until: None }),
            (Some("left"), Some("2027-01-31"), Standing::Unknown),
            (Some("active"), Some("31.01.2027"), Standing::Unknown),
            (None, Some(""), Standing::Active),
            (None, None, Standing::Unknown),
        ] {
            assert_eq!(standing(status, leave, "2026-11-24T12:00:00Z"), expected, "{status:?} {leave:?}");
        }
    }

    #[test]
    fn nobody_is_here_before_the_first_day_nor_on_leave_and_both_come_back_by_themselves() {
        let rules = rules("Europe/Berlin");
        let joiner = Cells { status: Some("active"), start_date: Some("2026-12-01"), ..Cells::default() };
        let day_one = at("2026-11-30T23:00:00Z");
        let of_joiner = rules.schedule(joiner);
        assert_eq!(of_joiner.standing(at("2026-11-30T22:59:59Z")), Standing::Away { until: Some(day_one) });
        assert_eq!(of_joiner.standing(day_one), Standing::Active);
        assert_eq!(of_joiner.next_after(at("2026-11-01T00:00:00Z")), Some(day_one));

        let leave = Cells { absent_from: Some("2026-12-24"), absent_to: Some("2027-01-06"), ..joiner };
        let on_leave = rules.schedule(leave);
        let until = Some(at("2027-01-06T23:00:00Z"));
        assert_eq!(on_leave.standing(at("2026-12-23T22:59:59Z")), Standing::Active);
        assert_eq!(on_leave.standing(at("2026-12-23T23:00:00Z")), Standing::Away { until });
        assert_eq!(on_leave.standing(at("2027-01-06T23:00:00Z")), Standing::Active);
        let open = rules.schedule(Cells { absent_to: Some(""), ..leave });
        assert_eq!(open.standing(at("2030-01-01T00:00:00Z")), Standing::Away { until: None });
    }

    #[test]
    fn dates_that_contradict_each_other_say_nothing() {
        let rules = rules("Europe/Berlin");
        let active = Cells { status: Some("active"), ..Cells::default() };
        for cells in [
            Cells { start_date: Some("2026-12-01"), leave_date: Some("2026-11-30"), ..active },
            Cells { absent_from: Some("2026-12-02"), absent_to: Some("2026-11-30"), ..active },
            Cells { absent_to: Some("2026-11-30"), ..active },
            Cells { start_date: Some("2026-02-29"), ..active },
            Cells { start_date: Some("soon"), ..active },
        ] {
            assert_eq!(rules.schedule(cells).standing(at("2026-12-15T12:00:00Z")), Standing::Unknown, "{cells:?}");
        }
    }
}
