//! Actions: what is planned, journaled, applied, verified and rolled back, one cardholder on one PACS at a time.
//!
//! The enums here are exhaustive on purpose. A `match` on them never uses `_`: a new variant must make every
//! connector fail to compile until its author has thought about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AccessLevelId, ActionId, CardholderId, CorrelationKey, CorrelationKeys, CredentialId, CredentialStatus, GroupId,
    ImageDigest, InactiveStatus, PersonId, Profile, Status, TargetId, Validity,
};

/// Everything that a plan may do unattended: it only ever takes access away, and reversibly. In the order that cuts
/// access first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Switch the cardholder off.
    Suspend,
    /// Switch one credential off.
    Deactivate {
        /// Which one.
        credential: CredentialId,
        /// The reason the PACS is to show.
        status: InactiveStatus,
    },
    /// Take one access level away.
    Revoke {
        /// Which one.
        level: AccessLevelId,
    },
    /// Shorten the validity.
    Narrow {
        /// The new validity, which lies within the old one.
        validity: Validity,
    },
}

/// Everything any plan may do. Reductions come first in the order of the type, credentials last: a run cut short
/// leaves less access than planned, never more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Take access away.
    Reduce(Reduction),
    /// Create the cardholder, active (where the PACS has a flag for that), without levels or credentials.
    Provision {
        /// All fields of the new record.
        profile: Profile,
        /// The keys by which it will be found again; a connector stores those its PACS has a place for.
        keys: CorrelationKeys,
    },
    /// Change fields; those not named stay as they are.
    Amend {
        /// The new values.
        profile: Profile,
    },
    /// Lift a suspension that we imposed.
    Reinstate,
    /// Lengthen or move the validity.
    Widen {
        /// The new validity.
        validity: Validity,
    },
    /// Give one access level.
    Grant {
        /// Which one.
        level: AccessLevelId,
    },
    /// Switch one credential on again that we switched off.
    Activate {
        /// Which one.
        credential: CredentialId,
    },
}

impl Step {
    /// The reduction, when this step is one.
    pub const fn as_reduction(&self) -> Option<&Reduction> {
        match self {
            Self::Reduce(reduction) => Some(reduction),
            Self::Provision { .. }
            | Self::Amend { .. }
            | Self::Reinstate
            | Self::Widen { .. }
            | Self::Grant { .. }
            | Self::Activate { .. } => None,
        }
    }
}

impl From<Reduction> for Step {
    fn from(reduction: Reduction) -> Self {
        Self::Reduce(reduction)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Step {}
    impl Sealed for super::Reduction {}
}

/// The two kinds of step a plan can be made of: any [`Step`], or [`Reduction`]s only. Sealed: there is no third.
pub trait LaneStep:
    sealed::Sealed + Clone + Ord + fmt::Debug + Into<Step> + Serialize + serde::de::DeserializeOwned + Send + Sync + 'static
{
}
impl LaneStep for Step {}
impl LaneStep for Reduction {}

/// Steps for one cardholder: never none, no duplicates, reductions first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Vec<S>", into = "Vec<S>", bound = "S: LaneStep")]
#[cfg_attr(feature = "schema", schemars(bound = "S: LaneStep + schemars::JsonSchema"))]
pub struct Steps<S: LaneStep>(Vec<S>);

impl<S: LaneStep> Steps<S> {
    /// Sorts into the order of application. `None` when there is nothing to do.
    pub fn new(mut steps: Vec<S>) -> Option<Self> {
        steps.sort();
        steps.dedup();
        if steps.is_empty() { None } else { Some(Self(steps)) }
    }

    /// The steps, in the order of application.
    pub fn iter(&self) -> std::slice::Iter<'_, S> {
        self.0.iter()
    }
}

impl<'a, S: LaneStep> IntoIterator for &'a Steps<S> {
    type Item = &'a S;
    type IntoIter = std::slice::Iter<'a, S>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<S: LaneStep> TryFrom<Vec<S>> for Steps<S> {
    type Error = &'static str;
    fn try_from(steps: Vec<S>) -> Result<Self, Self::Error> {
        Self::new(steps).ok_or("an action needs at least one step")
    }
}

impl<S: LaneStep> From<Steps<S>> for Vec<S> {
    fn from(steps: Steps<S>) -> Self {
        steps.0
    }
}

/// Whom an action is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A record that is on the PACS.
    Existing(CardholderId),
    /// A record that is to be created; until it has an id, this key finds it.
    New(CorrelationKey),
}

/// What an action does to one cardholder on one PACS: the unit of plan, journal, apply, verify and rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(bound = "S: LaneStep")]
#[cfg_attr(feature = "schema", schemars(bound = "S: LaneStep + schemars::JsonSchema"))]
pub struct Action<S: LaneStep = Step> {
    /// Digest of run, target, subject and steps.
    pub id: ActionId,
    /// On which PACS.
    pub target: TargetId,
    /// Whose record.
    pub subject: Subject,
    /// The person behind it, where there is one.
    pub person: Option<PersonId>,
    /// What to do.
    pub steps: Steps<S>,
    /// The record it was planned against; `None` for a record to be created.
    pub basis: Option<ImageDigest>,
    /// What the read-back must show.
    pub expect: Expectation,
    /// Why, for the reviewer.
    pub because: Reason,
}

impl<S: LaneStep> Action<S> {
    /// The same action in the type that connectors apply.
    ///
    /// # Panics
    /// Never: an action has at least one step in every type.
    pub fn to_steps(&self) -> Action<Step> {
        let steps = self.steps.iter().cloned().map(Into::into).collect();
        Action {
            id: self.id.clone(),
            target: self.target.clone(),
            subject: self.subject.clone(),
            person: self.person.clone(),
            steps: Steps::new(steps).expect("as many steps as before"),
            basis: self.basis.clone(),
            expect: self.expect.clone(),
            because: self.because.clone(),
        }
    }
}

/// What the read-back must show for an action to count as done. Absent parts are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// The status.
    pub status: Option<Status>,
    /// Fields and their values.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
    /// Levels that must be there: those granted, and the unmanaged ones that must have survived.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub levels_present: BTreeSet<AccessLevelId>,
    /// Levels that must be gone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub levels_absent: BTreeSet<AccessLevelId>,
    /// The validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// Credentials and their status. A credential that is gone counts as inactive.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<CredentialId, CredentialStatus>,
}

/// Why an action is planned, in terms that a reviewer can check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reason {
    /// The outcome of the matching.
    pub situation: Situation,
    /// One line for each thing that changes.
    pub why: Vec<Why>,
}

/// Why one thing changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Why {
    /// The level it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<AccessLevelId>,
    /// The groups that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupId>,
    /// Where the rule stands: `mappings/hq.toml:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    /// A short sentence for people.
    pub text: String,
}

/// The outcome of matching one person or cardholder, in the words of identity management.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Situation {
    /// Qualifies, linked, and the cardholder is there: converge.
    Confirmed,
    /// Qualifies, not linked, exactly one cardholder matches: link, changes to the stage lane.
    Found,
    /// Qualifies, nobody matches: a joiner.
    Absent,
    /// Qualifies, several match, or one cardholder matches several people: a person must decide.
    Ambiguous,
    /// Qualifies, linked, but the cardholder is gone.
    Missing,
    /// Read as ended or out of scope, linked, the cardholder is there: a leaver.
    Unqualified,
    /// Not in a complete census, linked, and confirmed gone by a direct look-up: a leaver.
    SourceMissing,
    /// A cardholder nobody accounts for: reported, never touched.
    Unassigned,
    /// The standing or a needed group is unknown: nothing that rests on it is done.
    Undecided,
    /// Out by a named offboarding: stays out until reinstated.
    Held,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(name: &str) -> AccessLevelId {
        AccessLevelId::new(name).expect("id")
    }

    #[test]
    fn whatever_the_order_given_access_is_cut_before_it_is_given() {
        let steps = Steps::new(vec![
            Step::Grant { level: level("new") },
            Step::Reduce(Reduction::Revoke { level: level("old") }),
            Step::Amend { profile: Profile::new() },
            Step::Reduce(Reduction::Suspend),
            Step::Grant { level: level("new") },
        ])
        .expect("some steps");
        let reductions: Vec<bool> = steps.iter().map(|s| s.as_reduction().is_some()).collect();
        assert_eq!(reductions, [true, true, false, false], "two duplicates became one");
        assert_eq!(steps.iter().next(), Some(&Step::Reduce(Reduction::Suspend)));
    }

    #[test]
    fn an_action_without_steps_does_not_parse() {
        assert!(serde_json::from_str::<Steps<Step>>("[]").is_err());
        let json = r#"[{"grant":{"level":"L1"}},{"reduce":"suspend"}]"#;
        let steps: Steps<Step> = serde_json::from_str(json).expect("two steps");
        assert_eq!(serde_json::to_string(&steps).expect("json"), r#"[{"reduce":"suspend"},{"grant":{"level":"L1"}}]"#);
    }

    #[test]
    fn a_door_command_does_not_parse() {
        assert!(serde_json::from_str::<Step>(r#""unlock-door""#).is_err());
        assert!(serde_json::from_str::<Reduction>(r#"{"grant":{"level":"L1"}}"#).is_err());
    }
}
