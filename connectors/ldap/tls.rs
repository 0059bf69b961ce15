//! The TLS configuration: which authorities are trusted. There is no way to switch the check off.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Trusts the authorities in this PEM file, or those of the operating system.
///
/// # Errors
/// When the file cannot be read, or holds no certificate. The text says which.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
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
    Ok(Arc::new(config.with_no_client_auth()))
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
        let error = client_config(Some(&empty)).expect_err("no certificate");
        assert!(error.contains("no certificate"), "{error}");
        assert!(client_config(Some(&folder.path().join("none.pem"))).is_err());
    }
}
