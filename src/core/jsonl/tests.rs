//! Reading back what was written, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::fixture::{Sketch, action, cardholder, header, history, info, level, policy};
use crate::{Guarded, Limits, guard};
use lockstep_contract::{Reduction, Situation};

fn guarded(sketch: Sketch) -> Guarded {
    guard(sketch.draft(), &policy(), &Limits::default(), &history(40))
}

/// One standing, two held, three waiting.
fn document() -> PlanDocument {
    let sketch = Sketch::of(40).suspends(1).revokes(2, "Lab", &["G-Lab"]).grants(2, "Vault").joiners(1);
    let sketch = sketch.members("G-Lab", Some(0));
    PlanDocument::build(header(), vec![(info(), guarded(sketch))])
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn refused(bytes: &[u8]) -> PlanError {
    PlanDocument::parse(bytes).expect_err("refused")
}

/// The same body with a digest and counts that fit, as somebody would forge them.
fn resealed(document: &mut PlanDocument) -> Vec<u8> {
    document.digest = digest(document);
    document.to_jsonl()
}

/// The value with every object's keys in reverse order, and blanks between.
fn reordered(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .rev()
                .map(|(key, value)| format!("{} : {}", serde_json::Value::String(key.clone()), reordered(value)))
                .collect();
            format!("{{ {} }}", fields.join(" , "))
        }
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(reordered).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

#[test]
fn what_is_written_is_read_back_and_written_the_same() {
    let document = document();
    assert_eq!((document.entries.len(), document.held()), (6, 2));
    let bytes = document.to_jsonl();
    let read = PlanDocument::parse(&bytes).expect("a plan");
    assert_eq!(read, document);
    assert_eq!(read.to_jsonl(), bytes);
}

#[test]
fn a_plan_without_actions_is_a_plan() {
    let document = PlanDocument::build(header(), vec![(info(), guarded(Sketch::of(40)))]);
    assert_eq!(PlanDocument::parse(&document.to_jsonl()).expect("a plan"), document);
}

#[test]
fn entries_are_ordered_revoke_lane_first_whatever_the_order_of_planning() {
    let document = document();
    assert!(document.entries.is_sorted_by(|a, b| a.order() < b.order()));
    assert_eq!(document.entries[0].lane, LaneKind::Revoke);
    let mut sketch = Sketch::of(40).suspends(2).grants(2, "Vault");
    let straight =
        PlanDocument::build(header(), vec![(info(), guarded(Sketch::of(40).suspends(2).grants(2, "Vault")))]);
    sketch.draft.stage.actions.reverse();
    sketch.draft.revoke.actions.reverse();
    assert_eq!(PlanDocument::build(header(), vec![(info(), guarded(sketch))]), straight);
}

#[test]
fn another_order_of_keys_changes_nothing() {
    let document = document();
    let bytes: String = lines(&document.to_jsonl())
        .iter()
        .map(|line| reordered(&serde_json::from_slice(line).expect("json")) + "\n")
        .collect();
    assert_ne!(bytes.as_bytes(), document.to_jsonl());
    assert_eq!(PlanDocument::parse(bytes.as_bytes()).expect("the same plan"), document);
}

#[test]
fn a_file_that_was_cut_is_refused_wherever_it_was_cut() {
    let bytes = document().to_jsonl();
    let near_a_line_end =
        |length: usize| bytes[length.saturating_sub(2)..(length + 2).min(bytes.len())].contains(&b'\n');
    for length in (0..bytes.len()).filter(|length| length % 13 == 0 || near_a_line_end(*length)) {
        assert!(PlanDocument::parse(&bytes[..length]).is_err(), "cut at {length}");
    }
    let all = lines(&bytes);
    assert_eq!(refused(&all[..all.len() - 1].concat()), PlanError { line: 8, problem: PlanProblem::Truncated });
    assert_eq!(refused(b""), PlanError { line: 1, problem: PlanProblem::Truncated });
}

#[test]
fn every_line_that_is_missing_doubled_or_moved_is_noticed_and_named() {
    let all = lines(&document().to_jsonl());
    for index in 0..all.len() {
        let mut missing = all.clone();
        missing.remove(index);
        assert!(PlanDocument::parse(&missing.concat()).is_err(), "line {} missing", index + 1);
        let mut doubled = all.clone();
        doubled.insert(index, all[index].clone());
        assert_eq!(refused(&doubled.concat()).line, index + 2, "line {} doubled", index + 1);
        if index + 1 < all.len() {
            let mut swapped = all.clone();
            swapped.swap(index, index + 1);
            let line = refused(&swapped.concat()).line;
            assert!(line == index + 1 || line == index + 2, "lines {} and {} swapped: {line}", index + 1, index + 2);
        }
    }
}

#[test]
fn unknown_fields_are_refused_at_any_depth_even_with_a_fitting_digest() {
    let all = lines(&document().to_jsonl());
    for (index, line) in all.iter().enumerate() {
        let value: serde_json::Value = serde_json::from_slice(line).expect("json");
        for path in objects(&value, String::new()) {
            let mut altered = value.clone();
            let object = altered.pointer_mut(&path).and_then(|v| v.as_object_mut()).expect("an object");
            object.insert("zzz".into(), serde_json::Value::Bool(true));
            let mut bytes = all.clone();
            bytes[index] = (altered.to_string() + "\n").into_bytes();
            assert_eq!(refused(&bytes.concat()).line, index + 1, "{path} of line {}", index + 1);
        }
    }
}

fn objects(value: &serde_json::Value, path: String) -> Vec<String> {
    match value {
        serde_json::Value::Object(fields) => {
            let inner = fields.iter().flat_map(|(key, value)| {
                objects(value, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")))
            });
            inner.chain([path.clone()]).collect()
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, value)| objects(value, format!("{path}/{index}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let mut all = lines(&document().to_jsonl());
    let header = String::from_utf8(all[0].clone()).expect("text");
    let twice = header.replacen(r#""version":"0.1.0""#, r#""version":"9.9.9","version":"0.1.0""#, 1);
    assert_ne!(twice, header);
    all[0] = twice.into_bytes();
    let error = refused(&all.concat());
    assert_eq!(error.line, 1);
    assert!(error.to_string().contains("key `version` stands twice"), "{error}");
}

#[test]
fn a_line_nested_without_end_is_refused_and_nothing_worse() {
    for deep in ["[".repeat(200_000), "{\"a\":".repeat(200_000)] {
        assert_eq!(refused((deep + "\n").as_bytes()).line, 1);
    }
}

#[test]
fn another_format_is_refused_by_name() {
    let mut document = document();
    document.header.format = "lockstep/plan/2".into();
    let error = refused(&resealed(&mut document));
    assert_eq!(error.problem, PlanProblem::Format { found: "lockstep/plan/2".into() });
}

#[test]
fn forgeries_with_a_fitting_digest_are_refused_where_they_contradict_themselves() {
    type Forge = fn(&mut PlanDocument);
    let table: [(&str, Forge); 8] = [
        ("held becomes standing", |d| held(d).state = EntryState::Standing),
        ("held by another guard", |d| held(d).state = EntryState::Held { trips: vec![7] }),
        ("held by none", |d| held(d).state = EntryState::Held { trips: vec![] }),
        ("standing becomes held", |d| d.entries[0].state = EntryState::Held { trips: vec![0] }),
        ("a guard lets go", |d| drop(d.targets[0].trips[0].holds.pop())),
        ("other steps under the same id", |d| d.entries[0].action.steps = d.entries[2].action.steps.clone()),
        ("a grant among reductions", |d| {
            let steps = vec![Step::Grant { level: level("HQ") }];
            d.entries[0].action = action(cardholder(1), steps, Situation::Confirmed, Vec::new());
        }),
        ("an action on another target", |d| {
            let mut other =
                action(cardholder(99), vec![Step::Reduce(Reduction::Suspend)], Situation::Confirmed, Vec::new());
            other.target = lockstep_contract::TargetId::new("lab").expect("id");
            d.entries.last_mut().expect("an entry").action = other;
        }),
    ];
    for (name, forge) in table {
        let mut document = document();
        forge(&mut document);
        let error = refused(&resealed(&mut document));
        assert!(
            matches!(
                error.problem,
                PlanProblem::Held(_) | PlanProblem::Id(_) | PlanProblem::Lane(_) | PlanProblem::NoSection(_)
            ),
            "{name}: {error}"
        );
    }
}

#[test]
fn counts_that_are_wrong_and_guards_that_hold_nobody_are_refused() {
    let mut all = lines(&document().to_jsonl());
    let footer = String::from_utf8(all.pop().expect("the footer")).expect("text");
    all.push(footer.replace("\"held\":2", "\"held\":1").into_bytes());
    assert_eq!(refused(&all.concat()), PlanError { line: 9, problem: PlanProblem::Counts });
    let mut document = document();
    let nobody = ActionId::new("f".repeat(64)).expect("id");
    document.targets[0].trips[0].holds.push(nobody.clone());
    let error = refused(&resealed(&mut document));
    assert_eq!(error, PlanError { line: 9, problem: PlanProblem::Held(nobody.to_string()) });
}

fn held(document: &mut PlanDocument) -> &mut Entry {
    document.entries.iter_mut().find(|e| matches!(e.state, EntryState::Held { .. })).expect("a held entry")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1))]

    /// AT-30: 5,000 random single-byte edits.
    #[test]
    fn no_single_byte_edit_goes_unnoticed(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 5_000),
    ) {
        let original = document();
        let bytes = original.to_jsonl();
        for (place, byte) in edits {
            let mut edited = bytes.clone();
            edited[place.index(bytes.len())] = byte;
            if let Ok(read) = PlanDocument::parse(&edited) {
                prop_assert_eq!(&read, &original);
                prop_assert_eq!(read.to_jsonl(), bytes.clone());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_bytes_come_reading_ends_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(PlanDocument::parse(&bytes).is_err());
    }
}
