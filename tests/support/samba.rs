//! A real Active Directory domain controller (Samba) on a loopback address of its own. It needs root: the ports of LDAP
//! cannot be moved. A domain is provisioned once and kept beside the build products; every test starts a copy of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::certificates::{CertificateKind, Certificates};
use crate::ldif::pairs;
use crate::process::{Leashed, await_listener, find, run};

/// The domain of every test directory.
pub const BASE: &str = "DC=corp,DC=example";
/// The name in the certificate: connect to [`SambaAd::address`] and write this name in the URL.
pub const HOST: &str = "dc1.corp.example";
/// The service account, a plain member of Domain Users.
pub const SERVICE: &str = "svc-lockstep@corp.example";
/// An account that may do everything, with the same password.
pub const POWERFUL: &str = "svc-admin@corp.example";
/// Their password.
pub const SERVICE_PASSWORD: &str = "Svc-test-9f31c7!A";

/// Goes up when the template changes, so that an old one is not used.
const TEMPLATE: &str = "samba-template-1";
const ADMIN_PASSWORD: &str = "Adm-test-55e02a!A";
const TOOLS: [&str; 5] = ["samba", "samba-tool", "ldbmodify", "ldbsearch", "openssl"];

/// A running domain controller. Ends, and its folder is removed, when dropped.
#[derive(Debug)]
pub struct SambaAd {
    folder: TempDir,
    address: IpAddr,
    authority: PathBuf,
    process: Option<Leashed>,
}

impl SambaAd {
    /// True when everything that it needs is installed, and this process is root.
    pub fn is_installed() -> bool {
        TOOLS.iter().all(|program| find(program).is_some()) && is_root()
    }

    /// Starts a domain that holds these records besides its own: LDIF change records, loaded before the start.
    /// `Ok(None)` when Samba is not installed, or this process is not root.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start(changes: &str, certificate: CertificateKind) -> Result<Option<Self>, String> {
        if !Self::is_installed() {
            return Ok(None);
        }
        let template = template()?;
        let folder = tempfile::Builder::new().prefix("lockstep-samba").tempdir().map_err(|error| error.to_string())?;
        let copied = Command::new("cp").arg("-a").arg(template.join(".")).arg(folder.path()).status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err(format!("{} cannot be copied", template.display()));
        }
        let address = free_address()?;
        let tls = folder.path().join("tls");
        std::fs::create_dir_all(&tls).map_err(|error| error.to_string())?;
        let certificates = Certificates::make(&tls, certificate, &format!("DNS:{HOST},DNS:corp.example"))?;
        write_configuration(folder.path(), address)?;
        let mut server = Self { folder, address, authority: certificates.authority, process: None };
        if !changes.is_empty() {
            server.modify(changes)?;
        }
        server.run()?;
        Ok(Some(server))
    }

    /// The URL, whose name the certificate carries.
    pub fn url(&self) -> String {
        format!("ldaps://{HOST}")
    }

    /// Where to connect for that.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address, 636)
    }

    /// Where to connect for StartTLS.
    pub fn plain_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, 389)
    }

    /// The authority of its certificate.
    pub fn ca_file(&self) -> &Path {
        &self.authority
    }

    /// Stops the server. Connections break.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Changes records in the database of the server, running or not, with LDIF change records.
    ///
    /// # Errors
    /// When a change is refused.
    pub fn modify(&self, changes: &str) -> Result<(), String> {
        let mut command = self.tool("ldbmodify");
        if self.process.is_none() {
            // Without the batch mode every added record copies all index lists. Some deletions fail in it.
            command.args(["-o", "batch_mode:1", "-o", "transaction_index_cache_size:1000000"]);
        }
        command.arg("-H").arg(self.database());
        run(&mut command, changes.as_bytes()).map(drop)
    }

    /// Gives or denies rights on an entry, in the language of security descriptors: `(OD;;RP;<attribute>;;AU)`.
    ///
    /// # Errors
    /// When `samba-tool` fails.
    pub fn add_right(&self, name: &str, sddl: &str) -> Result<(), String> {
        let mut command = Command::new(find("samba-tool").ok_or("samba-tool is not installed")?);
        command.args(["dsacl", "set", "--action=allow", "-H"]).arg(self.database()).arg("-s").arg(self.configuration());
        command.arg(format!("--objectdn={name}")).arg(format!("--sddl={sddl}"));
        run(&mut command, b"").map(drop)
    }

    /// Lets the service account list *Deleted Objects*, as `dsacls … /g CORP\\svc-lockstep:LCRP` does on Windows.
    ///
    /// # Errors
    /// When the rights cannot be changed.
    pub fn let_list_deleted(&self) -> Result<(), String> {
        // `samba-tool dsacl` does not find deleted entries.
        const SCRIPT: &str = "import sys, ldb\n\
            from samba.samdb import SamDB\n\
            from samba.auth import system_session\n\
            from samba.param import LoadParm\n\
            from samba.ndr import ndr_unpack, ndr_pack\n\
            from samba.dcerpc import security\n\
            lp = LoadParm(); lp.load(sys.argv[1])\n\
            db = SamDB(url=sys.argv[2], session_info=system_session(lp), lp=lp)\n\
            who = db.search(expression='(sAMAccountName=svc-lockstep)', attrs=['objectSid'])[0]['objectSid'][0]\n\
            sid = ndr_unpack(security.dom_sid, who)\n\
            name = 'CN=Deleted Objects,' + str(db.domain_dn())\n\
            flags = ['show_deleted:1', 'sd_flags:1:4']\n\
            old = db.search(name, ldb.SCOPE_BASE, attrs=['nTSecurityDescriptor'], controls=flags)[0]\n\
            rights = ndr_unpack(security.descriptor, old['nTSecurityDescriptor'][0])\n\
            new = security.descriptor.from_sddl('D:(A;;RPLC;;;%s)' % sid, security.dom_sid(db.domain_sid))\n\
            rights.dacl_add(new.dacl.aces[0], 0)\n\
            change = ldb.Message(old.dn)\n\
            change['a'] = ldb.MessageElement(ndr_pack(rights), ldb.FLAG_MOD_REPLACE, 'nTSecurityDescriptor')\n\
            db.modify(change, controls=flags)\n";
        // The module is for the interpreter of the system.
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", SCRIPT]).arg(self.configuration()).arg(self.database());
        run(&mut command, b"").map(drop)
    }

    /// What a client needs for Kerberos: a configuration that names this server, and a keytab of the service account.
    ///
    /// # Errors
    /// When `samba-tool` fails.
    pub fn kerberos(&self) -> Result<(PathBuf, PathBuf), String> {
        let samba_tool = find("samba-tool").ok_or("samba-tool is not installed")?;
        let keytab = self.folder.path().join("svc.keytab");
        let tool = |arguments: &[&str]| {
            let mut command = Command::new(&samba_tool);
            command.args(arguments).arg("-s").arg(self.configuration());
            run(&mut command, b"").map(drop)
        };
        // A domain controller that updates DNS registers this by itself.
        tool(&["spn", "add", &format!("ldap/{HOST}"), "DC1$", "-H", &self.database().display().to_string()])?;
        tool(&["domain", "exportkeytab", &keytab.display().to_string(), "--principal=svc-lockstep"])?;
        let configuration = self.folder.path().join("krb5.conf");
        let text = format!(
            "[libdefaults]\ndefault_realm = CORP.EXAMPLE\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
             dns_canonicalize_hostname = false\nrdns = false\n[realms]\nCORP.EXAMPLE = {{\nkdc = {}:88\n}}\n\
             [domain_realm]\n.corp.example = CORP.EXAMPLE\n",
            self.address
        );
        std::fs::write(&configuration, text).map_err(|error| error.to_string())?;
        Ok((configuration, keytab))
    }

    /// Brings a deleted entry back under a name.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn restore(&self, guid: &str, name: &str) -> Result<(), String> {
        let mut command = self.tool("ldbmodify");
        command.args(["--controls=show_deleted:1", "-H"]).arg(self.database());
        let change = format!(
            "dn: <GUID={guid}>\nchangetype: modify\ndelete: isDeleted\n-\nreplace: distinguishedName\n\
             distinguishedName: {name}\n-\n\n"
        );
        run(&mut command, change.as_bytes()).map(drop)
    }

    /// Searches the database; the answer is LDIF.
    ///
    /// # Errors
    /// When `ldbsearch` fails.
    pub fn search(&self, base: &str, filter: &str, attributes: &[&str]) -> Result<String, String> {
        let mut command = self.tool("ldbsearch");
        command.arg("-H").arg(self.database()).args(["-b", base, filter]).args(attributes);
        run(&mut command, b"").map(|answer| answer.replace("\n ", ""))
    }

    /// The `objectGUID` of an entry, in text.
    ///
    /// # Errors
    /// When there is no such entry.
    pub fn guid(&self, name: &str) -> Result<String, String> {
        let mut command = self.tool("ldbsearch");
        command.arg("-H").arg(self.database()).args(["-s", "base", "-b", name, "(objectClass=*)", "objectGUID"]);
        let answer = run(&mut command, b"")?;
        let line = answer.lines().find_map(|line| line.strip_prefix("objectGUID: "));
        line.map(str::to_owned).ok_or_else(|| format!("{name} has no objectGUID"))
    }

    /// The `objectGUID`s of the entries below a base, in text, by `cn`.
    ///
    /// # Errors
    /// When `ldbsearch` fails.
    pub fn guids(&self, base: &str, filter: &str) -> Result<BTreeMap<String, String>, String> {
        Ok(pairs(&self.search(base, filter, &["cn", "objectGUID"])?, "cn: ", "objectGUID: "))
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
        command.arg(format!("--configfile={}", self.configuration().display()));
        command
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("etc/smb.conf")
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("private/sam.ldb")
    }

    fn run(&mut self) -> Result<(), String> {
        let arguments = [
            "-s".to_owned(),
            self.configuration().display().to_string(),
            "-M".to_owned(),
            "single".to_owned(),
            "-F".to_owned(),
            "--no-process-group".to_owned(),
        ];
        let program = find("samba").ok_or("samba is not installed")?;
        self.process = Some(Leashed::start(&program, &arguments, "")?);
        await_listener(self.address())
    }
}

/// True when this process may bind the ports of LDAP.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A loopback address that is for this process and this server only.
fn free_address() -> Result<IpAddr, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    let part = |number: u32| u8::try_from(number % 250 + 2).unwrap_or(2);
    for _ in 0..250 {
        let server = NEXT.fetch_add(1, Ordering::SeqCst);
        let address = IpAddr::from([127, part(process), part(process / 250), part(server)]);
        if TcpListener::bind((address, 636)).is_ok() && TcpListener::bind((address, 389)).is_ok() {
            return Ok(address);
        }
    }
    Err("every loopback address is taken".to_owned())
}

/// Provisions a domain, once.
fn template() -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let ready = target.join("testbed").join(TEMPLATE);
    if ready.exists() {
        return Ok(ready);
    }
    std::fs::create_dir_all(target.join("testbed")).map_err(|error| error.to_string())?;
    let making = tempfile::Builder::new()
        .prefix("samba-being-made")
        .tempdir_in(target.join("testbed"))
        .map_err(|error| error.to_string())?;
    provision(making.path())?;
    // Another process may have been quicker; its template is as good.
    if std::fs::rename(making.path(), &ready).is_ok() {
        let _ = making.keep();
    }
    Ok(ready)
}

fn provision(folder: &Path) -> Result<(), String> {
    write_configuration(folder, IpAddr::from([127, 0, 53, 1]))?;
    let configuration = folder.join("etc/smb.conf");
    let samba_tool = find("samba-tool").ok_or("samba-tool is not installed")?;
    let mut command = Command::new(&samba_tool);
    command.args(["domain", "provision", "-s"]).arg(&configuration).args([
        "--realm=CORP.EXAMPLE",
        "--domain=CORP",
        "--server-role=dc",
        "--dns-backend=NONE",
        "--host-name=dc1",
        "--host-ip=127.0.53.1",
        &format!("--adminpass={ADMIN_PASSWORD}"),
    ]);
    run(&mut command, b"")?;
    let database = folder.join("private/sam.ldb");
    let tool = |arguments: &[&str]| {
        let mut command = Command::new(&samba_tool);
        command.args(arguments).arg("-H").arg(&database).arg("-s").arg(&configuration);
        run(&mut command, b"").map(drop)
    };
    tool(&["user", "create", "svc-lockstep", SERVICE_PASSWORD])?;
    tool(&["user", "create", "svc-admin", SERVICE_PASSWORD])?;
    tool(&["group", "addmembers", "Domain Admins", "svc-admin"])
}

/// Paths and address stand in the configuration, so every copy gets its own.
fn write_configuration(folder: &Path, address: IpAddr) -> Result<(), String> {
    for name in [
        "etc",
        "private/tls",
        "state/sysvol/corp.example/scripts",
        "cache",
        "lock",
        "run",
        "log",
        "ncalrpc",
        "bind-dns",
        "tls",
    ] {
        std::fs::create_dir_all(folder.join(name)).map_err(|error| error.to_string())?;
    }
    let f = folder.display();
    let text = format!(
        "[global]\n\
         netbios name = DC1\n\
         realm = CORP.EXAMPLE\n\
         workgroup = CORP\n\
         server role = active directory domain controller\n\
         interfaces = {address}/8\n\
         bind interfaces only = yes\n\
         server services = ldap, kdc, cldap\n\
         dcerpc endpoint servers = none\n\
         disable netbios = yes\n\
         ldap server require strong auth = allow_sasl_over_tls\n\
         ldb:nosync = true\n\
         private dir = {f}/private\n\
         state directory = {f}/state\n\
         cache directory = {f}/cache\n\
         lock directory = {f}/lock\n\
         pid directory = {f}/run\n\
         ncalrpc dir = {f}/ncalrpc\n\
         binddns dir = {f}/bind-dns\n\
         winbindd socket directory = {f}/run/winbindd\n\
         log file = {f}/log/log.samba\n\
         posix:eadb = {f}/private/eadb.tdb\n\
         tls cafile = {f}/tls/ca.pem\n\
         tls certfile = {f}/tls/server.pem\n\
         tls keyfile = {f}/tls/server.key\n\
         [sysvol]\n\
         path = {f}/state/sysvol\n\
         read only = no\n\
         [netlogon]\n\
         path = {f}/state/sysvol/corp.example/scripts\n\
         read only = no\n"
    );
    std::fs::write(folder.join("etc/smb.conf"), text).map_err(|error| error.to_string())
}
