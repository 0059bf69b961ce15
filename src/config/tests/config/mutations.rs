//! Typing mistakes in a mapping (AT-21): each is refused, or changes the policy's digest, so that guard G8 turns the
//! next run into a preview that needs approval. None passes unseen.

use crate::sample::{CONFIG, Deployment, MAPPING, messages};

/// What must come of a mutation.
enum Expect {
    /// Refused, and the complaint says this.
    Refused(&'static str),
    /// Read, with another digest than before.
    Preview,
    /// Read, with another digest, and a warning that says this.
    Warned(&'static str),
}
use Expect::{Preview, Refused, Warned};

/// From, to, what must come of it.
const MUTATIONS: &[(&str, &str, Expect)] = &[
    // A line deleted.
    ("correlate = [\"employee\", \"upn\"]\n", "", Refused("`correlate` is missing")),
    ("mover = \"with-grant\"\n", "", Preview),
    ("ownership = \"linked\"\n", "", Preview),
    ("out_of_scope = \"hold\"\n", "", Preview),
    ("provision = true\n", "", Preview),
    ("sites = [\"HQ\"]\n", "", Preview),
    ("protected = [\"employee:10482\", \"upn:guard@corp.example\"]\n", "", Preview),
    ("field = \"employee_type\"\n", "", Refused("`field` is missing")),
    ("any = [\"Employee\", \"Contractor\"]\n", "", Refused("names no value")),
    ("[[scope]]\nfield = \"employee_type\"\nany = [\"Employee\", \"Contractor\"]\n", "", Preview),
    ("[[scope]]\n", "", Refused("unknown key `field`")),
    ("[profile]\n", "", Refused("unknown key `given_name`")),
    ("given_name = \"{given_name}\"\n", "", Preview),
    ("id = \"HQ-Lab\"\n", "", Refused("`id` is missing")),
    ("any = [\"GRP-HQ-Lab\", \"GRP-HQ-Lab-Visitors\"]\n", "", Refused("no group in `any`")),
    ("all = [\"GRP-Safety-Trained\"]\n", "", Preview),
    ("none = [\"GRP-On-Notice\"]\n", "", Preview),
    ("may_be_empty = true\n", "", Preview),
    ("tags = [\"high-security\"]\n", "", Preview),
    ("[[level]]\nid = \"HQ-Vault\"\n", "", Refused("duplicate key")),
    // Values emptied.
    ("[\"employee\", \"upn\"]", "[]", Refused("`correlate` is empty")),
    ("[\"GRP-HQ-Vault\"]", "[]", Refused("no group in `any`")),
    ("[\"GRP-HQ-Vault\"]", "[\"\"]", Refused("group is empty")),
    ("\"HQ-Vault\"", "\"\"", Refused("access level id is empty")),
    ("[\"Employee\", \"Contractor\"]", "[]", Refused("names no value")),
    ("\"Contractor\"", "\"\"", Refused("empty value")),
    ("\"{given_name}\"", "\"\"", Refused("empty template")),
    ("\"high-security\"", "\"\"", Refused("a tag is empty")),
    // Levels and groups swapped, or the wrong one.
    ("id = \"HQ-Lab\"", "id = \"HQ-Vault\"", Refused("has two rules")),
    ("id = \"HQ-Vault\"", "id = \"HQ-Lab\"", Refused("has two rules")),
    ("GRP-HQ-Lab\", \"GRP-HQ-Lab-Visitors", "GRP-HQ-Vault\", \"GRP-HQ-Lab-Visitors", Preview),
    ("any = [\"GRP-HQ-Vault\"]", "any = [\"GRP-On-Notice\"]", Refused("both asked for and shut out")),
    ("all = [\"GRP-Safety-Trained\"]", "none = [\"GRP-Safety-Trained\"]", Preview),
    ("none = [\"GRP-On-Notice\"]", "all = [\"GRP-On-Notice\"]", Preview),
    ("none = [\"GRP-On-Notice\"]", "all = [\"GRP-HQ-Vault\"]", Warned("stands in `any` and in `all`")),
    ("\"HQ-Vault\"", "\"HQ-Vualt\"", Preview),
    ("\"GRP-HQ-Vault\"", "\"GRP-HQ-Vualt\"", Preview),
    ("\"employee\", \"upn\"", "\"upn\", \"employee\"", Preview),
    ("\"employee:10482\"", "\"employee:10428\"", Preview),
    ("[\"HQ\"]", "[\"HR\"]", Preview),
    // Capitals.
    ("id = \"HQ-Vault\"", "id = \"hq-lab\"", Warned("is also written")),
    ("[\"GRP-On-Notice\"]", "[\"grp-hq-vault\"]", Warned("is also written")),
    ("\"HQ-Vault\"", "\"hq-vault\"", Preview),
    ("mover = \"with-grant\"", "mover = \"With-Grant\"", Refused("`mover` cannot be `With-Grant`")),
    ("\"employee\"", "\"Employee\"", Refused("no kind of key")),
    ("provision = true", "Provision = true", Refused("unknown key `Provision`")),
    ("\"high-security\"", "\"High-Security\"", Refused("is not the tag")),
    ("given_name = \"{given_name}\"", "Given_Name = \"{given_name}\"", Refused("no field name")),
    // Wildcards.
    ("\"GRP-HQ-Vault\"", "\"*\"", Refused("has a wildcard")),
    ("\"GRP-HQ-Vault\"", "\"GRP-HQ-*\"", Refused("has a wildcard")),
    ("\"GRP-On-Notice\"", "\"GRP-*\"", Refused("has a wildcard")),
    ("\"HQ-Vault\"", "\"HQ-*\"", Refused("has a wildcard")),
    ("[\"HQ\"]", "[\"*\"]", Refused("has a wildcard")),
    ("\"Contractor\"", "\"*\"", Refused("has a wildcard")),
    // Duplicates.
    ("\"employee\", \"upn\"", "\"employee\", \"employee\"", Refused("in `correlate` twice")),
    ("GRP-HQ-Lab-Visitors", "GRP-HQ-Lab", Refused("in `any` twice")),
    ("\"Employee\", \"Contractor\"", "\"Employee\", \"Employee\"", Refused("stands here twice")),
    ("upn:guard@corp.example", "employee:10482", Refused("is protected twice")),
    ("[\"HQ\"]", "[\"HQ\", \"HQ\"]", Refused("stands here twice")),
    ("mover = \"with-grant\"", "mover = \"with-grant\"\nmover = \"revoke-first\"", Refused("duplicate key")),
    (
        "[[level]]\nid = \"HQ-Lab\"",
        "[[scope]]\nfield = \"employee_type\"\nany = [\"Guest\"]\n[[level]]\nid = \"HQ-Lab\"",
        Refused("is scoped at line 9 already"),
    ),
    // Words and types.
    ("\"with-grant\"", "\"revoke-first\"", Preview),
    ("\"linked\"", "\"created\"", Preview),
    ("\"hold\"", "\"leaver\"", Preview),
    ("provision = true", "provision = false", Preview),
    ("provision = true", "provision = \"true\"", Refused("`provision` must be true or false")),
    ("may_be_empty = true", "may_be_empty = \"yes\"", Refused("`may_be_empty` must be true or false")),
    ("[\"GRP-HQ-Vault\"]", "\"GRP-HQ-Vault\"", Refused("`any` must be a list of texts")),
    ("[\"GRP-HQ-Vault\"]", "[7]", Refused("`any` must be a list of texts")),
    ("[[level]]\nid = \"HQ-Lab\"", "[level]\nid = \"HQ-Lab\"", Refused("duplicate key")),
    ("tags = [\"high-security\"]", "high_security = false\ntags = [\"high-security\"]", Refused("is tagged")),
    ("tags = [\"high-security\"]", "high-security = true", Refused("unknown key `high-security`")),
    ("may_be_empty", "maybe_empty", Refused("unknown key `maybe_empty`")),
    ("none = [", "not = [", Refused("unknown key `not`")),
    ("{family_name}, {given_name}", "{family_name, {given_name}", Refused("no field name")),
    ("{family_name}, {given_name}", "family_name}, {given_name}", Refused("has no partner")),
    ("employee:10482", "10482", Refused("has no kind in front")),
    ("employee:10482", "employe:10482", Refused("is no kind of key")),
    ("employee:10482", "employee: 10482", Refused("starts or ends with a blank")),
    // Fields.
    ("{family_name}, {given_name}", "{famly_name}, {given_name}", Warned("nearly the field `family_name`")),
    ("given_name = \"{given_name}\"", "givn_name = \"{given_name}\"", Warned("nearly the field `given_name`")),
    ("field = \"employee_type\"", "field = \"employe_type\"", Warned("nearly the field `employee_type`")),
    // Characters that do not show.
    ("GRP-HQ-Vault", "GRP-HQ-Vault\u{200b}", Refused("U+200B")),
    ("HQ-Vault\"\nany", "HQ\u{202e}-Vault\"\nany", Refused("U+202E")),
    ("GRP-HQ-Vault", "GRP-HQ-Vault ", Refused("starts or ends with a blank")),
    ("GRP-HQ-Vault", "GRP-HQ-V\u{430}ult", Warned("mixes alphabets")),
    ("\"HQ-Vault\"", "\"HQ-L\u{430}b\"", Warned("is also written")),
];

#[test]
fn every_mutation_is_refused_or_previewed() {
    assert!(MUTATIONS.len() >= 60, "AT-21 asks for 60, there are {}", MUTATIONS.len());
    let before = Deployment::new(CONFIG, MAPPING).load().expect("right").config.targets.remove(0).policy;
    for (from, to, expect) in MUTATIONS {
        assert!(MAPPING.contains(from), "the sample has no {from:?}");
        let mutated = MAPPING.replacen(from, to, 1);
        let outcome = Deployment::new(CONFIG, &mutated).load();
        let case = format!("{from:?} -> {to:?}");
        match (expect, outcome) {
            (Refused(part), Err(errors)) => {
                let found = messages(&errors);
                assert!(found.iter().any(|message| message.contains(part)), "{case}: {part:?} not in {found:?}");
                assert!(errors.iter().all(|error| error.advice().is_some()), "{case}: says what, not what to do");
            }
            (Preview | Warned(_), Ok(loaded)) => {
                let policy = &loaded.config.targets[0].policy;
                assert_ne!(policy.digest, before.digest, "{case}: the digest must change");
                let warnings: Vec<&str> = loaded.warnings.iter().map(lockstep_config::Diagnostic::message).collect();
                match expect {
                    Warned(part) => assert!(warnings.iter().any(|w| w.contains(part)), "{case}: {warnings:?}"),
                    Preview | Refused(_) => assert!(warnings.is_empty(), "{case}: {warnings:?}"),
                }
            }
            (Refused(part), Ok(_)) => panic!("{case}: passed, but {part:?} was expected"),
            (Preview | Warned(_), Err(errors)) => panic!("{case}: refused: {:?}", messages(&errors)),
        }
    }
}

/// Whatever line is lost, doubled or changes its place, the digest that guard G8 compares is another one.
#[test]
fn no_line_can_be_lost_doubled_or_moved_unseen() {
    let lines: Vec<&str> = MAPPING.lines().collect();
    let before = lockstep_contract::sha256_hex(MAPPING.as_bytes());
    for index in 0..lines.len() {
        let mut lost = lines.clone();
        lost.remove(index);
        let mut doubled = lines.clone();
        doubled.insert(index, lines[index]);
        let swaps = (0..index).map(|other| {
            let mut swapped = lines.clone();
            swapped.swap(index, other);
            swapped
        });
        for mutated in swaps.chain([lost, doubled]).filter(|mutated| *mutated != lines) {
            if let Ok(loaded) = Deployment::new(CONFIG, &mutated.join("\n")).load() {
                assert_ne!(loaded.config.targets[0].policy.digest, before, "line {}", index + 1);
            }
        }
    }
}
