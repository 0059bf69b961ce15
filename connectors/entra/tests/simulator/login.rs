//! The log-in host and the metadata service of a machine. This module must not know what a token is used for.

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::wire::{Reply, Request};
use super::{Shared, lock};

pub(crate) const TENANT: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
pub(crate) const CLIENT: &str = "0a0b0c0d-0000-4000-8000-0000000000aa";
pub(crate) const SECRET: &str = "client-secret-that-nobody-may-see";
/// The last part of every token.
pub(crate) const SIGNATURE: &str = "signature-that-nobody-may-see";
/// What another identity provider says, as the file has it.
pub(crate) const FEDERATED: &str = "federated-token-of-another-provider";

/// How the log-in host behaves.
#[derive(Debug)]
pub(crate) struct Login {
    /// How many tokens were given.
    pub(crate) given: u32,
    /// Refuses with these numbers.
    pub(crate) refuse: Option<(u16, u64)>,
    /// Tokens that cannot be read.
    pub(crate) opaque: bool,
    pub(crate) expires_in: u64,
    /// The public key of the registered certificate.
    pub(crate) public_key: Option<Vec<u8>>,
}

impl Default for Login {
    fn default() -> Self {
        Self { given: 0, refuse: None, opaque: false, expires_in: 3_600, public_key: None }
    }
}

impl Shared {
    pub(crate) fn sign_in(&self, request: &Request) -> Reply {
        let path = request.url().path().to_owned();
        if path == "/metadata/identity/oauth2/token" {
            return self.machine(request);
        }
        if path != format!("/login/{TENANT}/oauth2/v2.0/token") || request.method != "POST" {
            return refused(400, 90_002);
        }
        if let Some((status, code)) = lock(&self.login).refuse {
            let mut reply = refused(status, code);
            reply.body["error_description"] =
                json!(format!("AADSTS{code}: {}", String::from_utf8_lossy(&request.body)));
            return reply;
        }
        let named = request.form("grant_type").as_deref() == Some("client_credentials")
            && request.form("client_id").as_deref() == Some(CLIENT);
        if !named {
            return refused(400, 700_016);
        }
        if request.form("scope") != Some(format!("{}/.default", self.root)) {
            return refused(400, 70_011);
        }
        if let Err(code) = self.proven(request) {
            return refused(401, code);
        }
        let (token, life) = self.token();
        Reply::ok(json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}))
    }

    fn proven(&self, request: &Request) -> Result<(), u64> {
        if let Some(secret) = request.form("client_secret") {
            return if secret == SECRET { Ok(()) } else { Err(7_000_215) };
        }
        let kind = request.form("client_assertion_type");
        let assertion = request.form("client_assertion").unwrap_or_default();
        if kind.as_deref() != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
            return Err(7_000_216);
        }
        if assertion == FEDERATED {
            return Ok(());
        }
        let parts: Vec<&str> = assertion.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { return Err(700_213) };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let header_value: Value = serde_json::from_slice(&decoded(header)).unwrap_or_default();
        let claims_value: Value = serde_json::from_slice(&decoded(claims)).unwrap_or_default();
        let audience = format!("{}/login/{TENANT}/oauth2/v2.0/token", self.root);
        let right = header_value["alg"] == "PS256"
            && claims_value["aud"] == json!(audience)
            && claims_value["iss"] == CLIENT
            && claims_value["sub"] == CLIENT;
        let key = lock(&self.login).public_key.clone().unwrap_or_default();
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key);
        let signed = key.verify(format!("{header}.{claims}").as_bytes(), &decoded(signature)).is_ok();
        if right && signed { Ok(()) } else { Err(700_027) }
    }

    /// Writes its numbers as texts, and wants a header that no page in a browser can send.
    fn machine(&self, request: &Request) -> Reply {
        let asked = request.header("metadata") == Some("true")
            && request.parameter("api-version").as_deref() == Some("2018-02-01")
            && request.parameter("resource").as_deref() == Some(&self.root);
        if !asked {
            return Reply::error(400, "invalid_request");
        }
        let (token, life) = self.token();
        Reply::ok(json!({"access_token": token, "expires_in": life.to_string(), "expires_on": "1506484173",
            "resource": self.root, "token_type": "Bearer"}))
    }

    fn token(&self) -> (String, u64) {
        let permissions = lock(&self.tenant).permissions.clone();
        let mut login = lock(&self.login);
        login.given += 1;
        let roles: Vec<&String> = permissions.iter().collect();
        let payload = json!({"tid": TENANT, "roles": roles, "number": login.given}).to_string();
        let payload = if login.opaque { format!("opaque{}", login.given) } else { URL_SAFE_NO_PAD.encode(payload) };
        let token = format!("header.{payload}.{SIGNATURE}");
        lock(&self.tokens).insert(token.clone(), permissions);
        (token, login.expires_in)
    }
}

fn refused(status: u16, code: u64) -> Reply {
    let body =
        json!({"error": "invalid_client", "error_description": format!("AADSTS{code}: no."), "error_codes": [code]});
    Reply { status, headers: Vec::new(), body }
}
