//! The probe: what the reader can see, and what it must not be able to do.

use lockstep_contract::{Check, CheckOutcome, Cx, Fault, Health, ServerMark};

use crate::Ldap;
use crate::api::{Call, Search, Session, Sight};
use crate::config::Gone;
use crate::entry::Entry;
use crate::facts::{Facts, root_entry};
use crate::guid;
use crate::lookup::NO_TOMBSTONES;
use crate::standing::generalized_time;

/// Relative ids of groups that may change a domain: its administrators and those of schema, enterprise and policies,
/// domain controllers, key administrators.
const POWERFUL_IN_DOMAIN: [u32; 8] = [498, 512, 516, 518, 519, 520, 526, 527];
/// Built-in groups that may change accounts or the server.
const POWERFUL_BUILT_IN: [&str; 5] = ["S-1-5-32-544", "S-1-5-32-548", "S-1-5-32-549", "S-1-5-32-550", "S-1-5-32-551"];

impl Ldap {
    /// Looks at the connection, the account and what it sees. A connection that fails is a fault.
    pub(crate) async fn health(&self, cx: &Cx) -> Result<Health, Fault> {
        let call = self.call(cx);
        let session = self.server.connect(&call).await?;
        let facts = self.facts(&call, &session).await?;
        let root = root_entry(&session, &call).await?;
        let way = if self.server.starttls { "StartTLS" } else { "LDAPS" };
        let mut checks = vec![
            pass("TLS", format!("{way}, certificate checked against the name in `url`")),
            pass("bind", format!("logged in as {}", self.server.user)),
            pass("flavor", if facts.active_directory { "active-directory" } else { "openldap" }.to_owned()),
        ];
        let (people, groups) = (&self.settings.config.people.base, &self.settings.config.groups.base);
        checks.push(self.base("people base", &call, &session, people).await?);
        checks.push(self.base("groups base", &call, &session, groups).await?);
        checks.push(self.canary_check(&call, &session, &facts).await);
        checks.push(self.gone_check(&call, &session, &facts).await?);
        checks.push(state_check(&facts, self.settings.config.people.state.is_some()));
        let places = [facts.root.as_str(), people, groups];
        checks.push(over_privilege(&call, &session, &facts, &root, &places).await?);
        let server = self.server_mark(&call, &session, &facts, &root).await?;
        self.give_back(session);
        Ok(Health { checks, server: Some(server) })
    }

    async fn base(&self, name: &str, call: &Call<'_>, session: &Session, base: &str) -> Result<Check, Fault> {
        let search = Search::entry(base, vec!["objectClass".to_owned()]);
        Ok(match session.entry(call, name, &search).await? {
            Sight::Seen(entry) if !entry.values("objectClass").is_empty() => pass(name, base.to_owned()),
            Sight::Seen(_) => fail(name, format!("{base} is there, but its attributes are hidden"), "give read rights"),
            Sight::Absent { .. } | Sight::Hidden => fail(
                name,
                format!("{base} is not visible"),
                "check the spelling, and the rights of the service account",
            ),
        })
    }

    async fn canary_check(&self, call: &Call<'_>, session: &Session, facts: &Facts) -> Check {
        match self.see_canaries(call, session, facts).await {
            Ok(seen) if seen.is_empty() => Check {
                outcome: CheckOutcome::Warn,
                help: Some("set `canary` to an account that never leaves".to_owned()),
                ..pass("canary", "none is configured: nobody can be proven gone without a tombstone".to_owned())
            },
            Ok(seen) => pass("canary", format!("{} seen", seen.len())),
            Err(fault) => fail("canary", fault.message, "check the rights of the service account"),
        }
    }

    /// Whether somebody who is deleted will be known to be gone.
    async fn gone_check(&self, call: &Call<'_>, session: &Session, facts: &Facts) -> Result<Check, Fault> {
        let name = "gone";
        let config = &self.settings.config;
        let warn = |detail: &str, help: &str| Check {
            outcome: CheckOutcome::Warn,
            help: Some(help.to_owned()),
            ..pass(name, detail.to_owned())
        };
        if self.gone_by(facts) == Gone::NotFound {
            return Ok(if self.sees_root(call, session, facts).await? {
                pass(
                    name,
                    format!("whoever is not in {} while the canary is; the account must see all of it", facts.root),
                )
            } else {
                let detail = "the top of the naming context is not visible: nobody can be proven gone";
                warn(detail, "let the account read the whole naming context")
            });
        }
        if !facts.active_directory || !config.show_deleted {
            return Ok(warn("no tombstones are looked for: nobody can be proven gone", NO_TOMBSTONES));
        }
        // The container itself may be visible to somebody who may not list it.
        let search = Search {
            base: format!("CN=Deleted Objects,{}", facts.root),
            filter: "(isDeleted=TRUE)".to_owned(),
            attributes: vec!["lastKnownParent".to_owned()],
            deleted: true,
            ..Search::default()
        };
        let found = session.ask(call, name, &search).await?;
        Ok(if found.entries.iter().any(|entry| !entry.values("lastKnownParent").is_empty()) {
            pass(name, "by tombstones; some are visible in Deleted Objects".to_owned())
        } else {
            let detail = "no tombstone is visible in Deleted Objects: none is there, or the account may not list it";
            warn(detail, "let the account list Deleted Objects; without that, nobody can be proven gone")
        })
    }

    async fn server_mark(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        root: &Entry,
    ) -> Result<ServerMark, Fault> {
        let domain = if facts.active_directory {
            let search = Search::entry(facts.root.as_str(), vec!["objectSid".to_owned()]);
            match session.entry(call, "read the domain", &search).await? {
                Sight::Seen(entry) => entry.only("objectSid").and_then(guid::sid_text),
                Sight::Absent { .. } | Sight::Hidden => None,
            }
        } else {
            None
        };
        let replica = match root.only_text("dsServiceName") {
            Some(service) => self.invocation(call, session, service).await?,
            None => None,
        };
        Ok(ServerMark {
            domain: domain.unwrap_or_else(|| facts.root.clone()),
            replica,
            generation: root.only_text("highestCommittedUSN").and_then(|text| text.parse().ok()),
            clock: root.only_text("currentTime").and_then(generalized_time),
        })
    }

    /// Which database of which domain controller answered. It changes when one is restored.
    async fn invocation(&self, call: &Call<'_>, session: &Session, service: &str) -> Result<Option<String>, Fault> {
        let search = Search::entry(service, vec!["invocationId".to_owned()]);
        Ok(match session.entry(call, "read which server answered", &search).await? {
            Sight::Seen(entry) => entry.only("invocationId").and_then(guid::from_object_guid).map(|id| id.to_string()),
            Sight::Absent { .. } | Sight::Hidden => None,
        })
    }
}

fn pass(name: &str, detail: String) -> Check {
    Check { name: name.to_owned(), outcome: CheckOutcome::Pass, detail, help: None }
}

fn fail(name: &str, detail: String, help: &str) -> Check {
    Check { name: name.to_owned(), outcome: CheckOutcome::Fail, detail, help: Some(help.to_owned()) }
}

/// Whether the directory can tell who has left.
fn state_check(facts: &Facts, own: bool) -> Check {
    let name = "account state";
    if facts.active_directory {
        return pass(name, "userAccountControl, accountExpires".to_owned());
    }
    if !facts.schema_read {
        return fail(
            name,
            "the schema is hidden: the state of every account is unknown".to_owned(),
            "let the account read cn=Subschema",
        );
    }
    let known: Vec<&str> = facts.states.iter().map(|state| state.name).collect();
    if known.is_empty() && !own {
        return Check {
            outcome: CheckOutcome::Warn,
            help: Some("name an attribute of your own in `people.state`, if you have one".to_owned()),
            ..pass(
                name,
                "this directory has no attribute that says that somebody has left; whoever is there is active"
                    .to_owned(),
            )
        };
    }
    pass(name, known.join(", "))
}

/// Whether the account may do more than read.
async fn over_privilege(
    call: &Call<'_>,
    session: &Session,
    facts: &Facts,
    root: &Entry,
    places: &[&str],
) -> Result<Check, Fault> {
    let name = "over-privilege";
    let mut found: Vec<String> = powerful_groups(root);
    if facts.active_directory {
        for place in places {
            let attributes = ["allowedAttributesEffective", "allowedChildClassesEffective"].map(str::to_owned);
            if let Sight::Seen(entry) = session.entry(call, name, &Search::entry(*place, attributes.to_vec())).await? {
                let writes = entry.values("allowedAttributesEffective").len();
                let creates = entry.values("allowedChildClassesEffective").len();
                if writes + creates > 0 {
                    found.push(format!(
                        "may write {writes} attributes of {place} and create {creates} kinds of entries in it"
                    ));
                }
            }
        }
    } else {
        // The hash of a password is for nobody to read. One is enough to know.
        let mut search = Search::entry(facts.root.as_str(), vec!["userPassword".to_owned()]);
        search.base_only = false;
        search.filter = filter_for_password(facts);
        let answer = session.ask(call, name, &search).await?;
        if answer.entries.iter().any(|entry| !entry.values("userPassword").is_empty()) {
            found.push("may read password hashes".to_owned());
        }
    }
    found.dedup();
    Ok(if found.is_empty() {
        pass(name, "nothing beyond reading was found".to_owned())
    } else {
        Check {
            outcome: CheckOutcome::Warn,
            help: Some(
                "use an account that can only read; see the README of the connector for its exact rights".to_owned(),
            ),
            ..pass(name, found.join("; "))
        }
    })
}

fn filter_for_password(facts: &Facts) -> String {
    crate::filter::all([facts.people_filter.as_str(), "(userPassword=*)"])
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
