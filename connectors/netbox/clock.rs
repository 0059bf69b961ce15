//! Controller time: NBAPI takes dates as local time without an offset, to the minute, and sends them with one. This
//! module must not look at the clock of this machine.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, ToSpan as _};
use lockstep_contract::Validity;

/// How dates are written and read on one NetBox.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// The zone of the controller.
    pub(crate) zone: TimeZone,
    /// The expiration date of whoever is suspended.
    pub(crate) suspended: Date,
    /// The expiration date of whoever has no end, where it is not an empty one.
    pub(crate) open_end: Option<Date>,
}

/// An expiration date as it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// There is none.
    Open,
    /// The one that means "suspended".
    Suspended(Timestamp),
    /// That instant.
    At(Timestamp),
}

/// A text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoDate;

/// A night has no more than so many minutes twice.
const REPEATED_MINUTES_MAX: u32 = 24 * 60;

impl Clock {
    /// Reads an activation date; an empty one is none.
    pub(crate) fn start(&self, text: &str) -> Result<Option<Timestamp>, NoDate> {
        if text.is_empty() { Ok(None) } else { self.read(text).map(|(_, at)| Some(at)) }
    }

    /// Reads an expiration date.
    pub(crate) fn end(&self, text: &str) -> Result<End, NoDate> {
        if text.is_empty() {
            return Ok(End::Open);
        }
        let (local, at) = self.read(text)?;
        if self.open_end.is_some_and(|open| local.date() >= open) {
            Ok(End::Open)
        } else if local == self.suspended.to_datetime(Time::midnight()) {
            Ok(End::Suspended(at))
        } else {
            Ok(End::At(at))
        }
    }

    /// Whether a date that carries an offset carries that of the zone; `None` when it carries none.
    pub(crate) fn agrees(&self, text: &str) -> Option<bool> {
        let (local, offset) = split(text).ok()?;
        let at = offset?.to_timestamp(local).ok()?;
        Some(self.zone.to_datetime(at) == local)
    }

    fn read(&self, text: &str) -> Result<(DateTime, Timestamp), NoDate> {
        let (local, offset) = split(text)?;
        let at = match offset {
            Some(offset) => offset.to_timestamp(local),
            None => self.zone.to_timestamp(local),
        };
        at.map(|at| (local, at)).map_err(|_| NoDate)
    }

    /// The activation date of a validity, as it is sent.
    pub(crate) fn write_start(&self, validity: &Validity) -> String {
        validity.from.map_or_else(String::new, |from| {
            // Seconds cannot be written. Later is less.
            let up = from.checked_add(SignedDuration::from_secs(59)).unwrap_or(from);
            minutes(self.outside_repeated(self.zone.to_datetime(up), 1))
        })
    }

    /// The expiration date of a validity, as it is sent.
    pub(crate) fn write_end(&self, validity: &Validity) -> String {
        let Some(until) = validity.until else {
            return self.open_end.map_or_else(String::new, |open| minutes(open.to_datetime(Time::midnight())));
        };
        let local = self.outside_repeated(self.zone.to_datetime(until), -1);
        // Whoever ends exactly on the date of suspensions is not suspended by us: a minute less, and it shows.
        let taken = local == self.suspended.to_datetime(Time::midnight());
        minutes(if taken { local.saturating_sub(1.minute()) } else { local })
    }

    /// The expiration date of whoever is suspended, as it is sent.
    pub(crate) fn write_suspended(&self) -> String {
        minutes(self.suspended.to_datetime(Time::midnight()))
    }

    /// When clocks go back, an hour comes twice, and nobody can say which of the two a local time is. The next time
    /// outside of it, in the direction of less access.
    fn outside_repeated(&self, local: DateTime, minutes: i64) -> DateTime {
        let mut local = local.with().second(0).subsec_nanosecond(0).build().unwrap_or(local);
        for _ in 0..REPEATED_MINUTES_MAX {
            match self.zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Fold { .. } => local = local.saturating_add(minutes.minutes()),
                AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => break,
            }
        }
        local
    }
}

fn minutes(local: DateTime) -> String {
    local.strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-03-01`, `2026-03-01 08:00`, `2026-03-01 08:00:00`, with or without an offset in one of its usual forms behind
/// it.
fn split(text: &str) -> Result<(DateTime, Option<Offset>), NoDate> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10).ok_or(NoDate)?;
    let date: Date = date.parse().map_err(|_| NoDate)?;
    let rest = rest.strip_prefix('T').unwrap_or(rest).trim_start();
    let at = rest.find(['+', '-', 'Z']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(at);
    let time = match time.trim_end() {
        "" => Time::midnight(),
        time => Time::strptime("%H:%M:%S", time).or_else(|_| Time::strptime("%H:%M", time)).map_err(|_| NoDate)?,
    };
    Ok((date.to_datetime(time), offset_of(offset)?))
}

fn offset_of(text: &str) -> Result<Option<Offset>, NoDate> {
    let (sign, digits) = match text.split_at_checked(1) {
        None => return Ok(None),
        Some(("Z", "")) => return Ok(Some(Offset::UTC)),
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        Some(_) => return Err(NoDate),
    };
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoDate);
    }
    let number = |range: std::ops::Range<usize>| digits.get(range).map_or(Ok(0), str::parse::<i32>);
    let seconds = number(0..2).and_then(|hours| Ok(hours * 3600 + number(2..4)? * 60)).map_err(|_| NoDate)?;
    Offset::from_seconds(sign * seconds).map(Some).map_err(|_| NoDate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock(zone: &str) -> Clock {
        let zone = TimeZone::get(zone).expect("a zone");
        Clock { zone, suspended: Date::constant(2000, 1, 1), open_end: None }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn dates_are_read_with_and_without_an_offset() {
        let vienna = clock("Europe/Vienna");
        for (text, expect) in [
            ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-01-01 12:00", "2026-01-01T11:00:00Z"),
            ("2026-01-01", "2025-12-31T23:00:00Z"),
            ("2026-07-01 12:00:00 +0200", "2026-07-01T10:00:00Z"),
            ("2026-07-01 12:00:00+02:00", "2026-07-01T10:00:00Z"),
            ("2026-07-01T12:00:00-05", "2026-07-01T17:00:00Z"),
            ("2026-07-01 12:00:00Z", "2026-07-01T12:00:00Z"),
        ] {
            assert_eq!(vienna.start(text), Ok(Some(at(expect))), "{text}");
        }
        assert_eq!((vienna.start(""), vienna.end("")), (Ok(None), Ok(End::Open)));
        for wrong in
            ["soon", "2026-02-30", "2026-01-01 25:00", "01/02/2026", "2026-01-01 12:00 +2", "2026-01-01 12:00Zulu"]
        {
            assert_eq!(vienna.start(wrong), Err(NoDate), "{wrong}");
        }
    }

    #[test]
    fn an_offset_tells_the_two_hours_of_the_night_apart() {
        let vienna = clock("Europe/Vienna");
        assert_eq!(vienna.start("2027-10-31 02:30:00 +0200"), Ok(Some(at("2027-10-31T00:30:00Z"))));
        assert_eq!(vienna.start("2027-10-31 02:30:00 +0100"), Ok(Some(at("2027-10-31T01:30:00Z"))));
    }

    #[test]
    fn what_cannot_be_said_exactly_is_less_never_more() {
        let vienna = clock("Europe/Vienna");
        let night = Validity { from: Some(at("2027-10-31T00:30:00Z")), until: Some(at("2027-10-31T01:30:00Z")) };
        assert_eq!(vienna.write_start(&night), "2027-10-31 03:00", "after the hour that comes twice");
        assert_eq!(vienna.write_end(&night), "2027-10-31 01:59", "before the hour that comes twice");
        let seconds = Validity { from: Some(at("2026-01-01T11:00:01Z")), until: Some(at("2026-01-01T12:00:59Z")) };
        assert_eq!(
            (vienna.write_start(&seconds), vienna.write_end(&seconds)),
            ("2026-01-01 12:01".into(), "2026-01-01 13:00".into())
        );
    }

    #[test]
    fn the_date_of_suspensions_is_no_real_end() {
        let vienna = clock("Europe/Vienna");
        let on_it = Validity { from: None, until: Some(at("1999-12-31T23:00:00Z")) };
        assert_eq!(vienna.write_end(&on_it), "1999-12-31 23:59");
        assert!(matches!(vienna.end(&vienna.write_suspended()), Ok(End::Suspended(_))));
        assert!(matches!(vienna.end("2000-01-01 00:00:00 +0100"), Ok(End::Suspended(_))));
        assert!(matches!(vienna.end("2000-01-01 00:01"), Ok(End::At(_))));
    }

    #[test]
    fn a_day_far_away_can_stand_for_no_end() {
        let far = Clock { open_end: Some(Date::constant(2099, 12, 31)), ..clock("Europe/Vienna") };
        assert_eq!(far.write_end(&Validity::ALWAYS), "2099-12-31 00:00");
        assert_eq!(far.end("2099-12-31 23:59:59"), Ok(End::Open));
        assert!(matches!(far.end("2099-12-30 00:00"), Ok(End::At(_))));
    }

    #[test]
    fn a_wrong_zone_shows() {
        let vienna = clock("Europe/Vienna");
        assert_eq!(vienna.agrees("2026-07-01 12:00:00 +0200"), Some(true));
        assert_eq!(vienna.agrees("2026-07-01 12:00:00 -0400"), Some(false));
        assert_eq!(vienna.agrees("2026-07-01 12:00:00"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_is_written_reads_as_the_same_or_as_less(
            from in 1_500_000_000_i64..2_500_000_000,
            until in 1_500_000_000_i64..2_500_000_000,
            zone in prop::sample::select(vec![
                "Europe/Vienna", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham",
            ]),
        ) {
            let clock = clock(zone);
            let second = |n| Timestamp::from_second(n).ok();
            let validity = Validity { from: second(from), until: second(until) };
            let start = clock.start(&clock.write_start(&validity)).expect("a date");
            let Ok(End::At(end)) = clock.end(&clock.write_end(&validity)) else { panic!("an end") };
            let read = Validity { from: start, until: Some(end) };
            prop_assert!(read.within(&validity), "{validity:?} became {read:?}");
            // No more than a repeated hour and a minute is lost.
            let lost = until - end.as_second();
            prop_assert!((0..=2 * 3600 + 60).contains(&lost), "{lost}");
            let lost = start.expect("a start").as_second() - from;
            prop_assert!((0..=2 * 3600 + 60).contains(&lost), "{lost}");
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,32}") {
            let _ = clock("Europe/Vienna").end(&text);
        }
    }
}
