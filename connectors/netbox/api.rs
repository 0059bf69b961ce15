//! The commands of NBAPI that are used, and nothing more: none that deletes, purges, unlocks or changes anything but
//! people and their cards. This module must not decide what an answer means for a plan.

use std::collections::BTreeMap;

use lockstep_contract::{CardholderId, CredentialId, Fault, FaultKind, Secret};
use lockstep_http::{CallFault, Effect};

use crate::convert::{BadRecord, is_deleted};
use crate::envelope::{Command, LevelEdit, Says};
use crate::levels::Levels;
use crate::place::Place;
use crate::session::Line;
use crate::xml::Element;

/// Pages of one list. A list that is longer has no end.
pub(crate) const PAGES_MAX: u32 = 10_000;

/// A page of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeoplePage {
    pub(crate) people: Vec<Element>,
    /// Where the next page begins; `None` when this was the last.
    pub(crate) next: Option<u64>,
    /// How many were asked for, in the end.
    pub(crate) count: u32,
}

/// What is to become of a person. What it does not name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PersonEdit {
    pub(crate) places: BTreeMap<Place, String>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) levels: Vec<LevelEdit>,
}

impl PersonEdit {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn params(&self, mut command: Command) -> Command {
        for (place, value) in &self.places {
            command = command.with(place.name(), value);
        }
        if let Some(start) = &self.start {
            command = command.with("ACTDATE", start);
        }
        if let Some(end) = &self.end {
            command = command.with("EXPDATE", end);
        }
        command.with_levels(&self.levels)
    }
}

/// What became of a new person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Added {
    /// It has this id.
    As(CardholderId),
    /// The ID # is taken, as the NetBox says.
    Duplicate,
}

/// The commands of one call.
#[derive(Debug)]
pub(crate) struct Api<'a> {
    pub(crate) line: Line<'a>,
}

impl Api<'_> {
    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        self.line.fault(kind, operation, message)
    }

    pub(crate) fn bad(&self, operation: &str, error: &BadRecord) -> CallFault {
        self.line.protocol(operation, &error.to_string())
    }

    /// The fault of a command that the NetBox refused.
    fn refused(&self, command: &Command, reason: &str) -> CallFault {
        let message = match reason.trim() {
            "" => "the NetBox refuses, and does not say why".to_owned(),
            reason => format!("the NetBox refuses: {}", self.line.shown(reason, command)),
        };
        CallFault::new(Effect::Refused, None, self.fault(FaultKind::Invalid, &command.operation, message))
    }

    /// The details of a success.
    async fn details(&self, command: &Command) -> Result<Element, CallFault> {
        match self.line.ask(command).await? {
            Says::Success(details) => Ok(details),
            Says::Fail(reason) => Err(self.refused(command, &reason)),
            Says::NotFound | Says::ApiError(_) => {
                let fault = self.fault(FaultKind::Missing, &command.operation, "the NetBox says that it is not there");
                Err(CallFault::new(Effect::Refused, None, fault))
            }
        }
    }

    /// The details of a success; `None` where the NetBox says that there is nothing.
    async fn found(&self, command: &Command) -> Result<Option<Element>, CallFault> {
        match self.details(command).await {
            Ok(details) => Ok(Some(details)),
            Err(fault) if fault.fault.kind == FaultKind::Missing && fault.status.is_none() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The version of NBAPI.
    pub(crate) async fn version(&self) -> Result<Option<String>, CallFault> {
        let details = self.details(&Command::new("GetAPIVersion", "read the version")).await?;
        Ok(details.text_of("APIVERSION").map(str::to_owned))
    }

    /// The partitions by key, with their names.
    pub(crate) async fn partitions(&self) -> Result<Vec<(String, String)>, CallFault> {
        let details = self.found(&Command::new("GetPartitions", "read the partitions")).await?.unwrap_or_default();
        let all = details.all("PARTITIONS").flat_map(|list| list.all("PARTITION"));
        let text = |one: &Element, name: &str| one.text_of(name).unwrap_or_default().to_owned();
        Ok(all.map(|one| (text(one, "PARTITIONKEY"), text(one, "NAME"))).collect())
    }

    /// All access levels of the partition.
    pub(crate) async fn levels(&self) -> Result<Levels, CallFault> {
        let mut levels = Levels::default();
        let mut start = 0;
        for page in 1..=PAGES_MAX {
            let operation = format!("list access levels, page {page}");
            let command = Command::new("GetAccessLevels", operation.as_str())
                .with("WANTKEY", "TRUE")
                .with("STARTFROMKEY", start.to_string());
            let Some(details) = self.found(&command).await? else { return Ok(levels) };
            self.is_list(&details, "ACCESSLEVELS", &operation)?;
            for level in details.all("ACCESSLEVELS").flat_map(|list| list.all("ACCESSLEVEL")) {
                levels.add(level).map_err(|error| self.bad(&operation, &error))?;
            }
            match self.next(&details, "NEXTKEY", start, &operation)? {
                Some(next) => start = next,
                None => return Ok(levels),
            }
        }
        Err(self.line.protocol("list access levels", &no_end()))
    }

    /// A page of all people who are not in the bin. One that is too long is asked for again with fewer people.
    pub(crate) async fn people(&self, start: u64, count: u32, nth: u64) -> Result<PeoplePage, CallFault> {
        let operation = format!("list people from number {nth} on");
        let mut count = count;
        loop {
            match self.page(&[], start, count, &operation).await {
                Err(fault) if fault.too_long && count > 1 => count = (count / 4).max(1),
                other => return other,
            }
        }
    }

    /// Everybody who is not in the bin and has this value in this place.
    pub(crate) async fn search(
        &self,
        place: Place,
        value: &str,
        any_case: bool,
        operation: &str,
    ) -> Result<Vec<Element>, CallFault> {
        let mut filter = vec![(place.name(), value.to_owned())];
        if any_case {
            filter.push(("CASEINSENSITIVE", "TRUE".to_owned()));
        }
        let mut found = Vec::new();
        let mut start = 0;
        for _ in 0..PAGES_MAX {
            let page = self.page(&filter, start, 100, operation).await?;
            found.extend(page.people);
            match page.next {
                Some(next) => start = next,
                None => return Ok(found),
            }
        }
        Err(self.line.protocol(operation, &no_end()))
    }

    async fn page(
        &self,
        filter: &[(&'static str, String)],
        start: u64,
        count: u32,
        operation: &str,
    ) -> Result<PeoplePage, CallFault> {
        let mut command = Command::new("SearchPersonData", operation);
        for (name, value) in filter {
            command = command.with(name, value);
        }
        let command = command
            .with("DELETED", "FALSE")
            .with("WANTCREDENTIALID", "1")
            .with("STARTFROMKEY", start.to_string())
            .with("NUMTORETURN", count.to_string());
        let Some(mut details) = self.found(&command).await? else {
            return Ok(PeoplePage { people: Vec::new(), next: None, count });
        };
        self.is_list(&details, "PEOPLE", operation)?;
        let next = self.next(&details, "NEXTKEY", start, operation)?;
        let mut people = Vec::new();
        for list in details.children.iter_mut().filter(|child| &*child.name == "PEOPLE") {
            people.append(&mut list.children);
        }
        people.retain(|child| &*child.name == "PERSON");
        if next.is_none() && details.child("NEXTKEY").is_none() && people.len() >= count as usize {
            let message = format!("cut list: a page of {count} people, and no word on whether that is all");
            return Err(self.line.protocol(operation, &message));
        }
        for person in &people {
            if is_deleted(person).map_err(|error| self.bad(operation, &error))? {
                let message = "the NetBox ignores the filter: it sent somebody who is deleted";
                return Err(self.line.protocol(operation, message));
            }
        }
        Ok(PeoplePage { people, next, count })
    }

    /// An empty list is one that says so: a success that holds neither a list nor an end is half an answer.
    fn is_list(&self, details: &Element, list: &str, operation: &str) -> Result<(), CallFault> {
        if details.child(list).is_some() || details.child("NEXTKEY").is_some() {
            return Ok(());
        }
        Err(self.line.protocol(operation, &format!("cut list: the NetBox says SUCCESS, and sends no {list}")))
    }

    /// Where the next page begins. Keys only rise; one that does not is a loop.
    fn next(&self, details: &Element, name: &str, start: u64, operation: &str) -> Result<Option<u64>, CallFault> {
        let text = match details.text_of(name) {
            None | Some("" | "-1") => return Ok(None),
            Some(text) => text,
        };
        match text.parse::<u64>() {
            Ok(next) if next > start => Ok(Some(next)),
            Ok(next) => {
                let message = format!("cut list: after the page from {start} on, the NetBox goes on at {next}");
                Err(self.line.protocol(operation, &message))
            }
            Err(_) => Err(self.line.protocol(operation, "cut list: the key of the next page is no number")),
        }
    }

    /// One person, deleted or not; `None` when the NetBox says positively that it has none of this id.
    pub(crate) async fn person(&self, id: &str) -> Result<Option<Element>, CallFault> {
        let operation = format!("read person {id}");
        let command = Command::new("GetPerson", operation.as_str()).with("PERSONID", id).with("WANTCREDENTIALID", "1");
        let Some(person) = self.found(&command).await? else { return Ok(None) };
        match person.text_of("PERSONID") {
            Some(found) if found == id => Ok(Some(person)),
            Some(_) | None => {
                Err(self.line.protocol(&operation, "the NetBox sent another person than the one asked for"))
            }
        }
    }

    /// Who has a card; `None` when nobody has.
    pub(crate) async fn holder_of(
        &self,
        format: &str,
        number: &str,
        operation: &str,
    ) -> Result<Option<String>, CallFault> {
        let command = Command::new("GetCardAccessDetails", operation)
            .with_secret("ENCODEDNUM", &Secret::new(number.to_owned()))
            .with("CARDFORMAT", format)
            .with("MAXRECORDS", "1");
        let details = self.found(&command).await?;
        Ok(details.and_then(|details| details.text_of("PERSONID").filter(|id| !id.is_empty()).map(str::to_owned)))
    }

    /// Creates a person.
    pub(crate) async fn add(&self, edit: &PersonEdit, operation: &str) -> Result<Added, CallFault> {
        let command = edit.params(Command::new("AddPerson", operation));
        match self.line.ask(&command).await? {
            Says::Success(details) => {
                let id = details.text_of("PERSONID").and_then(|id| CardholderId::new(id).ok());
                let id = id.ok_or_else(|| {
                    self.line.protocol(operation, "the person was created, but the answer has no usable id")
                })?;
                Ok(Added::As(id))
            }
            Says::Fail(reason) if reason.to_ascii_lowercase().contains("duplicate") => Ok(Added::Duplicate),
            Says::Fail(reason) => Err(self.refused(&command, &reason)),
            Says::NotFound | Says::ApiError(_) => Err(self.refused(&command, "not found")),
        }
    }

    /// Changes a person.
    pub(crate) async fn modify(&self, id: &CardholderId, edit: &PersonEdit) -> Result<(), CallFault> {
        let operation = format!("change person {id}");
        let command = edit.params(Command::new("ModifyPerson", operation).with("PERSONID", id.as_str()));
        self.details(&command).await.map(drop)
    }

    /// Switches a card off or on. One that is gone is off.
    pub(crate) async fn switch_card(&self, id: &CardholderId, card: &CredentialId, on: bool) -> Result<(), CallFault> {
        let operation = format!("switch card {card} of person {id} {}", if on { "on" } else { "off" });
        let command = Command::new("ModifyCredential", operation)
            .with("PERSONID", id.as_str())
            .with("CREDENTIALID", card.as_str())
            .with("DISABLED", if on { "0" } else { "1" });
        match self.details(&command).await {
            Err(fault) if !on && fault.status.is_none() && fault.fault.kind == FaultKind::Missing => Ok(()),
            other => other.map(drop),
        }
    }
}

fn no_end() -> String {
    format!("cut list: still no end after {PAGES_MAX} pages")
}
