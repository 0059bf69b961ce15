//! The tenant that the tests look at: ten people, of whom nine is the canary; a group within a group; a group of devices.

use lockstep_entra::Entra;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::simulator::{Simulator, Tenant, opened};

/// The canary.
pub(crate) const CANARY: u128 = 9;
/// Names people 0 to 3.
pub(crate) const PLAIN: u128 = 100;
/// Names person 4 and the plain group.
pub(crate) const OUTER: u128 = 101;
/// Names a device and nobody.
pub(crate) const EMPTY: u128 = 102;
/// Names the canary only.
pub(crate) const PLANTED: u128 = 103;
/// Nobody has it.
pub(crate) const STRANGER: u128 = 999;

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn tenant() -> Tenant {
    let mut tenant = Tenant::new();
    for n in 0..10 {
        tenant.add_user(
            id(n),
            json!({"userPrincipalName": format!("person{n}@corp.example"), "mail": format!("person{n}@corp.example"),
                "employeeId": format!("{:05}", 900 + n), "displayName": format!("Person {n}"), "department": "Lab"}),
        );
    }
    tenant.devices.insert(id(50));
    tenant.add_group(id(PLAIN), "Plain", &[id(0), id(1), id(2), id(3)]);
    tenant.add_group(id(OUTER), "Outer", &[id(4), id(PLAIN)]);
    tenant.add_group(id(EMPTY), "Empty", &[id(50)]);
    tenant.add_group(id(PLANTED), "Planted", &[id(CANARY)]);
    tenant
}

pub(crate) fn usual() -> Value {
    json!({"canary": id(CANARY).to_string(), "canary_group": id(PLANTED).to_string()})
}

/// The tenant, and a connector with these settings beside the usual ones.
pub(crate) async fn begin(extra: Value) -> (Simulator, Entra) {
    let simulator = Simulator::start(tenant()).await;
    let mut settings = usual();
    for (name, value) in extra.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    let directory = opened::open(&simulator, &settings);
    (simulator, directory)
}
