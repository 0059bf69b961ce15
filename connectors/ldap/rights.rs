//! Whether the service account may do too little or too much. Nothing is tried that could change anything: the server is
//! asked what it would allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep_contract::{Check, Fault, FaultKind};

use crate::Ldap;
use crate::api::{Call, Search, Session, Sight};
use crate::changes::may_replicate;
use crate::entry::Entry;
use crate::facts::Facts;
use crate::pager::Pager;
use crate::probe::{fail, pass, warn};
use crate::{filter, guid, standing};

/// Relative ids of groups that may change a domain: its administrators and those of schema, enterprise and policies,
/// domain controllers, key administrators.
const POWERFUL_IN_DOMAIN: [u32; 8] = [498, 512, 516, 518, 519, 520, 526, 527];
/// Built-in groups that may change accounts or the server.
const POWERFUL_BUILT_IN: [&str; 5] = ["S-1-5-32-544", "S-1-5-32-548", "S-1-5-32-549", "S-1-5-32-550", "S-1-5-32-551"];
/// What Active Directory says that the asking account may change in an entry.
const EFFECTIVE: [&str; 3] = ["allowedAttributesEffective", "allowedChildClassesEffective", "sDRightsEffective"];
/// How many people and groups are looked at.
const SAMPLE: u32 = 50;
const LEAST: &str = "use an account that can only read: docs/directories has its exact rights";

impl Ldap {
    /// Whether what must be seen is seen, on some of the people. An attribute that nobody has may be hidden.
    pub(crate) async fn too_little(&self, call: &Call<'_>, session: &Session, facts: &Facts) -> Result<Check, Fault> {
        let name = "attributes";
        let settings = &self.settings.config;
        if let Some(unknown) = facts.unknown.first() {
            let detail = format!("{unknown} is no attribute of this directory, and the configuration names it");
            return Ok(fail(name, detail, "correct `fields` or `people.state`"));
        }
        let must: Vec<&str> = if facts.active_directory { standing::ALWAYS.to_vec() } else { Vec::new() };
        let mut wanted = facts.fields.attributes(None);
        wanted.extend(self.standing_attributes(facts));
        wanted.extend(must.iter().map(|name| (*name).to_owned()));
        let people = self.sample(call, session, self.people_search(facts, wanted.clone())).await?;
        let seen = |attribute: &str| people.iter().filter(|entry| !entry.values(attribute).is_empty()).count();
        let count = people.len();
        if count == 0 {
            let detail = "nobody is seen who could show what is hidden".to_owned();
            return Ok(warn(
                name,
                detail,
                "check `people.base`, `people.filter` and the rights of the service account",
            ));
        }
        if let Some(hidden) = must.iter().find(|attribute| seen(attribute) < count) {
            let detail =
                format!("{hidden} is hidden on {} of {count} people: their standing is unknown", count - seen(hidden));
            return Ok(fail(name, detail, "let the account read all properties of people"));
        }
        let named: BTreeSet<&String> =
            settings.fields.values().chain(settings.people.state.iter().map(|s| &s.attribute)).collect();
        let missing: Vec<&str> = named.into_iter().map(String::as_str).filter(|name| seen(name) == 0).collect();
        if missing.is_empty() {
            return Ok(pass(name, format!("whatever the configuration names is seen on {count} people")));
        }
        let detail = format!("nobody of {count} people shows {}: it is empty, or hidden", missing.join(", "));
        Ok(warn(name, detail, "see with an account that may read everything which of them it is"))
    }

    /// Whether the account may do more than read.
    pub(crate) async fn too_much(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        root: &Entry,
    ) -> Result<Check, Fault> {
        let name = "over-privilege";
        let mut found = if facts.active_directory {
            let mut found = powerful_groups(root);
            found.extend(self.may_change(call, session, facts, root).await?);
            if may_replicate(session, call, &facts.root).await? {
                found.push("may replicate the domain, passwords included (Replicating Directory Changes)".to_owned());
            }
            found
        } else {
            self.may_read_secrets(call, session, facts).await?
        };
        found.dedup();
        if found.is_empty() {
            return Ok(pass(name, "nothing beyond reading was found".to_owned()));
        }
        Ok(warn(name, found.join("; "), LEAST))
    }

    /// What the account may change at the places of the configuration, and on some people and groups.
    async fn may_change(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        root: &Entry,
    ) -> Result<Vec<String>, Fault> {
        let config = &self.settings.config;
        let mut found = Vec::new();
        let places: BTreeSet<&str> = [facts.root.as_str(), &config.people.base, &config.groups.base].into();
        for place in places {
            let search = Search::entry(place, EFFECTIVE.map(str::to_owned).to_vec());
            if let Sight::Seen(entry) = session.entry(call, "ask what it may change", &search).await? {
                found.extend(effective(&entry).map(|what| format!("may {what} {place}")));
            }
        }
        let attributes: BTreeSet<String> =
            EFFECTIVE.iter().chain(&["objectSid"]).map(|name| (*name).to_owned()).collect();
        let people = self.people_search(facts, attributes.clone());
        let mut groups = self.people_search(facts, attributes);
        groups.base.clone_from(&config.groups.base);
        groups.filter.clone_from(&facts.groups_filter);
        for (what, search) in [("people", people), ("groups", groups)] {
            let sample = self.sample(call, session, search).await?;
            // Everybody may change some things about themselves.
            let own = |entry: &&Entry| {
                entry.only("objectSid").is_some_and(|sid| root.values("tokenGroups").iter().any(|s| s == sid))
            };
            let mut rights: BTreeMap<String, usize> = BTreeMap::new();
            for right in sample.iter().filter(|entry| !own(entry)).filter_map(effective) {
                *rights.entry(right).or_default() += 1;
            }
            found.extend(
                rights.into_iter().map(|(right, count)| format!("may {right} {count} of {} {what}", sample.len())),
            );
        }
        Ok(found)
    }

    /// What nobody needs to read: hashes of passwords, what was written in clear, the server's own configuration.
    async fn may_read_secrets(&self, call: &Call<'_>, session: &Session, facts: &Facts) -> Result<Vec<String>, Fault> {
        let operation = "ask what it may read";
        let mut found = Vec::new();
        let mut search = Search::entry(facts.root.as_str(), vec!["userPassword".to_owned()]);
        search.base_only = false;
        search.filter = filter::all([facts.people_filter.as_str(), "(userPassword=*)"]);
        // One is enough to know, so a limit of the server does no harm.
        let answer = session.ask(call, operation, &search).await?;
        if answer.entries.iter().any(|entry| !entry.values("userPassword").is_empty()) {
            found.push("may read password hashes".to_owned());
        }
        for (place, what) in [
            ("cn=accesslog", "the log of all changes, with passwords as they were written (cn=accesslog)"),
            ("cn=config", "the configuration of the server (cn=config)"),
        ] {
            let answer = session.ask(call, operation, &Search::entry(place, vec!["objectClass".to_owned()])).await?;
            if answer.code == 0 && !answer.entries.is_empty() {
                found.push(format!("may read {what}"));
            }
        }
        Ok(found)
    }

    async fn sample(&self, call: &Call<'_>, session: &Session, search: Search) -> Result<Vec<Entry>, Fault> {
        let search = Search { elsewhere: Arc::clone(&search.elsewhere), ..search };
        let mut pager = Pager::new(session.clone(), search, SAMPLE.min(self.settings.config.page_size));
        match pager.next(call, "look at some").await {
            // The check of the place says so.
            Err(fault) if fault.kind == FaultKind::Denied => Ok(Vec::new()),
            result => result,
        }
    }
}

/// What an entry says that the asking account may do to it.
fn effective(entry: &Entry) -> Option<String> {
    let writes: Vec<&str> = entry.texts("allowedAttributesEffective").collect();
    let creates = entry.values("allowedChildClassesEffective").len();
    let rights = entry.only_text("sDRightsEffective").and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let mut may = Vec::new();
    match writes.as_slice() {
        [] => {}
        [one] => may.push(format!("write {one} of")),
        many => may.push(format!("write {} attributes of", many.len())),
    }
    if creates > 0 {
        may.push(format!("create {creates} kinds of entries in"));
    }
    if rights != 0 {
        may.push("change the rights on".to_owned());
    }
    (!may.is_empty()).then(|| may.join(" and "))
}

/// The powerful groups in the account's own token.
fn powerful_groups(root: &Entry) -> Vec<String> {
    let sids =
        root.values("tokenGroups").iter().filter_map(|sid| Some((guid::sid_text(sid)?, guid::relative_id(sid)?)));
    sids.filter(|(text, rid)| {
        POWERFUL_BUILT_IN.contains(&text.as_str())
            || (text.starts_with("S-1-5-21-") && POWERFUL_IN_DOMAIN.contains(rid))
    })
    .map(|(text, _)| format!("is in the group {text}"))
    .collect()
}
