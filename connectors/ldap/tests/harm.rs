//! A directory in trouble, on a real OpenLDAP: what cannot be read whole is a fault, never a short or an empty list.

mod common;

use common::{config, cx, everybody, listed, members, open};
use lockstep_contract::{Directory, Fault, FaultKind, Membership, Presence, Standing};
use lockstep_ldap::Ldap;
use lockstep_testbed::situations::{PEOPLE, Situation, Trouble, bring_about};
use serde_json::json;

/// Opens the connector on a situation.
fn opened(situation: &Situation, with_canary: bool) -> Ldap {
    let mut settings = config(&situation.url, &situation.ca_file, &situation.user, &situation.people_base);
    common::merge(
        &mut settings,
        json!({
            "people": { "filter": situation.people_filter },
            "groups": { "base": situation.groups_base },
            "page_size": situation.page_size,
        }),
    );
    if with_canary {
        common::merge(&mut settings, json!({ "canary": situation.canary }));
    }
    open(settings, &situation.password).expect("opens")
}

/// The fault of a census in this trouble, or `None` when the server is not installed.
async fn census_fault(trouble: Trouble, with_canary: bool) -> Option<Fault> {
    let Some(situation) = bring_about(trouble).expect("the trouble is brought about") else {
        common::skip();
        return None;
    };
    let directory = opened(&situation, with_canary);
    match everybody(&directory).await {
        Ok(people) => panic!("{trouble:?}: a list of {} people passed for whole", people.len()),
        Err(fault) => {
            assert!(!fault.to_string().contains(&situation.password), "{trouble:?}: {fault}");
            Some(fault)
        }
    }
}

#[tokio::test]
async fn without_trouble_everything_is_read() {
    let situation = server_or_skip!(bring_about(Trouble::None));
    let directory = opened(&situation, true);
    assert_eq!(everybody(&directory).await.expect("a census").len(), PEOPLE);
    assert_eq!(listed(&members(&directory, "mapped").await).0.len(), 3);
    assert_eq!(listed(&members(&directory, "above").await).0.len(), 4);
}

#[tokio::test]
async fn people_that_cannot_be_read_whole_are_a_fault_of_the_right_kind() {
    for (trouble, kind, says) in [
        (Trouble::Down, FaultKind::Unreachable, "connection"),
        (Trouble::WrongPassword, FaultKind::Unauthenticated, "does not accept"),
        (Trouble::AccountLocked, FaultKind::Unauthenticated, "does not accept"),
        (Trouble::OtherName, FaultKind::Protocol, "another name"),
        (Trouble::Expired, FaultKind::Protocol, "expired"),
        (Trouble::NoName, FaultKind::Protocol, "no subject alternative name"),
        (Trouble::BaseRenamed, FaultKind::Denied, "base is not there"),
        (Trouble::ReferralBelow, FaultKind::Unsupported, "another server"),
        (Trouble::ReferralAtBase, FaultKind::Unsupported, "another server"),
    ] {
        let Some(fault) = census_fault(trouble, false).await else { return };
        assert_eq!(fault.kind, kind, "{trouble:?}: {fault}");
        assert!(fault.message.contains(says), "{trouble:?}: {fault}");
    }
}

#[tokio::test]
async fn a_limit_of_the_server_is_a_fault() {
    for (trouble, kind) in [(Trouble::SizeLimit, FaultKind::Denied), (Trouble::TimeLimit, FaultKind::Unreachable)] {
        let Some(fault) = census_fault(trouble, false).await else { return };
        assert_eq!(fault.kind, kind, "{trouble:?}: {fault}");
        assert!(fault.message.contains("limit"), "{trouble:?}: {fault}");
    }
}

#[tokio::test]
async fn seeing_nobody_is_a_fault_when_there_is_a_canary() {
    for trouble in [Trouble::FilterMatchesNobody, Trouble::EverythingHidden] {
        let Some(fault) = census_fault(trouble, true).await else { return };
        assert_eq!(fault.kind, FaultKind::Denied, "{trouble:?}: {fault}");
        assert!(fault.message.contains("canary"), "{trouble:?}: {fault}");
        // Without one it is a census of nobody: the guard of the core, which never lets everybody leave, must hold.
        let situation = bring_about(trouble).expect("brought about").expect("installed");
        assert_eq!(everybody(&opened(&situation, false)).await.expect("a census").len(), 0, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_connection_cut_at_any_request_is_a_fault_until_nothing_is_cut_any_more() {
    let situation = server_or_skip!(bring_about(Trouble::None));
    for bytes in [0, 1, 60, 700] {
        let mut request = 1;
        loop {
            situation.proxy.behave(lockstep_testbed::proxy::Behaviour::Cut { request, bytes });
            let directory = opened(&situation, true);
            let read = everybody(&directory).await;
            let cuts = situation.proxy.cuts();
            match read {
                Ok(people) => {
                    assert_eq!(people.len(), PEOPLE, "request {request}, {bytes} bytes");
                    if cuts == 0 {
                        break;
                    }
                }
                Err(fault) => assert!(
                    matches!(fault.kind, FaultKind::Unreachable | FaultKind::Protocol),
                    "request {request}, {bytes} bytes: {fault}"
                ),
            }
            request += 1;
            assert!(request < 40, "it has an end");
        }
        // Handshake, log-in, root entry, schema, canary and three pages at least were cut, each once.
        assert!(request > 8, "{request}");
    }
}

#[tokio::test]
async fn groups_are_never_cut_short_either() {
    let situation = server_or_skip!(bring_about(Trouble::None));
    let mut request = 1;
    loop {
        situation.proxy.behave(lockstep_testbed::proxy::Behaviour::Cut { request, bytes: 50 });
        let directory = opened(&situation, false);
        match members(&directory, "above").await {
            Membership::Unreadable(_) => {}
            read => {
                assert_eq!(listed(&read).0.len(), 4, "request {request}");
                if situation.proxy.cuts() == 0 {
                    break;
                }
            }
        }
        request += 1;
        assert!(request < 40, "it has an end");
    }
    assert!(request > 5, "{request}");
}

#[tokio::test]
async fn a_group_that_is_hidden_in_whole_or_in_part_is_unreadable_and_so_is_what_contains_it() {
    for trouble in [Trouble::GroupHidden, Trouble::GroupInvisible, Trouble::EverythingHidden] {
        let situation = server_or_skip!(bring_about(trouble));
        let directory = opened(&situation, false);
        let mapped = members(&directory, "mapped").await;
        assert!(matches!(mapped, Membership::Unreadable(_)), "{trouble:?}: {mapped:?}");
        // A group that cannot even be seen may be a person, too: whoever is not listed is unknown, not out.
        let above = members(&directory, "above").await;
        let open = match &above {
            Membership::Unreadable(_) => true,
            Membership::Members(members) => trouble == Trouble::GroupInvisible && members.gaps() == 1,
            Membership::Empty(_) | Membership::Unproven => false,
        };
        assert!(open, "{trouble:?}: {above:?}");
        if trouble != Trouble::EverythingHidden {
            assert_eq!(listed(&members(&directory, "other").await).0.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_hidden_state_makes_everybody_unknown_and_nobody_active() {
    let situation = server_or_skip!(bring_about(Trouble::StateHidden));
    let people = everybody(&opened(&situation, false)).await.expect("a census");
    assert_eq!(people.len(), PEOPLE);
    assert!(people.iter().all(|person| person.standing == Standing::Unknown));
}

#[tokio::test]
async fn in_no_trouble_is_anybody_said_to_be_gone() {
    for trouble in Trouble::PEOPLE_UNREADABLE {
        if matches!(trouble, Trouble::SizeLimit | Trouble::TimeLimit) {
            // A look-up of one person is within every limit.
            continue;
        }
        let situation = server_or_skip!(bring_about(trouble));
        if trouble == Trouble::Down {
            assert!(opened(&situation, true).probe(&cx()).await.is_err());
        }
        let stranger = lockstep_contract::PersonId::new("00112233-4455-6677-8899-aabbccddeeff").expect("id");
        let answer = opened(&situation, true).lookup(&cx(), &stranger).await;
        let honest = match (trouble, &answer) {
            // The canary was seen, and nobody has that id: that is true here.
            (Trouble::FilterMatchesNobody | Trouble::Cut { .. }, Ok(Presence::Gone(_))) => true,
            (_, answer) => answer.is_err(),
        };
        assert!(honest, "{trouble:?}: {answer:?}");
    }
}
