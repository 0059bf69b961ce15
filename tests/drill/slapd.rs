//! The row with a real directory server that is stopped.

use std::cell::RefCell;

use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::scim::real_servers_are_demanded;
use lockstep_testbed::slapd::{BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group, people, person_name, unit};

use crate::lane::{Lane, PEOPLE, PERSON};
use crate::row;
use crate::scene::{Scene, Skipped};

/// A deployment on OpenLDAP, which is stopped, and started again when the person is out.
pub(crate) fn stopped() -> Result<Vec<String>, Skipped> {
    let mut records = Ldif::new();
    people(&mut records, PEOPLE);
    unit(&mut records, "groups");
    group(&mut records, "GRP-Main", &(0..PEOPLE).map(person_name).collect::<Vec<_>>());
    group(&mut records, "GRP-Lab", &[person_name(PERSON)]);
    let server = Slapd::start(SlapdOptions { records, ..SlapdOptions::default() }).expect("the server starts");
    let Some(server) = server else {
        assert!(!real_servers_are_demanded(), "OpenLDAP is not installed");
        return Err(Skipped("OpenLDAP is not installed"));
    };
    let directory = format!(
        "[[directory]]\nid = \"corp\"\nkind = \"ldap\"\nurl = \"{}\"\nca_file = \"{}\"\ncanary = \"{}\"\n\
         bind = {{ user = \"{SERVICE}\", password = [\"keyring:drill-ldap\", \"file:ldap.pw\"] }}\n\
         people = {{ base = \"ou=people,{BASE}\" }}\ngroups = {{ base = \"ou=groups,{BASE}\" }}\n",
        server.ldaps_url(),
        server.ca_file().display(),
        person_name(0),
    );
    let lane = Lane::with(crate::LANES + 1, (directory, ""), &[("ldap.pw", SERVICE_PASSWORD)]);
    let server = RefCell::new(server);
    server.borrow_mut().stop();
    lane.run(&["sync"]).ends(&[5]);
    let mut scene = Scene::new(&lane);
    scene.afterwards(|_| server.borrow_mut().restart(|_| {}).expect("restarts"));
    Ok(row::carry_out(scene, "slapd_stopped"))
}
