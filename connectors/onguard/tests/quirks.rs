//! Each quirk of OnGuard by its name, and what the connector makes of it.

mod support;

use lockstep_contract::{
    ApplyFault, CheckOutcome, CredentialStatus, FaultKind, FieldName, InactiveStatus, KeyKind, Profile, Reduction,
    Status, Step, Validity, field,
};
use lockstep_onguard::simulator::Limits;
use serde_json::json;
use support::{Site, cx, grant, key, off, on, revoke};

#[tokio::test]
async fn every_request_carries_the_version_and_the_application_id() {
    let site = Site::new().await;
    let person = site.person(0);
    site.target().probe(&cx()).await.expect("a probe");
    site.list().await.expect("a list");
    site.apply(&person, vec![Reduction::Suspend.into(), revoke(&site.level(0))]).await.expect("applied");
    let arrived = site.server().arrived();
    assert!(arrived.len() > 10);
    for (_, request) in arrived {
        assert_eq!(request.parameter("version").as_deref(), Some("1.0"), "{}", request.target);
        assert!(request.header("application-id").is_some(), "{}", request.target);
        let open = ["/authentication", "/version"].iter().any(|path| request.path().ends_with(path));
        assert_eq!(request.header("session-token").is_none(), open, "{}", request.target);
    }
}

#[tokio::test]
async fn there_is_no_switch_for_a_person_so_every_badge_that_works_is_switched_off_and_no_other() {
    let site = Site::new().await;
    let person = site.person(0);
    let first = site.badge(&person).await;
    let [second, lost, worn] = [71, 72, 73].map(|number| site.onguard().issue_badge(&person, number));
    site.onguard().set_badge_status(&lost, "Lost");
    site.onguard().set_badge_status(&worn, "Worn out");
    site.server().arrived();
    site.apply(&person, vec![Reduction::Suspend.into()]).await.expect("applied");
    let status = |badge| site.onguard().badge_status(badge);
    for badge in [&first, &second, &worn] {
        assert_eq!(status(badge), Some("Switched off by Lockstep"), "an unknown status may open doors");
    }
    assert_eq!(status(&lost), Some("Lost"), "a lost badge stays reported lost");
    assert_eq!(site.writes().len(), 3);
    assert_eq!(site.read(&person).await.status, Status::Suspended);
    site.apply(&person, vec![Reduction::Suspend.into()]).await.expect("once more");
    assert_eq!(site.writes(), [], "it is done already");
}

#[tokio::test]
async fn a_status_that_no_setting_names_is_taken_neither_for_on_nor_for_off() {
    let site = Site::new().await;
    let person = site.person(0);
    let badge = site.badge(&person).await;
    site.onguard().set_badge_status(&badge, "Worn out");
    let record = site.read(&person).await;
    assert_eq!(record.credentials[0].status, CredentialStatus::Other("Worn out".to_owned()));
    assert_eq!(record.status, Status::Active, "or a leaver with such a badge would be left alone");
    let refused = site.apply(&person, vec![on(&badge)]).await.expect_err("not ours");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.message.contains("Worn out")), "{refused}");
    let refused = site.apply(&person, vec![grant(&site.level(4))]).await.expect_err("no badge that surely works");
    assert!(matches!(refused, ApplyFault::Refused(_)), "{refused}");
    let health = site.target().probe(&cx()).await.expect("a probe");
    let check = health.checks.iter().find(|check| check.name == "badge statuses").expect("a check");
    assert!(check.outcome == CheckOutcome::Warn && check.detail.contains("Worn out"), "{check:?}");
}

#[tokio::test]
async fn a_broken_record_without_a_status_counts_as_working() {
    let site = Site::new().await;
    let person = site.person(0);
    let badge = site.badge(&person).await;
    site.onguard().set_badge_status(&badge, "no such status");
    assert_eq!(site.read(&person).await.credentials[0].status, CredentialStatus::Other("no status".to_owned()));
    site.apply(&person, vec![Reduction::Suspend.into()]).await.expect("applied");
    assert_eq!(site.onguard().badge_status(&badge), Some("Switched off by Lockstep"));
}

#[tokio::test]
async fn a_status_that_is_renamed_stops_everything_instead_of_changing_its_meaning() {
    let site = Site::new().await;
    site.onguard().rename_status("Switched off by Lockstep", "Left the company");
    let fault = site.target().read(&cx(), &site.person(0)).await.expect_err("the settings contradict the site");
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("badge_status.switched_off"), "{fault}");
    let health = site.target().probe(&cx()).await.expect("a probe says so");
    assert!(health.checks.iter().any(|check| check.outcome == CheckOutcome::Fail), "{health:?}");
}

#[tokio::test]
async fn a_level_is_ticked_at_every_badge_that_works_and_taken_from_every_badge() {
    let site = Site::new().await;
    let (person, level) = (site.person(1), site.level(4));
    let first = site.badge(&person).await;
    let [second, guards] = [81, 82].map(|number| site.onguard().issue_badge(&person, number));
    site.onguard().set_badge_status(&guards, "Suspended by security");
    site.read(&person).await;
    site.apply(&person, vec![grant(&level)]).await.expect("granted");
    let ticked = |badge| !site.onguard().levels_of_badge(badge).is_empty();
    assert!(ticked(&first) && ticked(&second), "both work");
    assert!(!ticked(&guards), "nothing is put on a badge that is off");
    site.onguard().assign(&guards, &level);
    site.apply(&person, vec![revoke(&level)]).await.expect("revoked");
    assert!([&first, &second, &guards].into_iter().all(|badge| !ticked(badge)), "no badge brings it back");
}

#[tokio::test]
async fn a_look_at_the_badges_serves_one_change_of_levels_and_none_of_badges() {
    let site = Site::new().await;
    let (person, level) = (site.person(1), site.level(4));
    site.read(&person).await;
    let late = site.onguard().issue_badge(&person, 83);
    site.server().arrived();
    site.apply(&person, vec![grant(&level)]).await.expect("granted");
    let asked = |site: &Site| site.server().arrived().iter().filter(|(_, it)| it.method == "GET").count();
    assert_eq!(asked(&site), 1, "the limits of the site, and nothing of the person");
    site.apply(&person, vec![revoke(&level)]).await.expect("revoked");
    assert_eq!(asked(&site), 3, "the badges, and the levels of both");
    site.read(&person).await;
    let later = site.onguard().issue_badge(&person, 84);
    site.apply(&person, vec![Reduction::Suspend.into()]).await.expect("out");
    for badge in [&late, &later] {
        assert_eq!(site.onguard().badge_status(badge), Some("Switched off by Lockstep"));
    }
}

#[tokio::test]
async fn levels_on_a_lost_badge_do_not_count_and_the_new_badge_gets_them() {
    let site = Site::new().await;
    let (person, level) = (site.person(0), site.level(0));
    let old = site.badge(&person).await;
    site.onguard().set_badge_status(&old, "Lost");
    let new = site.onguard().issue_badge(&person, 91);
    assert!(site.read(&person).await.levels.is_empty());
    site.apply(&person, vec![grant(&level)]).await.expect("granted");
    assert_eq!(site.onguard().levels_of_badge(&new).len(), 1);
}

#[tokio::test]
async fn whoever_has_no_badge_that_works_is_refused_a_level_with_the_next_step() {
    let site = Site::new().await;
    let level = site.level(4);
    let person = site.onguard().add_cardholder(&json!({"LASTNAME": "Newcomer", "SSNO": "70001"}));
    assert_eq!(site.read(&person).await.status, Status::Suspended, "nothing of theirs opens a door");
    site.server().arrived();
    let refusals = [site.apply(&person, vec![grant(&level)]).await, site.join("70002", vec![grant(&level)]).await];
    for refused in refusals {
        let refused = refused.expect_err("refused");
        assert!(
            matches!(&refused, ApplyFault::Refused(fault) if fault.message.contains("issue or switch on a badge")),
            "{refused}"
        );
    }
    assert_eq!(site.writes(), [], "nobody is half created");
    let joined = site.join("70002", vec![]).await.expect("a record without levels can be made").cardholder;
    site.onguard().issue_badge(&joined, 92);
    site.apply(&joined, vec![grant(&level)]).await.expect("and with a badge there are levels");
    assert!(site.read(&joined).await.levels.contains(&level));
}

#[tokio::test]
async fn only_a_badge_that_lockstep_switched_off_is_switched_on_again() {
    let site = Site::new().await;
    let person = site.person(3);
    let badge = site.badge(&person).await;
    site.apply(&person, vec![off(&badge)]).await.expect("off");
    site.apply(&person, vec![on(&badge)]).await.expect("on again");
    assert_eq!(site.read(&person).await.status, Status::Active);
    for status in ["Lost", "Stolen", "Returned", "Expired", "Suspended by security"] {
        site.onguard().set_badge_status(&badge, status);
        let refused = site.apply(&person, vec![on(&badge)]).await.expect_err(status);
        assert!(matches!(refused, ApplyFault::Refused(_)), "{status}: {refused}");
    }
}

#[tokio::test]
async fn a_reinstatement_is_a_badge_that_works_and_nothing_else() {
    let site = Site::new().await;
    let (person, level) = (site.person(0), site.level(4));
    let badge = site.badge(&person).await;
    site.apply(&person, vec![Reduction::Suspend.into()]).await.expect("out");
    let refused = site.apply(&person, vec![Step::Reinstate]).await.expect_err("no flag, no badge named");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.kind == FaultKind::Unsupported), "{refused}");
    site.apply(&person, vec![Step::Reinstate, grant(&level), on(&badge)]).await.expect("the badge is named");
    let back = site.read(&person).await;
    assert!(back.status == Status::Active && back.levels.contains(&level), "{back:?}");
}

#[tokio::test]
async fn dates_stand_on_badges_so_a_validity_of_a_person_is_refused() {
    let site = Site::new().await;
    let until = "2031-06-30T12:00:00Z".parse().ok();
    let narrow = Reduction::Narrow { validity: Validity { from: None, until } };
    let refused = site.apply(&site.person(0), vec![narrow.into()]).await.expect_err("unsupported");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.kind == FaultKind::Unsupported), "{refused}");
}

#[tokio::test]
async fn the_limits_of_the_site_are_read_and_kept() {
    let site = Site::new().await;
    site.onguard().limit(Limits { active_badges: 1, levels_per_badge: 3 });
    let person = site.person(0);
    let refused = site.apply(&person, vec![grant(&site.level(4))]).await.expect_err("three levels already");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.message.contains("allows 3")), "{refused}");
    let first = site.badge(&person).await;
    site.apply(&person, vec![off(&first)]).await.expect("off");
    site.onguard().issue_badge(&person, 93);
    let refused = site.apply(&person, vec![on(&first)]).await.expect_err("one works already");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.message.contains("allows 1")), "{refused}");
}

#[tokio::test]
async fn nobody_is_changed_in_bulk_and_no_badge_or_cardholder_is_deleted() {
    let site = Site::new().await;
    let person = site.person(0);
    site.apply(&person, vec![Reduction::Suspend.into(), revoke(&site.level(0)), revoke(&site.level(1))])
        .await
        .expect("applied");
    let writes = site.writes();
    assert_eq!(site.onguard().bulk_updates(), 0);
    assert!(writes.iter().all(|(method, body)| method != "DELETE" || body.contains("Lnl_AccessLevelAssignment")));
    let first = writes.first().expect("a write");
    assert!(first.0 == "PUT" && first.1.contains("Lnl_Badge"), "the badge goes off first: {first:?}");
}

#[tokio::test]
async fn a_badge_change_names_its_key_and_its_status_and_no_date() {
    let site = Site::new().await;
    let person = site.person(0);
    let badge = site.badge(&person).await;
    site.server().arrived();
    site.apply(&person, vec![off(&badge)]).await.expect("off");
    let writes = site.writes();
    let body: serde_json::Value = serde_json::from_str(&writes[0].1).expect("JSON");
    let key: i64 = badge.as_str().parse().expect("a number");
    assert_eq!(body, json!({"type_name": "Lnl_Badge", "property_value_map": {"BADGEKEY": key, "STATUS": 5}}));
}

#[tokio::test]
async fn a_deactivation_with_a_reason_sets_the_status_of_that_reason() {
    let site = Site::new().await;
    let person = site.person(3);
    let badge = site.badge(&person).await;
    let lost = Reduction::Deactivate { credential: badge.clone(), status: InactiveStatus::Lost };
    site.apply(&person, vec![lost.into()]).await.expect("off");
    assert_eq!(site.onguard().badge_status(&badge), Some("Lost"));
    let again = Reduction::Deactivate { credential: badge.clone(), status: InactiveStatus::Disabled };
    site.apply(&person, vec![again.into()]).await.expect("already off");
    assert_eq!(site.onguard().badge_status(&badge), Some("Lost"), "it stays reported lost");
}

#[tokio::test]
async fn a_badge_of_somebody_else_is_refused() {
    let site = Site::new().await;
    let other = site.badge(&site.person(4)).await;
    for step in [off(&other), on(&other)] {
        let refused = site.apply(&site.person(3), vec![step]).await.expect_err("not theirs");
        assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.kind == FaultKind::Invalid), "{refused}");
    }
}

#[tokio::test]
async fn pages_smaller_than_asked_for_are_read_to_their_end() {
    let site = Site::new().await;
    site.onguard().page_size_max(7);
    assert_eq!(site.list().await.expect("a list").len(), 25);
}

#[tokio::test]
async fn badges_and_levels_are_read_in_lists_and_not_person_by_person() {
    let site = Site::new().await;
    site.list().await.expect("a list");
    let asked = site.server().arrived();
    let single = asked.iter().filter(|(_, request)| request.parameter("filter").is_some()).count();
    assert_eq!(single, 0);
    // A log-in, three types, the statuses; three pages of badges, of cardholders, and five of levels.
    assert!(asked.len() <= 5 + 3 + 3 + 6, "{}", asked.len());
}

#[tokio::test]
async fn a_queued_request_is_waited_for_and_its_result_used() {
    let site = Site::new().await;
    site.onguard().queue_all(1);
    assert_eq!(site.list().await.expect("a list").len(), 25);
    let (person, level) = (site.person(1), site.level(4));
    site.apply(&person, vec![grant(&level)]).await.expect("granted");
    assert!(site.read(&person).await.levels.contains(&level));
    let unknown = lockstep_contract::AccessLevelId::new("99999").expect("an id");
    let refused = site.apply(&person, vec![grant(&unknown)]).await.expect_err("there is no such level");
    assert!(matches!(refused, ApplyFault::Refused(_)), "{refused}");
}

#[tokio::test]
async fn a_number_given_twice_is_shown_twice_because_onguard_does_not_keep_it_unique() {
    let site = Site::new().await;
    let twin = key(KeyKind::Employee, "00903");
    site.onguard().add_cardholder(&json!({"LASTNAME": "Twin", "SSNO": "00903"}));
    assert_eq!(site.target().find(&cx(), &twin).await.expect("found").len(), 2);
    let refused = site.join("00903", vec![]).await.expect_err("nobody knows who is meant");
    assert!(matches!(&refused, ApplyFault::Refused(fault) if fault.kind == FaultKind::Conflict), "{refused}");
}

#[tokio::test]
async fn a_key_that_no_filter_can_say_is_looked_for_among_all() {
    let site = Site::new().await;
    for odd in ["x\" OR ID>\"0", "O'Neil", "50% off", "a\\b", "SSNO=\"1\"", "a;b", "(1)"] {
        let person = site.onguard().add_cardholder(&json!({"LASTNAME": "Odd", "SSNO": odd}));
        let found = site.target().find(&cx(), &key(KeyKind::Employee, odd)).await.expect(odd);
        assert_eq!(found.iter().map(|record| &record.id).collect::<Vec<_>>(), [&person], "{odd}");
    }
    for (_, request) in site.server().arrived() {
        if let Some(filter) = request.parameter("filter") {
            let value = filter.split_once('=').map_or("", |(_, value)| value);
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            assert!(inner.chars().all(|c| c.is_alphanumeric() || " -_.@+".contains(c)), "{filter}");
        }
    }
}

#[tokio::test]
async fn on_a_site_where_nobody_has_a_key_yet_everybody_is_read_only_until_somebody_has_one() {
    let site = Site::new().await;
    for nth in 0..25 {
        site.onguard().edit_cardholder(&site.person(nth), "SSNO", json!(null));
    }
    let mut pages = Vec::new();
    for employee in ["80001", "80002", "80003"] {
        site.server().arrived();
        site.join(employee, vec![]).await.expect("joined");
        let asked = site.server().arrived();
        let all = |(_, it): &&(_, lockstep_simulator::Request)| it.method == "GET" && it.parameter("filter").is_none();
        pages.push(asked.iter().filter(all).filter(|(_, it)| it.target.contains("Lnl_Cardholder")).count());
    }
    // The type, a page in search of somebody, all three pages; then a page and the one who has it; then nothing.
    assert_eq!(pages, [5, 1, 0]);
}

#[tokio::test]
async fn mail_addresses_are_found_whatever_their_case() {
    let site = Site::new().await;
    site.onguard().edit_cardholder(&site.person(3), "EMAIL", json!("A.Boothroyd@Example.net"));
    let found = site.target().find(&cx(), &key(KeyKind::Mail, "a.boothroyd@example.net")).await.expect("found");
    assert_eq!(found.iter().map(|record| &record.id).collect::<Vec<_>>(), [&site.person(3)]);
}

#[tokio::test]
async fn an_amendment_changes_what_it_names_and_nothing_else() {
    let site = Site::new().await;
    let person = site.person(3);
    site.onguard().edit_cardholder(&person, "MIDNAME", json!("Q"));
    let profile = Profile::from_iter([(FieldName::known(field::GIVEN_NAME), "Zoë".to_owned())]);
    site.apply(&person, vec![Step::Amend { profile }]).await.expect("amended");
    assert_eq!(site.onguard().cardholder_property(&person, "FIRSTNAME"), Some(json!("Zoë")));
    assert_eq!(site.onguard().cardholder_property(&person, "MIDNAME"), Some(json!("Q")));
    let gone = Profile::from_iter([(FieldName::known(field::GIVEN_NAME), String::new())]);
    site.apply(&person, vec![Step::Amend { profile: gone }]).await.expect("emptied");
    assert_eq!(site.read(&person).await.profile.get(field::GIVEN_NAME), Some(""));
}
