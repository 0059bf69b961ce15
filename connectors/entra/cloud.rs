//! The addresses of a cloud: one value sets the log-in host, the Graph host, the scope and the only host that a link may
//! lead to, so that they cannot be mixed. This module must not connect.

use lockstep_http::{Url, checked_base};

use crate::config::Cloud;

/// Where the identity of a machine in Azure is asked for. Never leaves the machine's own host.
const METADATA: &str = "http://169.254.169.254/";

/// Every address that is ever spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Where tokens are asked for.
    pub(crate) login: Url,
    /// Where Graph answers, with the version.
    pub(crate) graph: Url,
    /// Where the machine's own identity is asked for.
    pub(crate) metadata: Url,
    /// What a token is for, without `/.default`.
    pub(crate) resource: String,
}

impl Addresses {
    /// The addresses of a cloud, or of a stand-in on this machine.
    pub(crate) fn of(cloud: Cloud, stand_in: Option<&str>) -> Result<Self, String> {
        if let Some(address) = stand_in {
            return Self::stand_in(address);
        }
        let (login, graph) = match cloud {
            Cloud::Global => ("https://login.microsoftonline.com/", "https://graph.microsoft.com"),
            Cloud::UsGovL4 => ("https://login.microsoftonline.us/", "https://graph.microsoft.us"),
            Cloud::UsGovDod => ("https://login.microsoftonline.us/", "https://dod-graph.microsoft.us"),
            Cloud::China => ("https://login.chinacloudapi.cn/", "https://microsoftgraph.chinacloudapi.cn"),
        };
        let parsed = |text: &str| Url::parse(text).map_err(|error| error.to_string());
        Ok(Self {
            login: parsed(login)?,
            graph: parsed(&format!("{graph}/v1.0/"))?,
            metadata: parsed(METADATA)?,
            resource: graph.to_owned(),
        })
    }

    fn stand_in(address: &str) -> Result<Self, String> {
        let base = checked_base(address).map_err(|error| format!("`stand_in`: {error}"))?;
        let here = match base.host_str() {
            Some("localhost" | "127.0.0.1" | "[::1]") => matches!(base.path(), "" | "/"),
            _ => false,
        };
        if !here {
            return Err(
                "`stand_in` must be a port of this machine, as http://127.0.0.1:8080, and nothing else".to_owned()
            );
        }
        let below = |path: &str| base.join(path).map_err(|error| format!("`stand_in`: {error}"));
        Ok(Self {
            login: below("/login/")?,
            graph: below("/v1.0/")?,
            metadata: below("/")?,
            resource: base.as_str().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cloud_mixes_hosts_of_another() {
        for (cloud, ending) in
            [(Cloud::Global, ".com"), (Cloud::UsGovL4, ".us"), (Cloud::UsGovDod, ".us"), (Cloud::China, ".cn")]
        {
            let addresses = Addresses::of(cloud, None).expect("addresses");
            for url in [&addresses.login, &addresses.graph] {
                assert!(url.scheme() == "https" && url.host_str().is_some_and(|host| host.ends_with(ending)), "{url}");
            }
            assert!(addresses.graph.as_str().starts_with(&addresses.resource), "{cloud:?}");
        }
        let dod = Addresses::of(Cloud::UsGovDod, None).expect("addresses");
        assert_eq!(dod.graph.host_str(), Some("dod-graph.microsoft.us"));
    }

    #[test]
    fn a_stand_in_is_on_this_machine() {
        assert!(Addresses::of(Cloud::Global, Some("http://127.0.0.1:8080")).is_ok());
        for elsewhere in ["http://10.0.0.1", "https://graph.example", "http://127.0.0.1:1/x", "ftp://localhost", ""] {
            assert!(Addresses::of(Cloud::Global, Some(elsewhere)).is_err(), "{elsewhere}");
        }
    }
}
