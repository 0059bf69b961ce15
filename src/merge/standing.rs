//! What several directories together say about whether somebody is here. Pure.

use jiff::Timestamp;
use lockstep_contract::Standing;

/// What two directories say together. The order does not matter.
///
/// What is positively read counts before what is not known, and an end before an absence: of two ends the earlier one,
/// of two absences the longer one.
pub(crate) fn together(one: Standing, other: Standing) -> Standing {
    use Standing::{Active, Away, Ended, Unconfirmed, Unknown};
    match (one, other) {
        (Ended { since }, Ended { since: also }) => Ended { since: earlier(since, also) },
        (ended @ Ended { .. }, _) | (_, ended @ Ended { .. }) => ended,
        (Away { until }, Away { until: also }) => Away { until: later(until, also) },
        (away @ Away { .. }, _) | (_, away @ Away { .. }) => away,
        (Unknown, _) | (_, Unknown) => Unknown,
        (Unconfirmed, _) | (_, Unconfirmed) => Unconfirmed,
        (Active, Active) => Active,
    }
}

/// An end without a date says nothing about when.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (known, None) | (None, known) => known,
    }
}

/// An absence without an end has none.
fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    Some(one?.max(other?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing() -> impl Strategy<Value = Standing> {
        let time = || proptest::option::of((0_i64..1_000).prop_map(|s| Timestamp::from_second(s).expect("time")));
        prop_oneof![
            Just(Standing::Active),
            Just(Standing::Unknown),
            Just(Standing::Unconfirmed),
            time().prop_map(|since| Standing::Ended { since }),
            time().prop_map(|until| Standing::Away { until }),
        ]
    }

    proptest! {
        #[test]
        fn neither_the_order_nor_the_grouping_of_directories_matters(
            a in standing(), b in standing(), c in standing()
        ) {
            prop_assert_eq!(together(a, b), together(b, a));
            prop_assert_eq!(together(together(a, b), c), together(a, together(b, c)));
            prop_assert_eq!(together(a, a), a);
            prop_assert_eq!(together(a, Standing::Active), a, "a directory that says active changes nothing");
        }

        #[test]
        fn only_who_is_active_everywhere_is_active(a in standing(), b in standing()) {
            let both = a == Standing::Active && b == Standing::Active;
            prop_assert_eq!(together(a, b) == Standing::Active, both);
        }

        #[test]
        fn the_earliest_leaving_wins(a in 0_i64..1_000, b in 0_i64..1_000) {
            let at = |s: i64| Some(Timestamp::from_second(s).expect("time"));
            let ended = |s: i64| Standing::Ended { since: at(s) };
            prop_assert_eq!(together(ended(a), ended(b)), ended(a.min(b)));
        }
    }
}
