//! What a right configuration becomes.

use std::time::Duration;

use lockstep_config::{CensusWhen, WatchConfig, load};
use lockstep_contract::{KeyKind, SecretRef, TargetId, sha256_hex};
use lockstep_core::{ApprovalPolicy, Mover, OutOfScope, Ownership};
use serde::Deserialize;

use crate::sample::{CONFIG, Deployment, MAPPING, messages};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connector {
    url: String,
    token: SecretRef,
    #[serde(default)]
    page_size: Option<u32>,
}

#[test]
fn a_right_configuration_reads_whole() {
    let deployment = Deployment::new(CONFIG, MAPPING);
    let loaded = deployment.load().expect("right");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    assert_eq!(config.digest, sha256_hex(CONFIG.as_bytes()));
    assert!(config.base.is_absolute());
    assert_eq!(config.state, config.base.join("state"));
    assert_eq!(config.plans, config.base.join("plans"), "the default is beside the file");
    assert_eq!(config.call_budget, Duration::from_secs(30));
    assert_eq!((config.directory.id.as_str(), config.directory.kind.as_str()), ("corp", "ldap"));
    let target = config.target(&TargetId::new("hq").expect("id")).expect("target");
    assert_eq!(target.kind, "scim");
    assert_eq!((target.limits.reductions_per_run, target.limits.reductions_percent), (50, 2));
    assert_eq!(target.limits.plan_age_hours, 24, "what is not written keeps its default");
    assert_eq!(target.mapping, config.base.join("mappings/hq.toml"));
}

#[test]
fn a_mapping_becomes_a_policy_with_its_lines() {
    let loaded = Deployment::new(CONFIG, MAPPING).load().expect("right");
    let policy = &loaded.config.targets[0].policy;
    assert_eq!(policy.digest, sha256_hex(MAPPING.as_bytes()));
    assert_eq!(policy.correlate, [KeyKind::Employee, KeyKind::Upn]);
    assert_eq!(policy.approval, ApprovalPolicy::Recorded);
    assert_eq!(policy.mover, Mover::WithGrant);
    assert_eq!(policy.ownership, Ownership::Linked);
    assert_eq!(policy.out_of_scope, OutOfScope::Hold);
    assert!(policy.provision);
    assert_eq!((policy.sites.len(), policy.protected.len(), policy.scope.len(), policy.profile.len()), (1, 2, 1, 2));
    let [lab, vault] = policy.levels.as_slice() else { panic!("two levels: {:?}", policy.levels) };
    assert_eq!(lab.source.to_string(), "mappings/hq.toml:17", "cited as the configuration names the file");
    assert!(lab.may_be_empty && !lab.high_security);
    assert_eq!((lab.any.len(), lab.all.len(), lab.none.len()), (2, 1, 0));
    assert!(vault.high_security, "by its tag");
    assert_eq!(policy.scope[0].source.line, 9);
}

#[test]
fn the_connector_reads_its_own_settings_and_none_of_ours() {
    let loaded = Deployment::new(CONFIG, MAPPING).load().expect("right");
    let settings: Connector = loaded.config.targets[0].settings.parse().expect("settings");
    assert_eq!(settings.url, "https://pacs.corp.example/scim");
    assert_eq!(settings.token, SecretRef::Systemd("pacs-token".into()));
    assert_eq!(settings.page_size, None);
}

#[test]
fn targets_are_ordered_by_id_and_each_keeps_its_own_settings() {
    let annex = CONFIG.replace("id = \"hq\"", "id = \"annex\"").replace("pacs.corp", "annex.corp");
    let second = annex.split_once("[[target]]").expect("target").1;
    let text = format!("{CONFIG}\n[[target]]{second}");
    let config = Deployment::new(&text, MAPPING).load().expect("right").config;
    let urls: Vec<(String, String)> = config
        .targets
        .iter()
        .map(|target| (target.id.to_string(), target.settings.parse::<Connector>().expect("settings").url))
        .collect();
    let expected = [("annex", "https://annex.corp.example/scim"), ("hq", "https://pacs.corp.example/scim")];
    assert_eq!(urls, expected.map(|(id, url)| (id.to_owned(), url.to_owned())));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let config = CONFIG
        .replace("approval =", "aproval =")
        .replace("kind = \"ldap\"", "kind = 7")
        .replace("reductions_percent = 2", "reductions_percent = 90");
    let mapping = MAPPING.replace("with-grant", "with-grnt").replace("GRP-HQ-Vault", "GRP-*");
    let deployment = Deployment::new(&config, &mapping);
    let errors = deployment.load().expect_err("refused");
    assert_eq!(errors.count(), 5, "{:?}", messages(&errors));
    let places: Vec<(bool, u32)> = errors
        .iter()
        .map(|error| (error.file().is_some_and(|file| file.ends_with("hq.toml")), error.place().expect("place").0))
        .collect();
    assert_eq!(places, [(false, 1), (false, 6), (false, 16), (true, 2), (true, 25)]);
}

#[test]
fn approval_of_a_target_outranks_that_of_the_file() {
    let text = CONFIG.replace("mapping =", "approval = \"standing\"\nmapping =");
    let config = Deployment::new(&text, MAPPING).load().expect("right").config;
    assert_eq!(config.targets[0].policy.approval, ApprovalPolicy::Standing);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_mistake() {
    let text = format!("\u{feff}{}", CONFIG.replace('\n', "\r\n"));
    let loaded = Deployment::new(&text, &MAPPING.replace('\n', "\r\n")).load().expect("right");
    assert_eq!(loaded.config.targets[0].policy.levels[0].source.line, 17);
}

#[test]
fn what_the_file_system_refuses_is_said_with_the_path() {
    let deployment = Deployment::new(CONFIG, MAPPING);
    let missing = deployment.path().join("elsewhere.toml");
    let errors = load(&missing).expect_err("missing");
    assert!(errors.iter().next().expect("one").message().contains("elsewhere.toml"));
    std::fs::write(deployment.config(), [0x61, 0xff, 0x0a]).expect("write");
    let errors = deployment.load().expect_err("no text");
    assert!(errors.iter().next().expect("one").message().contains("byte 1 begins no character"));
}

/// Bad configurations, each with a part of what must be said about it.
#[test]
fn each_mistake_in_a_configuration_is_named() {
    let second = "\n[[directory]]\nid = \"entra\"\nkind = \"entra\"\n";
    let twin = CONFIG.split_once("[[target]]").expect("target").1;
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "there is no [[directory]]"),
        (CONFIG.replace("[[directory]]", "[directory]"), "`directory` is a list of tables"),
        (CONFIG.split_once("[[target]]").expect("target").0.to_owned(), "there is no [[target]]"),
        (format!("{CONFIG}{second}"), "`anchor` is missing"),
        (format!("{CONFIG}{second}anchor = \"employee\"\nanchor_field = \"guid\"\n"), "goes with anchor"),
        (CONFIG.replace("id = \"corp\"", "id = \"corp\"\nmissing = \"unchanged\""), "is for a directory beside"),
        (format!("{CONFIG}\n[[target]]{twin}"), "the id `hq` is used twice"),
        (CONFIG.replace("id = \"hq\"", "id = \"HQ\""), "target id must be lower-case"),
        (CONFIG.replace("id = \"hq\"", ""), "`id` is missing"),
        (CONFIG.replace("kind = \"scim\"", "kind = \"\""), "`kind` is empty"),
        (CONFIG.replace("mapping = \"mappings/hq.toml\"", ""), "`mapping` is missing"),
        (CONFIG.replace("mappings/hq", "mappings/hp"), "hp.toml is not there"),
        (CONFIG.replace("mappings/hq.toml", "mappings"), "cannot be read"),
        (CONFIG.replace("\"recorded\"", "\"signed\""), "signed approval is not in this version"),
        (CONFIG.replace("\"recorded\"", "\"two-signed\""), "signed approval is not in this version"),
        (CONFIG.replace("\"recorded\"", "\"recoded\""), "`approval` cannot be `recoded`"),
        (CONFIG.replace("\"recorded\"", "{ stage = \"signed\" }"), "one word in this version"),
        (CONFIG.replace("reductions_percent = 2", "reductions_percent = 0"), "limits.reductions_percent = 0"),
        (CONFIG.replace("reductions_percent = 2", "reductions_percent = \"2\""), "must be a whole number"),
        (CONFIG.replace("reductions_percent = 2", "reductions_percent = -2"), "must be a whole number"),
        (CONFIG.replace("reductions_percent", "reduction_percent"), "unknown key `reduction_percent`"),
        (CONFIG.replace("state = \"state\"", "state = \"plans\""), "folder of something else"),
        (CONFIG.replace("state = \"state\"", "state = \"\""), "`state` is empty"),
        (CONFIG.replace("state = \"state\"", "call_budget = \"soon\""), "no span of time"),
        (CONFIG.replace("state = \"state\"", "call_budget = \"2h\""), "between 1 and 600 seconds"),
        (CONFIG.replace("state = \"state\"", "offboard_per_hour = 0"), "between 1 and 50"),
        (CONFIG.replace("state = \"state\"", "offboard_per_hour = 51"), "between 1 and 50"),
        (CONFIG.replace("state = \"state\"", "offboard_per_hour = \"10\""), "a whole number"),
        (CONFIG.replace("state = \"state\"", "schedule = { sync = \"cron\" }"), "`schedule` is not in this version"),
        (CONFIG.replace("state = \"state\"", "watch = { poll = \"0s\" }"), "between 1 and 3600 seconds"),
        (CONFIG.replace("state = \"state\"", "watch = { census = \"25:00\" }"), "`census` is no time of day"),
        (CONFIG.replace("state = \"state\"", "watch = { census = \"10s\" }"), "neither a span"),
        (CONFIG.replace("state = \"state\"", "watch = { pol = \"5s\" }"), "unknown key `pol`"),
        (CONFIG.replace("id = \"corp\"", "id = corp"), ""),
    ];
    for (text, expected) in cases {
        let deployment = Deployment::new(&text, MAPPING);
        let errors = deployment.load().expect_err(&text);
        assert!(deployment.rendered(&errors).contains(expected.split(' ').next().unwrap_or_default()), "{text}");
        let found = messages(&errors);
        assert!(found.iter().any(|message| message.contains(expected)), "{expected:?} not in {found:?}");
    }
}

#[test]
fn a_watch_has_a_rhythm_of_its_own_or_the_usual_one() {
    let usual = Deployment::new(CONFIG, MAPPING).load().expect("right").config.watch;
    assert_eq!(usual, WatchConfig::default());
    let named = "watch = { poll = \"2s\", census = \"02:15\", heartbeat = \"10m\" }";
    let own = Deployment::new(&CONFIG.replace("state = \"state\"", named), MAPPING).load().expect("right").config.watch;
    let daily = CensusWhen::Daily("02:15".parse().expect("a time"));
    let expected = WatchConfig { poll: Duration::from_secs(2), census: daily, heartbeat: Duration::from_secs(600) };
    assert_eq!(own, expected);
}

#[test]
fn of_several_directories_one_is_the_authority_and_the_others_say_how_they_are_joined() {
    let feed = "\n[[directory]]\nid = \"hr\"\nkind = \"hr-csv\"\nauthority = true\npeople = \"hr.csv\"\n";
    let joined = CONFIG.replacen(
        "kind =",
        "anchor = \"directory\"\nanchor_field = \"guid\"\nmissing = \"unchanged\"\nkind =",
        1,
    );
    let loaded = Deployment::new(&format!("{joined}{feed}"), MAPPING).load().expect("loads");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    assert_eq!(config.directory.id.as_str(), "hr", "the one that says so, wherever it stands");
    assert_eq!(config.directories().map(|directory| directory.id.as_str()).collect::<Vec<_>>(), ["hr", "corp"]);
    let overlay = config.overlays.first().expect("one");
    assert_eq!(overlay.missing, lockstep_core::Missing::Unchanged);
    assert_eq!(overlay.anchor.field().map(lockstep_contract::FieldName::as_str), Some("guid"));
    let unsaid = feed.replace("authority = true", "anchor = \"employee\"");
    let loaded = Deployment::new(&format!("{CONFIG}{unsaid}"), MAPPING).load().expect("loads");
    assert!(loaded.warnings.iter().any(|warning| warning.message().contains("taken as the authority")));
    assert_eq!(loaded.config.overlays.first().map(|overlay| overlay.missing), Some(lockstep_core::Missing::Undecided));
}
