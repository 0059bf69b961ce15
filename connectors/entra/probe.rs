//! The probe: what the registration may see, and what it must not be able to do.

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Check, CheckOutcome, Cx, Fault, FaultKind, Health, Secret, ServerMark};
use uuid::Uuid;

use crate::Entra;
use crate::api::Ask;
use crate::config::Config;
use crate::expiry::{self, SIGN_IN};
use crate::graph::{Priority, Session};
use crate::roles::{self, APPLICATIONS, Claims, compare};
use crate::token::Credential;

const NEW_CERTIFICATE: &str =
    "upload a new certificate beside the old one, then change `auth.certificate` and `auth.key`";
const NEW_SECRET: &str = "make a new secret beside the old one, then change what `auth.secret` refers to";
/// Further apart than this, assertions and expiry times stop making sense.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_mins(5);

impl Entra {
    /// Looks at the sign-in, the permissions and what they show. A connection that fails is a fault.
    pub(crate) async fn health(&self, cx: &Cx) -> Result<Health, Fault> {
        let session = Session::begin(&self.graph, cx, Priority::High);
        let config = &self.settings.config;
        let way = if self.graph.client.base().scheme() == "https" {
            "TLS 1.2 or newer, certificate checked against the name of the cloud's own host"
        } else {
            "a stand-in on this machine, without TLS"
        };
        // Before the token is looked at: one that Graph does not take any more is renewed on the way.
        let ask = Ask::users_count(self.settings.filter.as_deref());
        let (clock, users) = match session.one_with_clock(&ask).await {
            Ok((body, clock)) => (clock, crate::api::list_page(&session, body, &ask.operation)?.count),
            Err(refusal) if refusal.fault.kind == FaultKind::Denied => (None, None),
            Err(refusal) => return Err(refusal.into()),
        };
        let claims = session.claims().await?;
        let mut checks = vec![pass("TLS", way), self.sign_in_check(&session).await?];
        checks.extend(self.tenant_check(&claims));
        checks.extend(permission_checks(&claims, config));
        checks.push(match users {
            Some(users) if users > 0 => pass("people", format!("{users} users are people, by the count of Graph")),
            Some(_) => fail("people", "Graph shows no users", "check `people.filter`, and the permissions"),
            None => fail("people", "users cannot be read", "grant User.Read.All, with admin consent"),
        });
        checks.push(self.canary_check(&session).await);
        checks.extend(self.canary_group_check(&session).await);
        checks.extend(self.leave_date_check(&session).await?);
        checks.extend(self.guests_check());
        checks.extend(clock.map(|clock| clock_check(clock, Timestamp::now())));
        let domain = claims.tenant.unwrap_or_else(|| config.tenant.to_ascii_lowercase());
        Ok(Health { checks, server: Some(ServerMark { domain, replica: None, generation: None, clock }) })
    }

    async fn sign_in_check(&self, session: &Session<'_>) -> Result<Check, Fault> {
        Ok(match &self.graph.tokens.credential {
            Credential::Certificate(signer) => match signer.ends {
                Some(ends) => expiry::check("a certificate", ends, Timestamp::now(), NEW_CERTIFICATE),
                None => warn(SIGN_IN, "by a certificate whose end cannot be read", "look at its dates"),
            },
            Credential::Secret(secret) if self.settings.config.auth.secret_dates => {
                self.secret_check(session, secret).await?
            }
            Credential::Secret(_) => warn(
                SIGN_IN,
                "by a client secret; when it expires cannot be read without more permissions than it is worth",
                "use a certificate, or write the date down",
            ),
            Credential::TokenFile(file) => pass(SIGN_IN, format!("by the federated token in {}", file.display())),
            Credential::ManagedIdentity => {
                pass(SIGN_IN, "by the managed identity of this machine: every program on it can sign in so")
            }
        })
    }

    /// When the client secret ends, by the registration itself.
    async fn secret_check(&self, session: &Session<'_>, secret: &Secret) -> Result<Check, Fault> {
        let client_id = self.settings.config.auth.client_id.as_deref().unwrap_or_default();
        let application = match session.one(&Ask::application(client_id)).await {
            Ok(application) => application,
            Err(refusal) if matches!(refusal.fault.kind, FaultKind::Denied | FaultKind::Missing) => {
                let detail = "by a client secret; the registration cannot be read, so its end is not known";
                return Ok(fail(SIGN_IN, detail, format!("grant {APPLICATIONS}, or set `auth.secret_dates = false`")));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        Ok(match expiry::of_secret(&application, secret) {
            Some(ends) => expiry::check("a client secret", ends, Timestamp::now(), NEW_SECRET),
            None => warn(
                SIGN_IN,
                "by a client secret that the registration does not list by its first characters",
                "write the date down, or use a certificate",
            ),
        })
    }

    fn tenant_check(&self, claims: &Claims) -> Option<Check> {
        let (said, configured) = (claims.tenant.as_deref()?, self.settings.config.tenant.as_str());
        let name = "tenant";
        Some(match Uuid::try_parse(configured) {
            Ok(_) if said.eq_ignore_ascii_case(configured) => pass(name, said.to_owned()),
            Ok(_) => fail(name, format!("the token is for the tenant {said}, not for {configured}"), "check `tenant`"),
            Err(_) => warn(
                name,
                format!("{configured} is the tenant {said} today"),
                "set `tenant` to the id: a domain may be moved to another tenant",
            ),
        })
    }

    async fn canary_check(&self, session: &Session<'_>) -> Check {
        match self.see_canary(session).await {
            Ok(Some(_)) => pass("canary", "seen, with its properties"),
            Ok(None) => warn(
                "canary",
                "none is configured: nobody is proven gone once the deleted items are purged, and no group is proven empty",
                "set `canary` to the object id of a user who never leaves",
            ),
            Err(fault) => fail("canary", fault.message, "check `canary`, and the permission User.Read.All"),
        }
    }

    async fn canary_group_check(&self, session: &Session<'_>) -> Option<Check> {
        let (canary, group) = (self.settings.canary?, self.settings.canary_group?);
        let name = "canary group";
        let help = "check `canary_group`, and the permission GroupMember.Read.All";
        Some(match self.group_shows(session, group, canary).await {
            Ok(true) => pass(name, "it shows the canary"),
            Ok(false) => fail(name, "it does not show the canary, so no empty group is believed", help),
            Err(fault) => fail(name, fault.message, help),
        })
    }

    async fn leave_date_check(&self, session: &Session<'_>) -> Result<Option<Check>, Fault> {
        if !self.settings.config.people.leave_date {
            return Ok(None);
        }
        let name = "leave date";
        let readable = match self.dates_readable(session).await {
            Ok(readable) => readable,
            Err(fault) if fault.kind == FaultKind::Denied => false,
            Err(fault) => return Err(fault),
        };
        Ok(Some(if readable {
            pass(name, "employeeLeaveDateTime can be read")
        } else {
            fail(
                name,
                "employeeLeaveDateTime may be hidden: the standing of every enabled account is unknown",
                "grant User-LifeCycleInfo.Read.All, or give the canary a leave date in the far future",
            )
        }))
    }

    fn guests_check(&self) -> Option<Check> {
        self.settings.config.people.guests.then(|| {
            warn(
                "guests",
                "guests are read; that their account at home was ended is not shown in this tenant",
                "review guests regularly (access reviews), or leave `people.guests` off",
            )
        })
    }
}

fn permission_checks(claims: &Claims, config: &Config) -> Vec<Check> {
    let needed = roles::least(config);
    let least = needed.join(", ");
    let Some(roles) = &claims.roles else {
        return vec![warn(
            "permissions",
            "the token cannot be read, so its permissions cannot be compared with the least that does",
            format!("look at the registration: it needs {least}, and nothing else"),
        )];
    };
    let found = compare(roles, &needed);
    let mut checks = Vec::new();
    for name in &found.missing {
        checks.push(fail(
            &format!("permission {name}"),
            "missing in the token",
            "grant it as an application permission, with admin consent; a new token shows it up to 90 minutes later",
        ));
    }
    for name in &found.dangerous {
        checks.push(fail(
            &format!("permission {name}"),
            "far more than a reader of people and groups may have",
            format!("take it away; needed are only {least}"),
        ));
    }
    for name in &found.excessive {
        checks.push(warn(
            &format!("permission {name}"),
            "more than is needed",
            format!("take it away; needed are only {least}"),
        ));
    }
    if checks.is_empty() {
        checks.push(pass("permissions", format!("{least}, and nothing else")));
    }
    checks
}

fn clock_check(server: Timestamp, here: Timestamp) -> Check {
    let apart = here.duration_since(server).abs();
    if apart <= CLOCKS_APART_MAX {
        return pass("clock", format!("within {} s of the server's", apart.as_secs() + 1));
    }
    fail(
        "clock",
        format!("{} s away from the server's", apart.as_secs()),
        "set the clock of this machine: leave dates and sign-ins rest on it",
    )
}

pub(crate) fn pass(name: &str, detail: impl Into<String>) -> Check {
    Check { name: name.to_owned(), outcome: CheckOutcome::Pass, detail: detail.into(), help: None }
}

pub(crate) fn warn(name: &str, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check { outcome: CheckOutcome::Warn, help: Some(help.into()), ..pass(name, detail) }
}

pub(crate) fn fail(name: &str, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check { outcome: CheckOutcome::Fail, help: Some(help.into()), ..pass(name, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_said() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
        assert_eq!(clock_check(now - SignedDuration::from_secs(60), now).outcome, CheckOutcome::Pass);
        assert_eq!(clock_check(now + SignedDuration::from_mins(6), now).outcome, CheckOutcome::Fail);
    }
}
