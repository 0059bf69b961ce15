//! Finding the servers of a domain by DNS: those of our site first, then the others, in the order that their records ask
//! for (RFC 2782). What DNS says is not to be trusted: a name counts only below the domain, and TLS checks it.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use lockstep_contract::{Fault, FaultKind};

use crate::faults::About;

/// More servers than anybody wants to wait for.
const TARGETS_MAX: usize = 12;
const PORT_PLAIN: u16 = 389;
const PORT_TLS: u16 = 636;

/// How servers are found.
pub(crate) struct Discovery {
    domain: String,
    site: Option<String>,
    resolver: Option<SocketAddr>,
    /// TLS is asked for on the plain port. Otherwise it has a port of its own.
    starttls: bool,
    /// The server that answered last.
    last: Mutex<Option<Target>>,
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("domain", &self.domain).field("site", &self.site).finish_non_exhaustive()
    }
}

/// A server that DNS names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The name that its certificate must carry.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    priority: u16,
    weight: u16,
    port: u16,
    host: String,
}

impl Discovery {
    /// For a domain, and one site of it.
    pub(crate) fn new(
        domain: &str,
        site: Option<&str>,
        resolver: Option<SocketAddr>,
        starttls: bool,
    ) -> Result<Self, String> {
        let domain = domain.trim_matches('/').trim_end_matches('.').to_ascii_lowercase();
        let valid = |text: &str| {
            !text.is_empty()
                && text.len() < 200
                && text.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                })
        };
        if !valid(&domain) {
            return Err(format!("`url`: srv:{domain} names no domain"));
        }
        if let Some(site) = site.filter(|site| !valid(site) || site.contains('.')) {
            return Err(format!("`site`: {site} is no name of a site"));
        }
        Ok(Self { domain, site: site.map(str::to_owned), resolver, starttls, last: Mutex::default() })
    }

    /// The server that answered last.
    pub(crate) fn last(&self) -> Option<Target> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This server answered: it is asked first from now on.
    pub(crate) fn keep(&self, target: &Target) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(target.clone());
    }

    /// The servers, in the order in which to try them.
    pub(crate) async fn targets(&self, about: About<'_>) -> Result<Vec<Target>, Fault> {
        let resolver = self.resolver().map_err(|why| {
            about.fault(FaultKind::Unreachable, format!("DNS cannot be asked: {why}")).with_help("set `resolver`")
        })?;
        let domain = &self.domain;
        let (mut records, mut broken) = (Vec::new(), None);
        let site = self.site.as_ref().map(|site| format!("_ldap._tcp.{site}._sites.dc._msdcs.{domain}."));
        // The last name is for servers other than Active Directory, where there is nothing under the others.
        let names = [site, Some(format!("_ldap._tcp.dc._msdcs.{domain}.")), Some(format!("_ldap._tcp.{domain}."))];
        for (at, name) in names.iter().enumerate() {
            if let Some(name) = name.as_ref().filter(|_| at < 2 || records.is_empty()) {
                match lookup(&resolver, name).await {
                    Ok(found) => records.extend(order(found, &mut random)),
                    Err(why) => broken = Some(why),
                }
            }
        }
        let (targets, foreign) = self.resolve(&resolver, records).await;
        if !targets.is_empty() {
            return Ok(targets);
        }
        let (message, help) = match (foreign.first(), broken) {
            (Some(host), _) => {
                (format!("DNS names {host} for {domain}, which is not below it"), "name a server in `url` instead")
            }
            (None, Some(why)) => {
                (format!("DNS does not answer: {why}"), "check `resolver`, or the DNS of this machine")
            }
            (None, None) => (format!("DNS knows no server for {domain}"), "check the domain in `url`"),
        };
        Err(about.fault(FaultKind::Unreachable, message).with_help(help))
    }

    async fn resolve(&self, resolver: &TokioResolver, records: Vec<Record>) -> (Vec<Target>, Vec<String>) {
        let (mut targets, mut foreign, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for Record { port, host, .. } in records {
            let below =
                host.strip_suffix(self.domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            if !below {
                foreign.push(crate::api::shown(&host));
                continue;
            }
            let port = if self.starttls { port } else { port_with_tls(port) };
            if targets.len() == TARGETS_MAX || !seen.insert((host.clone(), port)) {
                continue;
            }
            let Ok(found) = resolver.lookup_ip(format!("{host}.")).await else { continue };
            let addresses = found.iter().map(|address| SocketAddr::new(address, port)).collect();
            targets.push(Target { host, port, addresses });
        }
        (targets, foreign)
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let builder = match self.resolver {
            None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
            Some(address) => {
                let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                    let mut connection = ConnectionConfig::new(protocol);
                    connection.port = address.port();
                    connection
                });
                let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        builder.build().map_err(|error| error.to_string())
    }
}

/// The records under a name; none when there is no such name.
async fn lookup(resolver: &TokioResolver, name: &str) -> Result<Vec<Record>, String> {
    let found = match resolver.lookup(name, RecordType::SRV).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error) => return Err(crate::api::shown(&error.to_string())),
    };
    let services = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(service) => Some(Record {
            priority: service.priority,
            weight: service.weight,
            port: service.port,
            host: service.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
        }),
        _ => None,
    });
    // A lone dot says that the service is not offered.
    Ok(services.filter(|record| !record.host.is_empty()).collect())
}

/// Lowest priority first; among equals by lot, so that heavier ones win more often (RFC 2782).
fn order(mut records: Vec<Record>, random: &mut dyn FnMut(u64) -> u64) -> Vec<Record> {
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority);
        let total: u64 = equals.clone().map(|record| u64::from(record.weight)).sum();
        let lot = random(total + 1);
        let mut sum = 0;
        let at = equals
            .enumerate()
            .find_map(|(at, record)| {
                sum += u64::from(record.weight);
                (sum >= lot).then_some(at)
            })
            .unwrap_or(0);
        ordered.push(records.remove(at));
    }
    ordered
}

/// Some number below another. Good enough to spread load.
fn random(below: u64) -> u64 {
    RandomState::new().hash_one(below) % below.max(1)
}

/// The port with TLS. Records name the plain one, on which TLS is asked for first.
const fn port_with_tls(port: u16) -> u16 {
    if port == PORT_PLAIN { PORT_TLS } else { port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, host: &str) -> Record {
        Record { priority, weight, port: 389, host: host.to_owned() }
    }

    #[test]
    fn the_lowest_priority_is_first_and_the_lot_decides_among_equals() {
        let records = || vec![record(10, 0, "far"), record(0, 1, "light"), record(0, 9, "heavy")];
        let hosts = |lot: u64| {
            let ordered = order(records(), &mut |_| lot);
            ordered.into_iter().map(|record| record.host).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(hosts(0), "light heavy far");
        assert_eq!(hosts(2), "heavy light far");
        let mut light_first = 0;
        for _ in 0..1_000 {
            light_first += u32::from(order(records(), &mut random)[0].host == "light");
        }
        assert!((50..400).contains(&light_first), "{light_first} of 1,000");
    }

    #[test]
    fn a_domain_and_a_site_are_names() {
        for domain in ["", "a..b", "a b", "corp.example/x"] {
            assert!(Discovery::new(domain, None, None, false).is_err(), "{domain}");
        }
        assert!(Discovery::new("corp.example", Some("a.b"), None, false).is_err());
        assert!(Discovery::new("corp.example.", Some("Berlin-1"), None, false).is_ok());
    }
}
