//! Records for a domain, and the configuration of a site that follows it.

use std::fmt::Write;

use lockstep_testbed::samba::{BASE, SERVICE, SambaAd};

/// How many people have the same department.
pub(crate) const TEAM: usize = 25;

/// LDIF change records for a domain.
#[derive(Default)]
pub(crate) struct Changes(pub(crate) String);

impl Changes {
    /// The two places where people and groups are.
    pub(crate) fn new() -> Self {
        let mut changes = Self::default();
        for unit in ["Staff", "Access"] {
            changes.line(format_args!("dn: OU={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n"));
        }
        changes
    }

    /// So many people, enabled, without passwords.
    pub(crate) fn people(&mut self, count: usize) {
        for n in 0..count {
            self.line(format_args!(
                "dn: {}\nchangetype: add\nobjectClass: user\ncn: Person {n}\ngivenName: Given{n}\nsn: Family{n}\n\
                 displayName: Given{n} Family{n}\nsAMAccountName: p{n:05}\nuserPrincipalName: p{n:05}@corp.example\n\
                 mail: p{n:05}@corp.example\nemployeeID: {}\ndepartment: Team {:03}\nuserAccountControl: 544\n",
                person(n),
                number(n),
                n / TEAM
            ));
        }
    }

    /// A group with these members, who must be there already.
    pub(crate) fn group(&mut self, name: &str, members: impl IntoIterator<Item = String>) {
        let own = group(name);
        let head = format!("dn: {own}\nchangetype: add\nobjectClass: group\ncn: {name}\nsAMAccountName: {name}");
        self.0.push_str(&head);
        for member in members {
            let _ = write!(self.0, "\nmember: {member}");
        }
        self.0.push_str("\n\n");
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "{text}");
    }
}

/// The name of a person.
pub(crate) fn person(n: usize) -> String {
    format!("CN=Person {n},OU=Staff,{BASE}")
}

/// The name of a group.
pub(crate) fn group(name: &str) -> String {
    format!("CN={name},OU=Access,{BASE}")
}

/// The employee number of a person.
pub(crate) fn number(n: usize) -> String {
    format!("{}", 700_000 + n)
}

/// The directory of a site. Active Directory sends 1,500 members at a time; Samba does when it is asked to.
pub(crate) fn directory(server: &SambaAd) -> String {
    format!(
        "approval = \"standing\"\n\n\
         [[directory]]\nid = \"corp\"\nkind = \"ldap\"\nflavor = \"active-directory\"\nurl = \"{}\"\nconnect_to = \"{}\"\n\
         ca_file = \"{}\"\nbind = {{ user = \"{SERVICE}\", password = \"env:TEST_PASSWORD\" }}\n\
         people = {{ base = \"OU=Staff,{BASE}\", filter = \"(&(objectCategory=person)(objectClass=user))\" }}\n\
         groups = {{ base = \"OU=Access,{BASE}\", range = 1500 }}\n",
        server.url(),
        server.address(),
        server.ca_file().display(),
    )
}
