//! Opens a connector: checks the configuration and fetches secrets. Nothing here connects.

use std::sync::Mutex;

use jiff::tz::TimeZone;
use lockstep_contract::{DirectoryId, DirectoryInfo, Fault, FaultKind, Opening, Secret, SecretRefs};
use lockstep_http::{Auth as HttpAuth, Client, Settings as HttpSettings, Url};
use uuid::Uuid;

use crate::assertion::Signer;
use crate::cloud::Addresses;
use crate::config::{Auth, Config};
use crate::convert::FieldMap;
use crate::graph::Graph;
use crate::pace::Pace;
use crate::standing::Leaving;
use crate::token::{Credential, Tokens};
use crate::{Entra, Settings};

/// Opens a tenant. Connects to nothing.
///
/// # Errors
/// When the configuration makes no sense, or a file or secret cannot be had.
pub fn open(id: DirectoryId, config: Config, opening: &Opening<'_>) -> Result<Entra, Fault> {
    let invalid = |message: String| Fault::new(FaultKind::Invalid, id.as_str(), "open", message);
    let addresses = Addresses::of(config.cloud, config.stand_in.as_deref()).map_err(&invalid)?;
    let credential = credential(&config.auth, opening).map_err(&invalid)?;
    let http =
        HttpSettings { ca_file: config.ca_file.as_ref().map(|file| opening.path(file)), ..HttpSettings::default() };
    let client = |base: &Url| Client::open(id.as_str(), base.clone(), HttpAuth::None, http.clone());
    let (base, path) = if matches!(credential, Credential::ManagedIdentity) {
        (&addresses.metadata, "metadata/identity/oauth2/token".to_owned())
    } else {
        (&addresses.login, format!("{}/oauth2/v2.0/token", tenant(&config.tenant).map_err(&invalid)?))
    };
    let url = base.join(&path).map_err(|error| invalid(format!("`tenant`: {error}")))?;
    let tokens = Tokens {
        client: client(base)?,
        url,
        resource: addresses.resource.clone(),
        client_id: config.auth.client_id.clone(),
        credential,
        cached: tokio::sync::Mutex::new(None),
    };
    let graph = Graph { client: client(&addresses.graph)?, tokens, pace: Pace::new(config.units_per_second) };
    let settings = Settings::check(config).map_err(&invalid)?;
    let endpoint = format!("{} tenant {}", addresses.resource, settings.config.tenant);
    Ok(Entra {
        info: DirectoryInfo { id, kind: "entra".to_owned(), endpoint },
        graph,
        settings,
        people: tokio::sync::Mutex::default(),
        quarantined: Mutex::default(),
    })
}

/// An id or a domain, and none of the words that stand for any tenant.
fn tenant(text: &str) -> Result<&str, String> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && text.bytes().any(|b| b.is_ascii_alphanumeric());
    let any = ["common", "organizations", "consumers"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain && !any {
        Ok(text)
    } else {
        Err("`tenant` must be the id of one tenant, or one of its domains".to_owned())
    }
}

fn credential(auth: &Auth, opening: &Opening<'_>) -> Result<Credential, String> {
    let secret = |places: &SecretRefs| opening.secrets.first(places).map_err(|error| error.to_string());
    let ways = [auth.certificate.is_some(), auth.secret.is_some(), auth.token_file.is_some(), auth.managed_identity];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        let message = "`auth` needs exactly one of `certificate`, `secret`, `token_file` and `managed_identity`";
        return Err(message.to_owned());
    }
    if auth.key.is_some() != auth.certificate.is_some() {
        return Err("`auth.certificate` and `auth.key` belong together".to_owned());
    }
    if auth.client_id.as_deref().is_none_or(str::is_empty) && !auth.managed_identity {
        return Err("`auth.client_id` is missing: the application (client) id of the registration".to_owned());
    }
    if auth.secret_dates && auth.secret.is_none() {
        return Err(
            "`auth.secret_dates` is about `auth.secret`; the end of a certificate is read from its file".to_owned()
        );
    }
    if let (Some(file), Some(key)) = (&auth.certificate, &auth.key) {
        let path = opening.path(file);
        let pem = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        return Ok(Credential::Certificate(Box::new(Signer::new(&pem, &secret(key)?, auth.signature)?)));
    }
    if let Some(places) = &auth.secret {
        let value: Secret = secret(places)?;
        if value.expose().trim() != value.expose() || value.expose().is_empty() {
            return Err("`auth.secret` is empty, or starts or ends with a blank or a line break".to_owned());
        }
        return Ok(Credential::Secret(value));
    }
    Ok(match &auth.token_file {
        Some(file) => Credential::TokenFile(opening.path(file)),
        None => Credential::ManagedIdentity,
    })
}

impl Settings {
    fn check(config: Config) -> Result<Self, String> {
        let id = |key: &str, text: &Option<String>| match text.as_deref().map(Uuid::try_parse) {
            None => Ok(None),
            Some(Ok(id)) => Ok(Some(id)),
            Some(Err(_)) => Err(format!("`{key}` must be an object id, as 00112233-4455-6677-8899-aabbccddeeff")),
        };
        if !(1..=999).contains(&config.page_size) {
            return Err("`page_size` must be between 1 and 999".to_owned());
        }
        if config.canary_group.is_some() && config.canary.is_none() {
            return Err("`canary_group` needs a `canary`".to_owned());
        }
        let zone = config.people.leave_zone.as_deref().map(TimeZone::get).transpose();
        let zone = zone.map_err(|_| "`people.leave_zone` is no time zone, as `Europe/Berlin`".to_owned())?;
        if zone.is_some() && !config.people.leave_date {
            return Err("`people.leave_zone` needs `people.leave_date = true`".to_owned());
        }
        let filter = match (config.people.guests, &config.people.filter) {
            (true, filter) => filter.clone(),
            (false, None) => Some("userType ne 'Guest'".to_owned()),
            (false, Some(filter)) => Some(format!("userType ne 'Guest' and ({filter})")),
        };
        Ok(Self {
            fields: FieldMap::new(&config.fields)?,
            leaving: Leaving { by_date: config.people.leave_date, zone },
            filter,
            canary: id("canary", &config.canary)?,
            canary_group: id("canary_group", &config.canary_group)?,
            config,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lockstep_contract::{SecretError, SecretRef, Secrets};

    use super::*;

    struct Kept;

    impl Secrets for Kept {
        fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
            match reference {
                SecretRef::Keyring(_) => Err(SecretError { reference: reference.clone(), message: "locked".into() }),
                _ => Ok(Secret::new(format!("value of {reference}"))),
            }
        }
    }

    fn opened(text: &str) -> Result<Entra, Fault> {
        let config: Config = serde_json::from_str(text).expect("parses");
        let opening = Opening { base: Path::new(env!("CARGO_MANIFEST_DIR")), secrets: &Kept };
        open(DirectoryId::new("cloud").expect("id"), config, &opening)
    }

    #[test]
    fn exactly_one_way_to_sign_in() {
        let auth = |auth: &str| opened(&format!(r#"{{"tenant":"corp.example","auth":{auth}}}"#));
        assert!(auth(r#"{"managed_identity":true}"#).is_ok());
        assert!(auth(r#"{"client_id":"c","secret":["keyring:S","env:S"]}"#).is_ok(), "the first that works");
        assert!(auth(r#"{"client_id":"c","secret":"env:S"}"#).is_ok());
        for bad in [
            "{}",
            r#"{"client_id":"c"}"#,
            r#"{"secret":"env:S"}"#,
            r#"{"client_id":"c","secret":"env:S","managed_identity":true}"#,
            r#"{"client_id":"c","secret":["keyring:S","keyring:T"]}"#,
            r#"{"managed_identity":true,"secret_dates":true}"#,
            r#"{"client_id":"c","certificate":"tests/certificates/app.pem"}"#,
            r#"{"client_id":"c","secret":"env:S","key":"env:K"}"#,
        ] {
            assert_eq!(auth(bad).expect_err(bad).kind, FaultKind::Invalid);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let with = |tenant: &str, extra: &str| {
            opened(&format!(
                r#"{{"tenant":"{tenant}","auth":{{"managed_identity":false,"client_id":"c","secret":"env:S"}}{extra}}}"#
            ))
        };
        assert!(with("corp.example", "").is_ok());
        for (tenant, extra) in [
            ("common", ""),
            ("a/../b", ""),
            ("..", ""),
            ("corp.example", r#","canary":"CN=x""#),
            ("corp.example", r#","page_size":1000"#),
            ("corp.example", r#","people":{"leave_zone":"Europe/Berlin"}"#),
            ("corp.example", r#","people":{"leave_date":true,"leave_zone":"Europe/Nowhere"}"#),
            ("corp.example", r#","canary_group":"00112233-4455-6677-8899-aabbccddeeff""#),
            ("corp.example", r#","stand_in":"http://graph.example""#),
        ] {
            assert!(with(tenant, extra).is_err(), "{tenant} {extra}");
        }
    }
}
