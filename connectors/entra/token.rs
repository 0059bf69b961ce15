//! The token for Graph: asked for once, kept, and renewed before it ends. This module must not talk to Graph.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{Cx, Fault, FaultKind, Secret};
use lockstep_http::{Answer, CallFault, Client, Effect, Extra, Method, Request, Url};
use oauth2::basic::{BasicClient, BasicTokenType};
use oauth2::http::{Response, header};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope,
    TokenResponse as _, TokenUrl,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::assertion::Signer;
use crate::roles::Claims;

const OPERATION: &str = "sign in";
const MEDIA: &str = "application/json";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A token is renewed so long before it ends.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// What proves that we are the application.
#[derive(Debug)]
pub(crate) enum Credential {
    /// A certificate's key.
    Certificate(Box<Signer>),
    /// A client secret.
    Secret(Secret),
    /// A token of another identity provider, in a file that changes.
    TokenFile(PathBuf),
    /// The machine itself.
    ManagedIdentity,
}

/// A token.
#[derive(Debug)]
pub(crate) struct Token {
    /// What is sent.
    pub(crate) secret: Secret,
    /// What it says about itself.
    pub(crate) claims: Claims,
    renew: Instant,
    ends: Instant,
}

/// What a form holds.
type Pairs = Vec<(&'static str, String)>;

/// How the flow of `oauth2` reaches the log-in host: by our own client, with its limits.
struct Sender<'a> {
    tokens: &'a Tokens,
    cx: &'a Cx,
    /// What must not stand in any fault.
    secret: Secret,
}

impl<'c> AsyncHttpClient<'c> for Sender<'_> {
    type Error = CallFault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallFault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.tokens.post(self.cx, request, self.secret.clone()))
    }
}

/// Where tokens come from, and the one that is in use.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// Speaks to the log-in host, or to the machine's own host.
    pub(crate) client: Client,
    /// Where a token is asked for.
    pub(crate) url: Url,
    /// What it is for, without `/.default`.
    pub(crate) resource: String,
    /// Which application.
    pub(crate) client_id: Option<String>,
    /// What proves that we are it.
    pub(crate) credential: Credential,
    /// The token in use. Whoever renews it holds the lock, so that the others wait for it and do not ask, too.
    pub(crate) cached: tokio::sync::Mutex<Option<Arc<Token>>>,
}

impl Tokens {
    /// The token in use, or a new one.
    pub(crate) async fn token(&self, cx: &Cx) -> Result<Arc<Token>, Fault> {
        let mut cached = self.cached.lock().await;
        let now = Instant::now();
        if let Some(token) = cached.as_ref().filter(|token| now < token.renew) {
            return Ok(Arc::clone(token));
        }
        match self.ask(cx).await {
            Ok(token) => {
                let token = Arc::new(token);
                *cached = Some(Arc::clone(&token));
                Ok(token)
            }
            // The old one is still good: a log-in host that is down for a moment stops nobody.
            Err(fault) => match cached.as_ref().filter(|token| fault.kind.is_transient() && now < token.ends) {
                Some(token) => Ok(Arc::clone(token)),
                None => Err(fault),
            },
        }
    }

    /// Forgets a token that Graph did not take.
    pub(crate) async fn discard(&self, refused: &Arc<Token>) {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            *cached = None;
        }
    }

    fn fault(&self, kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.client.system(), OPERATION, message)
    }

    async fn ask(&self, cx: &Cx) -> Result<Token, Fault> {
        let (secret, life) = match &self.credential {
            Credential::ManagedIdentity => self.ask_machine(cx).await?,
            Credential::Certificate(_) | Credential::Secret(_) | Credential::TokenFile(_) => self.ask_login(cx).await?,
        };
        let early = EARLY.min(life / 2);
        let now = Instant::now();
        let claims = Claims::of(secret.expose());
        tracing::debug!(system = self.client.system(), seconds = life.as_secs(), "signed in");
        Ok(Token { claims, renew: now + life.saturating_sub(early), ends: now + life, secret })
    }

    /// What is sent beside the names, and which of it is secret.
    fn proof(&self, client_id: &str) -> Result<(Pairs, Secret), Fault> {
        let assertion = match &self.credential {
            Credential::Certificate(signer) => {
                let number = uuid::Uuid::now_v7().to_string();
                signer
                    .assertion(self.url.as_str(), client_id, &number, Timestamp::now())
                    .map_err(|message| self.fault(FaultKind::Invalid, message))?
            }
            Credential::TokenFile(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    let message = format!("{} cannot be read: {error}", file.display());
                    self.fault(FaultKind::Unauthenticated, message)
                })?;
                Secret::new(text.trim().to_owned())
            }
            Credential::Secret(secret) => return Ok((Vec::new(), secret.clone())),
            Credential::ManagedIdentity => return Ok((Vec::new(), Secret::new(String::new()))),
        };
        let pairs = vec![
            ("client_assertion_type", ASSERTION_TYPE.to_owned()),
            ("client_assertion", assertion.expose().to_owned()),
        ];
        Ok((pairs, assertion))
    }

    async fn ask_login(&self, cx: &Cx) -> Result<(Secret, Duration), Fault> {
        let client_id = self.client_id.clone().unwrap_or_default();
        let (pairs, secret) = self.proof(&client_id)?;
        let mut client = BasicClient::new(ClientId::new(client_id))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.url.clone()));
        if let Credential::Secret(secret) = &self.credential {
            client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        let mut request =
            client.exchange_client_credentials().add_scope(Scope::new(format!("{}/.default", self.resource)));
        for (name, value) in pairs {
            request = request.add_extra_param(name, value);
        }
        let sender = Sender { tokens: self, cx, secret };
        match request.request_async(&sender).await {
            Ok(token) if *token.token_type() == BasicTokenType::Bearer => {
                let life = token.expires_in().unwrap_or(EARLY);
                Ok((Secret::new(token.access_token().secret().clone()), life))
            }
            Ok(_) => {
                Err(self.fault(FaultKind::Protocol, "the log-in host gave a token of a kind that was not asked for"))
            }
            Err(RequestTokenError::Request(fault)) => Err(fault.into()),
            // What was answered may hold a token, so it is not repeated.
            Err(_) => Err(self.fault(FaultKind::Protocol, "the answer of the log-in host cannot be understood")),
        }
    }

    async fn post(&self, cx: &Cx, request: HttpRequest, secret: Secret) -> Result<HttpResponse, CallFault> {
        let extra = Extra {
            content_type: Some("application/x-www-form-urlencoded"),
            secrets: vec![secret],
            ..Extra::default()
        };
        let request = Request {
            method: Method::POST,
            url: self.url.clone(),
            operation: OPERATION.to_owned(),
            media: MEDIA,
            body: Some(request.into_body()),
            if_match: None,
        };
        let answer = self.client.call(cx).send_with(request, extra).await?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        answer.json()?;
        Response::builder()
            .status(answer.status())
            .header(header::CONTENT_TYPE, MEDIA)
            .body(answer.body().to_vec())
            .map_err(|_| answer.broken("the answer of the log-in host cannot be understood"))
    }

    /// The metadata service of a machine in Azure writes its numbers as texts.
    async fn ask_machine(&self, cx: &Cx) -> Result<(Secret, Duration), Fault> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("api-version", "2018-02-01").append_pair("resource", &self.resource);
            if let Some(client) = &self.client_id {
                query.append_pair("client_id", client);
            }
        }
        let extra = Extra { headers: vec![("metadata", "true".to_owned())], ..Extra::default() };
        let answer = self.client.call(cx).send_with(Request::get(url, MEDIA, OPERATION), extra).await?;
        if !answer.is_success() {
            return Err(refused_by_machine(&answer).into());
        }
        let body = answer.json()?;
        let life = match body.get("expires_in") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_u64(),
            _ => None,
        };
        match (body.get("access_token").and_then(Value::as_str), life) {
            (Some(token), Some(seconds)) if !token.is_empty() => {
                Ok((Secret::new(token.to_owned()), Duration::from_secs(seconds)))
            }
            _ => Err(answer.broken("the answer of the metadata service cannot be understood").into()),
        }
    }
}

/// What Entra says when it does not give a token: decided by its numbers, never by its sentences.
fn refused(answer: &Answer) -> CallFault {
    let body = answer.json().unwrap_or_default();
    let word = body.get("error").and_then(Value::as_str).unwrap_or_default();
    let codes: Vec<u64> =
        body.get("error_codes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
    let numbers: Vec<String> = codes.iter().map(|code| format!("AADSTS{code}")).collect();
    let said = format!("{word} {}", numbers.join(" "));
    let mut call = if said.trim().is_empty() { answer.fault(None) } else { answer.fault(Some(&said)) };
    if matches!(answer.status(), 400..=499) && !call.fault.kind.is_transient() {
        call.fault.kind = FaultKind::Unauthenticated;
        call.fault.help = Some(codes.iter().find_map(|code| help(*code)).unwrap_or(HELP).to_owned());
    }
    call
}

const HELP: &str = "check `tenant`, `cloud` and `auth` against the registration in Entra ID";

const fn help(code: u64) -> Option<&'static str> {
    Some(match code {
        7_000_215 => "the client secret is wrong: use its value, not its id",
        7_000_222 => "the client secret has expired: make a new one, or better use a certificate",
        700_016 => "the tenant does not know this application: check `tenant`, `cloud` and `auth.client_id`",
        700_027 => {
            "the certificate is not the one of the registration: upload it there, or try `signature = \"rs256\"`"
        }
        700_024 => "the assertion is not valid at this time: check the clock of this machine",
        70_021 | 700_213 => {
            "no federated credential fits issuer, subject and audience of the token in `auth.token_file`"
        }
        70_011 => "the scope is refused: check `cloud`",
        90_002 => "there is no such tenant in this cloud: check `tenant` and `cloud`",
        53_003 => "a Conditional Access policy for workload identities blocks the sign-in",
        _ => return None,
    })
}

/// The metadata service is not there for a moment now and then, and says so in several ways.
fn refused_by_machine(answer: &Answer) -> CallFault {
    let mut call = answer.fault(None);
    call.effect = Effect::Refused;
    if matches!(answer.status(), 404 | 410 | 429 | 500..=599) {
        call.fault.kind = FaultKind::Unreachable;
        call.fault.retry_after = call.fault.retry_after.or(Some(Duration::from_secs(2)));
    } else {
        call.fault.kind = FaultKind::Unauthenticated;
        call.fault.help =
            Some("give this machine a managed identity, and name it in `auth.client_id` if it has several".into());
    }
    call
}

#[cfg(test)]
mod tests {
    use lockstep_http::{Auth, Settings};

    use super::*;

    /// A log-in host that is not there.
    fn tokens(cached: Option<Token>) -> Tokens {
        let url = Url::parse("http://127.0.0.1:1/login/t/oauth2/v2.0/token").expect("url");
        Tokens {
            client: Client::open("cloud", url.clone(), Auth::None, Settings::default()).expect("a client"),
            url,
            resource: "http://127.0.0.1:1".to_owned(),
            client_id: Some("app".to_owned()),
            credential: Credential::Secret(Secret::new("hunter2".to_owned())),
            cached: tokio::sync::Mutex::new(cached.map(Arc::new)),
        }
    }

    fn token(renew_in: u64, ends_in: u64) -> Token {
        let now = Instant::now();
        Token {
            secret: Secret::new("token".to_owned()),
            claims: Claims::default(),
            renew: now + Duration::from_secs(renew_in),
            ends: now + Duration::from_secs(ends_in),
        }
    }

    #[tokio::test]
    async fn a_token_that_is_still_good_outlives_a_log_in_host_that_is_down() {
        let cx = Cx::new(Duration::from_secs(10));
        assert!(tokens(Some(token(100, 200))).token(&cx).await.is_ok(), "not due yet");
        assert!(tokens(Some(token(0, 200))).token(&cx).await.is_ok(), "due, and good for a while");
        for cached in [Some(token(0, 0)), None] {
            let fault = tokens(cached).token(&cx).await.expect_err("nobody answers");
            assert_eq!(fault.kind, FaultKind::Unreachable);
            assert!(!format!("{fault:?}").contains("hunter2"));
        }
    }
}
