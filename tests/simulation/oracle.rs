//! The oracle: what may happen to a PACS, worked out from what is really in the directory, by other means than the
//! core's. It knows the contract's nouns and nothing else; what it must never do is call the code it judges.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{AccessLevelId, Cardholder, CardholderId, GroupId, KeyKind, PersonId, Standing, Status};
use lockstep_sim::{DirectoryWorld, GroupView};

use crate::watched::Effect;

/// Who gets a level, in the oracle's own words.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The level.
    pub level: AccessLevelId,
    /// In one of these.
    pub any: Vec<GroupId>,
    /// In each of these.
    pub all: Vec<GroupId>,
    /// In none of these.
    pub none: Vec<GroupId>,
}

/// Yes, no, or nobody can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Nobody can know.
    Unknown,
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// In the directory, and active.
    Here,
    /// In the directory, and ended.
    Left,
    /// Not in the directory.
    Gone,
    /// Nobody can know.
    Unclear,
}

/// The directory as it really was when a plan was made.
#[derive(Debug, Clone)]
pub struct Truth {
    /// All of it.
    pub world: DirectoryWorld,
    /// The mapping.
    pub grants: Vec<Grant>,
    /// Whoever stands outside the configured place has left.
    pub outside_is_left: bool,
}

/// Whose a record is: the number in its employee key.
pub fn owner(record: &Cardholder) -> Option<PersonId> {
    let key = record.keys.of(KeyKind::Employee).next()?;
    let number: u64 = key.value().strip_prefix('e')?.parse().ok()?;
    PersonId::new(format!("person-{number}")).ok()
}

impl Truth {
    /// Where this person is.
    pub fn whereabouts(&self, person: &PersonId) -> Whereabouts {
        if self.world.shows_nothing {
            return Whereabouts::Unclear;
        }
        match self.world.people.get(person).map(|person| person.standing) {
            Some(Standing::Active) if !self.world.outside.contains(person) => Whereabouts::Here,
            Some(Standing::Active) if self.outside_is_left => Whereabouts::Left,
            Some(Standing::Ended { .. } | Standing::Away { .. }) => Whereabouts::Left,
            // Outside where that means nothing, or of a state that nobody can know.
            Some(Standing::Active | Standing::Unknown | Standing::Unconfirmed) => Whereabouts::Unclear,
            None => Whereabouts::Gone,
        }
    }

    fn within(&self, person: &PersonId, group: &GroupId) -> Answer {
        let mut reached = BTreeSet::new();
        let mut to_do = vec![group];
        let (mut named, mut dark) = (false, self.world.shows_nothing);
        while let Some(id) = to_do.pop() {
            if !reached.insert(id) {
                continue;
            }
            let Some(group) = self.world.groups.get(id) else { return Answer::Unknown };
            match group.view {
                GroupView::Denied => return Answer::Unknown,
                GroupView::Hidden => dark = true,
                GroupView::Unproven if group.people.is_empty() && group.groups.is_empty() => dark = true,
                GroupView::Visible | GroupView::Unproven => {
                    named |= group.people.contains(person);
                    to_do.extend(&group.groups);
                }
            }
        }
        match (named, dark) {
            (true, _) => Answer::Yes,
            (false, true) => Answer::Unknown,
            (false, false) => Answer::No,
        }
    }

    /// Whether this person should have this level. A level that no rule names: nobody can know.
    pub fn entitled(&self, person: &PersonId, level: &AccessLevelId) -> Answer {
        let Some(grant) = self.grants.iter().find(|grant| grant.level == *level) else { return Answer::Unknown };
        let ask = |groups: &[GroupId]| -> Vec<Answer> { groups.iter().map(|g| self.within(person, g)).collect() };
        let (any, all, none) = (ask(&grant.any), ask(&grant.all), ask(&grant.none));
        let refused = any.iter().all(|a| *a == Answer::No) || all.contains(&Answer::No) || none.contains(&Answer::Yes);
        let given = any.contains(&Answer::Yes)
            && all.iter().all(|a| *a == Answer::Yes)
            && none.iter().all(|a| *a == Answer::No);
        match (refused, given) {
            (true, _) => Answer::No,
            (false, true) => Answer::Yes,
            (false, false) => Answer::Unknown,
        }
    }

    /// The levels that the mapping manages.
    pub fn managed(&self) -> BTreeSet<AccessLevelId> {
        self.grants.iter().map(|grant| grant.level.clone()).collect()
    }
}

/// Judges what the engine writes, write by write.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// Who is held out by name, from now on.
    pub held: BTreeSet<PersonId>,
    /// Records that the engine switched off, and nobody else touched since.
    off_by_us: BTreeSet<CardholderId>,
}

impl Oracle {
    /// An operator of the PACS switched this record off or on.
    pub fn operator_switched(&mut self, record: &CardholderId) {
        self.off_by_us.remove(record);
    }

    /// Whether the engine switched this record off.
    pub fn is_off_by_us(&self, record: &CardholderId) -> bool {
        self.off_by_us.contains(record)
    }

    /// Judges one write against the truth of the time when its run was planned.
    ///
    /// # Errors
    /// With what was broken.
    pub fn judge(&mut self, effect: &Effect, truth: &Truth) -> Result<(), String> {
        let after = &effect.after;
        let Some(person) = owner(after) else {
            return Err(format!("{} is nobody's, and was written to", after.id));
        };
        let here = truth.whereabouts(&person);
        let held = self.held.contains(&person);
        let out = held || matches!(here, Whereabouts::Left | Whereabouts::Gone);
        let may_gain = here == Whereabouts::Here && !held;
        let broken = |what: &str| Err(format!("{what}: {person} ({here:?}, held: {held}), {effect:?}"));

        let Some(before) = &effect.before else {
            if !may_gain {
                return broken("a record was made for somebody who is not here");
            }
            if !after.levels.iter().all(|level| truth.entitled(&person, level) == Answer::Yes) {
                return broken("a new record has a level that nobody gave");
            }
            return Ok(());
        };
        if (&before.id, &before.keys, &before.site, before.validity, &before.credentials)
            != (&after.id, &after.keys, &after.site, after.validity, &after.credentials)
        {
            return broken("something changed that nothing should change");
        }
        match (&before.status, &after.status) {
            (Status::Active, Status::Suspended) if !out => return broken("switched off without evidence"),
            (Status::Active, Status::Suspended) => {
                self.off_by_us.insert(after.id.clone());
            }
            (Status::Suspended, Status::Active) if !may_gain => {
                return broken("switched on though not here, or held out");
            }
            (Status::Suspended, Status::Active) if !self.off_by_us.remove(&after.id) => {
                return broken("switched on what somebody else had switched off");
            }
            _ => {}
        }
        for lost in before.levels.difference(&after.levels) {
            if !truth.managed().contains(lost) {
                return broken("an unmanaged level was taken away");
            }
            if !(out || (here == Whereabouts::Here && truth.entitled(&person, lost) == Answer::No)) {
                return broken("a level was taken away without evidence");
            }
        }
        for gained in after.levels.difference(&before.levels) {
            if !truth.managed().contains(gained) {
                return broken("an unmanaged level was given");
            }
            if !(may_gain && truth.entitled(&person, gained) == Answer::Yes) {
                return broken("a level was given that nobody should have");
            }
        }
        if before.profile != after.profile && here != Whereabouts::Here {
            return broken("the fields of somebody who is not here were changed");
        }
        Ok(())
    }

    /// No two records are of one person.
    ///
    /// # Errors
    /// With whose they are.
    pub fn no_doubles(records: &BTreeMap<CardholderId, Cardholder>) -> Result<(), String> {
        let mut seen: BTreeMap<PersonId, &CardholderId> = BTreeMap::new();
        for record in records.values() {
            if let Some(person) = owner(record)
                && let Some(first) = seen.insert(person.clone(), &record.id)
            {
                return Err(format!("{person} has two records: {first} and {}", record.id));
            }
        }
        Ok(())
    }

    /// When nothing goes wrong any more, everybody has what they should have.
    ///
    /// # Errors
    /// With who has not.
    pub fn converged(
        &self,
        truth: &Truth,
        records: &BTreeMap<CardholderId, Cardholder>,
        linked: &BTreeSet<CardholderId>,
    ) -> Result<(), String> {
        for (id, person) in &truth.world.people {
            if person.standing != Standing::Active || self.held.contains(id) {
                continue;
            }
            let Some(record) = records.values().find(|record| owner(record).as_ref() == Some(id)) else {
                return Err(format!("{id} is here and has no record"));
            };
            if record.status == Status::Suspended {
                if self.is_off_by_us(&record.id) {
                    return Err(format!("{id} is here, and still switched off by us"));
                }
                continue;
            }
            for level in truth.managed() {
                let (should, has) = (truth.entitled(id, &level), record.levels.contains(&level));
                if (should == Answer::Yes) != has {
                    return Err(format!("{id} has {level}: {has}; should: {should:?}"));
                }
            }
        }
        for record in records.values().filter(|record| linked.contains(&record.id)) {
            let Some(person) = owner(record) else { continue };
            let out = self.held.contains(&person)
                || matches!(truth.whereabouts(&person), Whereabouts::Left | Whereabouts::Gone);
            if out && record.status == Status::Active {
                return Err(format!("{person} is out, and still switched on"));
            }
        }
        Ok(())
    }
}
