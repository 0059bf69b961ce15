//! The contract between Lockstep's engine and its connectors: nouns, the two
//! connector traits, and faults.
//!
//! Everything a connector author needs is in this crate, and nothing else: it
//! does no I/O, knows no runtime, and holds no policy. What a value *means* is
//! written here once; what to *do* about it is decided in `lockstep-core`.
//!
//! Two rules shape every type:
//!
//! * **Unreadable is never empty.** A read that failed, was cut short, or was
//!   refused has its own value ([`Membership::Unreadable`], [`Fault`]) that
//!   cannot be turned into an empty collection by accident.
//! * **No verb opens, unlocks or deletes.** [`Step`] has no such variant and
//!   [`Target`] no such method.

#![forbid(unsafe_code)]

mod by_hand;
mod cardholder;
mod cx;
mod digest;
mod directory;
mod fault;
mod id;
mod key;
mod membership;
mod opening;
mod page;
mod person;
mod profile;
mod quote;
mod step;
mod target;

pub use by_hand::{ByHand, GeneralByHand, Handwork, ImportFile, LOOK_AGAIN, field_words, kind_word, validity_words};
pub use cardholder::{
    Cardholder, Credential, CredentialKind, CredentialStatus, InactiveStatus, Revision, Status, Validity,
};
pub use cx::{Cancel, Cx};
pub use digest::{canonical_json, sha256_hex};
pub use directory::{Changes, Directory, DirectoryInfo, GroupPath, Presence, Proof, Scope, ServerMark, Watermark};
pub use fault::{ApplyFault, Fault, FaultKind};
pub use id::{
    AccessLevelId, ActionId, CardholderId, CredentialId, DirectoryId, GroupId, IdError, ImageDigest, PersonId, RunId,
    SiteId, TargetId,
};
pub use key::{CorrelationKey, CorrelationKeys, KeyError, KeyKind};
pub use membership::{EmptyProof, Entitled, Members, Membership};
pub use opening::{NotASecretRef, Opening, Secret, SecretError, SecretRef, SecretRefs, Secrets};
pub use page::{Census, Cursor, Next, Page};
pub use person::{Person, Standing};
pub use profile::{FieldName, FieldNameError, Profile, field};
pub use quote::quote;
pub use step::{Action, Expectation, LaneStep, Reason, Reduction, Situation, Step, Steps, Subject, Why};
pub use target::{
    AccessLevel, Capabilities, Catalog, Check, CheckOutcome, CredentialSupport, Enforcement, FieldRule, Granularity,
    Health, Receipt, Suspend, Target, TargetInfo, TargetReader,
};
