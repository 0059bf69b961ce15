//! The expiration date has two masters: the validity, and the suspension. Which date to write for what was asked. Pure.

use lockstep_contract::Validity;

use super::work::Work;
use crate::clock::Clock;
use crate::convert::{Kept, Standing};

/// What is to be written; `None` is left as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dates {
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
    /// The text of `suspension_field`.
    pub(super) kept: Option<String>,
}

/// The dates of somebody after this work.
///
/// # Errors
/// When that would give more than was asked for, or more than is known to have been there.
pub(super) fn dates(clock: &Clock, now: &Standing, work: &Work<'_>) -> Result<Dates, &'static str> {
    if work.narrows && work.validity.is_some_and(|wanted| !wanted.within(&now.validity)) {
        return Err("the validity asked for is not within the one that there is");
    }
    let mut dates = Dates::default();
    let wanted = work.validity.unwrap_or(now.validity);
    if wanted.from != now.validity.from {
        dates.start = Some(clock.write_start(&wanted));
    }
    let off = work.suspend || (now.suspended && !work.reinstate);
    if off {
        suspended(clock, now, work, &wanted, &mut dates);
        return Ok(dates);
    }
    if now.suspended {
        if work.validity.is_none() && !matches!(now.kept, Kept::End(_)) {
            return Err("it is not known until when this person was valid before the suspension: set the end by hand");
        }
        dates.kept = (now.kept != Kept::Foreign).then(String::new);
    }
    if now.suspended || wanted.until != now.validity.until {
        dates.end = Some(clock.write_end(&wanted));
    }
    Ok(dates)
}

fn suspended(clock: &Clock, now: &Standing, work: &Work<'_>, wanted: &Validity, dates: &mut Dates) {
    if !now.suspended {
        dates.end = Some(clock.write_suspended());
    }
    // What somebody else keeps in that field is not overwritten. The end is then lost, and is not made up later.
    let ours = now.kept != Kept::Foreign;
    let known = !now.suspended || matches!(now.kept, Kept::End(_)) || work.validity.is_some();
    let changed = !now.suspended || wanted.until != now.validity.until;
    if ours && known && changed {
        dates.kept = Some(Kept::write(wanted.until));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::Date;
    use jiff::tz::TimeZone;

    use super::*;

    fn clock() -> Clock {
        Clock { zone: TimeZone::UTC, suspended: Date::constant(2000, 1, 1), open_end: None }
    }

    fn until(year: i16) -> Option<Timestamp> {
        Date::constant(year, 6, 1).to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp())
    }

    fn standing(suspended: bool, end: Option<Timestamp>, kept: Kept) -> Standing {
        Standing { suspended, validity: Validity { from: None, until: end }, kept }
    }

    #[test]
    fn a_suspension_keeps_the_end_and_lifting_it_brings_it_back() {
        let suspend = Work { suspend: true, ..Work::default() };
        let written = dates(&clock(), &standing(false, until(2031), Kept::Nothing), &suspend).expect("dates");
        assert_eq!(written.end.as_deref(), Some("2000-01-01 00:00"));
        let kept = Kept::read(&written.kept.expect("kept"));
        assert_eq!(kept, Kept::End(until(2031)));
        let lift = Work { reinstate: true, ..Work::default() };
        let back = dates(&clock(), &standing(true, until(2031), kept), &lift).expect("dates");
        assert_eq!((back.end.as_deref(), back.kept.as_deref()), (Some("2031-06-01 00:00"), Some("")));
        let open = dates(&clock(), &standing(true, None, Kept::End(None)), &lift).expect("dates");
        assert_eq!(open.end.as_deref(), Some(""));
    }

    #[test]
    fn a_second_suspension_does_not_forget_the_end_of_the_first() {
        let suspend = Work { suspend: true, ..Work::default() };
        let now = standing(true, until(2031), Kept::End(until(2031)));
        assert_eq!(dates(&clock(), &now, &suspend), Ok(Dates::default()));
    }

    #[test]
    fn a_validity_does_not_lift_a_suspension() {
        let now = standing(true, until(2031), Kept::End(until(2031)));
        let validity = Some(Validity { from: None, until: until(2033) });
        let written = dates(&clock(), &now, &Work { validity, ..Work::default() }).expect("dates");
        assert_eq!(written.end, None);
        assert_eq!(Kept::read(&written.kept.expect("kept")), Kept::End(until(2033)));
    }

    #[test]
    fn an_end_that_is_not_known_is_not_made_up() {
        let lift = Work { reinstate: true, ..Work::default() };
        for kept in [Kept::Nothing, Kept::Foreign] {
            let now = standing(true, until(2000), kept);
            assert!(dates(&clock(), &now, &lift).is_err(), "{kept:?}");
            let validity = Some(Validity { from: None, until: until(2031) });
            let given = dates(&clock(), &now, &Work { reinstate: true, validity, ..Work::default() }).expect("dates");
            assert_eq!(given.end.as_deref(), Some("2031-06-01 00:00"));
        }
        // Suspending goes before keeping somebody else's notes company.
        let suspend = Work { suspend: true, ..Work::default() };
        let written = dates(&clock(), &standing(false, None, Kept::Foreign), &suspend).expect("dates");
        assert_eq!((written.end.as_deref(), written.kept), (Some("2000-01-01 00:00"), None));
    }

    #[test]
    fn narrowing_never_widens() {
        let now = standing(false, until(2031), Kept::Nothing);
        let wider = Some(Validity { from: None, until: until(2033) });
        assert!(dates(&clock(), &now, &Work { validity: wider, narrows: true, ..Work::default() }).is_err());
        assert!(dates(&clock(), &now, &Work { validity: wider, ..Work::default() }).is_ok());
        let same = dates(&clock(), &now, &Work { validity: Some(now.validity), narrows: true, ..Work::default() });
        assert_eq!(same, Ok(Dates::default()));
    }
}
