//! Carries out one action, once. What cannot be done refuses the whole action before anything is sent; what takes
//! access away goes first; an action that broke off in the middle says that its outcome is unknown. This module must
//! not retry or decide.

#![expect(clippy::result_large_err, reason = "the size of `ApplyFault` is the contract's matter")]

mod dates;
mod work;

use lockstep_contract::{
    Action, ApplyFault, CardholderId, CorrelationKey, CredentialId, CredentialStatus, Cx, Enforcement, FaultKind,
    InactiveStatus, Receipt, Subject,
};
use lockstep_http::{CallFault, Effect};

use crate::api::{Added, Api, PersonEdit};
use crate::convert::{id_of, is_deleted};
use crate::envelope::LevelEdit;
use crate::levels::name_in;
use crate::place::Place;
use crate::xml::Element;
use crate::{LEVELS_FOR, NetBox, finding};
use dates::{Dates, dates};
use work::Work;

/// Applies an action.
pub(crate) async fn apply(netbox: &NetBox, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
    let api = netbox.api(cx);
    let operation = format!("apply {}", action.id);
    let refuse = |kind, message: &str| ApplyFault::Refused(api.fault(kind, &operation, message));
    let work = Work::of(action);
    if work.provision.is_some() != matches!(action.subject, Subject::New(_)) {
        return Err(refuse(FaultKind::Unsupported, "an action creates a record exactly when it is about a new one"));
    }
    let mut writer = Writer { netbox, api: &api, wrote: false };
    let levels = writer.levels(&work, &operation).await?;
    let cardholder = match &action.subject {
        Subject::Existing(id) => {
            writer.change(id, &work, levels, &operation).await?;
            id.clone()
        }
        Subject::New(key) => writer.create(key, &work, levels).await?,
    };
    Ok(Receipt { cardholder, enforced: Enforcement::Database })
}

struct Writer<'a> {
    netbox: &'a NetBox,
    api: &'a Api<'a>,
    /// A command that may have had an effect was answered well.
    wrote: bool,
}

impl Writer<'_> {
    /// A command that failed. After an earlier one took effect, the action as a whole is neither done nor undone.
    fn failed(&self, fault: CallFault) -> ApplyFault {
        if self.wrote { ApplyFault::Uncertain(*fault.fault) } else { fault.into_apply() }
    }

    /// A read that failed: this write was not sent.
    fn not_read(&self, fault: CallFault) -> ApplyFault {
        self.failed(CallFault { effect: Effect::NotSent, ..fault })
    }

    fn refused(&self, kind: FaultKind, operation: &str, message: &str) -> ApplyFault {
        self.failed(CallFault::new(Effect::Refused, None, self.api.fault(kind, operation, message)))
    }

    /// The edits of access levels. What is to be given must be on the list as it is now.
    async fn levels(&self, work: &Work<'_>, operation: &str) -> Result<Vec<LevelEdit>, ApplyFault> {
        let taken = work.revoke.iter().map(|level| LevelEdit { name: name_in(level).to_owned(), delete: true });
        let mut edits: Vec<LevelEdit> = taken.collect();
        if work.grant.is_empty() {
            return Ok(edits);
        }
        let list = self.netbox.levels(self.api, LEVELS_FOR).await.map_err(|fault| self.not_read(fault))?;
        for level in &work.grant {
            let Some(name) = list.to_give(level) else {
                let message = format!("there is no access level {level}, or there are two of that name");
                return Err(self.refused(FaultKind::Invalid, operation, &message));
            };
            edits.push(LevelEdit { name: name.to_owned(), delete: false });
        }
        Ok(edits)
    }

    async fn change(
        &mut self,
        id: &CardholderId,
        work: &Work<'_>,
        levels: Vec<LevelEdit>,
        operation: &str,
    ) -> Result<(), ApplyFault> {
        let invalid = |writer: &Self, message: &str| writer.refused(FaultKind::Invalid, operation, message);
        let mut edit = PersonEdit { levels, ..PersonEdit::default() };
        if let Some(profile) = work.amend {
            edit.places = self.netbox.shape.writes(profile).map_err(|message| invalid(self, &message))?;
        }
        if work.needs_current() {
            let person = self.current(id).await?;
            self.may_come_back(&person, work, operation)?;
            let shape = &self.netbox.shape;
            let now = shape.standing(&person).map_err(|error| self.not_read(self.api.bad(operation, &error)))?;
            let Dates { start, end, kept } =
                dates(&shape.clock, &now, work).map_err(|message| invalid(self, message))?;
            edit.places.extend(kept.map(|text| (shape.suspension, text)));
            (edit.start, edit.end) = (start, end);
        }
        if work.suspend {
            // One command cuts all access at once; the cards follow.
            let left = self.suspend(id, edit).await?;
            self.switch_off(id, &work.deactivate, left).await?;
        } else {
            self.switch_off(id, &work.deactivate, None).await?;
            self.modify(id, &edit).await.map_err(|fault| self.failed(fault))?;
        }
        for card in &work.activate {
            self.api.switch_card(id, card, true).await.map_err(|fault| self.failed(fault))?;
            self.wrote = true;
        }
        Ok(())
    }

    async fn modify(&mut self, id: &CardholderId, edit: &PersonEdit) -> Result<(), CallFault> {
        if !edit.is_empty() {
            self.api.modify(id, edit).await?;
            self.wrote = true;
        }
        Ok(())
    }

    /// Suspends with everything that goes with it; if the NetBox refuses that, at least suspends. What was refused
    /// first is left to be told: it must not keep the cards on.
    async fn suspend(&mut self, id: &CardholderId, whole: PersonEdit) -> Result<Option<CallFault>, ApplyFault> {
        let own = self.netbox.shape.suspension;
        let kept = whole.places.get(&own).map(|text| (own, text.clone()));
        let least = PersonEdit { places: kept.into_iter().collect(), end: whole.end.clone(), ..PersonEdit::default() };
        let mut tries = vec![whole, least];
        tries.dedup();
        let mut left = None;
        for edit in &tries {
            match self.modify(id, edit).await {
                Ok(()) => return Ok(left),
                Err(fault) if fault.effect == Effect::Refused && says_no(&fault) => left = left.or(Some(fault)),
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        Ok(left)
    }

    /// Switches cards off. One that the NetBox refuses does not keep the others on.
    async fn switch_off(
        &mut self,
        id: &CardholderId,
        cards: &[&CredentialId],
        mut left: Option<CallFault>,
    ) -> Result<(), ApplyFault> {
        for card in cards {
            match self.api.switch_card(id, card, false).await {
                Ok(()) => self.wrote = true,
                Err(fault) if fault.effect == Effect::Refused && says_no(&fault) => left = left.or(Some(fault)),
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        left.map_or(Ok(()), |fault| Err(self.failed(fault)))
    }

    async fn current(&self, id: &CardholderId) -> Result<Element, ApplyFault> {
        let person = self.netbox.present(self.api, id).await.map_err(|fault| self.not_read(fault))?;
        person.ok_or_else(|| self.refused(FaultKind::Missing, &format!("change person {id}"), "it is not there"))
    }

    /// What was lost or stolen is never switched on again.
    fn may_come_back(&self, person: &Element, work: &Work<'_>, operation: &str) -> Result<(), ApplyFault> {
        if work.activate.is_empty() {
            return Ok(());
        }
        let cards = self.netbox.shape.credentials(person);
        let cards = cards.map_err(|error| self.not_read(self.api.bad(operation, &error)))?;
        for wanted in &work.activate {
            let status = cards.iter().find(|card| card.id == **wanted).map(|card| &card.status);
            let why = match status {
                None => "is not there",
                Some(CredentialStatus::Inactive(InactiveStatus::Lost | InactiveStatus::Stolen)) => {
                    "is reported lost or stolen"
                }
                Some(CredentialStatus::Active | CredentialStatus::Inactive(_) | CredentialStatus::Other(_)) => continue,
            };
            let message = format!("card {wanted} {why}; it is not switched on");
            return Err(self.refused(FaultKind::Invalid, operation, &message));
        }
        Ok(())
    }

    /// Creates the person, unless the key finds them already: a creation whose answer was lost is not repeated. Where
    /// the key is the ID #, the NetBox itself takes care that there is only one.
    async fn create(
        &mut self,
        key: &CorrelationKey,
        work: &Work<'_>,
        levels: Vec<LevelEdit>,
    ) -> Result<CardholderId, ApplyFault> {
        let operation = format!("create a person for {key}");
        let Some((profile, keys)) = work.provision else {
            return Err(self.refused(FaultKind::Unsupported, &operation, "the action creates nobody"));
        };
        let shape = &self.netbox.shape;
        let mut keys = keys.clone();
        keys.insert(key.clone());
        let writes = shape.writes_new(profile, &keys);
        let places = writes.map_err(|message| self.refused(FaultKind::Invalid, &operation, &message))?;
        let unique = shape.keys.get(&key.kind()) == Some(&Place::PERSON_ID) && !finding::any_case(key.kind());
        if !unique && let Some(id) = self.there_already(key, &operation).await? {
            return self.carry_on(id, levels).await;
        }
        let validity = work.validity.unwrap_or_default();
        let edit = PersonEdit {
            places,
            start: validity.from.map(|_| shape.clock.write_start(&validity)),
            end: (validity.until.is_some() || shape.clock.open_end.is_some()).then(|| shape.clock.write_end(&validity)),
            levels: levels.clone(),
        };
        match self.api.add(&edit, &operation).await.map_err(|fault| self.failed(fault))? {
            Added::As(id) => {
                self.wrote = true;
                if edit.places.get(&Place::PERSON_ID).is_some_and(|wanted| wanted != id.as_str()) {
                    let message = format!("the person was created with the ID # {id}, which is not the one asked for");
                    return Err(self.failed(self.api.line.protocol(&operation, &message)));
                }
                self.netbox.remember_new(&id, key);
                Ok(id)
            }
            Added::Duplicate => {
                let id = self.taken(key, edit.places.get(&Place::PERSON_ID), &operation).await?;
                self.carry_on(id, levels).await
            }
        }
    }

    async fn carry_on(&mut self, id: CardholderId, levels: Vec<LevelEdit>) -> Result<CardholderId, ApplyFault> {
        let edit = PersonEdit { levels, ..PersonEdit::default() };
        self.modify(&id, &edit).await.map_err(|fault| self.failed(fault))?;
        Ok(id)
    }

    async fn there_already(&self, key: &CorrelationKey, operation: &str) -> Result<Option<CardholderId>, ApplyFault> {
        let found = finding::find(self.netbox, self.api, key).await.map_err(|fault| self.not_read(fault))?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => id_of(one).map(Some).map_err(|error| self.not_read(self.api.bad(operation, &error))),
            several => {
                let message = format!("{} people have this key already", several.len());
                Err(self.refused(FaultKind::Conflict, operation, &message))
            }
        }
    }

    /// Who has the ID # that was asked for: the one who was to be created, or somebody else.
    async fn taken(
        &self,
        key: &CorrelationKey,
        id: Option<&String>,
        operation: &str,
    ) -> Result<CardholderId, ApplyFault> {
        let conflict = |message: &str, help: &str| {
            let fault = self.api.fault(FaultKind::Conflict, operation, message).with_help(help);
            self.failed(CallFault::new(Effect::Refused, None, fault))
        };
        let Some(id) = id else {
            return Err(conflict("the NetBox calls this person a duplicate", "look for the person on the NetBox"));
        };
        let Some(person) = self.api.person(id).await.map_err(|fault| self.not_read(fault))? else {
            let message = format!("the ID # {id} is taken, by nobody who can be seen from this partition");
            return Err(conflict(&message, "look for the ID # in the other partitions"));
        };
        let bad = |error| self.not_read(self.api.bad(operation, &error));
        if is_deleted(&person).map_err(bad)? {
            let message = format!("the ID # {id} belongs to a person who was deleted on the NetBox");
            let help = "undelete the person there (the record comes back without cards and levels), and plan again";
            return Err(conflict(&message, help));
        }
        if !self.netbox.shape.correlation(&person).contains(key) {
            let message = format!("the ID # {id} belongs to somebody who does not have the key {key}");
            return Err(conflict(&message, "compare the two by hand, and mend the one that is wrong"));
        }
        id_of(&person).map_err(bad)
    }
}

/// The NetBox has looked at the command and said no; another command may fare better.
fn says_no(fault: &CallFault) -> bool {
    matches!(fault.fault.kind, FaultKind::Invalid | FaultKind::Missing | FaultKind::Conflict)
}
