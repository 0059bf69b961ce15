//! Dates go out in controller time, to the minute.

use jiff::civil::date;
use lockstep_contract::{CheckOutcome, Step, TargetReader as _, Validity};

use crate::common::{Site, cx, seeded};

#[tokio::test]
async fn dates_are_written_in_controller_time_and_read_with_their_offset() {
    for colon in [false, true] {
        let site = Site::prepared(|sim| sim.rules(|rules| rules.colon_in_offset = colon), |s| s).await;
        let until = "2031-06-30T12:00:00Z".parse().ok();
        let validity = Validity { from: "2027-01-01T00:00:00Z".parse().ok(), until };
        site.change(&seeded(1), vec![Step::Widen { validity }]).await.expect("set");
        let person = site.sim().person("00901").expect("there");
        assert_eq!(person.start, Some(date(2027, 1, 1).at(11, 0, 0, 0)), "Sydney has summer time then");
        assert_eq!(person.end, Some(date(2031, 6, 30).at(22, 0, 0, 0)));
        assert_eq!(site.present(&seeded(1)).await.validity, validity);
    }
}

#[tokio::test]
async fn in_the_hour_that_comes_twice_access_ends_before_it() {
    let site = Site::new().await;
    // In Sydney, clocks go back on 4 April 2027 at 03:00: half past two comes twice.
    let asked = Validity { from: None, until: "2027-04-03T15:30:00Z".parse().ok() };
    site.change(&seeded(1), vec![Step::Widen { validity: asked }]).await.expect("set");
    let person = site.sim().person("00901").expect("there");
    assert_eq!(person.end, Some(date(2027, 4, 4).at(1, 59, 0, 0)));
    assert!(site.present(&seeded(1)).await.validity.within(&asked));
}

#[tokio::test]
async fn a_wrong_time_zone_is_noticed_by_the_probe() {
    let site = Site::with(|settings| settings.replace("Australia/Sydney", "Europe/Vienna")).await;
    let health = site.netbox.probe(&cx()).await.expect("readable");
    assert!(health.checks.iter().any(|c| c.name == "time zone" && c.outcome == CheckOutcome::Fail), "{health:?}");
}
