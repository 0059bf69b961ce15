//! Whatever a file holds, it is read or refused; nothing panics, not even the drawing of a complaint.

use lockstep_config::load_lenient;
use proptest::prelude::*;

use crate::sample::{CONFIG, Deployment, MAPPING};

const ESCAPE: char = '\u{1b}';

/// One edit: where, how much to take away, what to put there.
#[derive(Debug, Clone)]
struct Edit {
    at: usize,
    take: usize,
    put: String,
}

fn edit() -> impl Strategy<Value = Edit> {
    let pieces = prop_oneof![
        Just(String::new()),
        "[\\[\\]{}=\"'\n#.,]{1,3}",
        "\\PC{1,4}",
        Just("\"\"\"".to_owned()),
        Just("\u{202e}\u{200b}\u{1b}".to_owned()),
        Just("[[target]]\n".to_owned()),
        Just("a.b.c = 1\n".to_owned()),
        Just("99999999999999999999".to_owned()),
    ];
    (any::<prop::sample::Index>(), 0_usize..40, pieces).prop_map(|(at, take, put)| Edit {
        at: at.index(2000),
        take,
        put,
    })
}

fn spoil(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        let at = edit.at % (chars.len() + 1);
        let end = (at + edit.take).min(chars.len());
        chars.splice(at..end, edit.put.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_read_or_refused(
        config in prop::collection::vec(edit(), 0..4),
        mapping in prop::collection::vec(edit(), 0..4),
    ) {
        let (config, mapping) = (spoil(CONFIG, &config), spoil(MAPPING, &mapping));
        let deployment = Deployment::new(&config, &mapping);
        match deployment.load() {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    prop_assert!(deployment.rendered(warning).contains('⚠'));
                }
                for target in &loaded.config.targets {
                    prop_assert!(target.policy.levels.iter().all(|rule| !rule.any.is_empty()));
                    prop_assert!(!target.policy.correlate.is_empty());
                    prop_assert!(target.limits.check().is_empty());
                    if let Err(error) = target.settings.parse::<crate::loading::Connector>() {
                        let shown = deployment.rendered(&error);
                        prop_assert!(!shown.contains(ESCAPE), "{shown:?}");
                    }
                }
            }
            Err(errors) => {
                prop_assert!(errors.count() > 0);
                let shown = deployment.rendered(&errors);
                prop_assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{shown:?}");
                for error in errors.iter() {
                    prop_assert!(!error.message().is_empty() && error.advice().is_some(), "{error:?}");
                }
            }
        }
        let lenient = load_lenient(&deployment.config());
        prop_assert!(!lenient.targets.is_empty() || !lenient.broken.is_empty());
    }
}
