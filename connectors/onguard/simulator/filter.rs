//! The filter language, as far as it is known: conditions joined by `and`. Whatever else stands in a filter is refused.

use serde_json::Value;

use super::table::Row;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Differs,
    Like,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    /// In capitals.
    pub(super) property: String,
    pub(super) op: Op,
    pub(super) value: Value,
}

/// How values are compared: texts without case, as the database under it does.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    }
}

impl Condition {
    pub(super) fn fits(&self, row: &Row) -> bool {
        let Some(found) = row.get(&self.property).filter(|value| !value.is_null()) else { return false };
        let (found, wanted) = (canonical(found), canonical(&self.value));
        match self.op {
            Op::Equal => found == wanted,
            Op::Differs => found != wanted,
            Op::Like => match (wanted.strip_prefix('%'), wanted.strip_suffix('%')) {
                (Some(rest), Some(_)) => found.contains(rest.trim_end_matches('%')),
                (Some(rest), None) => found.ends_with(rest),
                (None, Some(rest)) => found.starts_with(rest),
                (None, None) => found == wanted,
            },
        }
    }
}

/// Takes a filter apart.
pub(super) fn parsed(text: &str) -> Result<Vec<Condition>, &'static str> {
    let mut rest = text.trim_start();
    let mut conditions = Vec::new();
    loop {
        let (condition, after) = one(rest)?;
        conditions.push(condition);
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(conditions);
        }
        let (word, next) = after.split_at_checked(3).ok_or("something stands after the last condition")?;
        if !word.eq_ignore_ascii_case("and") || !next.starts_with(' ') {
            return Err("something other than `and` stands between two conditions");
        }
        rest = next.trim_start();
    }
}

fn one(text: &str) -> Result<(Condition, &str), &'static str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (property, rest) = text.split_at(end);
    if property.is_empty() {
        return Err("a condition does not begin with a property");
    }
    let rest = rest.trim_start();
    let ops = [("!=", Op::Differs), ("=", Op::Equal)];
    let symbol = ops.into_iter().find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)));
    let word = || {
        let (word, rest) = rest.split_at_checked(4)?;
        (word.eq_ignore_ascii_case("like") && rest.starts_with(' ')).then_some((Op::Like, rest))
    };
    let (op, rest) = symbol.or_else(word).ok_or("a condition has no operator that is known")?;
    let (value, rest) = literal(rest.trim_start())?;
    Ok((Condition { property: property.to_ascii_uppercase(), op, value }, rest))
}

fn literal(text: &str) -> Result<(Value, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('"') {
        let (inner, rest) = rest.split_once('"').ok_or("a quotation does not end")?;
        return Ok((Value::from(inner), rest));
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let number: i64 = number.parse().map_err(|_| "a value is neither in quotation marks nor a number")?;
    Ok((Value::from(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_taken_apart_and_anything_else_is_refused() {
        let conditions = parsed("PERSONID = 12 and STATUS!=1 AND Name like \"x%\"").expect("three");
        assert_eq!(conditions.len(), 3);
        assert_eq!(conditions[2].op, Op::Like);
        for wrong in
            ["", "ID", "ID=", "ID=1 or ID=2", "SSNO=\"a\" OR ID>\"0\"", "SSNO=\"a\"b\"", "SSNO='a'", "ID=1;", "=1"]
        {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
