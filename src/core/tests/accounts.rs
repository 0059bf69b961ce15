//! The lives of accounts: what people and their records go through, and the whole plan that must come of it (AT-42).

mod world;

use lockstep_contract::{CorrelationKeys, KeyKind, Membership, Proof, Standing, Status};
use lockstep_core::Looked;
use world::{ENDED, Row, check, employee, fault, field, key, mail, pid, run};

/// AT-42: what accounts go through, and what must come of it.
const LIVES_OF_ACCOUNTS: &[Row] = &[
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
];

#[test]
fn lives_of_accounts() {
    check(LIVES_OF_ACCOUNTS);
}
