//! Directories in trouble, each brought about on a real OpenLDAP: what to connect to, and what must come of it. Tests of
//! the connector and of the whole program use the same ones.

use std::path::PathBuf;

use crate::certificates::CertificateKind;
use crate::ldif::Ldif;
use crate::proxy::{Behaviour, Proxy};
use crate::slapd::{
    BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group, group_name, people, person_name, unit,
};

/// What is wrong with the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: for comparison.
    None,
    /// Nobody listens.
    Down,
    /// The service account's password is another one.
    WrongPassword,
    /// The service account is locked.
    AccountLocked,
    /// The certificate is for another name.
    OtherName,
    /// The certificate has expired.
    Expired,
    /// The certificate has no subject alternative name.
    NoName,
    /// The server cuts every answer at 500 of 10,000 people.
    SizeLimit,
    /// The server ends the search by its time limit.
    TimeLimit,
    /// The connection is cut while this request of each connection is answered, after so many bytes.
    Cut {
        /// The number of the request.
        request: u32,
        /// How many bytes of the answer still pass.
        bytes: u64,
    },
    /// The configured filter matches nobody.
    FilterMatchesNobody,
    /// The base has another name now.
    BaseRenamed,
    /// The members of the group `mapped` are hidden by an access rule.
    GroupHidden,
    /// The group `mapped` itself is hidden by an access rule.
    GroupInvisible,
    /// The attribute that tells whether somebody has left is hidden.
    StateHidden,
    /// Half of the people are on another server.
    ReferralBelow,
    /// All of the people are on another server.
    ReferralAtBase,
    /// Nothing is shown below the base, without an error.
    EverythingHidden,
}

impl Trouble {
    /// Those in which the people cannot be read, and a read must say so.
    pub const PEOPLE_UNREADABLE: [Self; 14] = [
        Self::Down,
        Self::WrongPassword,
        Self::AccountLocked,
        Self::OtherName,
        Self::Expired,
        Self::NoName,
        Self::SizeLimit,
        Self::TimeLimit,
        Self::Cut { request: 5, bytes: 40 },
        Self::FilterMatchesNobody,
        Self::BaseRenamed,
        Self::ReferralBelow,
        Self::ReferralAtBase,
        Self::EverythingHidden,
    ];
}

/// A directory in trouble. Ends when dropped.
#[derive(Debug)]
pub struct Situation {
    /// Where it is.
    pub url: String,
    /// Where to connect for that.
    pub connect_to: String,
    /// The authority of its certificate.
    pub ca_file: PathBuf,
    /// The service account.
    pub user: String,
    /// Its password, as the configuration has it.
    pub password: String,
    /// The base of the people.
    pub people_base: String,
    /// Which entries are people.
    pub people_filter: String,
    /// How many people to ask for in one page, so that there are several pages, or one that takes too long.
    pub page_size: u32,
    /// The base of the groups, which holds the group `mapped` with the first three people, and `other` with the fourth.
    pub groups_base: String,
    /// One of the people, who never leaves.
    pub canary: String,
    /// The proxy in front of the server.
    pub proxy: Proxy,
    /// The server.
    pub server: Slapd,
}

/// How many people there are, except where a limit needs more.
pub const PEOPLE: usize = 30;

/// Brings a trouble about. `Ok(None)` when OpenLDAP is not installed.
///
/// # Errors
/// When it is installed and the trouble cannot be brought about.
pub fn bring_about(trouble: Trouble) -> Result<Option<Situation>, String> {
    let Some(mut server) = Slapd::start(options(trouble))? else { return Ok(None) };
    let proxy = Proxy::start(server.tls_address())?;
    let mut situation = Situation {
        url: format!("ldaps://localhost:{}", proxy.address().port()),
        connect_to: proxy.address().to_string(),
        ca_file: server.ca_file().to_path_buf(),
        user: SERVICE.to_owned(),
        password: SERVICE_PASSWORD.to_owned(),
        people_base: format!("ou=people,{BASE}"),
        people_filter: "(objectClass=inetOrgPerson)".to_owned(),
        page_size: 10,
        groups_base: format!("ou=groups,{BASE}"),
        canary: person_name(0),
        proxy,
        server: {
            if trouble == Trouble::Down {
                server.stop();
            }
            server
        },
    };
    match trouble {
        Trouble::Down => situation.proxy.behave(Behaviour::Refuse),
        Trouble::Cut { request, bytes } => situation.proxy.behave(Behaviour::Cut { request, bytes }),
        Trouble::WrongPassword => "not-the-password".clone_into(&mut situation.password),
        Trouble::AccountLocked => lock(&situation.server)?,
        Trouble::FilterMatchesNobody => {
            "(employeeType=nobody)".clone_into(&mut situation.people_filter);
        }
        Trouble::BaseRenamed => {
            let change = format!("dn: ou=people,{BASE}\nchangetype: modrdn\nnewrdn: ou=staff\ndeleteoldrdn: 1\n");
            situation.server.modify(&change)?;
        }
        Trouble::ReferralAtBase => {
            situation.people_base = format!("ou=elsewhere,{BASE}");
        }
        Trouble::None
        | Trouble::OtherName
        | Trouble::Expired
        | Trouble::NoName
        | Trouble::SizeLimit
        | Trouble::TimeLimit
        | Trouble::GroupHidden
        | Trouble::GroupInvisible
        | Trouble::StateHidden
        | Trouble::ReferralBelow
        | Trouble::EverythingHidden => {}
    }
    Ok(Some(situation))
}

fn options(trouble: Trouble) -> SlapdOptions {
    let mut records = Ldif::new();
    people(&mut records, if trouble == Trouble::SizeLimit { 10_000 } else { PEOPLE });
    unit(&mut records, "groups");
    group(&mut records, "mapped", &[person_name(1), person_name(2), person_name(3)]);
    group(&mut records, "above", &[group_name("mapped"), person_name(4)]);
    group(&mut records, "other", &[person_name(5)]);
    let elsewhere = match trouble {
        Trouble::ReferralBelow => Some(format!("ou=elsewhere,ou=people,{BASE}")),
        Trouble::ReferralAtBase => Some(format!("ou=elsewhere,{BASE}")),
        _ => None,
    };
    if let Some(name) = elsewhere {
        let classes = [("objectClass", "referral"), ("objectClass", "extensibleObject"), ("ou", "elsewhere")];
        let mut attributes = classes.to_vec();
        let uri = format!("ldap://other.example/{name}");
        attributes.push(("ref", &uri));
        records.entry(&name, &attributes);
    }
    let limits = |rest: &str| format!("limits dn.exact=\"{SERVICE}\" {rest}\n");
    SlapdOptions {
        settings: match trouble {
            Trouble::SizeLimit => limits("size.soft=500 size.hard=500"),
            Trouble::TimeLimit => limits("time.soft=1 time.hard=1"),
            _ => String::new(),
        },
        access: match trouble {
            Trouble::GroupHidden => {
                format!("access to dn.exact=\"{}\" attrs=member by * none\n", group_name("mapped"))
            }
            Trouble::GroupInvisible => format!("access to dn.exact=\"{}\" by * none\n", group_name("mapped")),
            Trouble::StateHidden => "access to attrs=shadowExpire by * none\n".to_owned(),
            Trouble::EverythingHidden => {
                "access to dn.regex=\".+,ou=(people|groups),dc=corp,dc=example$\" by * none\n".to_owned()
            }
            _ => String::new(),
        },
        certificate: match trouble {
            Trouble::OtherName => CertificateKind::OtherName,
            Trouble::Expired => CertificateKind::Expired,
            Trouble::NoName => CertificateKind::NoName,
            _ => CertificateKind::Right,
        },
        password_policy: trouble == Trouble::AccountLocked,
        slow_seconds: if trouble == Trouble::TimeLimit { 2 } else { 0 },
        records,
        ..SlapdOptions::default()
    }
}

/// Three wrong passwords, where two are allowed.
fn lock(server: &Slapd) -> Result<(), String> {
    for _ in 0..3 {
        if server.log_in(SERVICE, "wrong") {
            return Err("a wrong password was accepted".to_owned());
        }
    }
    if server.log_in(SERVICE, SERVICE_PASSWORD) { Err("the account is not locked".to_owned()) } else { Ok(()) }
}
