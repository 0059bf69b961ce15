//! Whether somebody is still here, from the attributes that say so. Pure. Nothing is defaulted: an attribute that may be
//! there and cannot be read makes the standing unknown, never active.
//!
//! A lock after wrong passwords is no standing: anybody can cause it.

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::Standing;

use crate::config::State;
use crate::entry::Entry;

const SECONDS_FROM_1601_TO_1970: i64 = 11_644_473_600;

/// What one attribute, or one reading of it, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Nothing against.
    Fine,
    /// Left, and since when.
    Ended(Option<Timestamp>),
    /// Something that is not understood.
    Unclear,
}

/// The attributes that every account of Active Directory has.
pub(crate) const ALWAYS: [&str; 3] = ["userAccountControl", "accountExpires", "primaryGroupID"];
/// And what says more, where there is such a thing.
pub(crate) const ACTIVE_DIRECTORY: [&str; 4] = [ALWAYS[0], ALWAYS[1], ALWAYS[2], "msDS-UserAccountDisabled"];

/// The standing of an Active Directory account.
pub(crate) fn active_directory(entry: &Entry, now: Timestamp) -> Standing {
    let control = match entry.only_text("userAccountControl").map(str::parse::<i64>) {
        Some(Ok(bits)) if bits & 0x2 != 0 => Says::Ended(None),
        Some(Ok(_)) => Says::Fine,
        _ => Says::Unclear,
    };
    let expires = entry.only_text("accountExpires").map_or(End::Unclear, file_time).says(now);
    let readable = if entry.only("primaryGroupID").is_some() { Says::Fine } else { Says::Unclear };
    let disabled = match entry.only_text("msDS-UserAccountDisabled") {
        Some(text) if text.eq_ignore_ascii_case("TRUE") => Says::Ended(None),
        _ => Says::Fine,
    };
    judge([control, expires, readable, disabled])
}

/// When something ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    At(Timestamp),
    Unclear,
}

impl End {
    fn says(self, now: Timestamp) -> Says {
        match self {
            Self::At(at) if at <= now => Says::Ended(Some(at)),
            Self::At(_) | Self::Never => Says::Fine,
            Self::Unclear => Says::Unclear,
        }
    }
}

/// The next time at which an account ends by itself, if it has not yet and one is known.
pub(crate) fn next_end(
    entry: &Entry,
    active_directory: bool,
    attributes: &[StateAttribute],
    now: Timestamp,
) -> Option<Timestamp> {
    let ends = if active_directory {
        vec![entry.only_text("accountExpires").map_or(End::Unclear, file_time)]
    } else {
        let text = |attribute: &StateAttribute| entry.only_text(attribute.name).and_then(|text| attribute.end(text));
        attributes.iter().filter_map(text).collect()
    };
    let coming = ends.into_iter().filter_map(|end| if let End::At(at) = end { Some(at) } else { None });
    coming.filter(|at| *at > now).min()
}

/// `accountExpires`: tenths of microseconds since 1601, where 0 and the largest number mean never.
fn file_time(text: &str) -> End {
    match text.parse::<i64>() {
        Ok(0 | i64::MAX) => End::Never,
        Ok(ticks) if ticks < 0 => End::Unclear,
        // Beyond the year 9999 is never.
        Ok(ticks) => Timestamp::from_second(ticks / 10_000_000 - SECONDS_FROM_1601_TO_1970).map_or(End::Never, End::At),
        Err(_) => End::Unclear,
    }
}

/// A time as `accountExpires` would hold it.
pub(crate) fn to_file_time(at: Timestamp) -> i64 {
    at.as_second().saturating_add(SECONDS_FROM_1601_TO_1970).saturating_mul(10_000_000)
}

/// An attribute that says whether an account has ended, on servers that keep to the RFCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateAttribute {
    /// Its name.
    pub(crate) name: &'static str,
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Days since 1970.
    Days,
    /// `YYYYmmddHHMMSSZ`.
    Time,
    /// `TRUE` for an account that is switched off.
    Off,
    /// `active`, `inactive` or `deleted`.
    Word,
    /// A lock, which counts only when it is an administrator's.
    Lock,
}

/// All of them. Which a server has, its schema says.
pub(crate) const STATE_ATTRIBUTES: [StateAttribute; 8] = [
    StateAttribute { name: "shadowExpire", reading: Reading::Days },
    StateAttribute { name: "pwdEndTime", reading: Reading::Time },
    StateAttribute { name: "krbPrincipalExpiration", reading: Reading::Time },
    StateAttribute { name: "loginExpirationTime", reading: Reading::Time },
    StateAttribute { name: "nsAccountLock", reading: Reading::Off },
    StateAttribute { name: "loginDisabled", reading: Reading::Off },
    StateAttribute { name: "inetUserStatus", reading: Reading::Word },
    StateAttribute { name: "pwdAccountLockedTime", reading: Reading::Lock },
];

/// The standing of an account on a server that keeps to the RFCs. `absence_is_proven` tells whether every attribute
/// without a value is known to have none, as opposed to one that may not be read.
pub(crate) fn by_state_attributes(
    entry: &Entry,
    attributes: &[StateAttribute],
    state: Option<&State>,
    locked_is_ended: bool,
    absence_is_proven: bool,
    now: Timestamp,
) -> Standing {
    let server = attributes.iter().map(|attribute| match entry.values(attribute.name) {
        [] if absence_is_proven => Says::Fine,
        [] => Says::Unclear,
        _ => entry.only_text(attribute.name).map_or(Says::Unclear, |text| attribute.says(text, locked_is_ended, now)),
    });
    judge(server.chain(state.map(|state| by_list(entry, state))))
}

/// What a site's own attribute says.
fn by_list(entry: &Entry, state: &State) -> Says {
    let values = entry.values(&state.attribute);
    let listed = |list: &[String], value: &[u8]| list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(value));
    if values.iter().any(|value| listed(&state.ended, value)) {
        Says::Ended(None)
    } else if !values.is_empty() && values.iter().all(|value| listed(&state.active, value)) {
        Says::Fine
    } else {
        Says::Unclear
    }
}

impl StateAttribute {
    /// The time that an attribute of this kind holds; `None` when it is of another kind.
    fn end(self, text: &str) -> Option<End> {
        match self.reading {
            Reading::Days => Some(match text.parse::<i64>() {
                Ok(-1) => End::Never,
                // Some tools write 0 for never, some mean the first day of 1970.
                Ok(days) if days <= 0 => End::Unclear,
                Ok(days) => days
                    .checked_mul(86_400)
                    .and_then(|seconds| Timestamp::from_second(seconds).ok())
                    .map_or(End::Never, End::At),
                Err(_) => End::Unclear,
            }),
            Reading::Time => Some(generalized_time(text).map_or(End::Unclear, End::At)),
            Reading::Off | Reading::Word | Reading::Lock => None,
        }
    }

    fn says(self, text: &str, locked_is_ended: bool, now: Timestamp) -> Says {
        match self.reading {
            Reading::Days | Reading::Time => self.end(text).unwrap_or(End::Unclear).says(now),
            Reading::Off => match text.to_ascii_lowercase().as_str() {
                "true" => Says::Ended(None),
                "false" => Says::Fine,
                _ => Says::Unclear,
            },
            Reading::Word => match text.to_ascii_lowercase().as_str() {
                "active" => Says::Fine,
                "inactive" | "deleted" | "disabled" => Says::Ended(None),
                _ => Says::Unclear,
            },
            Reading::Lock => match text {
                "000001010000Z" | "00000101000000Z" if locked_is_ended => Says::Ended(None),
                "000001010000Z" | "00000101000000Z" => Says::Unclear,
                _ => Says::Fine,
            },
        }
    }
}

/// One reading of the end is enough; otherwise one unclear reading leaves everything open.
fn judge(readings: impl IntoIterator<Item = Says>) -> Standing {
    let mut ended: Option<Option<Timestamp>> = None;
    let mut unclear = false;
    for says in readings {
        match says {
            Says::Fine => {}
            Says::Unclear => unclear = true,
            Says::Ended(since) => {
                let before = ended.flatten();
                ended = Some(match (before, since) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                });
            }
        }
    }
    match ended {
        Some(since) => Standing::Ended { since },
        None if unclear => Standing::Unknown,
        None => Standing::Active,
    }
}

/// Generalized time (RFC 4517 3.3.13): `20251231235959Z`, minutes and seconds optional, with a fraction or an offset.
pub(crate) fn generalized_time(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !matches!(digits, 10 | 12 | 14) {
        return None;
    }
    let (date, rest) = text.split_at(digits);
    let number = |from: usize, to: usize| date.get(from..to).and_then(|part| part.parse::<i8>().ok());
    let year = date.get(..4)?.parse::<i16>().ok()?;
    let time = jiff::civil::DateTime::new(
        year,
        number(4, 6)?,
        number(6, 8)?,
        number(8, 10)?,
        if digits > 10 { number(10, 12)? } else { 0 },
        if digits > 12 { number(12, 14)?.min(59) } else { 0 },
        0,
    )
    .ok()?;
    let utc = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let zone = rest.trim_start_matches(['.', ',']).trim_start_matches(|c: char| c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        b"Z" => SignedDuration::ZERO,
        [sign @ (b'+' | b'-'), hours @ ..] if matches!(hours.len(), 2 | 4) => {
            let part = |range| std::str::from_utf8(hours.get(range)?).ok()?.parse::<i64>().ok();
            let minutes = part(0..2)? * 60 + if hours.len() == 4 { part(2..4)? } else { 0 };
            SignedDuration::from_mins(if *sign == b'+' { minutes } else { -minutes })
        }
        _ => return None,
    };
    utc.checked_sub(offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("time")
    }

    fn account(control: Option<&str>, expires: Option<&str>) -> Standing {
        let mut attributes: Vec<(&str, &[&[u8]])> = vec![("primaryGroupID", &[b"513"])];
        let (control, expires) = (control.map(|v| [v.as_bytes()]), expires.map(|v| [v.as_bytes()]));
        if let Some(value) = &control {
            attributes.push(("userAccountControl", value));
        }
        if let Some(value) = &expires {
            attributes.push(("accountExpires", value));
        }
        active_directory(&Entry::of("cn=a", &attributes), now())
    }

    const NEVER: &str = "9223372036854775807";
    const ENDED: Standing = Standing::Ended { since: None };

    #[test]
    fn bit_two_means_ended_whatever_the_other_bits() {
        for enabled in ["512", "544", "66048", "262656"] {
            assert_eq!(account(Some(enabled), Some(NEVER)), Standing::Active, "{enabled}");
        }
        for disabled in ["514", "546", "66050", "-2147483134"] {
            assert_eq!(account(Some(disabled), Some("0")), ENDED, "{disabled}");
        }
    }

    #[test]
    fn an_attribute_that_is_always_there_and_is_not_seen_is_hidden() {
        assert_eq!(account(None, Some(NEVER)), Standing::Unknown);
        assert_eq!(account(Some("512"), None), Standing::Unknown);
        assert_eq!(account(Some("x"), Some("0")), Standing::Unknown);
        let without_primary =
            Entry::of("cn=a", &[("userAccountControl", &[b"512"]), ("accountExpires", &[NEVER.as_bytes()])]);
        assert_eq!(active_directory(&without_primary, now()), Standing::Unknown);
    }

    #[test]
    fn expiry_is_compared_with_the_clock_and_both_spellings_of_never_are_never() {
        // 2020-01-01T00:00:00Z
        let past = Standing::Ended { since: "2020-01-01T00:00:00Z".parse().ok() };
        assert_eq!(account(Some("512"), Some("132223104000000000")), past);
        assert_eq!(account(None, Some("132223104000000000")), past, "a reading of the end is enough");
        assert_eq!(account(Some("512"), Some("9223372036854775806")), Standing::Active, "the far future");
        assert_eq!(account(Some("512"), Some("-1")), Standing::Unknown);
    }

    fn by(attributes: &[(&str, &[&[u8]])], proven: bool) -> Standing {
        by_state_attributes(&Entry::of("cn=a", attributes), &STATE_ATTRIBUTES, None, false, proven, now())
    }

    #[test]
    fn absence_counts_only_when_it_is_proven() {
        assert_eq!(by(&[], true), Standing::Active);
        assert_eq!(by(&[], false), Standing::Unknown);
        assert_eq!(by(&[("nsAccountLock", &[b"TRUE"])], false), ENDED);
    }

    #[test]
    fn each_attribute_in_its_own_words() {
        let ended_on = |text: &str| Standing::Ended { since: text.parse().ok() };
        for (name, value, standing) in [
            ("shadowExpire", "18262", ended_on("2020-01-01T00:00:00Z")),
            ("shadowExpire", "-1", Standing::Active),
            ("shadowExpire", "0", Standing::Unknown),
            ("shadowExpire", "99999", Standing::Active),
            ("krbPrincipalExpiration", "20200101000000Z", ended_on("2020-01-01T00:00:00Z")),
            ("krbPrincipalExpiration", "20990101000000Z", Standing::Active),
            ("krbPrincipalExpiration", "soon", Standing::Unknown),
            ("nsAccountLock", "true", ENDED),
            ("loginDisabled", "FALSE", Standing::Active),
            ("inetUserStatus", "Inactive", ENDED),
            ("pwdAccountLockedTime", "20251231000000Z", Standing::Active),
            ("pwdAccountLockedTime", "000001010000Z", Standing::Unknown),
        ] {
            assert_eq!(by(&[(name, &[value.as_bytes()])], true), standing, "{name}: {value}");
        }
    }

    #[test]
    fn a_value_in_no_list_is_unknown() {
        let state =
            State { attribute: "employeeType".into(), active: vec!["employee".into()], ended: vec!["left".into()] };
        let by = |values: &[&[u8]]| {
            let entry = Entry::of("cn=a", &[("employeeType", values)]);
            by_state_attributes(&entry, &[], Some(&state), false, true, now())
        };
        assert_eq!(by(&[b"Employee"]), Standing::Active);
        assert_eq!(by(&[b"employee", b"LEFT"]), ENDED);
        assert_eq!(by(&[b"employee", b"sabbatical"]), Standing::Unknown);
        assert_eq!(by(&[]), Standing::Unknown);
    }

    #[test]
    fn generalized_times() {
        for (text, time) in [
            ("20250102030405Z", Some("2025-01-02T03:04:05Z")),
            ("202501020304Z", Some("2025-01-02T03:04:00Z")),
            ("2025010203Z", Some("2025-01-02T03:00:00Z")),
            ("20250102030405.123Z", Some("2025-01-02T03:04:05Z")),
            ("20250102030405+0100", Some("2025-01-02T02:04:05Z")),
            ("20250102030405-01", Some("2025-01-02T04:04:05Z")),
            ("20250102030405", None),
            ("20251302030405Z", None),
            ("", None),
        ] {
            assert_eq!(generalized_time(text), time.map(|t| t.parse().expect("time")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(text in ".{0,30}") {
            let _ = generalized_time(&text);
            let _ = file_time(&text);
            for attribute in STATE_ATTRIBUTES {
                let _ = attribute.says(&text, true, now());
            }
        }
    }
}
