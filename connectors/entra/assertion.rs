//! The assertion by which the holder of a certificate's key proves that it is the application. This module must not send.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::Secret;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::config::Signature;

/// How long an assertion is good for. Entra sets no limit, so keeping it short is for us to do.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);
/// How far the two clocks may differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// A certificate with its key.
pub(crate) struct Signer {
    key: RsaKeyPair,
    signature: Signature,
    /// Base64url of the digest of the certificate.
    thumbprint: String,
    /// When the certificate ends.
    pub(crate) ends: Option<Timestamp>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

impl Signer {
    /// Takes a certificate and its key, both PEM.
    ///
    /// # Errors
    /// When one cannot be read, the key is not RSA, or the two do not belong together.
    pub(crate) fn new(certificate: &[u8], key: &Secret, signature: Signature) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|_| "`auth.certificate` holds no certificate in PEM form")?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|_| "`auth.key` holds no private key in PEM form")?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("`auth.key` must be an RSA key (PKCS #8 or PKCS #1)".to_owned()),
        };
        let key = key.map_err(|_| "`auth.key` must be an RSA key of at least 2048 bits")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| "`auth.certificate` cannot be understood as a certificate")?;
        if *parsed.public_key().subject_public_key.data != *key.public_key().as_ref() {
            return Err("`auth.key` is not the key of `auth.certificate`".to_owned());
        }
        let algorithm = match signature {
            Signature::Ps256 => &digest::SHA256,
            Signature::Rs256 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        };
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &certificate));
        let ends = Timestamp::from_second(parsed.validity().not_after.timestamp()).ok();
        Ok(Self { key, signature, thumbprint, ends })
    }

    /// Signs an assertion for this audience.
    ///
    /// # Errors
    /// When the key does not sign.
    pub(crate) fn assertion(
        &self,
        audience: &str,
        client: &str,
        number: &str,
        now: Timestamp,
    ) -> Result<Secret, String> {
        let header = match self.signature {
            Signature::Ps256 => json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint}),
            Signature::Rs256 => json!({"alg": "RS256", "typ": "JWT", "x5t": self.thumbprint}),
        };
        let claims = json!({
            "aud": audience,
            "iss": client,
            "sub": client,
            "jti": number,
            "iat": now.as_second(),
            "nbf": (now - CLOCK_SKEW).as_second(),
            "exp": (now + GOOD_FOR).as_second(),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let padding = match self.signature {
            Signature::Ps256 => &RSA_PSS_SHA256,
            Signature::Rs256 => &RSA_PKCS1_SHA256,
        };
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| "the key of the certificate did not sign")?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("tests/certificates/app.pem");
    const KEY: &str = include_str!("tests/certificates/app.key.pem");
    const OTHER_KEY: &str = include_str!("tests/certificates/other.key.pem");

    fn signer(signature: Signature) -> Signer {
        // As it comes from a credential store: without the last line end.
        Signer::new(CERTIFICATE, &Secret::new(KEY.trim_end().to_owned()), signature).expect("a signer")
    }

    fn decoded(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    }

    #[test]
    fn an_assertion_names_its_certificate_and_is_signed_by_its_key() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
        for (signature, name, length, check) in [
            (Signature::Ps256, "x5t#S256", 43, &RSA_PSS_2048_8192_SHA256),
            (Signature::Rs256, "x5t", 27, &RSA_PKCS1_2048_8192_SHA256),
        ] {
            let signer = signer(signature);
            let token = signer.assertion("https://login/t/oauth2/v2.0/token", "app", "n1", now).expect("signed");
            let parts: Vec<&str> = token.expose().split('.').collect();
            let [header, claims, signed] = parts.as_slice() else { panic!("three parts") };
            assert_eq!(decoded(header)[name].as_str().map(str::len), Some(length));
            let claims_value = decoded(claims);
            assert_eq!(claims_value["iss"], claims_value["sub"]);
            let lifetime = claims_value["exp"].as_i64().expect("exp") - now.as_second();
            assert!((1..=600).contains(&lifetime), "{lifetime}");
            let public = UnparsedPublicKey::new(check, signer.key.public_key().as_ref());
            let signed = URL_SAFE_NO_PAD.decode(signed).expect("base64url");
            assert!(public.verify(format!("{header}.{claims}").as_bytes(), &signed).is_ok(), "{signature:?}");
        }
        assert!(signer(Signature::Ps256).ends.is_some());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_without_being_shown() {
        let wrong = Signer::new(CERTIFICATE, &Secret::new(OTHER_KEY.to_owned()), Signature::Ps256);
        let message = wrong.expect_err("another key");
        assert!(message.contains("is not the key of") && !message.contains("PRIVATE"), "{message}");
        assert!(Signer::new(b"rubbish", &Secret::new(KEY.to_owned()), Signature::Ps256).is_err());
        assert!(Signer::new(CERTIFICATE, &Secret::new("rubbish".to_owned()), Signature::Ps256).is_err());
    }
}
