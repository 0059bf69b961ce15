//! The simulated PACS of the examples read, and make sense.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lockstep_contract::KeyKind;
use lockstep_sim::World;

fn worlds() -> Vec<(PathBuf, World)> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let folders = std::fs::read_dir(examples).expect("examples");
    let files = folders.map(|entry| entry.expect("entry").path().join("pacs.json")).filter(|path| path.exists());
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let world = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, world)
        })
        .collect()
}

#[test]
fn every_example_holds_a_pacs_in_which_everything_named_is_there() {
    let worlds = worlds();
    assert!(worlds.len() >= 2, "the quickstart and one more");
    for (path, world) in &worlds {
        for holder in world.cardholders.values() {
            let strange: Vec<_> = holder.levels.iter().filter(|level| !world.levels.contains_key(*level)).collect();
            assert!(strange.is_empty(), "{}: cardholder {} has levels {strange:?}", path.display(), holder.id);
            assert!(holder.site.as_ref().is_none_or(|site| world.sites.contains_key(site)), "{}", holder.id);
        }
    }
}

#[test]
fn no_key_of_an_example_is_two_cardholders() {
    for (path, world) in worlds() {
        for kind in [KeyKind::Employee, KeyKind::Card] {
            let keys: Vec<&str> = world
                .cardholders
                .values()
                .flat_map(|one| one.keys.of(kind))
                .map(lockstep_contract::CorrelationKey::value)
                .collect();
            let distinct: BTreeSet<&str> = keys.iter().copied().collect();
            assert_eq!(keys.len(), distinct.len(), "{}: {kind}", path.display());
        }
    }
}
