//! Access levels by key and name. People hold levels by name, and a name can be changed or change hands; the id of a
//! level therefore holds both, so that a level which is no longer what it was is a level that is not there.

use std::collections::BTreeMap;

use lockstep_contract::{AccessLevel, AccessLevelId, Catalog};

use crate::convert::BadRecord;
use crate::xml::Element;

/// Stands in an id instead of the key of a level that is not on the list: of another partition, or one of two of that
/// name.
const NO_KEY: &str = "-";

/// The levels of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    /// The keys by name. Two of one name are not told apart by NBAPI.
    by_name: BTreeMap<String, Vec<String>>,
}

impl Levels {
    /// Adds one of the list.
    pub(crate) fn add(&mut self, level: &Element) -> Result<(), BadRecord> {
        let text =
            |names: [&str; 2]| names.into_iter().find_map(|name| level.text_of(name)).filter(|text| !text.is_empty());
        let key = text(["ACCESSLEVELKEY", "KEY"]).filter(|key| !key.contains(':'));
        let name = text(["ACCESSLEVELNAME", "NAME"]);
        let (Some(key), Some(name)) = (key, name) else {
            return Err(BadRecord::new("an access level", "it has no key or no name"));
        };
        id(key, name)?;
        let keys = self.by_name.entry(name.to_owned()).or_default();
        if keys.iter().any(|known| known == key) {
            return Err(BadRecord::new("an access level", "it stands on the list twice"));
        }
        keys.push(key.to_owned());
        Ok(())
    }

    /// Whether the list has this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The id of a level that somebody holds.
    pub(crate) fn held(&self, name: &str) -> Result<AccessLevelId, BadRecord> {
        match self.by_name.get(name).map(Vec::as_slice) {
            Some([key]) => id(key, name),
            Some(_) | None => id(NO_KEY, name),
        }
    }

    /// The name of a level that is to be given: `None` when it is not on the list as this very one, or shares its name.
    pub(crate) fn to_give<'i>(&self, level: &'i AccessLevelId) -> Option<&'i str> {
        let (key, name) = level.as_str().split_once(':')?;
        let keys = self.by_name.get(name)?;
        (keys.as_slice() == [key]).then_some(name)
    }

    /// The list for the planner.
    pub(crate) fn catalog(&self) -> Result<Catalog, BadRecord> {
        let mut catalog = Catalog::default();
        for (name, keys) in &self.by_name {
            for key in keys {
                let level = AccessLevel { name: name.clone(), ..AccessLevel::default() };
                catalog.levels.insert(id(key, name)?, level);
            }
        }
        Ok(catalog)
    }
}

/// The name in an id, whatever the list says: what is to be taken away is named as it was seen.
pub(crate) fn name_in(level: &AccessLevelId) -> &str {
    level.as_str().split_once(':').map_or(level.as_str(), |(_, name)| name)
}

fn id(key: &str, name: &str) -> Result<AccessLevelId, BadRecord> {
    AccessLevelId::new(format!("{key}:{name}")).map_err(|error| BadRecord::new("an access level", &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    fn levels(texts: &[&str]) -> Levels {
        let mut levels = Levels::default();
        for text in texts {
            levels.add(&parse(text.as_bytes(), &[]).expect("xml")).expect("a level");
        }
        levels
    }

    #[test]
    fn a_level_that_changed_its_name_or_its_key_is_another_one() {
        let lab = AccessLevelId::new("7:Lab: 3").expect("id");
        let before = levels(&["<A><ACCESSLEVELKEY>7</ACCESSLEVELKEY><ACCESSLEVELNAME>Lab: 3</ACCESSLEVELNAME></A>"]);
        assert_eq!((before.held("Lab: 3"), before.to_give(&lab)), (Ok(lab.clone()), Some("Lab: 3")));
        let renamed = levels(&["<A><KEY>7</KEY><NAME>Vault</NAME></A>"]);
        let swapped = levels(&["<A><KEY>8</KEY><NAME>Lab: 3</NAME></A>"]);
        for now in [renamed, swapped] {
            assert!(now.to_give(&lab).is_none() && !now.catalog().expect("list").levels.contains_key(&lab), "{now:?}");
        }
        assert_eq!(name_in(&lab), "Lab: 3");
    }

    #[test]
    fn two_levels_of_one_name_are_held_by_nobody_and_given_to_nobody() {
        let twins = levels(&["<A><KEY>1</KEY><NAME>Staff</NAME></A>", "<A><KEY>2</KEY><NAME>Staff</NAME></A>"]);
        assert_eq!(twins.held("Staff").expect("id").as_str(), "-:Staff");
        assert!(twins.to_give(&AccessLevelId::new("1:Staff").expect("id")).is_none());
        assert_eq!(twins.catalog().expect("list").levels.len(), 2);
    }
}
