//! What planning makes of people: the table of situations, and the lives of accounts, as tables of small worlds.
//!
//! Each row tells a world and the whole plan for it: a step more or less fails.

mod world;

use lockstep_contract::{
    CorrelationKeys, CredentialStatus, EmptyProof, Entitled, InactiveStatus, KeyKind, Members, Membership, Proof,
    Situation, Standing, Status, Step,
};
use lockstep_core::{Code, LinkOrigin, Looked, Mover, OutOfScope, Ownership, ScopeRule, RuleSource, Severity, Template};
use world::{
    World, card_credential, cid, employee, fault, field, group, key, level, mail, pid, rule, run, site, tell,
};

type Row = (&'static str, fn(&mut World), &'static [&'static str]);

const ENDED: Standing = Standing::Ended { since: None };

/// Every row is planned, compared, carried out, and planned again: then there is nothing left to do.
fn check(rows: &[Row]) {
    for (name, build, expect) in rows {
        let mut world = World::new();
        build(&mut world);
        let draft = world.plan();
        assert_eq!(tell(&draft), *expect, "{name}");
        world.apply(&draft);
        let again = world.plan();
        assert!(again.is_empty(), "{name}: once more {:?}", tell(&again));
    }
}

#[test]
fn the_table_of_situations() {
    check(&[
        ("nobody anywhere", |_| {}, &[]),
        ("confirmed and in step", |w| w.pair(1), &[]),
        (
            "confirmed, gains",
            |w| {
                w.pair(1);
                w.members("lab", &[1]);
            },
            &["stage c1 Confirmed: +lab"],
        ),
        (
            "confirmed, loses",
            |w| {
                w.pair(1);
                w.has(1, &["lab", "office"]);
                w.members("office", &[1]);
            },
            &["revoke c1 Confirmed: -lab"],
        ),
        (
            "found and in step: only the link",
            |w| {
                w.person(1);
                w.card(1);
            },
            &["link p1 = c1 by employee:1"],
        ),
        (
            "found: even what is taken away waits for a person",
            |w| {
                w.person(1);
                w.card(1);
                w.has(1, &["lab"]);
            },
            &["stage c1 Found: -lab", "link p1 = c1 by employee:1"],
        ),
        (
            "absent: a joiner with the levels in one action",
            |w| {
                w.person(1);
                w.members("lab", &[1]);
                w.members("office", &[1]);
            },
            &["stage new employee:1 Absent: provision, +lab, +office"],
        ),
        (
            "ambiguous",
            |w| {
                w.person(1);
                w.card(1);
                w.card(2).keys = [employee("1")].into_iter().collect();
            },
            &["LS0103 P1", "LS0108 cardholder c1", "LS0108 cardholder c2"],
        ),
        (
            "missing: made again",
            |w| {
                w.person(1);
                w.link(1, 1);
            },
            &["stage new employee:1 Missing: provision", "LS0105 P1"],
        ),
        (
            "unqualified: ended",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.has(1, &["lab", "canteen"]);
                w.at(1).credentials = vec![
                    card_credential("k1", CredentialStatus::Active),
                    card_credential("k2", CredentialStatus::Inactive(InactiveStatus::Lost)),
                    card_credential("k3", CredentialStatus::Other("odd".to_owned())),
                ];
            },
            &["revoke c1 Unqualified: suspend, -k1, -k3, -lab"],
        ),
        (
            "source missing: gone, and proven",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
            },
            &["revoke c1 SourceMissing: suspend"],
        ),
        (
            "source missing: in doubt",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Doubt(fault()));
            },
            &["LS0106 P1"],
        ),
        (
            "source missing: nobody asked",
            |w| {
                w.card(1);
                w.link(1, 1);
            },
            &["LS0106 P1"],
        ),
        ("unassigned", |w| _ = w.card(1), &["LS0108 cardholder c1"]),
        (
            "undecided: standing unknown",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.who(1).standing = Standing::Unknown;
            },
            &["LS0101 P1"],
        ),
        (
            "undecided: group unreadable, nothing that rests on it",
            |w| {
                w.pair(1);
                w.has(1, &["lab", "vault"]);
                w.members("office", &[1]);
                w.membership("lab", Membership::Unreadable(fault()));
            },
            &["stage c1 Confirmed: -vault, +office", "LS0102 group lab"],
        ),
        (
            "held: off, and nothing else",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.members("office", &[1]);
                w.who(1).profile.set(field("department"), "New");
                w.hold(1);
            },
            &["revoke c1 Held: suspend, -lab", "LS0111 P1"],
        ),
    ]);
}

#[test]
fn holds_win_over_everything() {
    check(&[
        (
            "a returning person stays out",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
                w.links[0].suspended_by = Some(run());
                w.members("lab", &[1]);
                w.hold(1);
            },
            &["LS0111 P1"],
        ),
        (
            "a joiner is not let in",
            |w| {
                w.person(1);
                w.hold(1);
            },
            &["LS0111 P1"],
        ),
        (
            "by a key of the person",
            |w| {
                w.pair(1);
                let hold = w.hold(9);
                (hold.person, hold.keys) = (None, [mail("p1@x.example")].into_iter().collect());
            },
            &["revoke c1 Held: suspend", "LS0111 P1"],
        ),
        (
            "by the cardholder, though its person is unknown to the directory and only the link remembers",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.hold(9).cardholders = vec![cid(1)];
            },
            &["revoke c1 Held: suspend", "LS0111 P1"],
        ),
        (
            "a cardholder nobody accounts for, held by name",
            |w| {
                w.card(1);
                w.hold(9).cardholders = vec![cid(1)];
            },
            &["revoke c1 Held: suspend", "LS0111 cardholder c1"],
        ),
        (
            "a new account of the same human",
            |w| {
                w.person(2).keys = [employee("1")].into_iter().collect();
                w.hold(1).keys = [employee("1")].into_iter().collect();
            },
            &["LS0111 P2"],
        ),
        (
            "standing unknown",
            |w| {
                w.pair(1);
                w.who(1).standing = Standing::Unknown;
                w.hold(1);
            },
            &["revoke c1 Held: suspend", "LS0111 P1"],
        ),
        (
            "not created by us, but named with this very record",
            |w| {
                w.pair(1);
                w.policy.ownership = Ownership::Created;
                w.hold(1).cardholders = vec![cid(1)];
            },
            &["revoke c1 Held: suspend", "LS0111 P1"],
        ),
    ]);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    check(&[
        (
            "another site",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.policy.sites = [site("North")].into_iter().collect();
                w.at(1).site = Some(site("South"));
            },
            &["LS0119 P1"],
        ),
        (
            "no site where sites are told apart",
            |w| {
                w.pair(1);
                w.members("lab", &[1]);
                w.policy.sites = [site("North")].into_iter().collect();
            },
            &["LS0119 P1"],
        ),
        (
            "another site: neither linked, nor made a second time, nor an orphan",
            |w| {
                w.person(1);
                w.members("lab", &[1]);
                w.card(1).site = Some(site("South"));
                w.card(2).site = Some(site("South"));
                w.policy.sites = [site("North")].into_iter().collect();
            },
            &["LS0119 P1"],
        ),
        (
            "our site",
            |w| {
                w.pair(1);
                w.members("lab", &[1]);
                w.policy.sites = [site("North")].into_iter().collect();
                w.at(1).site = Some(site("North"));
            },
            &["stage c1 Confirmed: +lab"],
        ),
        (
            "matched, where only what we created is ours",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.policy.ownership = Ownership::Created;
            },
            &["LS0117 P1"],
        ),
        (
            "created by us",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.policy.ownership = Ownership::Created;
                w.links[0].origin = LinkOrigin::Provisioned;
            },
            &["revoke c1 Confirmed: -lab"],
        ),
        (
            "not ours and in step: nothing to say",
            |w| {
                w.pair(1);
                w.policy.ownership = Ownership::Created;
            },
            &[],
        ),
        (
            "a state that nobody knows",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Other("Frozen".to_owned());
                w.members("lab", &[1]);
            },
            &["LS0110 P1"],
        ),
        (
            "a leaver in a state that nobody knows",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Other("Frozen".to_owned());
                w.who(1).standing = ENDED;
            },
            &["LS0110 P1"],
        ),
        (
            "a record that was read twice with different content",
            |w| {
                w.person(1);
                w.card(1);
                w.card(1).levels.insert(level("lab"));
            },
            &["LS0110 P1"],
        ),
        (
            "switched off by somebody else: sticky",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
                w.members("lab", &[1]);
            },
            &["LS0109 P1"],
        ),
        (
            "a leaver whom somebody else switched off loses the levels",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
                w.has(1, &["lab"]);
                w.who(1).standing = ENDED;
            },
            &["revoke c1 Unqualified: -lab"],
        ),
        (
            "unmanaged levels of a leaver stay",
            |w| {
                w.pair(1);
                w.has(1, &["canteen"]);
                w.who(1).standing = ENDED;
            },
            &["revoke c1 Unqualified: suspend"],
        ),
    ]);
}

#[test]
fn movers() {
    check(&[
        (
            "with the grant: together, once approved",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.members("office", &[1]);
            },
            &["stage c1 Confirmed: -lab, +office"],
        ),
        (
            "revoke first: at once, the grant follows",
            |w| {
                w.policy.mover = Mover::RevokeFirst;
                w.pair(1);
                w.has(1, &["lab"]);
                w.members("office", &[1]);
            },
            &["revoke c1 Confirmed: -lab", "stage c1 Confirmed: +office"],
        ),
        (
            "a new department is no reason to keep what is lost",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.who(1).profile.set(field("department"), "Sales");
            },
            &["revoke c1 Confirmed: -lab", "stage c1 Confirmed: amend department=Sales"],
        ),
        (
            "all of a rule, and none of it",
            |w| {
                for n in 1..=4 {
                    w.pair(n);
                }
                w.members("vault", &[1, 2, 3]);
                w.members("cleared", &[1, 2, 4]);
                w.members("barred", &[2]);
                w.has(2, &["vault"]);
                w.has(3, &["vault"]);
            },
            &["revoke c2 Confirmed: -vault", "revoke c3 Confirmed: -vault", "stage c1 Confirmed: +vault"],
        ),
        (
            "any of the groups will do",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
                w.members("lab-visitors", &[1]);
            },
            &[],
        ),
        (
            "one group says yes, so the other need not be read",
            |w| {
                w.pair(1);
                w.members("lab", &[1]);
                w.membership("lab-visitors", Membership::Unreadable(fault()));
            },
            &["stage c1 Confirmed: +lab"],
        ),
        (
            "barred for certain, whatever the unreadable group says",
            |w| {
                w.pair(1);
                w.has(1, &["vault"]);
                w.membership("vault", Membership::Unreadable(fault()));
                w.members("barred", &[1]);
            },
            &["revoke c1 Confirmed: -vault"],
        ),
        (
            "members who could not be identified: of strangers it is unknown, of members it is not",
            |w| {
                w.pair(1);
                w.pair(2);
                w.has(2, &["lab"]);
                w.membership("lab", Membership::Members(Members::with_gaps(vec![pid(1)], 2).expect("one")));
            },
            &["stage c1 Confirmed: +lab", "LS0102 group lab"],
        ),
        (
            "looks empty, and nothing proves it",
            |w| {
                w.pair(1);
                w.has(1, &["office"]);
                w.membership("office", Membership::Unproven);
            },
            &["LS0102 group office"],
        ),
        (
            "looks empty, and the mapping says that it may be",
            |w| {
                w.pair(1);
                w.has(1, &["office"]);
                w.membership("office", Membership::Unproven);
                w.policy.levels[1].may_be_empty = true;
            },
            &["revoke c1 Confirmed: -office"],
        ),
        (
            "unreadable stays unreadable, whatever the mapping says",
            |w| {
                w.pair(1);
                w.has(1, &["office"]);
                w.membership("office", Membership::Unreadable(fault()));
                w.policy.levels[1].may_be_empty = true;
            },
            &["LS0102 group office"],
        ),
        (
            "a group that nobody asked about",
            |w| {
                w.pair(1);
                w.has(1, &["office"]);
                w.groups.retain(|(id, _)| *id != group("office"));
            },
            &["LS0102 group office"],
        ),
        (
            "a level that the PACS does not have",
            |w| {
                w.pair(1);
                w.members("roof", &[1]);
                w.policy.levels.push(rule("roof", &["roof"], 40));
            },
            &["LS0211 level roof"],
        ),
        (
            "two rules for one level: either will do",
            |w| {
                w.pair(1);
                w.pair(2);
                w.has(1, &["lab"]);
                w.members("office", &[1, 2]);
                w.has(1, &["office"]);
                w.has(2, &["office"]);
                w.policy.levels.push(rule("lab", &["office"], 40));
            },
            &["stage c2 Confirmed: +lab"],
        ),
    ]);
}

fn scoped(w: &mut World) {
    w.policy.scope = vec![ScopeRule {
        field: field("department"),
        any: ["Research".to_owned(), "Förderung".to_owned()].into_iter().collect(),
        source: RuleSource { file: "mappings/hq.toml".to_owned(), line: 3 },
    }];
}

#[test]
fn scope() {
    check(&[
        (
            "out of scope by field: held by default",
            |w| {
                scoped(w);
                w.pair(1);
                w.who(1).profile.set(field("department"), "Sales");
            },
            &["LS0107 P1"],
        ),
        (
            "out of scope by field: a leaver, where the mapping says so",
            |w| {
                scoped(w);
                w.policy.out_of_scope = OutOfScope::Leaver;
                w.pair(1);
                w.who(1).profile.set(field("department"), "Sales");
            },
            &["revoke c1 Unqualified: suspend"],
        ),
        (
            "a field that is not known decides nothing",
            |w| {
                scoped(w);
                w.policy.out_of_scope = OutOfScope::Leaver;
                w.pair(1);
                w.who(1).profile = [(field("display_name"), "P1".to_owned())].into_iter().collect();
            },
            &["LS0101 P1"],
        ),
        (
            "not in scope and not linked: nobody of ours",
            |w| {
                scoped(w);
                w.person(1).profile.set(field("department"), "Sales");
            },
            &[],
        ),
        (
            "composed or not, it is the same department",
            |w| {
                scoped(w);
                w.pair(1);
                w.who(1).profile.set(field("department"), "Fo\u{308}rderung");
                w.at(1).profile.set(field("department"), "Förderung");
            },
            &[],
        ),
        (
            "not where we read, but active: held by default",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Elsewhere(Standing::Active));
            },
            &["LS0107 P1"],
        ),
        (
            "not where we read, but active: a leaver, where the mapping says so",
            |w| {
                w.policy.out_of_scope = OutOfScope::Leaver;
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Elsewhere(Standing::Active));
            },
            &["revoke c1 Unqualified: suspend"],
        ),
        (
            "not where we read, and ended",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Elsewhere(ENDED));
            },
            &["revoke c1 Unqualified: suspend"],
        ),
        (
            "not where we read, and of unknown standing",
            |w| {
                w.policy.out_of_scope = OutOfScope::Leaver;
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Elsewhere(Standing::Unknown));
            },
            &["LS0101 P1"],
        ),
    ]);
}

#[test]
fn fields() {
    check(&[
        (
            "not known: not written",
            |w| {
                w.pair(1);
                w.who(1).profile = [(field("display_name"), "P1".to_owned())].into_iter().collect();
            },
            &[],
        ),
        (
            "known to be empty: written",
            |w| {
                w.pair(1);
                w.who(1).profile.set(field("department"), "");
            },
            &["stage c1 Confirmed: amend department="],
        ),
        (
            "empty there and not known there are the same",
            |w| {
                w.pair(1);
                w.who(1).profile.set(field("department"), "");
                w.at(1).profile = [(field("display_name"), "P1".to_owned())].into_iter().collect();
            },
            &[],
        ),
        (
            "what the PACS has no place for is not written",
            |w| {
                w.policy.profile.insert(field("title"), Template::parse("{department}").expect("template"));
                w.pair(1);
            },
            &[],
        ),
        (
            "too long is not cut; everything else goes on",
            |w| {
                w.pair(1);
                w.who(1).profile.set(field("display_name"), "A name of more than twenty characters");
                w.who(1).profile.set(field("department"), "Sales");
                w.members("lab", &[1]);
            },
            &["stage c1 Confirmed: amend department=Sales, +lab", "LS0113 A name of more than twenty characters"],
        ),
        (
            "a joiner whose name is too long",
            |w| _ = w.person(1).profile.set(field("display_name"), "A name of more than twenty characters"),
            &["LS0113 A name of more than twenty characters"],
        ),
        (
            "a joiner without a name",
            |w| w.person(1).profile = [(field("department"), "Research".to_owned())].into_iter().collect(),
            &["LS0112 employee:1"],
        ),
        (
            "a joiner by whom the PACS could find nobody",
            |w| w.person(1).keys = [key(KeyKind::Account, "p1")].into_iter().collect(),
            &["LS0112 P1"],
        ),
        (
            "a joiner is found again by the first key that the PACS can search",
            |w| {
                w.target.capabilities.keys.remove(&KeyKind::Employee);
                w.person(1);
            },
            &["stage new mail:p1@x.example Absent: provision"],
        ),
        (
            "nobody is created where the mapping says so",
            |w| {
                w.policy.provision = false;
                w.person(1);
                w.person(2);
                w.link(2, 2);
            },
            &["LS0105 P2"],
        ),
        (
            "a template of several fields",
            |w| {
                let template = Template::parse("{display_name}, {department}").expect("template");
                w.policy.profile.insert(field("display_name"), template);
                w.pair(1);
            },
            &["stage c1 Confirmed: amend display_name=P1, Research"],
        ),
    ]);
}

/// AT-42: what accounts go through, and what must come of it.
#[test]
fn lives_of_accounts() {
    check(&[
        ("nothing happened", |w| w.pair(1), &[]),
        (
            "marriage: a new name and address, the same id",
            |w| {
                w.pair(1);
                w.who(1).profile.set(field("display_name"), "P1 Lovelace");
                w.who(1).keys = [employee("1"), mail("lovelace@x.example")].into_iter().collect();
            },
            &["stage c1 Confirmed: amend display_name=P1 Lovelace"],
        ),
        (
            "a new employee number, the same id",
            |w| {
                w.pair(1);
                w.who(1).keys = [employee("900")].into_iter().collect();
            },
            &[],
        ),
        (
            "every key gone, the same id",
            |w| {
                w.pair(1);
                w.who(1).keys = CorrelationKeys::new();
            },
            &[],
        ),
        (
            "moved to another unit and out of where we read",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Elsewhere(Standing::Active));
            },
            &["LS0107 P1"],
        ),
        (
            "moved to another department",
            |w| {
                w.pair(1);
                w.who(1).profile.set(field("department"), "Sales");
                w.has(1, &["lab"]);
                w.members("office", &[1]);
            },
            &["stage c1 Confirmed: -lab, amend department=Sales, +office"],
        ),
        (
            "disabled",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
            },
            &["revoke c1 Unqualified: suspend"],
        ),
        (
            "disabled and still in every group",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.members("lab", &[1]);
                w.has(1, &["lab"]);
            },
            &["revoke c1 Unqualified: suspend, -lab"],
        ),
        (
            "disabled while every group is unreadable: it was read as ended",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.membership("lab", Membership::Unreadable(fault()));
                w.has(1, &["lab"]);
            },
            &["revoke c1 Unqualified: suspend, -lab"],
        ),
        (
            "disabled, and already dealt with",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.at(1).status = Status::Suspended;
                w.links[0].suspended_by = Some(run());
            },
            &[],
        ),
        (
            "deleted, tombstone read",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.has(1, &["office"]);
                w.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
            },
            &["revoke c1 SourceMissing: suspend, -office"],
        ),
        (
            "deleted here and gone there",
            |w| {
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Gone(Proof::DeletedItem));
            },
            &[],
        ),
        (
            "back from leave: the same account enabled again",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
                w.links[0].suspended_by = Some(run());
                w.members("lab", &[1]);
            },
            &["stage c1 Confirmed: reinstate, +lab"],
        ),
        (
            "back from leave into another job: together, whatever comes and goes",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
                w.links[0].suspended_by = Some(run());
                w.has(1, &["office"]);
                w.members("lab", &[1]);
            },
            &["stage c1 Confirmed: -office, reinstate, +lab"],
        ),
        (
            "on leave: in the directory, no groups",
            |w| {
                w.pair(1);
                w.has(1, &["lab"]);
            },
            &["revoke c1 Confirmed: -lab"],
        ),
        (
            "back, but the guard desk had switched the badge off",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
            },
            &["LS0109 P1"],
        ),
        (
            "rehired after years with the old account",
            |w| {
                w.pair(1);
                w.at(1).status = Status::Suspended;
                w.links[0].suspended_by = Some(run());
                w.who(1).profile.set(field("department"), "Sales");
            },
            &["stage c1 Confirmed: amend department=Sales, reinstate"],
        ),
        (
            "rehired with a new account while the old one is deleted: nobody is touched",
            |w| {
                w.person(2).keys = [employee("1")].into_iter().collect();
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
            },
            &["LS0115 P1", "LS0115 P2"],
        ),
        (
            "account made again with a new id; the link remembers the number that the PACS does not show",
            |w| {
                w.person(2).keys = [employee("1")].into_iter().collect();
                w.card(1).keys = CorrelationKeys::new();
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
            },
            &["LS0115 P1", "LS0115 P2"],
        ),
        (
            "account made again, and the new one has ended, too",
            |w| {
                let again = w.person(2);
                again.keys = [employee("1")].into_iter().collect();
                again.standing = ENDED;
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
            },
            &["revoke c1 SourceMissing: suspend"],
        ),
        (
            "a number given to somebody new while the leaver's account is still there, disabled",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.person(2).keys = [employee("1"), mail("p2@x.example")].into_iter().collect();
            },
            &["revoke c1 Unqualified: suspend", "LS0104 P2"],
        ),
        (
            "a number given to somebody new years later: the PACS still shows it on the old badge",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.who(1).keys = CorrelationKeys::new();
                w.at(1).status = Status::Suspended;
                w.links[0].suspended_by = Some(run());
                w.person(2).keys = [employee("1")].into_iter().collect();
            },
            &["LS0115 P2"],
        ),
        (
            "another object at the old place: a new id with new keys is a leaver and a joiner",
            |w| {
                w.card(1);
                w.link(1, 1);
                w.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
                w.person(2);
            },
            &["revoke c1 SourceMissing: suspend", "stage new employee:2 Absent: provision"],
        ),
        (
            "two accounts of one human, both new",
            |w| {
                w.person(1);
                w.person(2).keys = [employee("1")].into_iter().collect();
                w.card(1);
            },
            &["LS0104 P1", "LS0104 P2", "LS0108 cardholder c1"],
        ),
        (
            "two accounts of one human, one linked: both wait",
            |w| {
                w.pair(1);
                w.members("lab", &[1]);
                w.person(2).keys = [employee("1")].into_iter().collect();
            },
            &["LS0104 P1", "LS0104 P2"],
        ),
        (
            "two accounts, one linked, the other ended long ago: the link stands on the id",
            |w| {
                w.pair(1);
                w.members("lab", &[1]);
                let old = w.person(2);
                (old.keys, old.standing) = ([employee("1")].into_iter().collect(), ENDED);
            },
            &["stage c1 Confirmed: +lab"],
        ),
        (
            "two accounts found by different keys for one badge",
            |w| {
                w.person(1).keys = [employee("1")].into_iter().collect();
                w.person(2).keys = [mail("one@x.example")].into_iter().collect();
                w.card(1).keys = [employee("1"), mail("one@x.example")].into_iter().collect();
            },
            &["LS0104 P1", "LS0104 P2", "LS0108 cardholder c1"],
        ),
        (
            "two keys of one human on two badges",
            |w| {
                w.person(1);
                w.card(1);
                w.card(2).keys = [mail("p1@x.example")].into_iter().collect();
            },
            &["LS0103 P1", "LS0108 cardholder c1", "LS0108 cardholder c2"],
        ),
        (
            "a shared mailbox among linked people",
            |w| {
                for n in [1, 2] {
                    w.pair(n);
                    w.who(n).keys.insert(mail("desk@x.example"));
                    w.has(n, &["lab"]);
                }
            },
            &["LS0104 P1", "LS0104 P2"],
        ),
        (
            "a shared mailbox, and one of them leaves",
            |w| {
                for n in [1, 2] {
                    w.pair(n);
                    w.who(n).keys.insert(mail("desk@x.example"));
                }
                w.who(2).standing = ENDED;
            },
            &["revoke c2 Unqualified: suspend"],
        ),
        (
            "five people with one number",
            |w| {
                for n in 1..=5 {
                    w.person(n).keys = [employee("0000")].into_iter().collect();
                }
            },
            &["LS0104 P1", "LS0104 P2", "LS0104 P3", "LS0104 P4", "LS0104 P5"],
        ),
        (
            "numbers that differ only by zeros are two people",
            |w| {
                w.person(1).keys = [employee("1")].into_iter().collect();
                w.person(2).keys = [employee("001")].into_iter().collect();
                w.card(1);
            },
            &["stage new employee:001 Absent: provision", "link p1 = c1 by employee:1"],
        ),
        (
            "contractor becomes employee: the same account",
            |w| {
                w.pair(1);
                w.who(1).profile.set(field("employee_type"), "employee");
                w.has(1, &["office"]);
                w.members("lab", &[1]);
                w.members("office", &[1]);
            },
            &["stage c1 Confirmed: +lab"],
        ),
        (
            "contractor becomes employee: a new account with the same address, the old one ended",
            |w| {
                w.pair(1);
                w.who(1).standing = ENDED;
                w.person(2).keys = [employee("E2"), mail("p1@x.example")].into_iter().collect();
            },
            &["revoke c1 Unqualified: suspend", "LS0104 P2"],
        ),
        (
            "the second key finds whom the first does not",
            |w| {
                w.person(1);
                w.card(1).keys = [mail("p1@x.example")].into_iter().collect();
            },
            &["link p1 = c1 by mail:p1@x.example"],
        ),
        (
            "a kind of key that the mapping does not trust joins nobody",
            |w| {
                w.person(1).keys.insert(key(KeyKind::Account, "p1"));
                w.card(7).keys = [key(KeyKind::Account, "p1")].into_iter().collect();
            },
            &["stage new employee:1 Absent: provision", "LS0108 cardholder c7"],
        ),
        (
            "two records on the PACS, one of them linked",
            |w| {
                w.pair(1);
                w.card(2).keys = [employee("1")].into_iter().collect();
            },
            &["LS0108 cardholder c2"],
        ),
        (
            "the badge was deleted and made again by hand",
            |w| {
                w.person(1);
                w.link(1, 1);
                w.card(2).keys = [employee("1")].into_iter().collect();
            },
            &["LS0103 P1", "LS0108 cardholder c2"],
        ),
        (
            "left before anybody linked them: a person looks at it once",
            |w| {
                w.person(1).standing = ENDED;
                w.card(1);
                w.has(1, &["lab"]);
            },
            &["stage c1 Unqualified: suspend, -lab"],
        ),
        (
            "left before anybody linked them, and the match is in doubt",
            |w| {
                w.person(1).standing = ENDED;
                w.card(1);
                w.card(2).keys = [employee("1")].into_iter().collect();
            },
            &["LS0108 cardholder c1", "LS0108 cardholder c2"],
        ),
        ("left and never had a badge", |w| w.person(1).standing = ENDED, &[]),
        (
            "read twice by the directory, with different content",
            |w| {
                w.pair(1);
                w.person(1).standing = ENDED;
            },
            &["LS0101 employee:1"],
        ),
    ]);
}

#[test]
fn protected_badges_are_named() {
    let mut world = World::new();
    world.pair(1);
    world.who(1).standing = ENDED;
    world.policy.protected.insert(employee("1"));
    assert_eq!(tell(&world.plan()), ["revoke c1 Unqualified: suspend", "LS0118 P1"]);
    world.who(1).standing = Standing::Active;
    world.members("lab", &[1]);
    assert_eq!(tell(&world.plan()), ["stage c1 Confirmed: +lab"], "nothing is lost");
}

#[test]
fn the_reviewer_sees_groups_and_mapping_lines() {
    let mut world = World::new();
    world.pair(1);
    world.has(1, &["lab"]);
    world.members("vault", &[1]);
    world.members("cleared", &[1]);
    let draft = world.plan();
    let [action] = draft.stage().actions() else { panic!("one action") };
    let lines: Vec<_> = action.because.why.iter().map(|why| (why.mapping.as_deref(), why.text.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Some("mappings/hq.toml:10"), "no longer a member of lab and lab-visitors"),
            (Some("mappings/hq.toml:30"), "member of vault and cleared, and not of barred"),
        ]
    );
    assert_eq!(action.because.why[1].groups, [group("vault"), group("cleared")]);
    assert_eq!(action.because.why[1].level, Some(level("vault")));
}

#[test]
fn a_stage_action_rests_on_the_record_as_the_revoke_lane_leaves_it() {
    let mut world = World::new();
    world.policy.mover = Mover::RevokeFirst;
    world.pair(1);
    world.has(1, &["lab", "canteen"]);
    world.members("office", &[1]);
    let draft = world.plan();
    assert_eq!(draft.revoke().actions()[0].basis, Some(world.at(1).digest()));
    world.at(1).levels.remove(&level("lab"));
    assert_eq!(draft.stage().actions()[0].basis, Some(world.at(1).digest()));
}

#[test]
fn everybody_counts_once() {
    let mut world = World::new();
    world.pair(1); // in step
    world.pair(2);
    world.members("lab", &[2]); // changes
    world.pair(3);
    world.who(3).standing = ENDED; // leaves
    world.has(3, &["lab"]);
    world.pair(4);
    world.who(4).standing = Standing::Unknown; // undecided
    world.person(5); // joins
    world.card(6); // orphan
    let draft = world.plan();
    let tally = draft.tally();
    assert_eq!((tally.provision, tally.change, tally.disable), (1, 1, 1));
    assert_eq!((tally.undecided, tally.unchanged, tally.orphans), (1, 1, 1));
    let facts = draft.facts();
    assert_eq!((facts.people, facts.people_active, facts.cardholders, facts.managed), (5, 3, 5, 4));
    let lab = &facts.levels[&level("lab")];
    assert_eq!((lab.holders, lab.holders_after, lab.exists, lab.name.as_str()), (1, 1, true, "The lab"));
    assert_eq!(facts.groups[&group("lab")], Some(1));
    assert_eq!(facts.groups[&group("office")], Some(0));
}

#[test]
fn unreadable_groups_have_no_number_and_declared_ones_are_empty() {
    let mut world = World::new();
    world.membership("lab", Membership::Unreadable(fault()));
    world.membership("office", Membership::Unproven);
    world.membership("vault", Membership::Unproven);
    world.policy.levels[1].may_be_empty = true;
    world.membership("cleared", Membership::Empty(EmptyProof::Canary(pid(9))));
    let draft = world.plan();
    let groups = &draft.facts().groups;
    assert_eq!((groups[&group("lab")], groups[&group("office")]), (None, Some(0)));
    assert_eq!((groups[&group("vault")], groups[&group("cleared")]), (None, Some(0)));
}

#[test]
fn findings_come_most_severe_first_and_never_in_thousands() {
    let mut world = World::new();
    for n in 0..1_500 {
        world.card(n);
    }
    world.pair(2_000);
    world.who(2_000).standing = Standing::Unknown;
    world.person(3_000);
    world.link(3_000, 3_000);
    let draft = world.plan();
    let severities: Vec<Severity> = draft.findings().iter().map(lockstep_core::Finding::severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
    let orphans: Vec<_> = draft.findings().iter().filter(|finding| finding.code == Code::Orphan).collect();
    assert_eq!(orphans.len(), 1_001);
    assert_eq!(orphans[1_000].subject, "and 500 more");
    assert_eq!(draft.tally().orphans, 1_500);
}

#[test]
fn explaining_says_what_planning_decides() {
    let mut world = World::new();
    world.pair(1);
    world.has(1, &["lab"]);
    world.members("vault", &[1]);
    world.membership("cleared", Membership::Unreadable(fault()));
    let told = world.explain(1);
    assert_eq!((told.situation, told.standing), (Situation::Confirmed, Some(Standing::Active)));
    assert_eq!(told.cardholder, Some(cid(1)));
    let levels: Vec<_> = told.levels.iter().map(|l| (l.level.as_str(), l.entitled, l.has)).collect();
    assert_eq!(
        levels,
        [
            ("lab", Entitled::No, Some(true)),
            ("office", Entitled::No, Some(false)),
            ("vault", Entitled::Unknown, Some(false)),
        ]
    );
    assert_eq!(told.levels[2].all, [(group("cleared"), Entitled::Unknown)]);
    assert_eq!(told.levels[2].rule.line, 30);
    let codes: Vec<Code> = told.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::GroupUnreadable]);
}

#[test]
fn explaining_people_who_are_not_in_the_census() {
    let mut world = World::new();
    world.card(1);
    world.link(1, 1);
    world.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
    let gone = world.explain(1);
    assert_eq!((gone.situation, gone.standing, gone.cardholder), (Situation::SourceMissing, None, Some(cid(1))));
    let stranger = world.explain(7);
    assert_eq!((stranger.situation, stranger.cardholder), (Situation::Absent, None));
    assert!(stranger.levels.iter().all(|level| level.entitled == Entitled::Unknown && level.has.is_none()));
}

#[test]
fn a_joiner_takes_all_keys_along() {
    let mut world = World::new();
    world.person(1);
    let draft = world.plan();
    let [action] = draft.stage().actions() else { panic!("one action") };
    let Some(Step::Provision { profile, keys }) = action.steps.iter().next() else { panic!("provisioned first") };
    assert_eq!((profile.get("display_name"), keys.len()), (Some("P1"), 2));
    assert_eq!((action.basis.as_ref(), action.person.as_ref()), (None, Some(&pid(1))));
    assert_eq!(action.expect.status, Some(Status::Active));
}
