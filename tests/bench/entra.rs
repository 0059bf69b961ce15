//! What a whole read of a tenant costs: requests and resource units, beside the least that the documented sizes of pages and
//! batches and the documented costs allow. No time is measured: the tenant is simulated on this machine.

#[path = "../../connectors/entra/tests/simulator/mod.rs"]
mod simulator;

use std::collections::BTreeSet;

use lockstep_contract::{Directory, GroupId, Membership};
use serde_json::json;
use uuid::Uuid;

use crate::size;
use simulator::opened::{cx, everybody, open};
use simulator::{Arrived, Simulator, Tenant};

/// A page holds so many.
const PAGE: usize = 999;
/// A batch holds so many questions.
const BATCH: usize = 20;
/// So many people are in a group.
const MEMBERS: usize = 50;

/// What was sent.
#[derive(Default)]
struct Spent {
    requests: usize,
    units: u64,
}

impl Spent {
    fn of(arrived: &[Arrived]) -> Self {
        let requests = arrived.iter().filter(|request| !request.in_batch).count();
        Self { requests, units: arrived.iter().map(|request| cost(&request.target)).sum() }
    }
}

/// What a question costs by the documentation: a base for each kind, one less for a selection, one less for a short page,
/// and never less than one. A batch costs what is in it.
fn cost(target: &str) -> u64 {
    let path = target.split('?').next().unwrap_or_default();
    let base: i64 = match path {
        _ if path.ends_with("/$batch") => return 0,
        _ if path.contains("/transitiveMembers") => 5,
        _ if path.ends_with("/users") => 2,
        _ => 1,
    };
    let top = target.split("$top=").nth(1).and_then(|rest| rest.split('&').next()?.parse::<u32>().ok());
    let less = i64::from(target.contains("$select=")) + i64::from(top.is_some_and(|top| top < 20));
    u64::try_from((base - less).max(1)).unwrap_or(1)
}

/// Prints the comparison.
#[expect(clippy::print_stdout, reason = "a bench program prints its table")]
pub(crate) fn report() -> Result<(), String> {
    let (users, groups) = (size("BENCH_USERS", 100_000), size("BENCH_GROUPS", 2_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (people, members) = runtime.map_err(|error| error.to_string())?.block_on(read(users, groups))?;
    let pages = users.div_ceil(PAGE);
    println!("   {users} users, {groups} groups of {MEMBERS}          requests   resource units");
    let line = |what: &str, requests: usize, units: u64| println!("   {what:<38}{requests:10}{units:17}");
    line("users, as read", people.requests, people.units);
    line("users, least", pages, pages as u64);
    line("members, as read, with proofs", members.requests, members.units);
    // The members, their number by another path, and the group itself: whether its members are hidden or its rule paused.
    line("members, least with proofs", (groups * 3).div_ceil(BATCH), groups as u64 * (4 + 3 + 1));
    line("members, least and believed unseen", groups.div_ceil(BATCH), groups as u64 * 4);
    let units = people.units + members.units;
    println!("   together {units} units: {:.0} s of a tenant's quota of 800 a second", units as f64 / 800.0);
    Ok(())
}

async fn read(users: usize, groups: usize) -> Result<(Spent, Spent), String> {
    let mut tenant = Tenant::new();
    let ids: Vec<Uuid> = (0..users).map(|n| Uuid::from_u128(n as u128 + 1)).collect();
    for user in &ids {
        tenant.add_user(*user, json!({}));
    }
    let named: Vec<Uuid> = (0..groups).map(|n| Uuid::from_u128(n as u128 + (1 << 64))).collect();
    for (n, group) in named.iter().enumerate() {
        let members: Vec<Uuid> = ids.iter().cycle().skip(n * MEMBERS % users.max(1)).take(MEMBERS).copied().collect();
        tenant.add_group(*group, &format!("Group {n}"), &members);
    }
    let simulator = Simulator::start(tenant).await;
    let directory = open(&simulator, &json!({"units_per_second": 1_000_000}));
    let cx = cx();
    let (found, _) = everybody(&directory, &cx).await.map_err(|fault| fault.to_string())?;
    if found.len() != users {
        return Err(format!("{users} users are there, and {} were read", found.len()));
    }
    let people = Spent::of(&simulator.arrived());
    let asked: BTreeSet<GroupId> = named.iter().filter_map(|group| GroupId::new(group.to_string()).ok()).collect();
    let answers = directory.members(&cx, &asked).await;
    let read = answers.values().filter(|answer| matches!(answer, Membership::Members(members) if members.gaps() == 0));
    if read.count() != groups {
        return Err("not every group was read".to_owned());
    }
    Ok((people, Spent::of(&simulator.arrived())))
}
