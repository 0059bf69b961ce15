//! Findings: what is worth saying about data, with a stable code to grep for.
//!
//! A finding never stops a run by itself; guards and lanes do. Codes are never reused.

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Somebody should look.
    Warning,
    /// Something is held until somebody acts.
    Hold,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $title:literal;)*) => {
        /// The stable code of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as printed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it is about, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// A person's standing could not be read.
    StandingUnknown = "LS0101", Hold, "standing unknown";
    /// A group a person depends on could not be read.
    GroupUnreadable = "LS0102", Hold, "group unreadable";
    /// Several cardholders match one person.
    AmbiguousCardholder = "LS0103", Hold, "several cardholders match";
    /// Several people match one cardholder, or share a key that must be unique.
    SharedKey = "LS0104", Hold, "a key is shared";
    /// A linked cardholder is gone from the PACS.
    CardholderMissing = "LS0105", Warning, "linked cardholder is gone";
    /// A linked person is not in the directory read and could not be confirmed gone.
    SourceUnconfirmed = "LS0106", Hold, "absent, but not confirmed gone";
    /// A linked person exists but is outside the configured scope.
    OutOfScope = "LS0107", Hold, "outside the configured scope";
    /// A cardholder nobody accounts for.
    Orphan = "LS0108", Note, "nobody accounts for this cardholder";
    /// A cardholder was switched off by somebody else; it stays off.
    SuspendedByOthers = "LS0109", Hold, "switched off by somebody else";
    /// A cardholder is in a state the connector does not know.
    StatusUnknown = "LS0110", Hold, "state of the PACS not known";
    /// A person is out by a named offboarding.
    OnHold = "LS0111", Note, "held out by a named offboarding";
    /// A required field is missing, so nobody can be provisioned.
    FieldMissing = "LS0112", Hold, "required field missing";
    /// A value is longer than the PACS accepts.
    FieldTooLong = "LS0113", Hold, "value too long for the PACS";
    /// A directory record was set aside.
    Quarantined = "LS0114", Warning, "record set aside";
    /// A key that was somebody else's is now this person's: a re-used number or a re-created account.
    KeyReused = "LS0115", Hold, "key was somebody else's";
    /// The cardholder is not ours by the mapping's ownership rule.
    NotOurs = "LS0117", Note, "not ours to change";
    /// A named protected cardholder would lose access.
    Protected = "LS0118", Hold, "protected cardholder";
    /// The cardholder is outside the configured site or partition.
    ForeignSite = "LS0119", Note, "belongs to another site";
    /// Somebody has no credential that works, on a PACS that knows no access without one.
    CredentialAwaited = "LS0120", Note, "no credential that works yet";

    /// Guard: more people would lose access in this run than allowed.
    BlastRadius = "LS0201", Hold, "too many people would lose access";
    /// Guard: more people lost access in 24 hours than allowed.
    RollingDay = "LS0202", Hold, "too many lost access within 24 hours";
    /// Guard: more people lost access in 7 days than allowed.
    RollingWeek = "LS0203", Hold, "too many lost access within 7 days";
    /// Guard: one group lost too many members.
    GroupShrank = "LS0204", Hold, "a group shrank";
    /// Guard: one level would lose too many holders, or all.
    LevelShrank = "LS0205", Hold, "an access level shrank";
    /// Guard: the directory has far fewer people than before.
    SourceShrank = "LS0206", Hold, "the directory shrank";
    /// Guard: the PACS or the directory shows nobody at all.
    NobodyLeft = "LS0207", Hold, "nobody left";
    /// Guard: more people would gain access than allowed.
    GrantFlood = "LS0208", Hold, "too many people would gain access";
    /// Guard: the mapping differs from the one last applied.
    PolicyChanged = "LS0209", Hold, "mapping changed";
    /// Guard: nothing was ever applied to this target.
    FirstRun = "LS0210", Hold, "first run";
    /// Guard: a mapped access level does not exist on the PACS.
    UnknownLevel = "LS0211", Hold, "access level does not exist";
    /// Guard: too many of the mapped groups are unreadable.
    Evidence = "LS0212", Hold, "too little could be read";
    /// A level tagged high-security needs an approval by name.
    HighSecurity = "LS0214", Note, "high-security level needs approval";

    /// An item of this plan cannot be undone exactly.
    NotReversible = "LS0301", Note, "cannot be undone exactly";
    /// A cardholder changed since; it is left as it is.
    ChangedSince = "LS0302", Warning, "changed since";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something worth saying about one person, cardholder, group or level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of finding.
    pub code: Code,
    /// Whom or what it is about, as people know it: `Ada Lovelace (employee:10482)`, `group GRP-Lab`.
    pub subject: String,
    /// What was seen, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }
}
