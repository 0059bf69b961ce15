//! The main job at size: a domain with ten thousand people and five hundred nested groups; a PACS that speaks SCIM and
//! knows only visitors yet, one in a file that knows everybody, and one of somebody else for a few. Plan, approve, apply,
//! and nothing is left to do; then a flood of grants, which two persons let through by name.
//!
//! The PACS for everybody that speaks SCIM is the scripted one, in memory. The servers of other people look at every
//! user and every member for each request, and each of ten thousand joiners takes several requests: one of them gets
//! two teams. It does not understand filters by employee number, so everybody is read before each creation. The file is
//! written as a whole for each change, so it has most of it right before.

mod annex;
#[path = "../harm/domain.rs"]
mod domain;
#[expect(dead_code, reason = "the harm table uses the rest")]
#[path = "../harm/site.rs"]
mod site;

use std::collections::BTreeSet;
use std::fmt::Write;

use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{SERVICE_PASSWORD, SambaAd};
use lockstep_testbed::scim::real_servers_are_demanded;
use lockstep_testbed::scripted::Scripted;
use serde_json::{Value, json};

use annex::Annex;
use domain::{Changes, TEAM, group, number, person};
use site::{DONE, HELD, Site, holder, removals, world};

const PEOPLE: usize = 10_000;
const TEAMS: usize = PEOPLE / TEAM;
/// Five teams each.
const DEPARTMENTS: usize = TEAMS / 5;
const BRANCHES: usize = 18;
/// Who is in the laboratory at first: the first department.
const IN_LAB: usize = PEOPLE / DEPARTMENTS;
/// Who comes to it later: more than a tenth of all.
const NEW_IN_LAB: usize = 9 * PEOPLE / DEPARTMENTS;

/// Who has a record in the annex: two teams.
const IN_ANNEX: usize = 2 * TEAM;

/// Who is on the PACS that speaks SCIM, and not in the directory.
const VISITORS: usize = 600;

/// The branch of a person.
fn branch(n: usize) -> usize {
    n / IN_LAB % BRANCHES
}

/// Teams in departments, departments in branches, branches in `All`; and `Lab`, with one department: 500 groups.
fn records() -> String {
    let mut changes = Changes::new();
    changes.people(PEOPLE);
    for team in 0..TEAMS {
        changes.group(&format!("Team-{team:03}"), (team * TEAM..(team + 1) * TEAM).map(person));
    }
    for department in 0..DEPARTMENTS {
        let teams = (department * 5..department * 5 + 5).map(|team| group(&format!("Team-{team:03}")));
        changes.group(&format!("Department-{department:02}"), teams);
    }
    for branch in 0..BRANCHES {
        let departments = (0..DEPARTMENTS).filter(|department| department % BRANCHES == branch);
        let departments = departments.map(|department| group(&format!("Department-{department:02}")));
        changes.group(&format!("Branch-{branch:02}"), departments);
    }
    changes.group("All", (0..BRANCHES).map(|branch| group(&format!("Branch-{branch:02}"))));
    changes.group("Lab", [group("Department-00")]);
    changes.0
}

const PROFILE: &str = "\n[profile]\ndisplay_name = \"{display_name}\"\nemployee_number = \"{employee_number}\"\n";

/// The mapping, with the id of each level by the name of its group.
fn mapping(groups: &[String], level: impl Fn(usize) -> String, more: &str) -> String {
    let mut mapping = format!("correlate = [\"employee\"]\n{PROFILE}{more}");
    for (n, name) in groups.iter().enumerate() {
        let _ = write!(mapping, "\n[[level]]\nid = \"{}\"\nany = [\"{name}\"]\n", level(n));
    }
    mapping
}

/// The systems of the site.
struct Systems {
    domain: SambaAd,
    pacs: Scripted,
    annex: Annex,
}

/// The site, and the ids of the levels of the annex.
fn site(Systems { domain, pacs, annex }: &Systems) -> (Site, Vec<String>) {
    let mut groups: Vec<String> = (0..BRANCHES).map(|branch| format!("Branch-{branch:02}")).collect();
    groups.push("All".to_owned());
    let config = format!(
        "{}\n[[target]]\nid = \"archive\"\nkind = \"sim\"\nfile = \"pacs.json\"\npage_size = 1000\nmapping = \"mapping.toml\"\n\
         \n[[target]]\nid = \"hq\"\nkind = \"scim\"\nurl = \"{}\"\nmemberships = \"user-groups\"\nmapping = \"hq.toml\"\n\
         \n[[target]]\nid = \"annex\"\nkind = \"scim\"\nurl = \"{}\"\ntoken = \"file:annex-token\"\nmapping = \"annex.toml\"\n",
        domain::directory(domain),
        pacs.url(),
        annex.url()
    );
    let site = Site::new(&config, &mapping(&groups, |n| format!("L-{}", groups[n]), ""), SERVICE_PASSWORD);
    let levels: Vec<String> = groups.iter().map(|group| format!("L-{group}")).collect();
    let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
    site.write("pacs.json", &world(&levels, &archive(&levels)));
    groups.push("Lab".to_owned());
    for n in 0..VISITORS {
        pacs.add_user(json!({
            "userName": format!("visitor{n}@elsewhere.example"), "active": true,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": format!("V{n:04}")},
        }));
    }
    let ids: Vec<String> = groups.iter().map(|name| pacs.add_group(name, &[])).collect();
    site.write("hq.toml", &mapping(&groups, |n| ids[n].clone(), "user_name = \"{upn}\"\n"));
    let few = ["All".to_owned(), "Branch-00".to_owned()];
    let ids: Vec<String> = few.iter().map(|name| annex.add_group(name)).collect();
    let scope = "user_name = \"{upn}\"\n\n[[scope]]\nfield = \"department\"\nany = [\"Team 000\", \"Team 001\"]\n";
    site.write("annex.toml", &mapping(&few, |n| ids[n].clone(), scope));
    site.write("annex-token", annex.token());
    let only_the_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(site.path("annex-token"), only_the_owner).expect("permissions");
    (site, ids)
}

/// Everybody, with their levels; but every five-hundredth lacks one, and every thousandth has one too many.
fn archive(levels: &[&str]) -> Vec<Value> {
    let had = |n: usize| {
        let own = levels[branch(n)];
        let other = levels[(branch(n) + 1) % BRANCHES];
        match (n % 1_000, n % 500) {
            (7, _) => vec![other, own, "L-All"],
            (_, 3) => vec![own],
            _ => vec![own, "L-All"],
        }
    };
    (0..PEOPLE).map(|n| holder(&format!("h-{n}"), &number(n), &format!("Given{n} Family{n}"), &had(n))).collect()
}

/// Everybody has the two levels of their branch, and those who are in the laboratory have that one, too.
#[track_caller]
fn is_right(site: &Site, pacs: &Scripted, in_lab: usize) {
    let archive = site.holders();
    let access = pacs.access();
    assert_eq!((archive.len(), access.len()), (PEOPLE, PEOPLE + VISITORS));
    let visitors = access.iter().filter(|(name, _)| name.starts_with("visitor"));
    assert!(visitors.into_iter().all(|(_, access)| *access == (true, BTreeSet::new())), "they are nobody's");
    for n in 0..PEOPLE {
        let own = format!("Branch-{:02}", branch(n));
        let mut expected = BTreeSet::from([own.clone(), "All".to_owned()]);
        assert_eq!(archive[&number(n)].0, expected.iter().map(|name| format!("L-{name}")).collect(), "archive, {n}");
        if n < in_lab {
            expected.insert("Lab".to_owned());
        }
        assert_eq!(access[&format!("p{n:05}@corp.example")], (true, expected), "hq, {n}");
    }
}

#[track_caller]
fn nothing_is_left(site: &Site) {
    let plan = site.run(&["plan", "--json", "--detailed-exitcode"]).ends(DONE).json();
    assert_eq!(plan["entries"], json!([]));
}

/// The systems, or `None` when one of them is not installed.
fn systems() -> Option<Systems> {
    let annex = Annex::start()?;
    let domain = SambaAd::start(&records(), CertificateKind::Right).expect("the domain starts")?;
    Some(Systems { domain, pacs: Scripted::start().expect("the PACS starts"), annex })
}

#[expect(clippy::print_stderr, reason = "a skip is never silent")]
#[test]
fn ten_thousand_people_and_five_hundred_nested_groups() {
    let Some(systems) = systems() else {
        assert!(!real_servers_are_demanded(), "Samba or SCIMMY is not installed");
        eprintln!("SKIPPED: Samba or SCIMMY is not installed");
        return;
    };
    let (site, annex_levels) = site(&systems);
    let Systems { domain, pacs, annex } = &systems;

    let planned = site.run(&["plan", "--json"]).ends(HELD).json();
    let (entries, plan) = (planned["entries"].as_array().expect("entries").len(), planned["directory"].clone());
    assert_eq!(
        entries,
        PEOPLE + IN_ANNEX + 30,
        "everybody joins at headquarters, few in the annex; thirty are put right"
    );
    assert_eq!(removals(&planned).len(), 10);
    let plan = plan.as_str().expect("a folder");
    site.run(&["apply", plan]).ends(HELD);
    assert_eq!(pacs.writes(), 0, "nothing without an approval");
    site.run(&["approve", plan, "--by", "Jane Doe", "--yes"]).ends(DONE);
    site.run(&["apply", plan]).ends(DONE);
    is_right(&site, pacs, IN_LAB);
    let few: Vec<String> = (0..IN_ANNEX).map(|n| format!("p{n:05}@corp.example")).collect();
    for level in &annex_levels {
        assert_eq!(annex.members(level), few, "the annex");
    }
    nothing_is_left(&site);

    explained(&site);
    flood(domain, &site, pacs);
}

/// Why somebody has a level: the way through the groups, the line of the mapping, the level.
fn explained(site: &Site) {
    let text = site.run(&["explain", "employee:700000"]).ends(DONE).out;
    assert!(text.contains("All → Branch-00 → Department-00 → Team-000 → Given0 Family0"), "{text}");
    assert!(text.contains("Lab → Department-00 → Team-000 → Given0 Family0"), "{text}");
    let mapping = std::fs::read_to_string(site.path("mapping.toml")).expect("the mapping");
    let line = mapping.lines().position(|line| line == "id = \"L-All\"").expect("the level");
    let verdict = text.lines().find(|line| line.contains("L-All")).expect("a line about the level");
    assert!(verdict.contains("should have it") && verdict.contains("has it"), "{verdict}");
    assert!(verdict.contains(&format!("mapping.toml:{line}")), "{verdict}: the table of the level, above its id");
    let other = text.lines().find(|line| line.contains("L-Branch-01")).expect("a line about another level");
    assert!(other.contains("should not have it"), "{other}");
}

/// Nine departments come to the laboratory at once. That many grants are held until two persons name them.
fn flood(domain: &SambaAd, site: &Site, pacs: &Scripted) {
    let mut change = format!("dn: {}\nchangetype: modify\nadd: member\n", group("Lab"));
    for department in 1..10 {
        let _ = writeln!(change, "member: {}", group(&format!("Department-{department:02}")));
    }
    domain.modify(&format!("{change}-\n")).expect("modified");
    let planned = site.run(&["plan", "--json"]).ends(HELD).json();
    let entries = planned["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), NEW_IN_LAB);
    assert!(entries.iter().all(|entry| entry["state"]["is"] == "held"), "held by a guard");
    assert!(planned.to_string().contains("LS0208"), "too many people would gain access");
    let plan = planned["directory"].as_str().expect("a folder").to_owned();

    let writes = pacs.writes();
    let names: Vec<String> = (IN_LAB..IN_LAB + NEW_IN_LAB).map(|n| format!("employee:{}", number(n))).collect();
    for by in ["Jane Doe", "John Roe"] {
        site.run(&["apply", &plan]).ends(HELD);
        assert_eq!(pacs.writes(), writes, "one person is not enough");
        let mut args = vec!["approve", plan.as_str(), "--by", by, "--yes", "--overrule", "--only"];
        args.extend(names.iter().map(String::as_str));
        site.run(&args).ends(DONE);
    }
    site.run(&["apply", &plan]).ends(DONE);
    is_right(site, pacs, IN_LAB + NEW_IN_LAB);
    nothing_is_left(site);
}
