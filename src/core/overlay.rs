//! How a directory beside the one that says who exists is joined to it: declarations only, as the configuration makes them.

use lockstep_contract::{FieldName, KeyKind};

/// By what the people of an overlay are recognised. Nothing else is ever compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// By the immutable id in the authority: `objectGUID` beside `onPremisesImmutableId`, or the id column of a feed.
    Directory {
        /// The field of the authority that holds the id, where it is another than its own: `mS-DS-ConsistencyGuid`. Who
        /// has nothing in it is recognised by the own id.
        field: Option<FieldName>,
    },
    /// By the employee number.
    Employee,
}

impl Anchor {
    /// The kind of key by which people are recognised.
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::Directory { .. } => KeyKind::Directory,
            Self::Employee => KeyKind::Employee,
        }
    }

    /// The kind of key that must not say otherwise.
    pub const fn check(&self) -> KeyKind {
        match self {
            Self::Directory { .. } => KeyKind::Employee,
            Self::Employee => KeyKind::Directory,
        }
    }

    /// The field of the authority that is needed for this.
    pub const fn field(&self) -> Option<&FieldName> {
        match self {
            Self::Directory { field } => field.as_ref(),
            Self::Employee => None,
        }
    }
}

/// What it means that an overlay does not know somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is decided about such a person: whoever it ended before must not come back because the record is gone.
    #[default]
    Undecided,
    /// It says nothing about such a person, and the others decide.
    Unchanged,
}
