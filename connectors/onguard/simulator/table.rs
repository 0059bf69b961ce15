//! The instances of one type, with indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::filter::{Condition, Op, canonical};
use super::types::TypeOf;

/// The key of an instance: one or two numbers.
pub(super) type Key = [i64; 2];

/// An instance: properties by name in capitals.
pub(super) type Row = BTreeMap<String, Value>;

/// All instances of a type.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) of: TypeOf,
    rows: BTreeMap<Key, Row>,
    index: HashMap<(&'static str, String), BTreeSet<Key>>,
    next: i64,
    /// The keys in order, until somebody comes or goes: pages are asked for by the thousand.
    order: Option<Vec<Key>>,
}

impl Table {
    pub(super) fn new(of: TypeOf) -> Self {
        Self { of, rows: BTreeMap::new(), index: HashMap::new(), next: 0, order: None }
    }

    /// The key of a new instance that the server makes keys for.
    pub(super) fn next_key(&mut self, first: i64) -> i64 {
        self.next = self.next.max(first - 1) + 1;
        self.next
    }

    pub(super) fn key_of(&self, row: &Row) -> Option<Key> {
        let mut numbers = self.of.keys().map(|key| row.get(&key.name.to_ascii_uppercase()).and_then(Value::as_i64));
        let first = numbers.next()??;
        match numbers.next() {
            Some(second) => Some([first, second?]),
            None => Some([first, 0]),
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Row> {
        self.rows.get(&key)
    }

    pub(super) fn put(&mut self, row: Row) {
        let Some(key) = self.key_of(&row) else { return };
        self.remove(key);
        for name in self.of.indexed {
            if let Some(value) = row.get(*name) {
                self.index.entry((name, canonical(value))).or_default().insert(key);
            }
        }
        self.rows.insert(key, row);
        self.order = None;
    }

    /// How many there are, and those of one page of all.
    pub(super) fn page(&mut self, skip: usize, take: usize) -> (usize, Vec<&Row>) {
        let rows = &self.rows;
        let order = self.order.get_or_insert_with(|| rows.keys().copied().collect());
        let page = order.iter().skip(skip).take(take).filter_map(|key| rows.get(key)).collect();
        (order.len(), page)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Row> {
        let row = self.rows.remove(&key)?;
        self.order = None;
        for name in self.of.indexed {
            if let Some(value) = row.get(*name)
                && let Some(keys) = self.index.get_mut(&(*name, canonical(value)))
            {
                keys.remove(&key);
            }
        }
        Some(row)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// The rows that all conditions let through, in the order of their keys.
    pub(super) fn matching(&self, conditions: &[Condition]) -> Vec<&Row> {
        let fits = |row: &&Row| conditions.iter().all(|condition| condition.fits(row));
        let indexed = conditions.iter().find_map(|condition| {
            let name = self.of.indexed.iter().find(|name| **name == condition.property)?;
            (condition.op == Op::Equal).then(|| self.index.get(&(*name, canonical(&condition.value))))
        });
        match indexed {
            Some(keys) => keys.into_iter().flatten().filter_map(|key| self.rows.get(key)).filter(fits).collect(),
            None => self.rows.values().filter(fits).collect(),
        }
    }

    /// As it goes over the wire: in the site's own spelling.
    pub(super) fn shown(&self, row: &Row) -> Map<String, Value> {
        let shown = self.of.properties.iter().map(|property| {
            let value = row.get(&property.name.to_ascii_uppercase()).cloned().unwrap_or_default();
            (property.name.to_owned(), value)
        });
        shown.collect()
    }
}
