//! What adding, changing and taking away do, and what is refused: unknown properties, wrong values, keys that lead nowhere.

use lockstep_simulator::Reply;
use serde_json::{Map, Value, json};

use super::answers::refused;
use super::filter::{Condition, Op};
use super::state::{ACTIVE, FIRST_BADGE, FIRST_CARDHOLDER, State};
use super::table::Row;
use super::types::{PropertyKind, TypeOf};

/// A body of a write, checked against the type.
struct Body {
    kind: &'static str,
    row: Row,
}

fn no_property(name: &str) -> Reply {
    let message = format!("The property {name} did not exist or contained an invalid value.");
    refused(400, "openaccess.general.invalidrequestitem", &message)
}

/// `POST`, `PUT` or `DELETE` of an instance.
pub(super) fn write(state: &mut State, method: &str, json: &Value) -> Reply {
    let body = match body(state, method, json) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    match method {
        "POST" => add(state, body),
        "PUT" => change(state, body),
        "DELETE" => take_away(state, &body),
        _ => refused(405, "openaccess.general.methodnotallowed", "The method is not allowed."),
    }
}

fn body(state: &State, method: &str, json: &Value) -> Result<Body, Reply> {
    let name = json.get("type_name").and_then(Value::as_str).unwrap_or_default();
    let Some(table) = state.table(name) else { return Err(no_property("type_name")) };
    let Some(map) = json.get("property_value_map").and_then(Value::as_object) else {
        return Err(no_property("property_value_map"));
    };
    let mut row = Row::new();
    for (name, value) in map {
        let Some(property) = table.of.property(name) else { return Err(no_property(name)) };
        if !property.is_key && (!property.editable || method == "DELETE") {
            return Err(no_property(name));
        }
        if !fits(&table.of, name, value) || row.insert(name.to_ascii_uppercase(), value.clone()).is_some() {
            return Err(no_property(name));
        }
    }
    Ok(Body { kind: table.of.name, row })
}

fn fits(of: &TypeOf, name: &str, value: &Value) -> bool {
    let Some(property) = of.property(name) else { return false };
    if value.is_null() {
        return !property.required;
    }
    match property.kind {
        PropertyKind::Number => value.is_i64(),
        PropertyKind::Flag => value.is_boolean(),
        PropertyKind::Time => value.is_string(),
        PropertyKind::Text => value
            .as_str()
            .is_some_and(|text| text.chars().count() <= property.max_length && !(property.required && text.is_empty())),
    }
}

fn number(row: &Row, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// The numbers that must be those of something that is there.
fn leads_nowhere(state: &State, body: &Body) -> Option<&'static str> {
    let is_there = |table: &str, name: &str| {
        body.row
            .get(name)
            .is_none_or(|id| id.as_i64().is_some_and(|id| state.table(table).is_some_and(|t| t.get([id, 0]).is_some())))
    };
    let references: &[(&str, &str)] = match body.kind {
        "Lnl_Badge" => &[("Lnl_Cardholder", "PERSONID"), ("Lnl_BadgeStatus", "STATUS"), ("Lnl_BadgeType", "TYPE")],
        "Lnl_AccessLevelAssignment" => &[("Lnl_Badge", "BADGEKEY"), ("Lnl_AccessLevel", "ACCESSLEVELID")],
        _ => &[],
    };
    references.iter().find(|(table, name)| !is_there(table, name)).map(|(_, name)| *name)
}

fn add(state: &mut State, mut body: Body) -> Reply {
    let Some(of) = state.table(body.kind).map(|table| table.of.clone()) else { return no_property("type_name") };
    for property in &of.properties {
        let name = property.name.to_ascii_uppercase();
        let given = body.row.contains_key(&name);
        if property.is_key && of.makes_keys {
            if given {
                return no_property(property.name);
            }
        } else if property.required && !given {
            return no_property(property.name);
        }
    }
    if let Some(wrong) = leads_nowhere(state, &body) {
        return no_property(wrong);
    }
    match body.kind {
        "Lnl_Cardholder" => {
            let id = state.add_cardholder(&shown(&body.row));
            keys_only(body.kind, &[("ID", id)])
        }
        "Lnl_Badge" => add_badge(state, &body.row),
        "Lnl_AccessLevelAssignment" => add_assignment(state, &mut body),
        _ => refused(403, "openaccess.general.permissiondenied", "You do not have permission to add this."),
    }
}

fn shown(row: &Row) -> Value {
    Value::Object(row.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

fn add_badge(state: &mut State, row: &Row) -> Reply {
    let status = row.get("STATUS").and_then(Value::as_i64).unwrap_or(ACTIVE);
    if status == ACTIVE && active_badges(state, number(row, "PERSONID")) >= state.limits.active_badges {
        return no_property("STATUS");
    }
    let Some(table) = state.tables.get_mut("Lnl_Badge") else { return no_property("type_name") };
    let key = table.next_key(FIRST_BADGE.max(FIRST_CARDHOLDER));
    let mut row = row.clone();
    row.insert("BADGEKEY".to_owned(), Value::from(key));
    row.insert("STATUS".to_owned(), Value::from(status));
    row.insert("LASTCHANGED".to_owned(), state.now());
    state.put("Lnl_Badge", &shown(&row));
    keys_only("Lnl_Badge", &[("BADGEKEY", key)])
}

fn add_assignment(state: &mut State, body: &mut Body) -> Reply {
    let (badge, level) = (number(&body.row, "BADGEKEY"), number(&body.row, "ACCESSLEVELID"));
    let Some(table) = state.table(body.kind) else { return no_property("type_name") };
    if table.get([badge, level]).is_some() {
        return refused(400, "openaccess.general.duplicateinstance", "The instance exists already.");
    }
    let on = [Condition { property: "BADGEKEY".to_owned(), op: Op::Equal, value: Value::from(badge) }];
    if table.matching(&on).len() as u64 >= state.limits.levels_per_badge {
        return no_property("AccessLevelID");
    }
    state.put(body.kind, &shown(&body.row));
    keys_only(body.kind, &[("AccessLevelID", level), ("BadgeKey", badge)])
}

fn active_badges(state: &State, person: i64) -> u64 {
    let of =
        |property: &str, value: i64| Condition { property: property.to_owned(), op: Op::Equal, value: value.into() };
    let both = [of("PERSONID", person), of("STATUS", ACTIVE)];
    state.table("Lnl_Badge").map_or(0, |table| table.matching(&both).len() as u64)
}

fn change(state: &mut State, body: Body) -> Reply {
    if body.kind == "Lnl_AccessLevelAssignment" {
        return refused(400, "openaccess.general.notsupported", "Instances of this type cannot be modified.");
    }
    let Some(table) = state.table(body.kind) else { return no_property("type_name") };
    let Some(before) = table.key_of(&body.row).and_then(|key| table.get(key)).cloned() else {
        let name = table.of.keys().next().map_or("ID", |key| key.name);
        return no_property(name);
    };
    // A badge is never handed on to somebody else.
    if body.kind == "Lnl_Badge" && body.row.get("PERSONID").is_some_and(|person| before.get("PERSONID") != Some(person))
    {
        return no_property("PERSONID");
    }
    if let Some(wrong) = leads_nowhere(state, &body) {
        return no_property(wrong);
    }
    let rises =
        body.kind == "Lnl_Badge" && number(&body.row, "STATUS") == ACTIVE && number(&before, "STATUS") != ACTIVE;
    if rises && active_badges(state, number(&before, "PERSONID")) >= state.limits.active_badges {
        return no_property("STATUS");
    }
    let keys: Vec<(&str, i64)> = [("ID", "ID"), ("BADGEKEY", "BADGEKEY")]
        .iter()
        .filter(|(_, name)| state.table(body.kind).is_some_and(|table| table.of.keys().any(|key| key.name == *name)))
        .map(|(shown, name)| (*shown, number(&before, name)))
        .collect();
    let mut row = before;
    row.extend(body.row);
    row.insert("LASTCHANGED".to_owned(), state.now());
    state.put(body.kind, &shown(&row));
    keys_only(body.kind, &keys)
}

fn take_away(state: &mut State, body: &Body) -> Reply {
    if body.kind != "Lnl_AccessLevelAssignment" {
        return refused(403, "openaccess.general.permissiondenied", "You do not have permission to delete this.");
    }
    let key = [number(&body.row, "BADGEKEY"), number(&body.row, "ACCESSLEVELID")];
    match state.tables.get_mut(body.kind).and_then(|table| table.remove(key)) {
        Some(_) => Reply::json(200, &json!({"version": "1.0"})),
        None => no_property("AccessLevelID"),
    }
}

fn keys_only(kind: &str, keys: &[(&str, i64)]) -> Reply {
    let map: Map<String, Value> = keys.iter().map(|(name, id)| ((*name).to_owned(), Value::from(*id))).collect();
    Reply::json(200, &json!({"type_name": kind, "property_value_map": map, "version": "1.0"}))
}
