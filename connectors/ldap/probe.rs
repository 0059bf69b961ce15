//! The probe: what the reader can see, and what it must not be able to do.

use std::sync::Arc;

use lockstep_contract::{Check, CheckOutcome, Cx, Fault, FaultKind, Health, ServerMark};

use crate::Ldap;
use crate::api::{Call, Search, Session, Sight};
use crate::changes::Way;
use crate::config::{Gone, Notice};
use crate::entry::Entry;
use crate::facts::{Facts, replica, root_entry};
use crate::guid;
use crate::lookup::NO_TOMBSTONES;
use crate::standing::generalized_time;

impl Ldap {
    /// Looks at the connection, the account and what it sees. A connection that fails is a fault.
    pub(crate) async fn health(&self, cx: &Cx) -> Result<Health, Fault> {
        let call = self.call(cx);
        let session = self.server.connect(&call).await?;
        let facts = self.facts(&call, &session).await?;
        let root = root_entry(&session, &call).await?;
        let way = if self.server.starttls { "StartTLS" } else { "LDAPS" };
        let mut checks = vec![
            pass("TLS", format!("{way}, certificate checked against the name of {}", session.host)),
            pass("bind", self.server.login.shown()),
            pass("flavor", if facts.active_directory { "active-directory" } else { "openldap" }.to_owned()),
        ];
        let (people, groups) = (&self.settings.config.people.base, &self.settings.config.groups.base);
        checks.push(self.base("people base", &call, &session, people).await?);
        checks.push(self.base("groups base", &call, &session, groups).await?);
        checks.push(self.canary_check(&call, &session, &facts).await);
        checks.push(self.gone_check(&call, &session, &facts).await?);
        checks.push(state_check(&facts, self.settings.config.people.state.is_some()));
        checks.push(self.changes_check(&call, &session, &facts).await?);
        checks.push(self.too_little(&call, &session, &facts).await?);
        checks.push(self.too_much(&call, &session, &facts, &root).await?);
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
            Ok(seen) if seen.is_empty() => warn(
                "canary",
                "none is configured: nobody can be proven gone without a tombstone".to_owned(),
                "set `canary` to an account that never leaves",
            ),
            Ok(seen) => pass("canary", format!("{} seen", seen.len())),
            Err(fault) => fail("canary", fault.message, "check the rights of the service account"),
        }
    }

    /// Whether somebody who is deleted will be known to be gone.
    async fn gone_check(&self, call: &Call<'_>, session: &Session, facts: &Facts) -> Result<Check, Fault> {
        let name = "gone";
        let config = &self.settings.config;
        let warn = |detail: &str, help: &str| warn(name, detail.to_owned(), help);
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

    /// Whether the server tells what changed.
    async fn changes_check(&self, call: &Call<'_>, session: &Session, facts: &Arc<Facts>) -> Result<Check, Fault> {
        let name = "changes";
        let deletions = if self.settings.config.show_deleted { "" } else { "; deletions by the full read only" };
        Ok(match self.try_changes(call, session, facts).await {
            Ok(Way::Usn) => pass(name, format!("by change numbers{deletions}")),
            Ok(Way::Dirsync) => pass(name, format!("by DirSync, limited to what the account may read{deletions}")),
            Ok(Way::Sync) => pass(name, "by content synchronization".to_owned()),
            Ok(Way::Timestamp) => warn(
                name,
                "by time of modification: deletions are noticed by the full read only".to_owned(),
                "load the overlay syncprov on the database, if the server is OpenLDAP",
            ),
            Err(fault) if fault.kind.is_transient() || fault.kind == FaultKind::Cancelled => return Err(fault),
            Err(fault) if self.settings.config.changes == Notice::Off => pass(name, fault.message),
            Err(fault) => {
                let help =
                    fault.help.unwrap_or_else(|| "set `changes` to what the server has, or to \"off\"".to_owned());
                fail(name, fault.message, &help)
            }
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
        Ok(ServerMark {
            domain: domain.unwrap_or_else(|| facts.root.clone()),
            replica: if facts.active_directory { replica(session, call).await? } else { None },
            generation: root.only_text("highestCommittedUSN").and_then(|text| text.parse().ok()),
            clock: root.only_text("currentTime").and_then(generalized_time),
        })
    }
}

pub(crate) fn pass(name: &str, detail: String) -> Check {
    Check { name: name.to_owned(), outcome: CheckOutcome::Pass, detail, help: None }
}

pub(crate) fn warn(name: &str, detail: String, help: &str) -> Check {
    Check { outcome: CheckOutcome::Warn, help: Some(help.to_owned()), ..pass(name, detail) }
}

pub(crate) fn fail(name: &str, detail: String, help: &str) -> Check {
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
        return warn(
            name,
            "this directory has no attribute that says that somebody has left; whoever is there is active".to_owned(),
            "name an attribute of your own in `people.state`, if you have one",
        );
    }
    pass(name, known.join(", "))
}
