//! Why a person has, or lacks, each access level. The same decisions as planning, told for one person.

use lockstep_contract::{AccessLevelId, CardholderId, Entitled, GroupId, PersonId, Situation, Standing};
use serde::{Deserialize, Serialize};

use crate::{Finding, Hold, Inputs, RuleSource};

/// Everything that decides about one person on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The person.
    pub person: PersonId,
    /// The outcome of the matching.
    pub situation: Situation,
    /// The standing in the directory; `None` when the person is not in the census.
    pub standing: Option<Standing>,
    /// The matched cardholder.
    pub cardholder: Option<CardholderId>,
    /// A named offboarding in force.
    pub hold: Option<Hold>,
    /// Each managed level, in the order of the mapping.
    pub levels: Vec<LevelVerdict>,
    /// What planning has to say about this person.
    pub findings: Vec<Finding>,
}

/// Whether the person gets one level, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelVerdict {
    /// The level.
    pub level: AccessLevelId,
    /// Its name on the PACS.
    pub name: String,
    /// What the rule says.
    pub entitled: Entitled,
    /// Whether the cardholder has it now; `None` without a cardholder.
    pub has: Option<bool>,
    /// Where the rule stands.
    pub rule: RuleSource,
    /// At least one of these must be yes.
    pub any: Vec<(GroupId, Entitled)>,
    /// Each of these must be yes.
    pub all: Vec<(GroupId, Entitled)>,
    /// Each of these must be no.
    pub none: Vec<(GroupId, Entitled)>,
    /// Needs an approval by name.
    pub high_security: bool,
}

/// Explains one person.
pub fn explain(inputs: Inputs<'_>, person: &PersonId) -> Explanation {
    crate::plan::explain_one(inputs, person)
}
