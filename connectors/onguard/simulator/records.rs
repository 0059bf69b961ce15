//! A cardholder in the words of the contract, straight from the tables. This shares nothing with the connector.

use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, InactiveStatus, KeyKind, Profile, SiteId, Status, Validity, field,
};
use serde_json::Value;

use super::filter::{Condition, Op};
use super::state::{ACTIVE, STATUSES, State};
use super::table::Row;

fn equals(property: &str, value: i64) -> [Condition; 1] {
    [Condition { property: property.to_owned(), op: Op::Equal, value: Value::from(value) }]
}

fn number(row: &Row, name: &str) -> Option<i64> {
    row.get(name).and_then(Value::as_i64)
}

fn meaning(status: i64) -> CredentialStatus {
    match status {
        ACTIVE => CredentialStatus::Active,
        2 => CredentialStatus::Inactive(InactiveStatus::Lost),
        3 => CredentialStatus::Inactive(InactiveStatus::Returned),
        4 => CredentialStatus::Inactive(InactiveStatus::Stolen),
        5 | 6 => CredentialStatus::Inactive(InactiveStatus::Disabled),
        7 => CredentialStatus::Inactive(InactiveStatus::Expired),
        other => {
            let named = STATUSES.iter().find(|(id, _)| *id == other).map(|(_, name)| (*name).to_owned());
            CredentialStatus::Other(named.unwrap_or_else(|| format!("status {other}")))
        }
    }
}

pub(super) fn record(state: &State, id: &CardholderId) -> Option<Cardholder> {
    let number_of = id.as_str().parse().ok()?;
    let row = state.table("Lnl_Cardholder")?.get([number_of, 0])?;
    let badges = state.table("Lnl_Badge")?.matching(&equals("PERSONID", number_of));
    let credentials: Vec<(i64, Credential)> = badges.iter().filter_map(|row| credential(row)).collect();
    let off = CredentialStatus::Inactive(InactiveStatus::Disabled);
    let works = |one: &Credential| !matches!(one.status, CredentialStatus::Inactive(_));
    let any = credentials.iter().any(|(_, one)| works(one));
    let counting = credentials.iter().filter(|(_, one)| if any { works(one) } else { one.status == off });
    let mut levels = BTreeSet::new();
    for (badge, _) in counting {
        for row in state.table("Lnl_AccessLevelAssignment")?.matching(&equals("BADGEKEY", *badge)) {
            levels.extend(number(row, "ACCESSLEVELID").and_then(|id| AccessLevelId::new(id.to_string()).ok()));
        }
    }
    let mut credentials: Vec<Credential> = credentials.into_iter().map(|(_, one)| one).collect();
    credentials.sort_by(|a, b| a.id.cmp(&b.id));
    Some(Cardholder {
        id: id.clone(),
        keys: keys(row),
        profile: profile(row),
        status: if any { Status::Active } else { Status::Suspended },
        levels,
        credentials,
        validity: Validity::ALWAYS,
        site: number(row, "PRIMARYSEGMENTID").filter(|id| *id != 0).and_then(|id| SiteId::new(id.to_string()).ok()),
        revision: None,
    })
}

fn credential(row: &Row) -> Option<(i64, Credential)> {
    let key = number(row, "BADGEKEY")?;
    let status = match number(row, "STATUS") {
        None | Some(0) => CredentialStatus::Other("no status".to_owned()),
        Some(status) => meaning(status),
    };
    let id = CredentialId::new(key.to_string()).ok()?;
    let shown = number(row, "ID").map(|number| number.to_string());
    Some((key, Credential { id, kind: CredentialKind::Card, number: shown, status }))
}

fn text(row: &Row, name: &str) -> Option<String> {
    row.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn keys(row: &Row) -> CorrelationKeys {
    let places = [(KeyKind::Employee, "SSNO"), (KeyKind::Directory, "LOCKSTEPID"), (KeyKind::Mail, "EMAIL")];
    let values = places.into_iter().filter_map(|(kind, name)| Some((kind, text(row, name)?)));
    values.filter_map(|(kind, value)| CorrelationKey::new(kind, &value).ok()).collect()
}

fn profile(row: &Row) -> Profile {
    let places = [
        (field::GIVEN_NAME, "FIRSTNAME"),
        (field::FAMILY_NAME, "LASTNAME"),
        (field::EMPLOYEE_NUMBER, "SSNO"),
        (field::MAIL, "EMAIL"),
        (field::PHONE, "OPHONE"),
        (field::DEPARTMENT, "UDF_DEPARTMENT"),
        (field::TITLE, "UDF_TITLE"),
    ];
    places.into_iter().filter_map(|(name, property)| Some((FieldName::known(name), text(row, property)?))).collect()
}
