//! Memberships: several of one group, with dates; their links change with every update.

use jiff::{Timestamp, ToSpan};
use lockstep_contract::{FaultKind, Reduction, Step};
use lockstep_simulator::Purpose;

use crate::site::{Site, amend, no};

fn hours(count: i64) -> Timestamp {
    Timestamp::now() + count.hours()
}

#[tokio::test]
async fn a_level_is_held_while_any_membership_is_in_force() {
    let site = Site::new().await;
    let (id, level, simulator) = (site.holder(1), site.level(3), site.simulator());
    simulator.join(&id, &level, Some(hours(1)), None);
    simulator.join(&id, &level, None, Some(hours(-1)));
    assert!(!site.read(&id).await.levels.contains(&level), "tomorrow and yesterday");
    simulator.join(&id, &level, Some(hours(-1)), Some(hours(1)));
    assert!(site.read(&id).await.levels.contains(&level), "now");
}

#[tokio::test]
async fn a_revoked_level_leaves_no_membership_behind_not_even_one_of_tomorrow() {
    let site = Site::new().await;
    let (id, level, simulator) = (site.holder(0), site.level(0), site.simulator());
    simulator.join(&id, &level, Some(hours(24)), None);
    simulator.join(&id, &level, None, Some(hours(24)));
    site.apply(&id, vec![Reduction::Revoke { level: level.clone() }.into()]).await.expect("accepted");
    let group = simulator.group_of(&level);
    let left =
        simulator.holder(&id).expect("a record").memberships.into_iter().filter(|one| one.group == group).count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_level_of_tomorrow_is_given_today_beside_it() {
    let site = Site::new().await;
    let (id, level, simulator) = (site.holder(1), site.level(3), site.simulator());
    simulator.join(&id, &level, Some(hours(24)), None);
    site.apply(&id, vec![Step::Grant { level: level.clone() }]).await.expect("accepted");
    assert!(site.read(&id).await.levels.contains(&level));
    assert_eq!(simulator.holder(&id).expect("a record").memberships.len(), 3, "home, tomorrow, now");
}

#[tokio::test]
async fn a_level_that_is_held_is_not_given_a_second_time() {
    let site = Site::new().await;
    let (id, level) = (site.holder(0), site.level(0));
    site.apply(&id, vec![Step::Grant { level }]).await.expect("accepted");
    assert_eq!(site.count(Purpose::Write), 0, "there is nothing to do");
}

#[tokio::test]
async fn a_link_that_changed_between_look_and_write_is_refused_and_the_next_try_knows_better() {
    let site = Site::new().await;
    let (id, level) = (site.holder(0), site.level(0));
    site.read(&id).await;
    site.simulator().touch_memberships(&id);
    let revoke = || vec![Step::from(Reduction::Revoke { level: level.clone() })];
    let fault = no(site.apply(&id, revoke()).await);
    assert_eq!(fault.kind, FaultKind::Invalid, "{fault}");
    assert!(site.read(&id).await.levels.contains(&level), "nothing happened");
    site.apply(&id, revoke()).await.expect("accepted");
    assert!(!site.read(&id).await.levels.contains(&level));
}

#[tokio::test]
async fn a_look_is_relied_on_once_since_a_write_changes_links() {
    let site = Site::new().await;
    let (id, level) = (site.holder(0), site.level(0));
    site.read(&id).await;
    site.apply(&id, vec![Reduction::Revoke { level: level.clone() }.into()]).await.expect("accepted");
    site.simulator().join(&id, &level, None, None);
    site.apply(&id, vec![Reduction::Revoke { level: level.clone() }.into()]).await.expect("accepted");
    assert!(!site.read(&id).await.levels.contains(&level), "the new membership was seen");
}

#[tokio::test]
async fn a_group_that_the_operator_may_not_see_is_no_level_and_stays() {
    let site = Site::new().await;
    let (id, hidden, other) = (site.holder(0), site.level(1), site.level(0));
    let group = site.simulator().group_of(&hidden);
    site.simulator().rights(|rights| rights.hidden_groups = [group].into());
    assert!(!site.read(&id).await.levels.contains(&hidden));
    let steps = vec![Reduction::Revoke { level: other }.into(), Reduction::Suspend.into()];
    site.apply(&id, steps).await.expect("accepted");
    let left = site.simulator().holder(&id).expect("a record").memberships;
    assert!(left.iter().any(|one| one.group == group), "it was not ours to take");
}

#[tokio::test]
async fn a_group_that_is_not_ours_to_change_refuses_the_whole_action() {
    let site = Site::new().await;
    let (id, given, fixed) = (site.holder(0), site.level(4), site.level(0));
    let group = site.simulator().group_of(&fixed);
    site.simulator().rights(|rights| rights.fixed_groups = [group].into());
    let before = site.read(&id).await;
    let steps = vec![Reduction::Revoke { level: fixed.clone() }.into(), Step::Grant { level: given }];
    assert_eq!(no(site.apply(&id, steps).await).kind, FaultKind::Denied);
    let fault = no(site.apply(&site.holder(1), vec![Step::Grant { level: fixed }]).await);
    assert!(fault.message.contains("Invalid access group href"), "the server's own words: {fault}");
    assert_eq!(site.read(&id).await.digest(), before.digest());
}

#[tokio::test]
async fn everything_about_one_cardholder_goes_into_one_request() {
    let site = Site::new().await;
    let id = site.holder(0);
    let card = site.read(&id).await.credentials[0].id.clone();
    site.arrived();
    let steps = vec![
        Reduction::Suspend.into(),
        Reduction::Deactivate { credential: card, status: lockstep_contract::InactiveStatus::Disabled }.into(),
        Reduction::Revoke { level: site.level(0) }.into(),
        Reduction::Revoke { level: site.level(1) }.into(),
        Step::Grant { level: site.level(5) },
        amend(&[("department", "Lab"), ("family_name", "Byron")]),
    ];
    site.apply(&id, steps).await.expect("accepted");
    assert_eq!(site.count(Purpose::Write), 1);
    let seen = site.read(&id).await;
    assert_eq!(seen.levels, [site.level(2), site.level(5)].into());
    assert_eq!((seen.profile.get("department"), seen.profile.get("family_name")), (Some("Lab"), Some("Byron")));
}

#[tokio::test]
async fn what_stands_above_a_group_opens_too() {
    let site = Site::new().await;
    let (child, parent) = (site.level(0), site.level(1));
    let (low, high) = (site.simulator().group_of(&child), site.simulator().group_of(&parent));
    site.simulator().with(|state| state.groups.get_mut(&low).expect("a group").parent = Some(high));
    let catalog = site.target.catalog(&crate::site::cx()).await.expect("a catalog");
    assert_eq!(catalog.levels[&child].doors, ["Door 0", "Door 1"]);
    assert_eq!(catalog.levels[&parent].doors, ["Door 1"]);
    assert_eq!(catalog.levels.len(), 6, "the home group is no level");
}
