//! The envelope of NBAPI: sessions, numbered errors, and which command does what.

use lockstep_conformance::Trouble;
use lockstep_simulator::Request;
use quick_xml::escape::escape;

use super::node::{Node, leaf, wrap};
use super::world::{EmptyList, Session, World};
use super::{PASSWORD, USER, cards, levels, people};

/// What a command comes to.
pub(super) enum Outcome {
    /// `SUCCESS`, with what is in its details.
    Success(String),
    /// `FAIL`, with a reason.
    Fail(String),
    /// `NOT FOUND`.
    NotFound,
    /// A numbered error.
    Error(u32),
}

pub(super) fn fail(reason: impl Into<String>) -> Outcome {
    Outcome::Fail(reason.into())
}

/// One command in its session.
pub(super) struct Asked<'a> {
    pub(super) params: &'a Node,
    pub(super) partition: u64,
    /// Dates are sent with their offset.
    pub(super) offsets: bool,
    /// A filter is ignored.
    pub(super) deaf: bool,
    /// The list begins again.
    pub(super) again: bool,
}

impl Asked<'_> {
    /// The partition in which a record is looked for: any, when all are asked for.
    pub(super) fn sees(&self, partition: u64) -> bool {
        partition == self.partition || self.params.yes("ALLPARTITIONS")
    }
}

pub(super) fn answer(world: &mut World, request: &Request, trouble: Option<Trouble>) -> String {
    let media = request.header("content-type").unwrap_or_default();
    let root = if media.contains("xml") { Node::read(&request.text()) } else { None };
    let Some(root) = root.filter(|root| root.name == "NETBOX-API") else { return error(None, 4) };
    let session = root.attribute("sessionid").map(str::to_owned);
    if !world.rules.enabled || trouble == Some(Trouble::Deny) {
        return error(session.as_deref(), 2);
    }
    if trouble == Some(Trouble::Unauthenticated) {
        return error(session.as_deref(), 5);
    }
    let Some(command) = root.child("COMMAND") else { return error(session.as_deref(), 3) };
    let name = command.attribute("name").unwrap_or_default();
    let nothing = Node::default();
    let params = command.child("PARAMS").unwrap_or(&nothing);
    let number = command.attribute("num").unwrap_or_default();
    if name == "Login" {
        return log_in(world, params, number);
    }
    let known = session.as_ref().and_then(|id| world.sessions.get(id)).cloned();
    let Some(known) = known.filter(|_| world.rules.log_in) else { return error(session.as_deref(), 5) };
    let asked = Asked {
        params,
        partition: known.partition,
        offsets: command.attribute("dateformat") == Some("tzoffset"),
        deaf: trouble == Some(Trouble::IgnoredFilter),
        again: trouble == Some(Trouble::RepeatedPage),
    };
    if trouble == Some(Trouble::Refuse) {
        return say(session.as_deref(), name, number, &fail("The record is locked"));
    }
    let id = session.unwrap_or_default();
    let outcome = carry_out(world, name, &asked, &id);
    // The answer to a log-out names no session.
    let shown = (name != "Logout").then_some(id.as_str());
    say(shown, name, number, &outcome)
}

fn log_in(world: &mut World, params: &Node, number: &str) -> String {
    if params.value("USERNAME") != Some(USER) || params.value("PASSWORD") != Some(PASSWORD) {
        return say(None, "Login", number, &fail("Invalid username or password"));
    }
    let id = world.draw();
    world.sessions.insert(id.clone(), Session { partition: 1 });
    say(Some(&id), "Login", number, &Outcome::Success(String::new()))
}

/// The parameters that a command knows, beside the fields of a person.
fn params_of(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "Logout" | "PingApp" | "GetAPIVersion" | "GetPartitions" | "GetCardFormats" => &[],
        "SwitchPartition" => &["PARTITIONKEY"],
        "GetAccessLevels" => &["WANTKEY", "STARTFROMKEY", "STARTFROMNAME", "PARTITIONKEY"],
        "GetPerson" => &["PERSONID", "ALLPARTITIONS", "ACCESSLEVELDETAILS", "WANTCREDENTIALID"],
        "SearchPersonData" => people::SEARCHED,
        "AddPerson" => people::ADDED,
        "ModifyPerson" => people::MODIFIED,
        "RemovePerson" => &["PERSONID"],
        "AddCredential" => cards::ADDED,
        "ModifyCredential" => cards::MODIFIED,
        "RemoveCredential" => &["PERSONID", "CREDENTIALID", "CARDFORMAT", "ENCODEDNUM", "HOTSTAMP"],
        "GetCardAccessDetails" => &["ENCODEDNUM", "CARDFORMAT", "MAXRECORDS", "OLDESTDTTM"],
        _ => return None,
    })
}

fn carry_out(world: &mut World, name: &str, asked: &Asked<'_>, session: &str) -> Outcome {
    let Some(known) = params_of(name) else { return Outcome::Error(6) };
    let fields: &[&str] = match name {
        "SearchPersonData" | "AddPerson" | "ModifyPerson" => &people::FIELDS,
        _ => &[],
    };
    let mut names = asked.params.children.iter().map(|param| param.name.as_str());
    if names.any(|param| !known.contains(&param) && !fields.contains(&param)) {
        return Outcome::Error(3);
    }
    let writes = ["Add", "Modify", "Remove"].iter().any(|verb| name.starts_with(verb));
    if writes && world.rules.read_only {
        return fail("Insufficient privileges");
    }
    match name {
        "Logout" => {
            world.sessions.remove(session);
            Outcome::Success(String::new())
        }
        "PingApp" => Outcome::Success(String::new()),
        "GetAPIVersion" => {
            let version = if world.rules.old { "5.6.1" } else { "6.2.0" };
            Outcome::Success(format!("<APIVERSION>{version}</APIVERSION>"))
        }
        "GetPartitions" => levels::partitions(world),
        "SwitchPartition" => levels::switch(world, asked, session),
        "GetAccessLevels" => levels::list(world, asked),
        "GetPerson" => people::get(world, asked),
        "SearchPersonData" => people::search(world, asked),
        "AddPerson" => people::add(world, asked),
        "ModifyPerson" => people::modify(world, asked),
        "RemovePerson" => people::remove(world, asked),
        "GetCardFormats" => cards::formats(world),
        "AddCredential" => cards::add(world, asked),
        "ModifyCredential" => cards::modify(world, asked),
        "RemoveCredential" => cards::remove(world, asked),
        "GetCardAccessDetails" => cards::details(world, asked),
        _ => Outcome::Error(6),
    }
}

/// An empty list, as this NetBox says it.
pub(super) fn empty(world: &World, list: &str) -> Outcome {
    match world.rules.empty_list {
        EmptyList::NotFound => Outcome::NotFound,
        EmptyList::Fail => fail("NOT FOUND"),
        EmptyList::Success => Outcome::Success(format!("<{list}/><NEXTKEY>-1</NEXTKEY>")),
    }
}

fn say(session: Option<&str>, command: &str, number: &str, outcome: &Outcome) -> String {
    let mut inside = String::new();
    match outcome {
        Outcome::Success(details) => {
            leaf(&mut inside, "CODE", "SUCCESS");
            if !details.is_empty() {
                wrap(&mut inside, "DETAILS", details);
            }
        }
        Outcome::Fail(reason) => {
            leaf(&mut inside, "CODE", "FAIL");
            let mut message = String::new();
            leaf(&mut message, "ERRMSG", reason);
            wrap(&mut inside, "DETAILS", &message);
        }
        Outcome::NotFound => leaf(&mut inside, "CODE", "NOT FOUND"),
        Outcome::Error(number) => return error(session, *number),
    }
    let (command, number) = (escape(command), escape(number));
    let session = session.map(|id| format!(" sessionid=\"{}\"", escape(id))).unwrap_or_default();
    format!("<NETBOX{session}><RESPONSE command=\"{command}\" num=\"{number}\">{inside}</RESPONSE></NETBOX>")
}

fn error(session: Option<&str>, number: u32) -> String {
    let session = session.map(|id| format!(" sessionid=\"{}\"", escape(id))).unwrap_or_default();
    format!("<NETBOX{session}><RESPONSE><APIERROR>{number}</APIERROR></RESPONSE></NETBOX>")
}
