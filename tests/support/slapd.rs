//! A real OpenLDAP on loopback, in a folder of its own, with records loaded offline.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::{CertificateKind, Certificates, client};
use crate::ldif::{Ldif, pairs};
use crate::process::{Leashed, await_listener, find, run};

/// The naming context of every test directory.
pub const BASE: &str = "dc=corp,dc=example";
/// The service account that the connector is to use.
pub const SERVICE: &str = "cn=svc-lockstep,dc=corp,dc=example";
/// Its password.
pub const SERVICE_PASSWORD: &str = "Svc-test-9f31c7";
/// The account that may do everything.
pub const ADMIN: &str = "cn=admin,dc=corp,dc=example";
/// Its password.
pub const ADMIN_PASSWORD: &str = "Adm-test-55e02a";

/// A certificate is asked for, and one that is not mapped leaves its holder a stranger.
const CLIENT_CERTIFICATES: &str =
    "TLSVerifyClient try\nauthz-regexp \"cn=svc-lockstep,o=corp\" \"cn=svc-lockstep,dc=corp,dc=example\"\n";

/// How the server is set up. The default lets the service account read everything, in pages of any size.
#[derive(Debug, Clone, Default)]
pub struct SlapdOptions {
    /// Lines for the configuration of the database, before the access rules: `sizelimit 500`, `limits …`.
    pub settings: String,
    /// Access rules that come before the usual ones.
    pub access: String,
    /// Which certificate the server shows.
    pub certificate: CertificateKind,
    /// Names that the certificate carries besides `localhost`: `DNS:one.corp.example`.
    pub names: String,
    /// Lets clients log in by certificate: `CN=svc-lockstep` is the service account.
    pub client_certificates: bool,
    /// Records besides the base and the accounts.
    pub records: Ldif,
    /// Loads the password policy, so that an account can be locked.
    pub password_policy: bool,
    /// Loads the overlay syncprov, so that the server tells what changed.
    pub sync: bool,
    /// Lines for the configuration of that overlay: `syncprov-sessionlog 100`.
    pub sync_settings: String,
    /// So many seconds pass before each operation is carried out; the limits of time run meanwhile.
    pub slow_seconds: u32,
}

/// A running server. Ends, and its folder is removed, when dropped.
#[derive(Debug)]
pub struct Slapd {
    folder: TempDir,
    options: SlapdOptions,
    certificates: Certificates,
    plain: SocketAddr,
    tls: SocketAddr,
    process: Option<Leashed>,
}

impl Slapd {
    /// True when everything that it needs is installed.
    pub fn is_installed() -> bool {
        ["slapd", "slapadd", "ldapmodify", "openssl"].iter().all(|program| find(program).is_some())
    }

    /// Starts a server. `Ok(None)` when it is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start(options: SlapdOptions) -> Result<Option<Self>, String> {
        if !Self::is_installed() {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("lockstep-slapd").tempdir().map_err(|error| error.to_string())?;
        let made = std::fs::create_dir(folder.path().join("db"));
        made.map_err(|error| error.to_string())?;
        let certificates = Certificates::make(folder.path(), options.certificate, &options.names)?;
        let mut server = Self { folder, options, certificates, plain: free_port()?, tls: free_port()?, process: None };
        server.write_configuration()?;
        server.load()?;
        server.run()?;
        Ok(Some(server))
    }

    /// The address with TLS from the first byte.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://localhost:{}", self.tls.port())
    }

    /// The address with StartTLS.
    pub fn ldap_url(&self) -> String {
        format!("ldap://localhost:{}", self.plain.port())
    }

    /// The socket with TLS from the first byte.
    pub fn tls_address(&self) -> SocketAddr {
        self.tls
    }

    /// The socket without.
    pub fn plain_address(&self) -> SocketAddr {
        self.plain
    }

    /// The authority of its certificate.
    pub fn ca_file(&self) -> &Path {
        &self.certificates.authority
    }

    /// A client certificate from its authority, and the key. The subject is like `/O=corp/CN=svc-lockstep`.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn client_certificate(&self, name: &str, subject: &str) -> Result<(PathBuf, PathBuf), String> {
        client(self.folder.path(), name, subject)
    }

    /// Stops the server. Connections break.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts a stopped server again on the same ports with the same records, set up differently.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self, change: impl FnOnce(&mut SlapdOptions)) -> Result<(), String> {
        self.stop();
        change(&mut self.options);
        self.write_configuration()?;
        self.run()
    }

    /// Changes records as the administrator, with LDIF change records.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn modify(&self, changes: &str) -> Result<(), String> {
        run(&mut self.client("ldapmodify"), changes.as_bytes()).map(drop)
    }

    /// Searches as the administrator; the answer is LDIF without line breaks inside values.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn search(&self, base: &str, filter: &str, attributes: &[&str]) -> Result<String, String> {
        let mut command = self.client("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", base, filter]).args(attributes);
        run(&mut command, b"")
    }

    /// The `entryUUID` of an entry.
    ///
    /// # Errors
    /// When there is no such entry.
    pub fn entry_uuid(&self, name: &str) -> Result<String, String> {
        let mut command = self.client("ldapsearch");
        command.args(["-LLL", "-s", "base", "-b", name, "(objectClass=*)", "entryUUID"]);
        let answer = run(&mut command, b"")?;
        let line = answer.lines().find_map(|line| line.strip_prefix("entryUUID: "));
        line.map(str::to_owned).ok_or_else(|| format!("{name} has no entryUUID"))
    }

    /// The `entryUUID`s of the entries below a base, by `uid`.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn entry_uuids(&self, base: &str) -> Result<BTreeMap<String, String>, String> {
        Ok(pairs(&self.search(base, "(uid=*)", &["uid", "entryUUID"])?, "uid: ", "entryUUID: "))
    }

    /// True when this name and password are accepted.
    pub fn log_in(&self, user: &str, password: &str) -> bool {
        let mut command = Command::new(find("ldapwhoami").unwrap_or_else(|| "ldapwhoami".into()));
        let url = format!("ldaps://127.0.0.1:{}", self.tls.port());
        command.args(["-x", "-H", &url, "-D", user, "-w", password]).env("LDAPTLS_REQCERT", "never");
        run(&mut command, b"").is_ok()
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
        let url = format!("ldaps://127.0.0.1:{}", self.tls.port());
        command.args(["-x", "-H", &url, "-D", ADMIN, "-w", ADMIN_PASSWORD]);
        // The administrator of a test trusts whatever certificate the test is about.
        command.env("LDAPTLS_REQCERT", "never");
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_configuration(&self) -> Result<(), String> {
        let mut text = String::new();
        for schema in ["core", "cosine", "inetorgperson", "nis"] {
            let _ = writeln!(text, "include /etc/ldap/schema/{schema}.schema");
        }
        text.push_str("modulepath /usr/lib/ldap\nmoduleload back_mdb\n");
        if self.options.password_policy {
            text.push_str("moduleload ppolicy\n");
        }
        if self.options.sync {
            text.push_str("moduleload syncprov\n");
        }
        if self.options.slow_seconds > 0 {
            text.push_str("moduleload retcode\n");
        }
        let tls = &self.certificates;
        let _ = write!(
            text,
            "pidfile {}\nTLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             {}security simple_bind=128\nlocalSSF 256\nsizelimit unlimited\n\
             database mdb\nsuffix {BASE}\ndirectory {}\nmaxsize 4294967296\ndbnosync\nrootdn {ADMIN}\nrootpw {ADMIN_PASSWORD}\n\
             index objectClass,entryUUID,entryCSN eq\nindex uid,mail,employeeNumber,member eq\n",
            self.path("slapd.pid").display(),
            tls.authority.display(),
            tls.certificate.display(),
            tls.key.display(),
            if self.options.client_certificates { CLIENT_CERTIFICATES } else { "" },
            self.path("db").display(),
        );
        let _ = write!(
            text,
            "{}\n{}\naccess to attrs=userPassword by anonymous auth by * none\naccess to * by dn.exact=\"{SERVICE}\" read by * none\n",
            self.options.settings, self.options.access
        );
        if self.options.password_policy {
            let _ = writeln!(text, "overlay ppolicy\nppolicy_default cn=policy,{BASE}");
        }
        if self.options.sync {
            let _ = writeln!(text, "overlay syncprov\n{}", self.options.sync_settings);
        }
        if self.options.slow_seconds > 0 {
            // It answers by itself below its parent only, so that one is where nobody looks.
            let seconds = self.options.slow_seconds;
            let _ = writeln!(text, "overlay retcode\nretcode-parent ou=nobody,{BASE}\nretcode-sleep {seconds}");
        }
        std::fs::write(self.path("slapd.conf"), text).map_err(|error| error.to_string())
    }

    fn load(&self) -> Result<(), String> {
        let mut records = Ldif::new();
        records.entry(
            BASE,
            &[("objectClass", "dcObject"), ("objectClass", "organization"), ("o", "corp"), ("dc", "corp")],
        );
        records.entry(
            SERVICE,
            &[
                ("objectClass", "organizationalRole"),
                ("objectClass", "simpleSecurityObject"),
                ("cn", "svc-lockstep"),
                ("userPassword", SERVICE_PASSWORD),
            ],
        );
        if self.options.password_policy {
            records.entry(
                &format!("cn=policy,{BASE}"),
                &[
                    ("objectClass", "device"),
                    ("objectClass", "pwdPolicy"),
                    ("cn", "policy"),
                    ("pwdAttribute", "userPassword"),
                    ("pwdLockout", "TRUE"),
                    ("pwdMaxFailure", "2"),
                ],
            );
        }
        records.raw(self.options.records.text());
        let mut command = Command::new(find("slapadd").ok_or("slapadd is not installed")?);
        command.arg("-q").arg("-f").arg(self.path("slapd.conf")).args(["-b", BASE]);
        run(&mut command, records.text().as_bytes()).map(drop)
    }

    fn run(&mut self) -> Result<(), String> {
        let arguments = [
            "-f".to_owned(),
            self.path("slapd.conf").display().to_string(),
            "-h".to_owned(),
            format!("ldap://{} ldaps://{}", self.plain, self.tls),
            "-d".to_owned(),
            "none".to_owned(),
        ];
        let program = find("slapd").ok_or("slapd is not installed")?;
        self.process = Some(Leashed::start(&program, &arguments, "slapd starting")?);
        await_listener(self.tls)
    }
}

/// A port that nobody listens on at the moment.
pub(crate) fn free_port() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// An organizational unit.
pub fn unit(records: &mut Ldif, name: &str) {
    records.entry(&format!("ou={name},{BASE}"), &[("objectClass", "organizationalUnit"), ("ou", name)]);
}

/// The name of the numbered person of [`people`].
pub fn person_name(number: usize) -> String {
    format!("uid=u{number:06},ou=people,{BASE}")
}

/// So many people in `ou=people`, which is made, too.
pub fn people(records: &mut Ldif, count: usize) {
    unit(records, "people");
    for number in 0..count {
        let (uid, employee) = (format!("u{number:06}"), format!("{}", 700_000 + number));
        let mail = format!("{uid}@corp.example");
        records.entry(
            &person_name(number),
            &[
                ("objectClass", "inetOrgPerson"),
                ("uid", &uid),
                ("cn", &format!("Given{number} Family{number}")),
                ("sn", &format!("Family{number}")),
                ("givenName", &format!("Given{number}")),
                ("displayName", &format!("Given{number} Family{number}")),
                ("mail", &mail),
                ("employeeNumber", &employee),
                ("departmentNumber", &format!("Department {}", number % 7)),
            ],
        );
    }
}

/// The name of a group in `ou=groups`.
pub fn group_name(name: &str) -> String {
    format!("cn={name},ou=groups,{BASE}")
}

/// A `groupOfNames` in `ou=groups`. Without members it names itself, since the schema wants one.
pub fn group(records: &mut Ldif, name: &str, members: &[String]) {
    let own = group_name(name);
    let mut attributes: Vec<(&str, &str)> = vec![("objectClass", "groupOfNames"), ("cn", name)];
    attributes.extend(members.iter().map(|member| ("member", member.as_str())));
    if members.is_empty() {
        attributes.push(("member", &own));
    }
    records.entry(&own, &attributes);
}
