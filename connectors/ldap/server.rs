//! Making connections: where, with which TLS, and as whom. A connection that is handed on is logged in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ldap3::exop::{WhoAmI, WhoAmIResp};
use ldap3::{LdapConnAsync, LdapConnSettings, StdStream};
use lockstep_contract::{Fault, FaultKind, Secret};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::{Call, Session, shown};
use crate::discovery::{Discovery, Target};
use crate::dn::Name;
use crate::faults::{About, bind_failed, broken};

/// How long making a connection may take, if the caller's budget allows more.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// How long one of several servers may take. Another may be quicker.
const ONE_OF_SEVERAL_MAX: Duration = Duration::from_secs(4);

/// Where to connect and as whom. Made once, at `open`.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) place: Place,
    pub(crate) starttls: bool,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) login: Login,
}

/// Where the server is.
#[derive(Debug)]
pub(crate) enum Place {
    /// One server, maybe at another address than its name says.
    Fixed { url: String, connect_to: Option<String> },
    /// One of those that DNS names.
    Discovered(Discovery),
}

/// How to log in.
#[derive(Debug)]
pub(crate) enum Login {
    /// A simple bind.
    Password { user: String, password: Secret },
    /// By the certificate that TLS shows, which the server must take for this name.
    Certificate { user: String },
    /// By a ticket, which the Kerberos library gets with the keytab that the environment names.
    #[cfg(feature = "gssapi")]
    Kerberos { user: String },
}

impl Login {
    /// As whom and how, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Password { user, .. } => format!("logged in as {user}"),
            Self::Certificate { user } => format!("logged in by certificate as {user}"),
            #[cfg(feature = "gssapi")]
            Self::Kerberos { user } => format!("logged in by Kerberos as {user}"),
        }
    }
}

impl Server {
    /// Connects, checks the certificate and logs in. Runs in a task of its own: the client library panics on some
    /// malformed answers, and that must end a connection, not the program.
    pub(crate) async fn connect(self: &Arc<Self>, call: &Call<'_>) -> Result<Session, Fault> {
        let about = call.about("connect");
        let mut tasks = JoinSet::new();
        let (server, system) = (Arc::clone(self), about.system.to_owned());
        let until = call.until.min(Instant::now() + CONNECT_MAX);
        tasks.spawn(async move { server.somewhere(&system, until).await });
        call.within(about, async {
            match tasks.join_next().await {
                Some(Ok(session)) => session,
                Some(Err(_)) | None => Err(about.protocol("the server's answer to the log-in is malformed")),
            }
        })
        .await
    }

    async fn somewhere(&self, system: &str, until: Instant) -> Result<Session, Fault> {
        let about = About { system, operation: "connect" };
        let discovery = match &self.place {
            Place::Fixed { url, connect_to: None } => return self.open(system, url, None, left(until)).await,
            Place::Fixed { url, connect_to: Some(address) } => {
                let time = left(until);
                let stream = stream_to(about, address, time).await?;
                return self.open(system, url, Some(stream), time).await;
            }
            Place::Discovered(discovery) => discovery,
        };
        // The one that answered last, as long as it does: what changed since is counted by each server for itself.
        let last = discovery.last();
        let mut failed = Vec::new();
        if let Some(last) = &last {
            match self.open_one(system, last, until).await {
                Err(fault) if another_may_do(&fault) => failed.push(format!("{}: {}", last.host, fault.message)),
                result => return result,
            }
        }
        for target in discovery.targets(about).await?.iter().filter(|target| Some(*target) != last.as_ref()) {
            match self.open_one(system, target, until).await {
                Ok(session) => {
                    discovery.keep(target);
                    return Ok(session);
                }
                Err(fault) if another_may_do(&fault) => failed.push(format!("{}: {}", target.host, fault.message)),
                Err(fault) => return Err(fault),
            }
        }
        let message = format!("no server of the domain can be reached ({})", failed.join("; "));
        Err(about.fault(FaultKind::Unreachable, message))
    }

    async fn open_one(&self, system: &str, target: &Target, until: Instant) -> Result<Session, Fault> {
        let about = About { system, operation: "connect" };
        let time = left(until).min(ONE_OF_SEVERAL_MAX);
        let scheme = if self.starttls { "ldap" } else { "ldaps" };
        let stream = stream_to(about, target.addresses.as_slice(), time).await?;
        self.open(system, &format!("{scheme}://{}:{}", target.host, target.port), Some(stream), time).await
    }

    async fn open(&self, system: &str, url: &str, stream: Option<StdStream>, time: Duration) -> Result<Session, Fault> {
        let about = About { system, operation: "connect" };
        let mut settings = LdapConnSettings::new()
            .set_conn_timeout(time)
            .set_config(Arc::clone(&self.tls))
            .set_starttls(self.starttls);
        if let Some(stream) = stream {
            settings = settings.set_std_stream(stream);
        }
        let (connection, mut ldap) =
            LdapConnAsync::with_settings(settings, url).await.map_err(|error| broken(about, &error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!("LDAP connection ended: {error}");
            }
        });
        let about = About { system, operation: "log in" };
        let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        ldap.with_timeout(time);
        let answer = match &self.login {
            Login::Password { user, password } => ldap.simple_bind(user, password.expose()).await,
            Login::Certificate { .. } => ldap.sasl_external_bind().await,
            // Over TLS only: the library hangs on long answers that Kerberos itself encrypts.
            #[cfg(feature = "gssapi")]
            Login::Kerberos { .. } => ldap.sasl_gssapi_bind(&host).await,
        };
        let result = answer.map_err(|error| broken(about, &error))?;
        if result.rc != 0 {
            return Err(bind_failed(about, result.rc, &result.text));
        }
        if let Login::Certificate { user } = &self.login {
            ldap.with_timeout(time);
            taken_for(about, &mut ldap, user).await?;
        }
        Ok(Session::new(ldap, &host))
    }
}

/// True for what may be better on another server. A refused log-in is not: trying again locks the account out.
fn another_may_do(fault: &Fault) -> bool {
    fault.kind.is_transient() || fault.kind == FaultKind::Protocol
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// Servers take a certificate that they do not know for nobody in particular, and say that all went well.
async fn taken_for(about: About<'_>, ldap: &mut ldap3::Ldap, user: &str) -> Result<(), Fault> {
    let (answer, result) = match ldap.extended(WhoAmI).await {
        Ok(answer) => (answer.0, answer.1),
        Err(error) => return Err(broken(about, &error)),
    };
    let refused = |message: String| {
        let help = "have the server map the certificate to the service account, and write that account in `bind.user`";
        Err(about.fault(FaultKind::Unauthenticated, message).with_help(help))
    };
    if result.rc != 0 {
        return refused("the server does not say for whom it takes the certificate".to_owned());
    }
    // An answer without a value is nobody; the library would panic on it.
    let name = if answer.val.is_some() { answer.parse::<WhoAmIResp>().authzid } else { String::new() };
    let same = match name.split_once(':') {
        Some(("dn", name)) => {
            let (name, user) = (Name::parse(name), Name::parse(user));
            name.is_some() && name == user
        }
        Some(("u", name)) => name.eq_ignore_ascii_case(user),
        _ => false,
    };
    if same {
        return Ok(());
    }
    refused(format!("the server takes the certificate for \"{}\", and not for {}", shown(&name), shown(user)))
}

async fn stream_to<A: Addresses + ?Sized>(about: About<'_>, address: &A, time: Duration) -> Result<StdStream, Fault> {
    let failed = |error: std::io::Error| {
        let message = format!("the connection to {} failed: {error}", shown(&address.shown()));
        about.fault(FaultKind::Unreachable, message)
    };
    let stream = tokio::time::timeout(time, address.connect())
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    stream.into_std().map(StdStream::Tcp).map_err(failed)
}

/// What can be connected to.
trait Addresses {
    fn shown(&self) -> String;
    async fn connect(&self) -> std::io::Result<tokio::net::TcpStream>;
}

impl Addresses for String {
    fn shown(&self) -> String {
        self.clone()
    }

    async fn connect(&self) -> std::io::Result<tokio::net::TcpStream> {
        tokio::net::TcpStream::connect(self).await
    }
}

impl Addresses for [SocketAddr] {
    fn shown(&self) -> String {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    async fn connect(&self) -> std::io::Result<tokio::net::TcpStream> {
        tokio::net::TcpStream::connect(self).await
    }
}
