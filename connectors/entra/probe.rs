//! The probe: what the registration may see, and what it must not be able to do.

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Check, CheckOutcome, Cx, Fault, FaultKind, Health, ServerMark};
use uuid::Uuid;

use crate::Entra;
use crate::api::Ask;
use crate::graph::{Priority, Session};
use crate::roles::{Claims, HIDDEN, LIFE_CYCLE, MEMBERS, USERS, compare};
use crate::token::Credential;

/// Before a certificate ends, it is said so many days earlier; the last two of them as a failure.
const WARN_DAYS: i64 = 30;
const FAIL_DAYS: i64 = 1;
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
        let mut checks = vec![pass("TLS", way), self.sign_in_check()];
        checks.extend(self.tenant_check(&claims));
        checks.extend(permission_checks(&claims, config.groups.hidden, config.people.leave_date));
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

    fn sign_in_check(&self) -> Check {
        let name = "sign-in";
        match &self.graph.tokens.credential {
            Credential::Certificate(signer) => match signer.ends {
                Some(ends) => certificate_check(ends, Timestamp::now()),
                None => warn(name, "by a certificate whose end cannot be read", "look at its dates"),
            },
            Credential::Secret(_) => warn(
                name,
                "by a client secret; when it expires cannot be read without more permissions than it is worth",
                "use a certificate, or write the date down",
            ),
            Credential::TokenFile(file) => pass(name, format!("by the federated token in {}", file.display())),
            Credential::ManagedIdentity => {
                pass(name, "by the managed identity of this machine: every program on it can sign in so")
            }
        }
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

fn permission_checks(claims: &Claims, hidden: bool, leave_date: bool) -> Vec<Check> {
    let least = [(USERS, true), (MEMBERS, true), (HIDDEN, hidden), (LIFE_CYCLE, leave_date)];
    let least: Vec<&str> = least.into_iter().filter_map(|(name, needed)| needed.then_some(name)).collect();
    let least = least.join(", ");
    let Some(roles) = &claims.roles else {
        return vec![warn(
            "permissions",
            "the token cannot be read, so its permissions cannot be compared with the least that does",
            format!("look at the registration: it needs {least}, and nothing else"),
        )];
    };
    let found = compare(roles, hidden, leave_date);
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

fn certificate_check(ends: Timestamp, now: Timestamp) -> Check {
    let name = "sign-in";
    let days = ends.duration_since(now).as_hours().div_euclid(24);
    let help = "upload a new certificate beside the old one, then change `auth.certificate` and `auth.key`";
    let detail = format!("by a certificate that ends on {}", ends.strftime("%Y-%m-%d"));
    match days {
        ..0 => fail(name, format!("{detail}: it has ended"), help),
        0..=FAIL_DAYS => fail(name, format!("{detail}, within {} hours", (days + 1) * 24), help),
        2..=WARN_DAYS => warn(name, format!("{detail}, in {days} days"), help),
        _ => pass(name, detail),
    }
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

fn pass(name: &str, detail: impl Into<String>) -> Check {
    Check { name: name.to_owned(), outcome: CheckOutcome::Pass, detail: detail.into(), help: None }
}

fn warn(name: &str, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check { outcome: CheckOutcome::Warn, help: Some(help.into()), ..pass(name, detail) }
}

fn fail(name: &str, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check { outcome: CheckOutcome::Fail, help: Some(help.into()), ..pass(name, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_said_in_time() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
        let outcome = |hours: i64| certificate_check(now + SignedDuration::from_hours(hours), now).outcome;
        for (hours, expected) in [
            (-1, CheckOutcome::Fail),
            (5, CheckOutcome::Fail),
            (47, CheckOutcome::Fail),
            (49, CheckOutcome::Warn),
            (30 * 24, CheckOutcome::Warn),
            (32 * 24, CheckOutcome::Pass),
        ] {
            assert_eq!(outcome(hours), expected, "{hours} hours");
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_said() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
        assert_eq!(clock_check(now - SignedDuration::from_secs(60), now).outcome, CheckOutcome::Pass);
        assert_eq!(clock_check(now + SignedDuration::from_mins(6), now).outcome, CheckOutcome::Fail);
    }
}
