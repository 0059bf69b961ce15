//! Rows about a PACS that tells something else than it has. The directory is a healthy HR feed.

use std::fmt::Write;

use lockstep_testbed::scripted::{Lie, Scripted};
use serde_json::json;

use crate::site::{HELD, PARTIAL, Site, UNREADABLE};

const PEOPLE: usize = 12;
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A settled site: everybody has the level `Main`, the first two have `Lab`.
struct Branch {
    server: Scripted,
    site: Site,
}

impl Branch {
    fn healthy() -> Self {
        let server = Scripted::start().expect("the server starts");
        let users: Vec<String> = (0..PEOPLE)
            .map(|n| {
                server.add_user(json!({
                    "userName": format!("u{n}@corp.example"), "displayName": format!("Given{n} Family{n}"),
                    "active": true, ENTERPRISE: {"employeeNumber": number(n)},
                }))
            })
            .collect();
        let main = server.add_group("Main", &users);
        let lab = server.add_group("Lab", &users[..1]);
        let config = format!(
            "approval = \"standing\"\n\n\
             [[directory]]\nid = \"corp\"\nkind = \"hr-csv\"\npeople = \"people.csv\"\ngroups = \"groups.csv\"\n\n\
             [[target]]\nid = \"hq\"\nkind = \"scim\"\nurl = \"{}\"\npage_size = 5\nmapping = \"mapping.toml\"\n",
            server.url()
        );
        let mapping = format!(
            "correlate = [\"employee\"]\n\n[profile]\nuser_name = \"{{upn}}\"\ndisplay_name = \"{{display_name}}\"\n\
             employee_number = \"{{employee_number}}\"\n\n\
             [[level]]\nid = \"{main}\"\nany = [\"GRP-Main\"]\n\n[[level]]\nid = \"{lab}\"\nany = [\"GRP-Lab\"]\n"
        );
        let branch = Self { server, site: Site::new(&config, &mapping, "") };
        branch.staff(Self::NOBODY_NEW);
        branch.site.settle();
        let access = branch.server.access();
        assert!(access["u1@corp.example"].1.contains("Lab") && !access["u2@corp.example"].1.contains("Lab"));
        branch
    }

    /// Everybody works here, and nobody else.
    const NOBODY_NEW: (usize, Option<usize>) = (PEOPLE, None);
    /// The last one has left, and somebody is new.
    const ONE_LEFT_AND_ONE_IS_NEW: (usize, Option<usize>) = (PEOPLE + 1, Some(PEOPLE - 1));

    /// How many are in the feed, and who of them has left.
    fn staff(&self, (people, left): (usize, Option<usize>)) {
        let mut table = "id,upn,display_name,employee_number,status\n".to_owned();
        let mut groups = "group,member\nGRP-Lab,p-0\nGRP-Lab,p-1\n".to_owned();
        for n in 0..people {
            let status = if left == Some(n) { "ended" } else { "active" };
            let _ = writeln!(table, "p-{n},u{n}@corp.example,Given{n} Family{n},{},{status}", number(n));
            let _ = writeln!(groups, "GRP-Main,p-{n}");
        }
        self.site.write("people.csv", &table);
        self.site.write("groups.csv", &groups);
    }

    /// The PACS lies, somebody has left, and somebody is new: nothing is done on the strength of what it tells.
    fn lies(&self, lie: Lie) {
        let (before, writes) = (self.server.access(), self.server.writes());
        self.staff(Self::ONE_LEFT_AND_ONE_IS_NEW);
        self.server.lie(lie);
        for verb in ["plan", "sync"] {
            let ran = self.site.run(&[verb, "--json"]).ends(UNREADABLE);
            assert!(!ran.out.contains("\"entries\""), "there is no plan: {}", ran.out);
        }
        assert_eq!(self.server.access(), before);
        assert_eq!(self.server.writes(), writes, "nothing was written to the PACS");
    }
}

fn number(n: usize) -> String {
    format!("{}", 700_000 + n)
}

#[test]
fn scim_list_cut_short() {
    Branch::healthy().lies(Lie::ShortList);
}

#[test]
fn scim_page_repeated() {
    Branch::healthy().lies(Lie::RepeatedPage);
}

#[test]
fn scim_total_counts_the_page_only() {
    Branch::healthy().lies(Lie::TotalOfPage);
}

#[test]
fn scim_total_larger_than_the_list() {
    Branch::healthy().lies(Lie::TotalTooLarge);
}

/// Nothing contradicts such a list. Whether the missing user gets a second record is for a person to say.
#[test]
fn scim_user_left_out_of_the_list_and_the_total() {
    let branch = Branch::healthy();
    let (before, writes) = (branch.server.access(), branch.server.writes());
    branch.server.lie(Lie::HiddenUser);
    for verb in ["plan", "sync"] {
        branch.site.run(&[verb, "--json"]).ends(HELD);
    }
    assert_eq!(branch.server.access(), before);
    assert_eq!(branch.server.writes(), writes, "nothing was written to the PACS");
}

/// Lists are right; only questions for one user are answered with everybody. The leaver is switched off; the
/// joiner waits, since nobody can tell whether there is a record already; and nobody is taken for somebody else.
#[test]
fn scim_server_that_ignores_filters() {
    let branch = Branch::healthy();
    let before = branch.server.access();
    branch.staff(Branch::ONE_LEFT_AND_ONE_IS_NEW);
    branch.server.lie(Lie::IgnoredFilter);
    let ran = branch.site.run(&["sync", "--json"]).ends(PARTIAL);
    let after = branch.server.access();
    let leaver = format!("u{}@corp.example", PEOPLE - 1);
    let joiner = format!("u{PEOPLE}@corp.example");
    let others = |access: &lockstep_testbed::scripted::Access| {
        access
            .iter()
            .filter(|(name, _)| **name != joiner && **name != leaver)
            .map(|(n, a)| (n.clone(), a.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&after), others(&before), "nobody else: {}", ran.out);
    assert_eq!(after.len(), PEOPLE, "no second record: {after:?}");
    assert!(!after[&leaver].0, "the leaver is switched off: {}\n{}", ran.out, ran.err);
}
