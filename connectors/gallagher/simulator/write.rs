//! POST and PATCH: everything in a request happens, or nothing of it does. Pure: a changed record comes out, or a
//! refusal.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::state::{Card, Holder, Id, Membership, State};

/// Names have room for so many characters.
const NAME_MAX: usize = 50;
const SHORT_NAME_MAX: usize = 16;

/// A refusal: status and message.
pub(super) type Refused = (u16, String);

fn refuse<T>(status: u16, message: impl Into<String>) -> Result<T, Refused> {
    Err((status, message.into()))
}

/// The last piece of a link of this server under this path.
fn number(root: &str, item: Option<&Value>, under: &str) -> Option<Id> {
    let href = item?.get("href")?.as_str()?;
    href.strip_prefix(root)?.strip_prefix(under)?.parse().ok()
}

/// A new record.
pub(super) fn create(state: &mut State, root: &str, body: &Value) -> Result<(Id, Holder), Refused> {
    let Value::Object(body) = body else { return refuse(400, "Invalid cardholder") };
    if !state.rights.create {
        return refuse(403, "The operator does not have a privilege that allows creating cardholders");
    }
    if state.holders.len() >= state.rights.cardholders_max {
        return refuse(403, "The licensed limit of cardholders is reached");
    }
    let division = number(root, body.get("division"), "/api/divisions/").filter(|id| state.divisions.contains_key(id));
    let Some(division) = division else { return refuse(400, "Invalid division") };
    let mut holder = Holder { division, ..Holder::default() };
    plain(&mut holder, body)?;
    if holder.first_name.is_empty() && holder.last_name.is_empty() {
        return refuse(400, "Either firstName or lastName must be specified");
    }
    for item in list(body.get("accessGroups"))? {
        let membership = new_membership(state, root, item)?;
        holder.memberships.push(membership);
    }
    for item in list(body.get("cards"))? {
        let card = new_card(state, root, item)?;
        holder.cards.push(card);
    }
    let id = state.fresh();
    set_data(state, id, &mut holder, body)?;
    let lacking = state
        .fields
        .iter()
        .find(|(field, of)| of.required && state.may_hold(&holder, **field) && !holder.data.contains_key(field));
    if lacking.is_some() {
        return refuse(400, "Data has not been entered for this Personal Data Field");
    }
    Ok((id, holder))
}

/// A changed record.
pub(super) fn patch(state: &mut State, root: &str, id: Id, body: &Value) -> Result<Holder, Refused> {
    const NOTHING: &str = "No fields have been defined for update";
    let body = match body {
        Value::Object(body) if !body.is_empty() => body,
        _ => return refuse(400, NOTHING),
    };
    if !state.rights.edit {
        return refuse(403, "The operator does not have a privilege that allows editing cardholders");
    }
    if let Some((operator, workstation)) = state.locks.get(&id) {
        return refuse(409, format!("The item is being edited by {operator} at {workstation}"));
    }
    let Some(mut holder) = state.holders.get(&id).cloned() else { return refuse(404, "No such cardholder") };
    plain(&mut holder, body)?;
    if body.contains_key("division") {
        let division = number(root, body.get("division"), "/api/divisions/");
        match division.filter(|id| state.divisions.contains_key(id)) {
            Some(division) => holder.division = division,
            None => return refuse(400, "Invalid division"),
        }
    }
    let own = format!("{root}/api/cardholders/{id}");
    memberships(state, root, &own, &mut holder, body.get("accessGroups"))?;
    cards(state, root, &own, &mut holder, body.get("cards"))?;
    set_data(state, id, &mut holder, body)?;
    Ok(holder)
}

fn plain(holder: &mut Holder, body: &Map<String, Value>) -> Result<(), Refused> {
    let text = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => refuse(400, format!("Invalid {name}")),
    };
    for (name, slot) in [("firstName", &mut holder.first_name), ("lastName", &mut holder.last_name)] {
        if let Some(value) = text(name)? {
            if value.chars().count() > NAME_MAX {
                return refuse(400, format!("{name} is too long"));
            }
            *slot = value;
        }
    }
    if let Some(value) = text("shortName")? {
        holder.short_name = value.chars().take(SHORT_NAME_MAX).collect();
    }
    if let Some(value) = text("description")? {
        holder.description = value;
    }
    match body.get("authorised") {
        None => {}
        Some(Value::Bool(authorised)) => holder.authorised = *authorised,
        Some(_) => return refuse(400, "Invalid authorised"),
    }
    Ok(())
}

/// Values that the cardholder may not hold are dropped without a word.
fn set_data(state: &State, id: Id, holder: &mut Holder, body: &Map<String, Value>) -> Result<(), Refused> {
    for (name, value) in body.iter().filter_map(|(name, value)| Some((name.strip_prefix('@')?, value))) {
        let named: Vec<Id> = state.fields.iter().filter(|(_, of)| of.name == name).map(|(id, _)| *id).collect();
        let [field] = named.as_slice() else { continue };
        let Some(of) = state.fields.get(field).filter(|of| of.access == "fullAccess") else {
            return refuse(403, format!("The operator may not change {name}"));
        };
        if !state.may_hold(holder, *field) {
            continue;
        }
        match value {
            Value::Null => drop(holder.data.remove(field)),
            Value::String(text) if text.is_empty() => drop(holder.data.remove(field)),
            Value::String(text) => {
                if of.unique && state.with_value(*field, text).iter().any(|other| *other != id) {
                    return refuse(400, format!("The value of {name} is not unique"));
                }
                holder.data.insert(*field, text.clone());
            }
            _ => return refuse(400, format!("Invalid value for {name}")),
        }
    }
    Ok(())
}

fn list(value: Option<&Value>) -> Result<&[Value], Refused> {
    match value {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => refuse(400, "An array was expected"),
    }
}

/// `add`, `update` and `remove` of a collection. One link must not stand in two of them.
fn three(value: Option<&Value>) -> Result<[&[Value]; 3], Refused> {
    let Some(value) = value else { return Ok([&[], &[], &[]]) };
    let Value::Object(parts) = value else { return refuse(400, "An object with add, update and remove was expected") };
    if let Some(other) = parts.keys().find(|name| !["add", "update", "remove"].contains(&name.as_str())) {
        return refuse(400, format!("Unknown operation {other}"));
    }
    let lists = [list(parts.get("add"))?, list(parts.get("update"))?, list(parts.get("remove"))?];
    let links = |items: &[Value]| -> BTreeSet<String> {
        items.iter().filter_map(|item| item.get("href")?.as_str()).map(str::to_owned).collect()
    };
    if !links(lists[1]).is_disjoint(&links(lists[2])) {
        return refuse(400, "The same href is in update and in remove");
    }
    Ok(lists)
}

/// What a request says about a date.
enum Date {
    /// Nothing.
    Unsaid,
    /// An empty text: there is none any more.
    Cleared,
    At(Timestamp),
}

impl Date {
    fn of(value: Option<&Value>) -> Result<Self, Refused> {
        match value {
            None => Ok(Self::Unsaid),
            Some(Value::String(text)) if text.is_empty() => Ok(Self::Cleared),
            Some(value) => match value.as_str().map(str::parse) {
                Some(Ok(at)) => Ok(Self::At(at)),
                Some(Err(_)) | None => refuse(400, "Invalid date"),
            },
        }
    }

    const fn start(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Unsaid | Self::Cleared => None,
        }
    }

    const fn put(self, slot: &mut Option<Timestamp>) {
        match self {
            Self::Unsaid => {}
            Self::Cleared => *slot = None,
            Self::At(at) => *slot = Some(at),
        }
    }
}

fn new_membership(state: &mut State, root: &str, item: &Value) -> Result<Membership, Refused> {
    let group = number(root, item.get("accessGroup"), "/api/access_groups/");
    let (hidden, fixed) = (&state.rights.hidden_groups, &state.rights.fixed_groups);
    let known = |id: &Id| state.groups.contains_key(id) && !hidden.contains(id) && !fixed.contains(id);
    let Some(group) = group.filter(known) else {
        let href = item.get("accessGroup").and_then(|group| group.get("href")).and_then(Value::as_str);
        return refuse(400, format!("Invalid access group href: {}", href.unwrap_or_default()));
    };
    let (from, until) = (Date::of(item.get("from"))?.start(), Date::of(item.get("until"))?.start());
    Ok(Membership { code: state.fresh(), group, from, until })
}

fn memberships(
    state: &mut State,
    root: &str,
    own: &str,
    holder: &mut Holder,
    value: Option<&Value>,
) -> Result<(), Refused> {
    let [add, update, remove] = three(value)?;
    let at = |holder: &Holder, item: &Value| {
        let href = item.get("href").and_then(Value::as_str).unwrap_or_default();
        holder.memberships.iter().position(|one| format!("{own}/access_groups/{:X}", one.code) == href)
    };
    for item in update {
        let Some(place) = at(holder, item) else { return refuse(400, "Invalid access group membership href") };
        let code = state.fresh();
        let one = &mut holder.memberships[place];
        one.code = code;
        Date::of(item.get("from"))?.put(&mut one.from);
        Date::of(item.get("until"))?.put(&mut one.until);
    }
    for item in remove {
        let Some(place) = at(holder, item) else { return refuse(400, "Invalid access group membership href") };
        if state.rights.fixed_groups.contains(&holder.memberships[place].group) {
            return refuse(403, "The operator may not change the members of this access group");
        }
        holder.memberships.remove(place);
    }
    for item in add {
        let membership = new_membership(state, root, item)?;
        holder.memberships.push(membership);
    }
    Ok(())
}

/// A malformed date of a new card is replaced by the default without a word.
fn new_card(state: &mut State, root: &str, item: &Value) -> Result<Card, Refused> {
    let kind = number(root, item.get("type"), "/api/card_types/").filter(|id| state.card_types.contains_key(id));
    let Some(card_type) = kind else { return refuse(400, "Invalid card type href") };
    let state_name = state.card_types.get(&card_type).and_then(|of| of.states.first()).cloned().unwrap_or_default();
    let date = |name: &str| Date::of(item.get(name)).ok().and_then(Date::start);
    Ok(Card {
        code: state.fresh(),
        card_type,
        number: item.get("number").and_then(Value::as_str).unwrap_or_default().to_owned(),
        state: state_name,
        from: date("from"),
        until: date("until"),
    })
}

fn cards(state: &mut State, root: &str, own: &str, holder: &mut Holder, value: Option<&Value>) -> Result<(), Refused> {
    let [add, update, remove] = three(value)?;
    let at = |holder: &Holder, item: &Value| {
        let href = item.get("href").and_then(Value::as_str).unwrap_or_default();
        holder.cards.iter().position(|one| format!("{own}/cards/{:x}", one.code) == href)
    };
    for item in update {
        let Some(place) = at(holder, item) else { return refuse(400, "Invalid card href") };
        let one = &mut holder.cards[place];
        if item.get("number").is_some() || item.get("type").is_some() {
            return refuse(400, "The number and the type of a card cannot be changed");
        }
        if let Some(label) = item.get("status").and_then(|status| status.get("value")).and_then(Value::as_str) {
            let states = state.card_types.get(&one.card_type).map(|of| of.states.clone()).unwrap_or_default();
            let same = |state: &&String| state.to_lowercase() == label.to_lowercase();
            match states.iter().find(same) {
                Some(known) => one.state.clone_from(known),
                None => return refuse(400, format!("Invalid card state: {label}")),
            }
        }
        Date::of(item.get("from"))?.put(&mut one.from);
        Date::of(item.get("until"))?.put(&mut one.until);
    }
    for item in remove {
        let Some(place) = at(holder, item) else { return refuse(400, "Invalid card href") };
        holder.cards.remove(place);
    }
    for item in add {
        let card = new_card(state, root, item)?;
        holder.cards.push(card);
    }
    Ok(())
}
