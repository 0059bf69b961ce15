//! The TLS configuration: which authorities are trusted. There is no way to switch the check off.

use std::path::Path;
use std::sync::Arc;

use lockstep_contract::Secret;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// A client certificate, and its key as PEM.
pub(crate) struct Own<'a> {
    pub(crate) certificate: &'a Path,
    pub(crate) key: &'a Secret,
}

/// Trusts the authorities in this PEM file, or those of the operating system; shows a certificate of our own, if there is one.
///
/// # Errors
/// When a file cannot be read, or does not hold what it must. The text says which.
pub(crate) fn client_config(ca_file: Option<&Path>, own: Option<&Own<'_>>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let config = match ca_file {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None => builder
            .with_platform_verifier()
            .map_err(|error| format!("the authorities of the operating system cannot be used: {error}"))?,
    };
    let Some(own) = own else { return Ok(Arc::new(config.with_no_client_auth())) };
    let file = own.certificate.display();
    let chain = CertificateDer::pem_file_iter(own.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| format!("`bind.certificate` {file}: {error}"))?;
    // What is wrong with a key is not said: it might be said with a part of it.
    let key = PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes());
    let key = key.map_err(|_| "`bind.key` is no private key in PEM".to_owned())?;
    let config = config.with_client_auth_cert(chain, key);
    config.map(Arc::new).map_err(|error| format!("`bind.certificate` {file} and `bind.key` are no pair: {error}"))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let file = path.display();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| format!("`ca_file` {file}: {error}"))?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("`ca_file` {file}: {error}"))?;
        store.add(certificate).map_err(|error| format!("`ca_file` {file}: not a usable authority: {error}"))?;
    }
    if store.is_empty() {
        return Err(format!("`ca_file` {file}: it holds no certificate"));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let empty = folder.path().join("ca.pem");
        std::fs::write(&empty, "nothing here\n").expect("written");
        let error = client_config(Some(&empty), None).expect_err("no certificate");
        assert!(error.contains("no certificate"), "{error}");
        assert!(client_config(Some(&folder.path().join("none.pem")), None).is_err());
    }
}
