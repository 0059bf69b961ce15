//! What planning makes of people: the table of situations, and the lives of accounts, as tables of small worlds.
//!
//! Each row tells a world and the whole plan for it: a step more or less fails.

mod world;

use lockstep_contract::{CredentialStatus, InactiveStatus, KeyKind, Members, Membership, Proof, Standing, Status};
use lockstep_core::{LinkOrigin, Looked, Mover, OutOfScope, Ownership, RuleSource, ScopeRule, Template};
use world::{
    ENDED, Row, World, card_credential, check, cid, employee, fault, field, group, key, level, mail, pid, rule, run,
    site,
};

const THE_TABLE_OF_SITUATIONS: &[Row] = &[
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
];

#[test]
fn the_table_of_situations() {
    check(THE_TABLE_OF_SITUATIONS);
}

const HOLDS_WIN_OVER_EVERYTHING: &[Row] = &[
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
        "by a key that two people have: nobody is put out by it, and nobody is let in",
        |w| {
            w.pair(1);
            w.pair(2);
            w.members("lab", &[1]);
            for n in [1, 2] {
                w.who(n).keys.insert(key(KeyKind::Account, "frontdesk"));
            }
            let hold = w.hold(9);
            (hold.person, hold.keys) = (None, [key(KeyKind::Account, "frontdesk")].into_iter().collect());
        },
        &["LS0111 P1", "LS0111 P2"],
    ),
    (
        "by a key that two people have, and one of them leaves: the hold shelters nobody",
        |w| {
            w.pair(1);
            w.pair(2);
            for n in [1, 2] {
                w.who(n).keys.insert(key(KeyKind::Account, "frontdesk"));
            }
            w.who(1).standing = ENDED;
            let hold = w.hold(9);
            (hold.person, hold.keys) = (None, [key(KeyKind::Account, "frontdesk")].into_iter().collect());
        },
        &["revoke c1 Unqualified: suspend", "LS0111 P1", "LS0111 P2"],
    ),
    (
        "by a key that two people have, and later one of them by name: the wide hold hides nothing",
        |w| {
            w.pair(1);
            w.pair(2);
            for n in [1, 2] {
                w.who(n).keys.insert(key(KeyKind::Account, "frontdesk"));
            }
            let hold = w.hold(9);
            (hold.person, hold.keys) = (None, [key(KeyKind::Account, "frontdesk")].into_iter().collect());
            w.hold(1);
        },
        &["revoke c1 Held: suspend", "LS0111 P1", "LS0111 P2"],
    ),
    (
        "by a key that two people have, and later one of them by a key of their own",
        |w| {
            w.pair(1);
            w.pair(2);
            for n in [1, 2] {
                w.who(n).keys.insert(key(KeyKind::Account, "frontdesk"));
            }
            for keys in [key(KeyKind::Account, "frontdesk"), mail("p1@x.example")] {
                let hold = w.hold(9);
                (hold.person, hold.keys) = (None, [keys].into_iter().collect());
            }
        },
        &["revoke c1 Held: suspend", "LS0111 P1", "LS0111 P2"],
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
];

#[test]
fn holds_win_over_everything() {
    check(HOLDS_WIN_OVER_EVERYTHING);
}

const WHAT_IS_NOT_OURS_IS_LEFT_ALONE: &[Row] = &[
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
];

#[test]
fn what_is_not_ours_is_left_alone() {
    check(WHAT_IS_NOT_OURS_IS_LEFT_ALONE);
}

const MOVERS: &[Row] = &[
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
];

#[test]
fn movers() {
    check(MOVERS);
}

fn scoped(w: &mut World) {
    w.policy.scope = vec![ScopeRule {
        field: field("department"),
        any: ["Research".to_owned(), "Förderung".to_owned()].into_iter().collect(),
        source: RuleSource { file: "mappings/hq.toml".to_owned(), line: 3 },
    }];
}

const SCOPE: &[Row] = &[
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
];

#[test]
fn scope() {
    check(SCOPE);
}

const FIELDS: &[Row] = &[
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
        |w| w.person(1).profile.set(field("display_name"), "A name of more than twenty characters"),
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
];

#[test]
fn fields() {
    check(FIELDS);
}
