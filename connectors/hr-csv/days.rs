//! When a day begins and ends at a site: its time zone and its cut-over hours. Pure. A day is a date of a calendar, never
//! twenty-four hours: clocks are put forward and back, and a last day is whole in any case.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::config::{Config, Site};
use crate::source::Complaint;

/// The earliest cut-over: before noon, a last day would not even be half.
const CUT_OVER_MIN: i16 = 12 * 60;
/// The latest: noon of the day after.
const CUT_OVER_MAX: i16 = 36 * 60;

/// The days of one site.
#[derive(Debug, Clone)]
pub(crate) struct Days {
    zone: TimeZone,
    /// Minutes after midnight at which a first day begins.
    begins: i16,
    /// Minutes after midnight at which a last day is over; more than a day has means the next morning.
    ends: i16,
}

/// The days of all sites.
#[derive(Debug, Clone)]
pub(crate) struct Sites {
    /// Where no other is named. `None`: days end at an unknown time there.
    default: Option<Days>,
    named: BTreeMap<String, Days>,
}

impl Sites {
    /// Checks the settings.
    ///
    /// # Errors
    /// When a time zone does not exist, or an hour is none.
    pub(crate) fn new(config: &Config) -> Result<Self, Complaint> {
        let default = match &config.time_zone {
            None => None,
            Some(zone) => Some(days("time_zone", zone, config.day_begins.as_deref(), config.cut_over.as_deref())?),
        };
        let mut named = BTreeMap::new();
        for (name, Site { time_zone, day_begins, cut_over }) in &config.sites {
            let zone = time_zone.as_ref().or(config.time_zone.as_ref()).ok_or_else(|| {
                Complaint::broken(format!("`sites.{name}` has no `time_zone`, and there is none for all"))
            })?;
            let begins = day_begins.as_ref().or(config.day_begins.as_ref());
            let ends = cut_over.as_ref().or(config.cut_over.as_ref());
            let of_site = days(&format!("sites.{name}"), zone, begins.map(String::as_str), ends.map(String::as_str))?;
            named.insert(name.trim().to_lowercase(), of_site);
        }
        Ok(Self { default, named })
    }

    /// The days of a site. One that is not configured has those of all; `None` when it is not known when they end.
    pub(crate) fn of(&self, site: Option<&str>) -> Option<&Days> {
        site.and_then(|site| self.named.get(&site.trim().to_lowercase())).or(self.default.as_ref())
    }
}

fn days(key: &str, zone: &str, begins: Option<&str>, ends: Option<&str>) -> Result<Days, Complaint> {
    let zone = TimeZone::get(zone).map_err(|_| {
        let message = format!("`{key}`: there is no time zone `{zone}`");
        Complaint::broken(message).with_help("use a name such as `Europe/Berlin` or `UTC`")
    })?;
    let begins = minutes("day_begins", begins.unwrap_or("00:00"), 0, CUT_OVER_MIN)?;
    let ends = minutes("cut_over", ends.unwrap_or("24:00"), CUT_OVER_MIN, CUT_OVER_MAX)?;
    Ok(Days { zone, begins, ends })
}

/// `HH:MM`, where hours from 24 on are those of the next day.
fn minutes(key: &str, text: &str, least: i16, most: i16) -> Result<i16, Complaint> {
    let parts = text.split_once(':').and_then(|(hours, minutes)| {
        let two = |text: &str| (text.len() == 2).then(|| text.parse::<i16>().ok()).flatten();
        Some((two(hours)?, two(minutes).filter(|minutes| (0..60).contains(minutes))?))
    });
    let found = parts.map(|(hours, minutes)| hours * 60 + minutes).filter(|found| (least..=most).contains(found));
    found.ok_or_else(|| {
        let shown = |minutes: i16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let message = format!("`{key}` must be between {} and {}, and is `{text}`", shown(least), shown(most));
        Complaint::broken(message)
            .with_help("write \"24:00\" for the end of the day, and \"30:00\" for 6 the morning after")
    })
}

impl Days {
    /// The first moment of a first day.
    pub(crate) fn begin_of(&self, day: Date) -> Option<Timestamp> {
        let at = at_minute(day, self.begins)?;
        // An hour that is skipped begins when the clock goes on; one that comes twice, the first time.
        Some(self.zone.to_ambiguous_zoned(at).compatible().ok()?.timestamp())
    }

    /// The moment at which a last day is over.
    pub(crate) fn end_of(&self, day: Date) -> Option<Timestamp> {
        let at = at_minute(day, self.ends)?;
        // A last day is whole: of an hour that comes twice, the second time counts.
        Some(self.zone.to_ambiguous_zoned(at).later().ok()?.timestamp())
    }

    /// The moment at which a leave begins: the day before is over.
    pub(crate) fn begin_of_absence(&self, first: Date) -> Option<Timestamp> {
        self.end_of(first.yesterday().ok()?)
    }

    /// The moment at which a leave is over: the day after its last one begins.
    pub(crate) fn end_of_absence(&self, last: Date) -> Option<Timestamp> {
        self.begin_of(last.tomorrow().ok()?)
    }
}

fn at_minute(day: Date, minutes: i16) -> Option<jiff::civil::DateTime> {
    let day = day.checked_add(i32::from(minutes / (24 * 60)).days()).ok()?;
    let minutes = minutes % (24 * 60);
    Some(day.to_datetime(Time::new((minutes / 60) as i8, (minutes % 60) as i8, 0, 0).ok()?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn sites(edit: impl FnOnce(&mut Config)) -> Result<Sites, Complaint> {
        let mut config = crate::feed::tests::config();
        config.time_zone = Some("Europe/Berlin".to_owned());
        edit(&mut config);
        Sites::new(&config)
    }

    fn days(zone: &str, cut_over: Option<&str>) -> Days {
        let sites = sites(|config| {
            config.time_zone = Some(zone.to_owned());
            config.cut_over = cut_over.map(str::to_owned);
        });
        sites.expect("settings").of(None).expect("a default").clone()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_last_day_is_over_at_the_cut_over_of_the_site_in_summer_and_in_winter() {
        for (zone, cut_over, day, over) in [
            ("Europe/Berlin", None, date(2026, 11, 25), "2026-11-25T23:00:00Z"),
            ("Europe/Berlin", Some("18:00"), date(2026, 11, 25), "2026-11-25T17:00:00Z"),
            ("Europe/Berlin", Some("30:00"), date(2026, 11, 25), "2026-11-26T05:00:00Z"),
            // The nights in which clocks are put forward and back.
            ("Europe/Berlin", None, date(2026, 3, 29), "2026-03-29T22:00:00Z"),
            ("Europe/Berlin", None, date(2026, 10, 25), "2026-10-25T23:00:00Z"),
            ("Europe/Berlin", Some("26:30"), date(2026, 3, 28), "2026-03-29T01:30:00Z"),
            ("Europe/Berlin", Some("26:30"), date(2026, 10, 24), "2026-10-25T01:30:00Z"),
            // Midnight itself is skipped, and comes twice.
            ("America/Havana", None, date(2026, 3, 7), "2026-03-08T05:00:00Z"),
            ("America/Havana", None, date(2026, 10, 31), "2026-11-01T05:00:00Z"),
            // A leap day, and a day that the calendar of the place never had.
            ("Asia/Kathmandu", None, date(2028, 2, 29), "2028-02-29T18:15:00Z"),
            ("Pacific/Apia", None, date(2011, 12, 29), "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(days(zone, cut_over).end_of(day), Some(at(over)), "{zone} {cut_over:?} {day}");
        }
    }

    #[test]
    fn a_site_has_its_own_days_and_others_those_of_all() {
        let sites = sites(|config| {
            let leeds = Site { time_zone: Some("Europe/London".to_owned()), ..Site::default() };
            config.sites.insert("Leeds".to_owned(), Site { cut_over: Some("19:30".to_owned()), ..leeds });
        });
        let sites = sites.expect("settings");
        let end = |site| sites.of(site).and_then(|days| days.end_of(date(2026, 11, 25)));
        assert_eq!(end(Some(" leeds ")), Some(at("2026-11-25T19:30:00Z")));
        assert_eq!((end(Some("Bonn")), end(None)), (Some(at("2026-11-25T23:00:00Z")), end(Some(""))));
    }

    #[test]
    fn hours_that_would_take_a_last_day_away_are_refused_with_what_to_write() {
        for hour in ["00:00", "06:00", "36:01", "24", "24:60", "-1:00", "+9:00", "noon"] {
            let refused = sites(|config| config.cut_over = Some(hour.to_owned())).expect_err(hour);
            assert!(refused.help.is_some_and(|help| help.contains("24:00")), "{hour}");
        }
        assert!(sites(|config| config.day_begins = Some("13:00".to_owned())).is_err());
        assert!(sites(|config| config.time_zone = Some("Europe/Nowhere".to_owned())).is_err());
    }

    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/Havana",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "Asia/Kathmandu",
    ];

    fn day() -> impl Strategy<Value = Date> {
        (0_i32..40_000).prop_map(|days| date(1995, 1, 1).checked_add(days.days()).expect("a date"))
    }

    proptest! {
        #[test]
        fn a_last_day_holds_every_moment_of_it(zone in 0_usize..8, day in day(), second in 0_i32..86_400) {
            let days = days(ZONES[zone], None);
            let time = Time::midnight().wrapping_add(second.seconds());
            let moments = days.zone.to_ambiguous_zoned(day.to_datetime(time));
            let (first, last) = (moments.clone().earlier().expect("a time"), moments.later().expect("a time"));
            let end = days.end_of(day).expect("an end");
            for moment in [first, last].into_iter().filter(|moment| moment.date() == day) {
                prop_assert!(moment.timestamp() < end, "{moment} is on the last day, which ends at {end}");
            }
        }

        #[test]
        fn no_first_day_begins_on_the_day_before(zone in 0_usize..8, day in day()) {
            let days = days(ZONES[zone], None);
            let begin = days.begin_of(day).expect("a beginning").to_zoned(days.zone.clone());
            prop_assert!(begin.date() >= day, "{begin} is before {day}");
        }

        #[test]
        fn days_end_in_the_order_of_the_calendar(zone in 0_usize..8, day in day(), cut in 12_i16..=36) {
            let days = days(ZONES[zone], Some(&format!("{cut:02}:00")));
            let next = day.tomorrow().expect("a day");
            prop_assert!(days.end_of(day) <= days.end_of(next));
            prop_assert!(days.begin_of(day) <= days.end_of(day), "the first day and the last may be one");
        }

        #[test]
        fn who_comes_back_the_day_after_a_last_day_of_leave_never_comes_back_on_it(zone in 0_usize..8, day in day()) {
            let days = days(ZONES[zone], None);
            prop_assert!(days.end_of_absence(day) >= days.begin_of_absence(day));
            prop_assert_eq!(days.end_of_absence(day), days.begin_of(day.tomorrow().expect("a day")));
        }
    }
}
