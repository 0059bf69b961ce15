//! The client: one base address, one way of proving who we are, limits. This module must not follow, retry or guess.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use lockstep_contract::{Cx, Fault, FaultKind, Secret};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    LOCATION, RETRY_AFTER,
};
use tokio::time::Instant;
use url::Url;

use crate::answer::Answer;
use crate::extra::Extra;
use crate::fault::{CallFault, Effect, retry_after};
use crate::log::Entry;
use crate::origin::same_origin;
use crate::settings::Settings;

pub use reqwest::Method;

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all, or by its certificate only.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// A header of the vendor's own.
    Header {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: Secret,
    },
}

/// So many bytes are made ready for an answer of announced length, at most.
const ANNOUNCED_MAX: usize = 4 * 1024 * 1024;

/// A connection to one origin.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    base: Url,
    system: Arc<str>,
    auth: Option<(HeaderName, HeaderValue)>,
    secrets: Arc<[Secret]>,
    quota: Option<Arc<DefaultDirectRateLimiter>>,
    settings: Arc<Settings>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("system", &self.system)
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// A request. Its URL must have the origin of the client's base.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// What we are doing, for faults: `read user 7`.
    pub operation: String,
    /// The media type asked for and sent.
    pub media: &'static str,
    /// The body, already written.
    pub body: Option<Vec<u8>>,
    /// The version that must still stand at the peer.
    pub if_match: Option<String>,
}

impl Request {
    /// A read.
    pub fn get(url: Url, media: &'static str, operation: impl Into<String>) -> Self {
        Self { method: Method::GET, url, operation: operation.into(), media, body: None, if_match: None }
    }
}

impl Client {
    /// Makes a client. Connects to nothing.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] when a file cannot be read or is no certificate, or a secret does not fit in a header.
    pub fn open(system: &str, base: Url, auth: Auth, settings: Settings) -> Result<Self, Fault> {
        let fail = |message: String| Fault::new(FaultKind::Invalid, system, "open", message);
        #[cfg(feature = "fips")]
        if !rustls::crypto::CryptoProvider::get_default()
            .map_or_else(|| rustls::crypto::aws_lc_rs::default_provider().fips(), |provider| provider.fips())
        {
            return Err(fail("this program was built for FIPS, and its TLS module is not in that mode".to_owned()));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .https_only(base.scheme() == "https")
            .connect_timeout(settings.timeouts.connect)
            .read_timeout(settings.timeouts.idle)
            // Shorter than the keep-alive of common servers: a write on a connection that is just being closed is one
            // whose outcome nobody knows.
            .pool_idle_timeout(Duration::from_secs(4));
        if let Some(file) = &settings.ca_file {
            let pem = read_file(file).map_err(&fail)?;
            tracing::info!(
                system,
                file = %file.display(),
                sha256 = lockstep_contract::sha256_hex(&pem),
                "only the authorities of this file are trusted"
            );
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| fail(format!("{} holds no certificates in PEM form", file.display())))?;
            if roots.is_empty() {
                return Err(fail(format!("{} holds no certificate", file.display())));
            }
            builder = builder.tls_certs_only(roots);
        } else if base.scheme() == "http" {
            // Nothing is encrypted to this machine itself: nobody need be trusted, and no store of certificates be read.
            builder = builder.tls_certs_only([]);
        }
        if let Some(certificate) = &settings.certificate {
            let mut pem = read_file(&certificate.file).map_err(&fail)?;
            pem.push(b'\n');
            pem.extend_from_slice(certificate.key.expose().as_bytes());
            let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
                fail(format!("{} and its key are no certificate with a key in PEM form", certificate.file.display()))
            })?;
            builder = builder.identity(identity);
        }
        let inner = builder.build().map_err(|error| fail(format!("no client can be made: {}", reason(error))))?;
        let (auth, mut secrets) = header_of(auth).map_err(&fail)?;
        secrets.extend(settings.certificate.iter().map(|c| c.key.clone()));
        let quota = settings.requests_per_minute.map(|n| Arc::new(RateLimiter::direct(Quota::per_minute(n))));
        Ok(Self {
            inner,
            base,
            system: system.into(),
            auth,
            secrets: secrets.into(),
            quota,
            settings: Arc::new(settings),
        })
    }

    /// The base address.
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The configured id of the system.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// Begins a call of one or more requests that share the budget of `cx`.
    pub fn call<'a>(&'a self, cx: &'a Cx) -> Call<'a> {
        // A little earlier than the engine gives up, so that the fault says more than "dropped".
        let budget = cx.budget.saturating_sub((cx.budget / 20).min(Duration::from_secs(2)));
        Call { client: self, cx, deadline: Instant::now() + budget, sent: AtomicU32::new(0) }
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

type AuthHeader = Option<(HeaderName, HeaderValue)>;

fn header_of(auth: Auth) -> Result<(AuthHeader, Vec<Secret>), String> {
    let (name, value, secret) = match auth {
        Auth::None => return Ok((None, Vec::new())),
        Auth::Bearer(secret) => (AUTHORIZATION, format!("Bearer {}", secret.expose()), secret),
        Auth::Header { name, value } => (HeaderName::from_static(name), value.expose().to_owned(), value),
    };
    if secret.expose().trim() != secret.expose() || secret.expose().is_empty() {
        return Err("the secret is empty, or starts or ends with a blank or a line break".to_owned());
    }
    let mut header =
        HeaderValue::try_from(value).map_err(|_| "the secret holds a character that no header may hold")?;
    header.set_sensitive(true);
    Ok((Some((name, header)), vec![secret]))
}

/// Requests that share one budget.
#[derive(Debug)]
pub struct Call<'a> {
    client: &'a Client,
    cx: &'a Cx,
    deadline: Instant,
    sent: AtomicU32,
}

impl Call<'_> {
    /// The client.
    pub const fn client(&self) -> &Client {
        self.client
    }

    /// When the budget of this call ends.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends one request and reads its answer to the end, whatever its status.
    ///
    /// # Errors
    /// When it cannot be sent, breaks off, takes too long or is too large. [`CallFault::effect`] says what that means.
    pub async fn send(&self, request: Request) -> Result<Answer, CallFault> {
        self.send_with(request, Extra::default()).await
    }

    /// As [`send`](Self::send), with what this peer wants beside the usual.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with(&self, request: Request, extra: Extra) -> Result<Answer, CallFault> {
        let at = Place { system: &self.client.system, operation: request.operation.clone() };
        self.cx.check(at.system, &at.operation).map_err(not_sent)?;
        let url = same_origin(&self.client.base, request.url.as_str())
            .map_err(|error| not_sent(at.fault(FaultKind::Protocol, &error.to_string())))?;
        self.wait_for_quota(&at).await?;
        let remaining =
            self.deadline.saturating_duration_since(Instant::now()).min(self.client.settings.timeouts.total);
        if remaining.is_zero() {
            return Err(not_sent(at.fault(FaultKind::Unreachable, "no time was left to send this request")));
        }
        let entry = Entry::of(&request.method, &url, self.sent.fetch_add(1, Ordering::Relaxed) + 1);
        let wire = self.wire(request, url, remaining, &extra);
        let result = match wire.send().await {
            Ok(response) => self.receive(response, &at, &extra).await,
            Err(error) => Err(at.classify(error)),
        };
        entry.log(&self.client.system, &result);
        result
    }

    fn wire(&self, request: Request, url: Url, remaining: Duration, extra: &Extra) -> reqwest::RequestBuilder {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(request.media));
        if let Some((name, value)) = &self.client.auth {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(version) = request.if_match.and_then(|version| HeaderValue::try_from(version).ok()) {
            headers.insert(IF_MATCH, version);
        }
        if let Some(run) = self.cx.run.and_then(|run| HeaderValue::try_from(run.to_string()).ok()) {
            headers.insert(HeaderName::from_static("x-lockstep-run"), run);
        }
        if request.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.media));
        }
        extra.add_to(&mut headers);
        let mut wire = self.client.inner.request(request.method, url).headers(headers).timeout(remaining);
        if let Some(body) = request.body {
            wire = wire.body(body);
        }
        wire
    }

    async fn wait_for_quota(&self, at: &Place<'_>) -> Result<(), CallFault> {
        let Some(quota) = &self.client.quota else { return Ok(()) };
        tokio::time::timeout_at(self.deadline, quota.until_ready()).await.map_err(|_| {
            not_sent(at.fault(FaultKind::Throttled, "the configured number of requests in a minute was used up"))
        })
    }

    async fn receive(
        &self,
        mut response: reqwest::Response,
        at: &Place<'_>,
        extra: &Extra,
    ) -> Result<Answer, CallFault> {
        let status = response.status().as_u16();
        let text = |name: HeaderName| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut answer = Answer {
            status,
            content_type: text(CONTENT_TYPE),
            etag: text(ETAG),
            location: text(LOCATION),
            retry_after: text(RETRY_AFTER).and_then(|header| retry_after(&header, Timestamp::now())),
            body: Vec::new(),
            system: at.system.to_owned(),
            operation: at.operation.clone(),
            headers: response.headers().clone(),
            secrets: self.client.secrets.iter().cloned().chain(extra.all_secrets()).collect(),
        };
        if let Some(encoding) = text(CONTENT_ENCODING).filter(|e| !e.eq_ignore_ascii_case("identity")) {
            let encoding = lockstep_contract::quote(&encoding, &answer.secrets);
            return Err(answer.broken(&format!("the answer is encoded as {encoding}, which was not asked for")));
        }
        let limit = self.client.settings.limits.answer_bytes_max;
        // What the peer announces saves copying; what it announces falsely must cost little.
        let announced = response.content_length().unwrap_or_default();
        answer.body.reserve_exact(usize::try_from(announced).unwrap_or(usize::MAX).min(limit).min(ANNOUNCED_MAX));
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(answer),
                Ok(Some(chunk)) if answer.body.len() + chunk.len() > limit => {
                    let fault = answer.broken(&format!("the answer is longer than the limit of {limit} bytes"));
                    return Err(CallFault { too_long: true, ..fault });
                }
                Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
                // A refusal stays a refusal, whether or not its explanation arrived.
                Err(_) if !answer.is_success() => return Ok(answer),
                Err(error) => return Err(at.classify(error)),
            }
        }
    }
}

fn not_sent(fault: Fault) -> CallFault {
    CallFault::not_sent(fault)
}

struct Place<'a> {
    system: &'a str,
    operation: String,
}

impl Place<'_> {
    fn fault(&self, kind: FaultKind, message: &str) -> Fault {
        Fault::new(kind, self.system, &self.operation, message)
    }

    fn classify(&self, error: reqwest::Error) -> CallFault {
        let effect = if error.is_connect() || error.is_builder() { Effect::NotSent } else { Effect::Uncertain };
        let what = match (error.is_timeout(), error.is_connect(), error.is_body() || error.is_decode()) {
            (true, true, _) => "no connection in time",
            (true, false, _) => "no complete answer in time",
            (false, true, _) => "no connection",
            (false, false, true) => "the answer broke off",
            (false, false, false) => "the request failed",
        };
        let kind = if error.is_builder() { FaultKind::Invalid } else { FaultKind::Unreachable };
        let message = format!("{what}: {}", reason(error));
        CallFault::new(effect, None, self.fault(kind, &message))
    }
}

/// The innermost cause, without the URL, which may hold a filter with somebody's name.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    lockstep_contract::quote(&cause.to_string(), &[])
}
