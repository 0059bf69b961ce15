//! Pure judgements about one action and one record: has the record drifted, may the action run all the same, how far
//! did an interrupted action get, and what does its success mean for links. No I/O.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_contract::{
    AccessLevelId, Action, Cardholder, CorrelationKeys, Credential, CredentialId, CredentialStatus, Expectation,
    ImageDigest, InactiveStatus, KeyKind, Reduction, Status, Step, Steps, Subject, Validity,
};
use lockstep_core::{Hold, Holds, Link, LinkOrigin, Links};

use crate::{Intent, LinkChange};

/// True when the action does nothing but take access away.
pub(crate) fn only_reduces(action: &Action) -> bool {
    action.steps.iter().all(|step| step.as_reduction().is_some())
}

/// True when the action takes anything away.
pub(crate) fn reduces(action: &Action) -> bool {
    action.steps.iter().any(|step| step.as_reduction().is_some())
}

fn suspends(action: &Action) -> bool {
    action.steps.iter().any(|step| matches!(step, Step::Reduce(Reduction::Suspend)))
}

/// The hold on the human of this action, by every way to know them that the planner has, too: the person, the record,
/// the keys of both, and what is remembered about who is who.
pub(crate) fn held<'h>(
    holds: &'h Holds,
    links: &Links,
    action: &Action,
    before: Option<&Cardholder>,
) -> Option<&'h Hold> {
    if holds.0.is_empty() {
        return None;
    }
    let (record, new) = match &action.subject {
        Subject::Existing(id) => (Some(id), None),
        Subject::New(key) => (None, Some(key)),
    };
    let of_person = action.person.as_ref().and_then(|person| links.of_person(person));
    let of_record = record.and_then(|id| links.of_cardholder(id));
    let remembered = || of_person.iter().chain(&of_record);
    let provisioned = action.steps.iter().filter_map(|step| match step {
        Step::Provision { keys, .. } => Some(keys),
        Step::Reduce(_)
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => None,
    });
    let all_keys = before.map(|before| &before.keys).into_iter().chain(provisioned);
    let keys: BTreeSet<_> =
        all_keys.chain(remembered().map(|link| &link.keys)).flat_map(CorrelationKeys::iter).chain(new).collect();
    let people: Vec<_> = action.person.iter().chain(remembered().map(|link| &link.person)).collect();
    let records: Vec<_> = record.into_iter().chain(remembered().map(|link| &link.cardholder)).collect();
    holds.0.iter().find(|hold| {
        hold.person.as_ref().is_some_and(|person| people.contains(&person))
            || hold.cardholders.iter().any(|id| records.contains(&id))
            || hold.keys.iter().any(|key| keys.contains(key))
    })
}

/// Whether the record is still the one that the action was planned against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drift {
    /// It is.
    None,
    /// It is not, but the action is a leaver's, and this is what of it still fits.
    Leaver(Box<Action>),
    /// It is not, and the action may not run.
    Withdraw(&'static str),
}

/// Compares the record with the one planned against. `ours` are the images in which actions of this same run left it: a
/// change of our own is no drift.
pub(crate) fn drift(action: &Action, now: &Cardholder, links: &Links, ours: &[ImageDigest]) -> Drift {
    let Some(basis) = &action.basis else {
        return Drift::Withdraw("the action names no record that it was planned against");
    };
    let found = now.digest();
    if found == *basis || ours.contains(&found) {
        return Drift::None;
    }
    if !(suspends(action) && only_reduces(action)) {
        return Drift::Withdraw("the record changed since the plan was made; plan again");
    }
    if now.status != Status::Active {
        return Drift::Withdraw("the record was switched off by somebody else meanwhile; it stays as it is");
    }
    if !same_human(action, now, links) {
        return Drift::Withdraw("the record changed since, and no longer shows a key of this person; plan again");
    }
    still_fits(action, now).map_or(Drift::Withdraw("nothing of the action still fits the record"), |action| {
        Drift::Leaver(Box::new(action))
    })
}

/// The record is linked to the person of the action and still has a key of theirs.
fn same_human(action: &Action, now: &Cardholder, links: &Links) -> bool {
    links.of_cardholder(&now.id).is_some_and(|link| {
        action.person.as_ref() == Some(&link.person) && link.keys.iter().any(|key| now.keys.contains(key))
    })
}

/// The reductions of a leaver's action that still only reduce, and what they must lead to now.
fn still_fits(action: &Action, now: &Cardholder) -> Option<Action> {
    let fits = |step: &&Step| match step {
        Step::Reduce(Reduction::Suspend) => true,
        Step::Reduce(Reduction::Revoke { level }) => now.levels.contains(level),
        Step::Reduce(Reduction::Narrow { validity }) => validity.within(&now.validity),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            now.credentials.iter().any(|c| c.id == *credential && !matches!(c.status, CredentialStatus::Inactive(_)))
        }
        Step::Provision { .. }
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => false,
    };
    let steps = Steps::new(action.steps.iter().filter(fits).cloned().collect())?;
    let mut expect = Expectation { status: Some(Status::Suspended), ..Expectation::default() };
    expect.levels_present.clone_from(&now.levels);
    for step in &steps {
        match step {
            Step::Reduce(Reduction::Revoke { level }) => {
                expect.levels_present.remove(level);
                expect.levels_absent.insert(level.clone());
            }
            Step::Reduce(Reduction::Narrow { validity }) => expect.validity = Some(*validity),
            Step::Reduce(Reduction::Deactivate { credential, status }) => {
                expect.credentials.insert(credential.clone(), CredentialStatus::Inactive(*status));
            }
            Step::Reduce(Reduction::Suspend)
            | Step::Provision { .. }
            | Step::Amend { .. }
            | Step::Reinstate
            | Step::Widen { .. }
            | Step::Grant { .. }
            | Step::Activate { .. } => {}
        }
    }
    Some(Action { steps, expect, basis: Some(now.digest()), ..action.clone() })
}

/// Everything that the steps of one action may turn a record into.
#[derive(Default)]
struct Reach<'a> {
    added: BTreeSet<&'a AccessLevelId>,
    removed: BTreeSet<&'a AccessLevelId>,
    status: Option<Status>,
    validity: Option<Validity>,
    credentials: Vec<(&'a CredentialId, CredentialStatus)>,
    amended: Vec<(&'a str, &'a str)>,
}

impl<'a> Reach<'a> {
    fn of(action: &'a Action) -> Self {
        let mut reach = Self::default();
        for step in &action.steps {
            match step {
                Step::Reduce(Reduction::Suspend) => reach.status = Some(Status::Suspended),
                Step::Reduce(Reduction::Deactivate { credential, status }) => {
                    reach.credentials.push((credential, CredentialStatus::Inactive(*status)));
                }
                Step::Reduce(Reduction::Revoke { level }) => {
                    reach.removed.insert(level);
                }
                Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => {
                    reach.validity = Some(*validity);
                }
                Step::Provision { profile, .. } | Step::Amend { profile } => {
                    reach.amended.extend(profile.iter().map(|(name, value)| (name.as_str(), value)));
                }
                Step::Reinstate => reach.status = Some(Status::Active),
                Step::Grant { level } => {
                    reach.added.insert(level);
                }
                Step::Activate { credential } => reach.credentials.push((credential, CredentialStatus::Active)),
            }
        }
        reach
    }

    fn credential(&self, before: &Credential, now: &Credential) -> bool {
        let by_status = match self.status {
            // A system without a flag switches every credential off or on instead.
            Some(Status::Suspended) => now.status == CredentialStatus::Inactive(InactiveStatus::Disabled),
            Some(Status::Active) => now.status == CredentialStatus::Active,
            Some(Status::Other(_)) | None => false,
        };
        before.id == now.id
            && (before.status == now.status
                || by_status
                || self.credentials.iter().any(|(id, status)| **id == now.id && *status == now.status))
    }
}

/// True when the record is as before, or on the way from there to where the action leads: nobody else touched it, so
/// sending the whole action again ends where sending it once would have.
pub(crate) fn untouched_by_others(action: &Action, before: &Cardholder, now: &Cardholder) -> bool {
    let reach = Reach::of(action);
    let levels = now.levels.difference(&before.levels).all(|level| reach.added.contains(level))
        && before.levels.difference(&now.levels).all(|level| reach.removed.contains(level));
    let status = now.status == before.status || Some(&now.status) == reach.status.as_ref();
    let validity = now.validity == before.validity || Some(now.validity) == reach.validity;
    let names: BTreeSet<&str> =
        before.profile.iter().chain(now.profile.iter()).map(|(name, _)| name.as_str()).collect();
    let profile = names.into_iter().all(|name| {
        let value = now.profile.get(name);
        value == before.profile.get(name) || value.is_some_and(|value| reach.amended.contains(&(name, value)))
    });
    let keys = before.keys == now.keys || !reach.amended.is_empty();
    let by_id = |cardholder: &Cardholder| {
        let mut credentials = cardholder.credentials.clone();
        credentials.sort_by(|a, b| a.id.cmp(&b.id));
        credentials
    };
    let (old, new) = (by_id(before), by_id(now));
    let credentials = old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| reach.credential(old, new));
    before.id == now.id && before.site == now.site && levels && status && validity && profile && keys && credentials
}

/// What a verified action means for who is who.
pub(crate) fn link_changes(intent: &Intent, after: &Cardholder, links: &Links, now: Timestamp) -> Vec<LinkChange> {
    let mut changes = Vec::new();
    for step in &intent.action.steps {
        match step {
            Step::Provision { keys, .. } => {
                if let Some(person) = &intent.action.person {
                    changes.push(LinkChange::Add(Link {
                        person: person.clone(),
                        cardholder: after.id.clone(),
                        origin: LinkOrigin::Provisioned,
                        since: now,
                        keys: keys.clone(),
                        suspended_by: None,
                    }));
                }
            }
            // Only a suspension that was really ours may we lift one day (I8).
            Step::Reduce(Reduction::Suspend) => {
                if intent.before.as_ref().is_some_and(|before| before.status == Status::Active) {
                    changes.extend(first_link(intent, after, links, now));
                    changes.push(LinkChange::Suspended { cardholder: after.id.clone(), by: intent.run });
                }
            }
            Step::Reinstate => changes.push(LinkChange::Reinstated { cardholder: after.id.clone() }),
            Step::Reduce(Reduction::Revoke { .. } | Reduction::Narrow { .. } | Reduction::Deactivate { .. })
            | Step::Amend { .. }
            | Step::Widen { .. }
            | Step::Grant { .. }
            | Step::Activate { .. } => {}
        }
    }
    changes
}

/// Somebody who had left before the first run was matched by key, and a person said yes to the suspension. Only now is
/// that match remembered (a suspension that is turned down must leave none behind), so that the same person, once back,
/// is known as somebody whom we switched off.
fn first_link(intent: &Intent, after: &Cardholder, links: &Links, now: Timestamp) -> Option<LinkChange> {
    let person = intent.action.person.clone()?;
    if links.of_person(&person).is_some() || links.of_cardholder(&after.id).is_some() {
        return None;
    }
    // A card is held by a record, not by a person: it may be handed on.
    let keys: CorrelationKeys = after.keys.iter().filter(|key| key.kind() != KeyKind::Card).cloned().collect();
    let origin = LinkOrigin::Matched(keys.iter().next()?.kind());
    let cardholder = after.id.clone();
    Some(LinkChange::Add(Link { person, cardholder, origin, since: now, keys, suspended_by: None }))
}

/// Whose record, for messages.
pub(crate) fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Existing(id) => format!("cardholder {id}"),
        Subject::New(key) => format!("new cardholder {key}"),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{
        ActionId, CardholderId, CorrelationKey, CorrelationKeys, CredentialKind, FieldName, KeyKind, PersonId, Profile,
        Reason, RunId, Situation, TargetId,
    };

    use super::*;

    fn level(id: &str) -> AccessLevelId {
        AccessLevelId::new(id).expect("id")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn until(second: i64) -> Validity {
        Validity { from: None, until: Some(at(second)) }
    }

    fn card(id: &str, status: CredentialStatus) -> Credential {
        Credential { id: credential(id), kind: CredentialKind::Card, number: None, status }
    }

    fn credential(id: &str) -> CredentialId {
        CredentialId::new(id).expect("id")
    }

    fn employee(number: &str) -> CorrelationKeys {
        [CorrelationKey::new(KeyKind::Employee, number).expect("key")].into_iter().collect()
    }

    fn person() -> PersonId {
        PersonId::new("p").expect("id")
    }

    fn record() -> Cardholder {
        Cardholder {
            id: CardholderId::new("c").expect("id"),
            keys: employee("1"),
            profile: Profile::from_iter([(FieldName::known("title"), "Cook".to_owned())]),
            status: Status::Active,
            levels: ["Door", "Lab", "Other"].map(level).into(),
            credentials: vec![card("a", CredentialStatus::Active), card("b", CredentialStatus::Active)],
            validity: until(1_000),
            site: None,
            revision: None,
        }
    }

    fn action(steps: Vec<Step>) -> Action {
        let (target, subject) = (TargetId::new("hq").expect("id"), Subject::Existing(record().id));
        let steps = Steps::new(steps).expect("some steps");
        let run = RunId::new(uuid::Uuid::nil());
        Action {
            id: ActionId::of(run, &target, &subject, &steps),
            target,
            subject,
            person: Some(person()),
            steps,
            basis: Some(record().digest()),
            expect: Expectation::default(),
            because: Reason { situation: Situation::Unqualified, why: Vec::new() },
        }
    }

    fn links() -> Links {
        let mut links = Links::new();
        let link = Link {
            person: person(),
            cardholder: record().id,
            origin: LinkOrigin::Provisioned,
            since: at(0),
            keys: employee("1"),
            suspended_by: None,
        };
        links.insert(link).expect("the only one");
        links
    }

    fn leaver() -> Action {
        action(vec![
            Step::Reduce(Reduction::Suspend),
            Step::Reduce(Reduction::Revoke { level: level("Lab") }),
            Step::Reduce(Reduction::Narrow { validity: until(500) }),
            Step::Reduce(Reduction::Deactivate { credential: credential("a"), status: InactiveStatus::Disabled }),
        ])
    }

    #[test]
    fn each_way_on_the_way_is_ours_and_anything_else_is_not() {
        let mover = action(vec![
            Step::Reduce(Reduction::Revoke { level: level("Lab") }),
            Step::Grant { level: level("Vault") },
            Step::Amend { profile: Profile::from_iter([(FieldName::known("title"), "Chef".to_owned())]) },
            Step::Widen { validity: until(2_000) },
        ]);
        type Edit = fn(&mut Cardholder);
        let ours: [Edit; 5] = [
            |_| {},
            |now| _ = now.levels.remove(&level("Lab")),
            |now| _ = now.levels.insert(level("Vault")),
            |now| now.profile.set(FieldName::known("title"), "Chef"),
            |now| now.validity = until(2_000),
        ];
        let theirs: [Edit; 8] = [
            |now| _ = now.levels.remove(&level("Other")),
            |now| _ = now.levels.remove(&level("Door")),
            |now| _ = now.levels.insert(level("Else")),
            |now| now.profile.set(FieldName::known("title"), "Waiter"),
            |now| now.validity = until(3_000),
            |now| now.status = Status::Suspended,
            |now| now.credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Lost),
            |now| now.credentials.clear(),
        ];
        // Every subset of our own steps is somewhere on the way.
        for subset in 0..1_u32 << ours.len() {
            let mut now = record();
            ours.iter().enumerate().filter(|(n, _)| subset >> n & 1 == 1).for_each(|(_, edit)| edit(&mut now));
            assert!(untouched_by_others(&mover, &record(), &now), "subset {subset:b}");
            for (n, edit) in theirs.iter().enumerate() {
                let mut now = now.clone();
                edit(&mut now);
                assert!(!untouched_by_others(&mover, &record(), &now), "subset {subset:b}, foreign edit {n}");
            }
        }
    }

    #[test]
    fn what_switching_somebody_off_does_to_cards_is_ours() {
        let off = |status| {
            let mut now = record();
            now.credentials[1].status = CredentialStatus::Inactive(status);
            untouched_by_others(&leaver(), &record(), &now)
        };
        assert!(off(InactiveStatus::Disabled) && !off(InactiveStatus::Stolen));
    }

    #[test]
    fn of_a_leavers_action_only_what_still_reduces_is_left() {
        let mut now = record();
        now.levels.remove(&level("Lab"));
        now.levels.insert(level("New"));
        now.validity = until(100);
        now.credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Stolen);
        let Drift::Leaver(left) = drift(&leaver(), &now, &links(), &[]) else { panic!("a leaver leaves") };
        assert_eq!(left.steps.iter().collect::<Vec<_>>(), [&Step::Reduce(Reduction::Suspend)]);
        assert_eq!(left.expect.levels_present, now.levels, "nothing else may change");
        assert_eq!((left.id, left.expect.status), (leaver().id, Some(Status::Suspended)));
    }

    #[test]
    fn whoever_may_be_somebody_else_is_left_alone() {
        let mut other_keys = record();
        other_keys.keys = employee("2");
        assert!(matches!(drift(&leaver(), &other_keys, &links(), &[]), Drift::Withdraw(_)));
        let mut more = record();
        more.levels.insert(level("New"));
        assert!(matches!(drift(&leaver(), &more, &Links::new(), &[]), Drift::Withdraw(_)), "nobody is linked");
        let grant = action(vec![Step::Grant { level: level("Vault") }]);
        assert!(matches!(drift(&grant, &more, &links(), &[]), Drift::Withdraw(_)));
        assert_eq!(drift(&grant, &more, &links(), &[more.digest()]), Drift::None, "our own change is no drift");
        assert_eq!(drift(&grant, &record(), &Links::new(), &[]), Drift::None);
    }

    #[test]
    fn only_our_own_suspension_becomes_ours() {
        let run = RunId::new(uuid::Uuid::nil());
        let with = |status, links: &Links| {
            let before = Some(Cardholder { status, ..record() });
            let intent = Intent { run, lane: lockstep_core::LaneKind::Revoke, action: leaver(), before, at: at(0) };
            link_changes(&intent, &record(), links, at(1))
        };
        let suspended = LinkChange::Suspended { cardholder: record().id, by: run };
        assert_eq!(with(Status::Active, &links()), std::slice::from_ref(&suspended));
        assert_eq!(with(Status::Suspended, &links()), []);
        let first = with(Status::Active, &Links::new());
        assert!(
            matches!(first.as_slice(), [LinkChange::Add(link), last] if link.person == person() && *last == suspended),
            "whoever was met for the first time is remembered, too: {first:?}"
        );
    }
}
