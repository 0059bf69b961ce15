//! A healthy site on a real OpenLDAP, settled: everybody is linked, and whoever leaves would lose access. The rows of the
//! table start here.

use std::fmt::Write;

use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::slapd::{
    BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group, group_name, people, person_name, unit,
};

use crate::site::{Site, holder, world};

/// How many people there are, where a row does not need more.
pub(crate) const PEOPLE: usize = 30;

/// The people of the filter that is used unless a row says otherwise.
pub(crate) const FILTER: &str = "(objectClass=inetOrgPerson)";

/// A directory and a site that follows it.
pub(crate) struct Campus {
    pub(crate) server: Slapd,
    pub(crate) site: Site,
}

/// How a campus differs from the usual one.
pub(crate) struct Wish {
    pub(crate) people: usize,
    pub(crate) page_size: usize,
    pub(crate) canary: bool,
    /// Only this group is mapped.
    pub(crate) only: Option<&'static str>,
    pub(crate) password_policy: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self { people: PEOPLE, page_size: 10, canary: true, only: None, password_policy: false }
    }
}

/// Each mapped group and its level. `above` holds `lab`.
const LEVELS: [(&str, &str); 4] =
    [("L-Above", "above"), ("L-Lab", "lab"), ("L-Main", "everybody"), ("L-Other", "other")];

impl Campus {
    /// The usual one. `None` when OpenLDAP is not installed.
    pub(crate) fn healthy() -> Option<Self> {
        Self::with(Wish::default())
    }

    pub(crate) fn with(wish: Wish) -> Option<Self> {
        let options =
            SlapdOptions { records: records(wish.people), password_policy: wish.password_policy, ..Default::default() };
        let server = Slapd::start(options).expect("the server starts")?;
        let levels: Vec<_> = LEVELS.into_iter().filter(|(_, group)| wish.only.is_none_or(|it| it == *group)).collect();
        let mut mapping = "correlate = [\"employee\"]\n".to_owned();
        for (level, group) in &levels {
            let _ = write!(mapping, "\n[[level]]\nid = \"{level}\"\nany = [\"{group}\"]\n");
        }
        let site = Site::new(&config(&server, &wish), &mapping, SERVICE_PASSWORD);
        let levels: Vec<&str> = levels.into_iter().map(|(level, _)| level).collect();
        let had: &[&str] = if levels.contains(&"L-Main") { &["L-Main"] } else { &[] };
        let holders: Vec<_> = (0..wish.people)
            .map(|n| holder(&format!("h-{n:06}"), &number(n), &format!("Given{n} Family{n}"), had))
            .collect();
        site.write("pacs.json", &world(&levels, &holders));
        site.settle();
        let holders = site.holders();
        let has = |n: usize, level: &str| holders[&number(n)].0.contains(level);
        for (level, inside, outside) in [("L-Lab", 3, 4), ("L-Above", 4, 5), ("L-Other", 5, 4)] {
            assert!(!levels.contains(&level) || (has(inside, level) && !has(outside, level)), "{level}");
        }
        Some(Self { server, site })
    }

    /// Sets the server up differently; its records stay.
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut SlapdOptions)) {
        self.server.restart(change).expect("restarts");
    }
}

/// The employee number of a person.
pub(crate) fn number(n: usize) -> String {
    format!("{}", 700_000 + n)
}

fn records(count: usize) -> Ldif {
    let mut records = Ldif::new();
    people(&mut records, count);
    unit(&mut records, "groups");
    group(&mut records, "everybody", &(0..count).map(person_name).collect::<Vec<_>>());
    group(&mut records, "lab", &[person_name(1), person_name(2), person_name(3)]);
    group(&mut records, "above", &[group_name("lab"), person_name(4)]);
    group(&mut records, "other", &[person_name(5)]);
    records
}

fn config(server: &Slapd, wish: &Wish) -> String {
    let canary = if wish.canary { format!("canary = \"{}\"\n", person_name(0)) } else { String::new() };
    format!(
        "approval = \"standing\"\n\n\
         [[directory]]\nid = \"corp\"\nkind = \"ldap\"\nurl = \"{}\"\nca_file = \"{}\"\npage_size = {}\n{canary}\
         bind = {{ user = \"{SERVICE}\", password = \"env:TEST_PASSWORD\" }}\n\
         people = {{ base = \"ou=people,{BASE}\", filter = \"{FILTER}\" }}\n\
         groups = {{ base = \"ou=groups,{BASE}\" }}\n\n\
         [[target]]\nid = \"hq\"\nkind = \"sim\"\nfile = \"pacs.json\"\npage_size = 1000\nmapping = \"mapping.toml\"\n",
        server.ldaps_url(),
        server.ca_file().display(),
        wish.page_size,
    )
}
