//! The emergency path reads what can be read.

use lockstep_config::load_lenient;

use crate::sample::{CONFIG, Deployment, MAPPING};

fn with_annex(annex: &str) -> String {
    format!("{CONFIG}\n[[target]]\n{annex}\n")
}

fn ids(loaded: &lockstep_config::LenientLoaded) -> Vec<&str> {
    loaded.targets.iter().map(|target| target.id.as_str()).collect()
}

#[test]
fn a_right_configuration_gives_the_same_as_the_strict_reading() {
    let deployment = Deployment::new(CONFIG, MAPPING);
    let (strict, lenient) = (deployment.load().expect("right").config, load_lenient(&deployment.config()));
    assert_eq!(lenient.broken, []);
    assert_eq!(lenient.state, strict.state);
    assert_eq!(lenient.directory.expect("directory").id, strict.directory.id);
    assert_eq!(lenient.targets[0].policy.levels, strict.targets[0].policy.levels);
}

#[test]
fn a_mistake_in_one_section_leaves_the_others() {
    for annex in [
        "id = \"ANNEX\"\nkind = \"scim\"\nmapping = \"mappings/hq.toml\"",
        "kind = \"scim\"\nmapping = \"mappings/hq.toml\"",
        "id = \"annex\"\nkind = 5\nmapping = \"mappings/hq.toml\"",
        "id = \"annex\"\nkind = \"scim\"\nmapping = \"mappings/hq.toml\"\nurl = https://x",
        "id = \"annex\"\nkind = \"scim\"\nmapping = \"mappings/hq.toml\"\nurl = \"https://x",
        "id = \"hq\"\nkind = \"scim\"\nmapping = \"mappings/hq.toml\"",
    ] {
        let deployment = Deployment::new(&with_annex(annex), MAPPING);
        assert!(deployment.load().is_err(), "the strict reading refuses it: {annex}");
        let loaded = load_lenient(&deployment.config());
        assert_eq!(ids(&loaded), ["hq"], "{annex}: {:?}", loaded.broken);
        assert!(!loaded.broken.is_empty(), "{annex}");
    }
}

#[test]
fn a_broken_line_in_the_first_section_leaves_the_second() {
    let text = with_annex("id = \"annex\"\nkind = \"scim\"\nmapping = \"mappings/hq.toml\"");
    let text = text.replace("token = \"systemd:pacs-token\"", "token = ");
    let loaded = load_lenient(&Deployment::new(&text, MAPPING).config());
    assert_eq!(ids(&loaded), ["annex"], "{:?}", loaded.broken);
    assert!(loaded.broken.iter().any(|(name, why)| name == "hq" && why.contains("lockstep.toml:14:")), "{loaded:?}");
}

#[test]
fn a_target_with_a_broken_mapping_can_still_be_reached() {
    let torn = MAPPING.replace("any = [\"GRP-HQ-Vault\"]", "any = []");
    for mapping in [torn.as_str(), "this is no mapping"] {
        let loaded = load_lenient(&Deployment::new(CONFIG, mapping).config());
        assert_eq!(ids(&loaded), ["hq"]);
        assert!(loaded.broken.iter().any(|(name, why)| name == "hq" && why.contains("hq.toml")), "{loaded:?}");
    }
}

#[test]
fn no_configuration_at_all_is_said_and_not_panicked_about() {
    let deployment = Deployment::new(CONFIG, MAPPING);
    let loaded = load_lenient(&deployment.path().join("nowhere.toml"));
    assert!(loaded.targets.is_empty() && loaded.directory.is_none());
    assert_eq!(loaded.broken.len(), 1);
    assert!(loaded.state.is_absolute());
}

#[test]
fn a_stray_byte_in_a_comment_keeps_nobody_inside() {
    let deployment = Deployment::new(CONFIG, MAPPING);
    let bytes: Vec<u8> = b"# Z\xfcrich\n".iter().copied().chain(CONFIG.bytes()).collect();
    std::fs::write(deployment.config(), bytes).expect("written");
    assert!(deployment.load().is_err(), "the strict reading asks for UTF-8");
    let loaded = load_lenient(&deployment.config());
    assert_eq!(ids(&loaded), ["hq"]);
    assert!(loaded.broken[0].1.contains("not UTF-8"), "{:?}", loaded.broken);
}

#[test]
fn the_second_folder_of_the_spool_and_the_alerts_are_known_to_the_emergency_path() {
    let text = format!("spool_second = \"../elsewhere\"\nalerts = \"alerts.pipe\"\n{CONFIG}");
    let deployment = Deployment::new(&text, MAPPING);
    let (strict, lenient) = (deployment.load().expect("right").config, load_lenient(&deployment.config()));
    assert!(strict.spool_second.as_ref().is_some_and(|second| second.ends_with("elsewhere")), "{strict:?}");
    assert_eq!(lenient.spool_second, strict.spool_second);
    assert_eq!((&lenient.alerts, lenient.alerts.file_name()), (&strict.alerts, Some("alerts.pipe".as_ref())));
    let usual = load_lenient(&Deployment::new(CONFIG, MAPPING).config());
    assert_eq!((usual.spool_second, usual.alerts), (None, usual.state.join("alerts.jsonl")));
}

#[test]
fn a_second_folder_within_the_first_is_no_second_one() {
    let deployment = Deployment::new(&format!("spool_second = \"state/second\"\n{CONFIG}"), MAPPING);
    let errors = deployment.load().expect_err("the same disk");
    assert!(format!("{errors:?}").contains("within the folder of the state"), "{errors:?}");
}
