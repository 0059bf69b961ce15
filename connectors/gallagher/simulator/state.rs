//! What the simulated server has: cardholders, groups, fields, divisions, card types. Pure; this module must not know
//! HTTP.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

/// A number that Command Centre gives to an item.
pub type Id = u64;

/// A cardholder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// At most 16 characters; longer ones are cut silently.
    pub short_name: String,
    /// Free text.
    pub description: String,
    /// Whether the person may enter anywhere at all.
    pub authorised: bool,
    /// Where the record belongs.
    pub division: Id,
    /// Values of personal data fields. One that no group of the cardholder carries is kept, and does not show.
    pub data: BTreeMap<Id, String>,
    /// Cards.
    pub cards: Vec<Card>,
    /// Memberships; several of one group are usual.
    pub memberships: Vec<Membership>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The last piece of its link.
    pub code: Id,
    /// Its type.
    pub card_type: Id,
    /// Its number.
    pub number: String,
    /// The name of its state.
    pub state: String,
    /// Valid from.
    pub from: Option<Timestamp>,
    /// Valid until.
    pub until: Option<Timestamp>,
}

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The last piece of its link. Changes with every update.
    pub code: Id,
    /// The group.
    pub group: Id,
    /// Valid from.
    pub from: Option<Timestamp>,
    /// Valid until.
    pub until: Option<Timestamp>,
}

impl Membership {
    /// `pending`, `active` or `expired`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.until.is_some_and(|until| until <= now) {
            "expired"
        } else if self.from.is_some_and(|from| from > now) {
            "pending"
        } else {
            "active"
        }
    }
}

/// An access group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The group above it.
    pub parent: Option<Id>,
    /// Where it belongs.
    pub division: Id,
    /// The access zones that it opens.
    pub zones: Vec<String>,
}

/// A personal data field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// `string`, `email`, `image`, …
    pub kind: String,
    /// Two cardholders may not have the same value.
    pub unique: bool,
    /// Whoever may have it must have it.
    pub required: bool,
    /// `noAccess`, `readOnly`, `fullAccess`.
    pub access: String,
    /// The groups that carry it.
    pub carriers: BTreeSet<Id>,
}

/// A division.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Division {
    /// Its name.
    pub name: String,
    /// The division above it.
    pub parent: Option<Id>,
}

/// A type of card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardType {
    /// Its name.
    pub name: String,
    /// `card`, `mobile`, …
    pub class: String,
    /// The names of its states; the first is the one in force.
    pub states: Vec<String>,
}

/// One entry of the feed of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose record.
    pub id: Id,
    /// `add`, `update`, `remove`.
    pub kind: &'static str,
    /// Which attributes.
    pub what: BTreeSet<&'static str>,
    /// Whether our own operator did it.
    pub own: bool,
    /// When.
    pub at: Timestamp,
}

/// What the operator may do, and what the site is licensed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The licence RESTCardholders.
    pub licensed: bool,
    /// So many cardholders at most.
    pub cardholders_max: usize,
    /// `View Cardholders`. Without it, there seem to be none.
    pub view: bool,
    /// `Edit Cardholders`.
    pub edit: bool,
    /// `Create Cardholders`.
    pub create: bool,
    /// Groups that the operator may not see.
    pub hidden_groups: BTreeSet<Id>,
    /// Groups in which the operator may not change members.
    pub fixed_groups: BTreeSet<Id>,
    /// `View Site`, or the right to assign cards.
    pub card_types: bool,
    /// Divisions that the operator may see; all when `None`.
    pub divisions: Option<BTreeSet<Id>>,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            licensed: true,
            cardholders_max: usize::MAX,
            view: true,
            edit: true,
            create: true,
            hidden_groups: BTreeSet::new(),
            fixed_groups: BTreeSet::new(),
            card_types: true,
            divisions: None,
        }
    }
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Cardholders by id.
    pub holders: BTreeMap<Id, Holder>,
    /// Their ids in the order in which they came, those of the seed first.
    pub order: Vec<Id>,
    /// Access groups by id.
    pub groups: BTreeMap<Id, Group>,
    /// Personal data fields by id.
    pub fields: BTreeMap<Id, Field>,
    /// Divisions by id.
    pub divisions: BTreeMap<Id, Division>,
    /// Card types by id.
    pub card_types: BTreeMap<Id, CardType>,
    /// The feed of changes.
    pub changes: Vec<Change>,
    /// What the operator may do.
    pub rights: Rights,
    /// Who has unsaved edits at which record: operator and workstation.
    pub locks: BTreeMap<Id, (String, String)>,
    /// The time, where a test sets it.
    pub clock: Option<Timestamp>,
    next: Id,
    /// Who has a value, in lower case, for a field: a search in quotation marks is fast.
    values: HashMap<(Id, String), BTreeSet<Id>>,
    /// Who has a name, in lower case.
    names: HashMap<String, BTreeSet<Id>>,
}

impl State {
    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.unwrap_or_else(Timestamp::now)
    }

    /// A number that was never given out.
    pub fn fresh(&mut self) -> Id {
        self.next = self.next.max(9_000) + 1;
        self.next
    }

    /// Puts a record in place, and tells the feed.
    pub fn put(&mut self, id: Id, holder: Holder, own: bool) {
        let before = self.holders.get(&id).cloned();
        let what = match &before {
            Some(before) => differences(before, &holder),
            None => EVERYTHING.into_iter().collect(),
        };
        if before.as_ref().is_some_and(|_| what.is_empty()) {
            return;
        }
        if let Some(before) = &before {
            self.index(id, before, false);
        } else {
            self.order.push(id);
        }
        self.index(id, &holder, true);
        self.holders.insert(id, holder);
        let kind = if before.is_some() { "update" } else { "add" };
        self.changes.push(Change { id, kind, what, own, at: self.now() });
    }

    /// Takes a record away for good.
    pub fn delete(&mut self, id: Id) {
        if let Some(holder) = self.holders.remove(&id) {
            self.index(id, &holder, false);
            self.order.retain(|other| *other != id);
            let what = EVERYTHING.into_iter().collect();
            self.changes.push(Change { id, kind: "remove", what, own: false, at: self.now() });
        }
    }

    fn index(&mut self, id: Id, holder: &Holder, add: bool) {
        let change = |set: &mut BTreeSet<Id>| {
            if add {
                set.insert(id);
            } else {
                set.remove(&id);
            }
        };
        for (field, value) in &holder.data {
            change(self.values.entry((*field, value.to_lowercase())).or_default());
        }
        for name in names_of(holder) {
            change(self.names.entry(name).or_default());
        }
    }

    /// Who has this very value, whatever the case of its letters. Whether it shows is another question.
    pub fn with_value(&self, field: Id, value: &str) -> BTreeSet<Id> {
        self.values.get(&(field, value.to_lowercase())).cloned().unwrap_or_default()
    }

    /// Who has this first name, last name, or `last, first`, whatever the case of its letters.
    pub fn with_name(&self, name: &str) -> BTreeSet<Id> {
        self.names.get(&name.to_lowercase()).cloned().unwrap_or_default()
    }

    /// A group and all above it.
    pub fn upwards(&self, group: Id) -> Vec<Id> {
        let mut all = vec![group];
        let mut at = group;
        while let Some(parent) = self.groups.get(&at).and_then(|group| group.parent) {
            if all.contains(&parent) {
                break;
            }
            all.push(parent);
            at = parent;
        }
        all
    }

    /// Whether the cardholder may hold the field: it is, now, a member of a group that carries it, or of one below it.
    pub fn may_hold(&self, holder: &Holder, field: Id) -> bool {
        let Some(field) = self.fields.get(&field) else { return false };
        let now = self.now();
        let active = holder.memberships.iter().filter(|one| one.state(now) == "active");
        active.flat_map(|one| self.upwards(one.group)).any(|group| field.carriers.contains(&group))
    }

    /// Whether a division is one of those or inside one.
    pub fn is_within(&self, division: Id, those: &BTreeSet<Id>) -> bool {
        let mut at = Some(division);
        for _ in 0..64 {
            match at {
                Some(here) if those.contains(&here) => return true,
                Some(here) => at = self.divisions.get(&here).and_then(|division| division.parent),
                None => return false,
            }
        }
        false
    }

    /// Whether the operator sees the record.
    pub fn visible(&self, holder: &Holder) -> bool {
        let within = |those: &BTreeSet<Id>| self.is_within(holder.division, those);
        self.rights.view && self.rights.divisions.as_ref().is_none_or(within)
    }

    /// Name and type of the state of a card: some are computed.
    pub fn card_state(&self, card: &Card) -> (String, &'static str) {
        let now = self.now();
        let first = self.card_types.get(&card.card_type).and_then(|kind| kind.states.first());
        if first.is_none_or(|first| first.to_lowercase() != card.state.to_lowercase()) {
            (card.state.clone(), "inactive")
        } else if card.until.is_some_and(|until| until <= now) {
            ("Expired".to_owned(), "expired")
        } else if card.from.is_some_and(|from| from > now) {
            ("Not Yet Activated".to_owned(), "pending")
        } else {
            (card.state.clone(), "active")
        }
    }
}

const EVERYTHING: [&str; 8] =
    ["firstName", "lastName", "description", "authorised", "division", "personalDataFields", "cards", "accessGroups"];

fn differences(one: &Holder, other: &Holder) -> BTreeSet<&'static str> {
    let pairs = [
        ("firstName", one.first_name != other.first_name),
        ("lastName", one.last_name != other.last_name),
        ("description", one.description != other.description || one.short_name != other.short_name),
        ("authorised", one.authorised != other.authorised),
        ("division", one.division != other.division),
        ("personalDataFields", one.data != other.data),
        ("cards", one.cards != other.cards),
        ("accessGroups", one.memberships != other.memberships),
    ];
    pairs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn names_of(holder: &Holder) -> BTreeSet<String> {
    let (first, last) = (holder.first_name.to_lowercase(), holder.last_name.to_lowercase());
    [format!("{last}, {first}"), first, last].into_iter().filter(|name| !name.is_empty()).collect()
}
