//! Personal data fields: they show only in a group that carries them, and are dropped without a word elsewhere.

use lockstep_contract::{FaultKind, KeyKind, Reduction, Step, Subject, field};

use crate::site::{Site, action, amend, cx, key, no, profile};

#[tokio::test]
async fn a_key_that_does_not_show_is_not_known_and_shows_again_in_a_group_that_carries_it() {
    let site = Site::new().await;
    let (id, simulator) = (site.holder(0), site.simulator());
    assert!(site.read(&id).await.keys.contains(&key(KeyKind::Employee, "00900")));
    simulator.leave(&id, simulator.home());
    let hidden = site.read(&id).await;
    assert!(hidden.keys.is_empty() && hidden.profile.get(field::DEPARTMENT).is_none(), "absent, not empty: {hidden:?}");
    assert!(site.find(KeyKind::Employee, "00900").await.is_empty());
    let parent = site.level(5);
    let child = site.level(4);
    simulator.carried_by(&[simulator.group_of(&parent)]);
    let (low, high) = (simulator.group_of(&child), simulator.group_of(&parent));
    simulator.with(|state| state.groups.get_mut(&low).expect("a group").parent = Some(high));
    simulator.join(&id, &child, None, None);
    let shown = site.read(&id).await;
    assert!(shown.keys.contains(&key(KeyKind::Employee, "00900")), "inherited from the group above: {shown:?}");
}

#[tokio::test]
async fn somebody_of_the_same_name_whose_key_does_not_show_is_in_the_way_of_a_newcomer() {
    let site = Site::new().await;
    let there = site.simulator().hire("Ada", "Lovelace", "5001", false);
    let fault = no(site.join("ada", "LOVELACE", "5001", Vec::new()).await);
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert!(fault.message.contains(there.as_str()) && fault.help.is_some(), "{fault:?}");
    assert_eq!(site.list().await.len(), 26, "nobody was made");
}

#[tokio::test]
async fn a_namesake_with_another_key_or_surely_none_is_somebody_else() {
    let site = Site::new().await;
    site.simulator().hire("Ada", "Lovelace", "5002", true);
    let bare = site.simulator().hire("Ada", "Lovelace", "5003", true);
    site.simulator().edit(&bare, |holder| holder.data.clear());
    let made = site.join("Ada", "Lovelace", "5001", Vec::new()).await.expect("a third one").cardholder;
    assert!(site.read(&made).await.keys.contains(&key(KeyKind::Employee, "5001")));
}

#[tokio::test]
async fn a_newcomer_is_made_in_one_request_with_the_group_that_carries_its_key() {
    let site = Site::new().await;
    let level = site.level(2);
    let made = site.join("New", "Comer", "7001", vec![Step::Grant { level: level.clone() }]).await.expect("accepted");
    let writes: Vec<_> = site.arrived().into_iter().filter(|(_, it)| it.method != "GET").collect();
    assert_eq!(writes.len(), 1);
    let seen = site.read(&made.cardholder).await;
    assert_eq!(seen.status, lockstep_contract::Status::Active, "not authorised is the default of the server");
    assert_eq!(seen.levels.iter().collect::<Vec<_>>(), [&level], "the home group is no level");
    assert!(seen.keys.contains(&key(KeyKind::Employee, "7001")), "the key was not dropped");
}

#[tokio::test]
async fn a_newcomer_whose_key_would_be_dropped_is_not_made() {
    let site = Site::with(|settings| settings.replace("home_group = \"Lockstep people\"\n", "")).await;
    let fault = no(site.join("New", "Comer", "7001", Vec::new()).await);
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("Employee ID"), "{fault}");
    assert_eq!(site.list().await.len(), 25);
}

#[tokio::test]
async fn a_newcomer_goes_without_a_home_group_where_a_granted_group_carries_the_key() {
    let site = Site::with(|settings| settings.replace("home_group = \"Lockstep people\"\n", "")).await;
    let level = site.level(1);
    site.simulator().carried_by(&[site.simulator().group_of(&level)]);
    let made = site.join("New", "Comer", "7001", vec![Step::Grant { level }]).await.expect("accepted");
    assert!(site.read(&made.cardholder).await.keys.contains(&key(KeyKind::Employee, "7001")));
}

#[tokio::test]
async fn a_value_that_would_be_dropped_without_a_word_is_refused() {
    let site = Site::new().await;
    let id = site.holder(0);
    site.simulator().leave(&id, site.simulator().home());
    let fault = no(site.apply(&id, vec![amend(&[(field::DEPARTMENT, "Lab")])]).await);
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("Department"), "{fault}");
    site.apply(&id, vec![amend(&[(field::FAMILY_NAME, "Byron")])]).await.expect("names are no such fields");
}

#[tokio::test]
async fn access_is_taken_away_even_if_a_value_beside_it_is_dropped() {
    let site = Site::new().await;
    let (id, level) = (site.holder(0), site.level(0));
    site.simulator().leave(&id, site.simulator().home());
    let steps = vec![Reduction::Revoke { level: level.clone() }.into(), amend(&[(field::DEPARTMENT, "Lab")])];
    site.apply(&id, steps).await.expect("accepted");
    let seen = site.read(&id).await;
    assert!(!seen.levels.contains(&level), "the level is gone");
    assert_eq!(seen.profile.get(field::DEPARTMENT), None, "and the read-back shows that the value was not taken");
}

#[tokio::test]
async fn two_fields_of_one_name_are_told_apart_by_id_only() {
    let twice = |site: &Site| {
        site.simulator().with(|state| {
            let field = state.fields.get(&629).cloned().expect("a field");
            state.fields.insert(777, field);
        });
    };
    let site = Site::new().await;
    twice(&site);
    let fault = site.try_list().await.expect_err("which one?");
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("629, 777"), "{fault}");
    let by_id = |settings: String| settings.replace("\"Employee ID\"", "\"629\"");
    let site = Site::with(by_id).await;
    twice(&site);
    assert_eq!(site.list().await.len(), 25);
}

#[tokio::test]
async fn a_field_that_the_operator_may_not_see_is_denied_and_not_empty() {
    let site = Site::new().await;
    site.simulator().field_access("Employee ID", "noAccess");
    let fault = site.try_list().await.expect_err("no key is known");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("Employee ID"), "{fault}");
    let fault = site.target.find(&cx(), &key(KeyKind::Employee, "00900")).await.expect_err("nor looked for");
    assert_eq!(fault.kind, FaultKind::Denied);
}

#[tokio::test]
async fn a_search_that_ignores_case_does_not_find_somebody_else() {
    let site = Site::new().await;
    site.simulator().hire("Upper", "Case", "E77", true);
    assert_eq!(site.find(KeyKind::Employee, "E77").await.len(), 1);
    assert!(site.find(KeyKind::Employee, "e77").await.is_empty(), "another employee number");
}

#[tokio::test]
async fn signs_that_mean_something_in_a_search_are_only_signs() {
    let site = Site::new().await;
    for (number, family) in
        [("100%", "Percent"), ("a_b", "Under"), ("1+1", "Plus"), ("x&top=1", "And"), ("ü ñ", "Wide")]
    {
        site.simulator().hire("Odd", family, number, true);
        let found = site.find(KeyKind::Employee, number).await;
        assert!(found.len() == 1 && found[0].keys.contains(&key(KeyKind::Employee, number)), "{number}: {found:?}");
    }
    let fault = site.target.find(&cx(), &key(KeyKind::Employee, "5\"")).await.expect_err("cannot be asked");
    assert_eq!(fault.kind, FaultKind::Invalid);
}

#[tokio::test]
async fn a_name_with_a_quotation_mark_is_looked_for_all_the_same() {
    let site = Site::new().await;
    site.simulator().hire("Robert \"Bob\"", "Smith", "5001", false);
    let fault = no(site.join("Robert \"Bob\"", "Smith", "5009", Vec::new()).await);
    assert_eq!(fault.kind, FaultKind::Conflict, "{fault}");
}

#[tokio::test]
async fn a_required_field_that_is_missing_is_refused_in_the_words_of_the_server() {
    let site = Site::new().await;
    site.simulator().with(|state| state.fields.get_mut(&631).expect("a field").required = true);
    let fault = no(site.join("New", "Comer", "7001", Vec::new()).await);
    assert!(fault.message.contains("Data has not been entered for this Personal Data Field"), "{fault}");
}

#[tokio::test]
async fn an_empty_value_clears_a_field() {
    let site = Site::new().await;
    let id = site.holder(0);
    site.apply(&id, vec![amend(&[(field::DEPARTMENT, "")])]).await.expect("accepted");
    assert_eq!(site.read(&id).await.profile.get(field::DEPARTMENT), None);
}

#[tokio::test]
async fn a_key_and_a_field_in_one_place_are_one_value_in_the_spelling_of_the_field() {
    let site = Site::with(|settings| settings.replace("directory = \"Directory ID\"", "mail = \"Email\"")).await;
    let mail = key(KeyKind::Mail, "Ada@X.example");
    let provision = |value: &str| Step::Provision {
        profile: profile(&[(field::FAMILY_NAME, "Lovelace"), (field::MAIL, value)]),
        keys: [mail.clone()].into_iter().collect(),
    };
    let made = |value| action(Subject::New(mail.clone()), vec![provision(value)]);
    let fault = no(site.target.apply(&cx(), &made("else@x.example")).await);
    assert_eq!(fault.kind, FaultKind::Invalid);
    let id = site.target.apply(&cx(), &made("Ada@X.example")).await.expect("accepted").cardholder;
    let seen = site.read(&id).await;
    assert_eq!(seen.profile.get(field::MAIL), Some("Ada@X.example"));
    assert!(seen.keys.contains(&mail));
}
