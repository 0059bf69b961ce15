//! The configuration reference, written from the descriptions in code, so that it cannot say something else.
//!
//! A section is a title and a JSON schema; connectors hand in the schemas of their own settings, and the same function
//! writes the page for all of them.

mod shape;
mod write;

use lockstep_core::Limits;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

#[cfg(test)]
use shape::Watch;
use shape::{DirectoryTable, File, LIMITS, Level, Mapping, Scope, TargetTable};

/// The start of the title of a connector's section; such sections follow those of the core.
pub const CONNECTOR_TITLE: &str = "Connector ";

/// The sections this crate knows: the file, its tables, and mapping files.
pub fn core_reference() -> Vec<(&'static str, Schema)> {
    vec![
        ("lockstep.toml", schema::<File>()),
        ("[[directory]]", schema::<DirectoryTable>()),
        ("[[target]]", schema::<TargetTable>()),
        ("limits of a [[target]]", limits()),
        ("Mapping files", schema::<Mapping>()),
        ("[[scope]] of a mapping file", schema::<Scope>()),
        ("[[level]] of a mapping file", schema::<Level>()),
    ]
}

/// The reference page for these sections, in this order. Connectors' titles start with [`CONNECTOR_TITLE`].
pub fn reference_markdown(sections: &[(&str, Schema)]) -> String {
    write::page(sections)
}

fn schema<T: JsonSchema>() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<T>()
}

/// Names, defaults and ranges come from the core; only the sentences are here.
fn limits() -> Schema {
    let rows = Limits::default().table().into_iter().map(|(ceiling, default)| {
        let text = LIMITS.iter().find(|(name, _)| *name == ceiling.name).map_or("", |(_, text)| *text);
        let description = format!("{text} {} to {}.", ceiling.min, ceiling.max);
        (ceiling.name.to_owned(), json!({ "type": "integer", "default": default, "description": description }))
    });
    let description = "What the guards hold plans to. Each has a default that protects and a range in code, so that a \
                       slip cannot switch protection off. Percentages are of the people managed there, and never less \
                       than three people.";
    let properties: serde_json::Map<String, serde_json::Value> = rows.collect();
    Schema::try_from(json!({ "type": "object", "description": description, "properties": properties }))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(schema: &Schema) -> Vec<String> {
        let properties = schema.get("properties").and_then(|value| value.as_object()).expect("properties");
        let mut keys: Vec<String> = properties.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// What is described is exactly what is read.
    #[test]
    fn every_key_is_described_and_every_description_has_a_key() {
        let read = [
            (schema::<File>(), crate::file::FILE_KEYS),
            (schema::<DirectoryTable>(), crate::directories::DIRECTORY_KEYS),
            (schema::<Watch>(), crate::watch::WATCH_KEYS),
            (schema::<TargetTable>(), crate::file::TARGET_KEYS),
            (schema::<Mapping>(), crate::mapping::MAPPING_KEYS),
            (schema::<Scope>(), crate::mapping::SCOPE_KEYS),
            (schema::<Level>(), crate::mapping::LEVEL_KEYS),
        ];
        for (schema, known) in read {
            let mut known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
            known.sort();
            assert_eq!(keys(&schema), known);
        }
        let mut described: Vec<String> = LIMITS.iter().map(|(name, _)| (*name).to_owned()).collect();
        described.sort();
        assert_eq!(keys(&limits()), described);
    }
}
