//! From the errors of the other parts to a [`Failure`]: a number for scripts, and what happened, what was not done and
//! what to type next for people.

use std::fmt::Display;
use std::path::Path;

use lockstep_contract::{Fault, FaultKind};
use lockstep_core::Refusal;
use lockstep_engine::{NotLifted, RunError, StoreError};

use crate::exit::{Exit, Failure};

/// Whether anything may have been written to a PACS before the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// Certainly nothing.
    Nothing,
    /// Perhaps; the journal knows.
    Perhaps,
}

/// A run ended without its result.
pub(crate) fn run(error: RunError, wrote: Wrote) -> Failure {
    match error {
        RunError::Unreadable { system, fault } => unreadable(&system, &fault),
        RunError::OtherServer { .. } => Failure::new(Exit::Unreadable, error.to_string())
            .not_done("no plan was made; every PACS keeps the state it has")
            .next("find out which server answered (`lockstep probe`); wait for replication, or mend the address"),
        RunError::Refused(refusal) => refused(&refusal, None),
        RunError::NotOurs(_) => Failure::new(Exit::Refused, error.to_string())
            .not_done("nothing of this plan was applied")
            .next("lockstep plan; if nobody restored an older state, find out who changed the file"),
        RunError::NotLifted(ref why) => Failure::new(Exit::Refused, error.to_string())
            .not_done("the hold stays, and nothing of this plan was applied")
            .next(match why {
                NotLifted::PutOutAgain { .. } => "find out why; then, if they may still come back: lockstep reinstate",
                NotLifted::Unknown { .. } => "mend what is in the way, then the same command again",
                NotLifted::Before { .. } => "lockstep status",
            }),
        RunError::Store(error) => store(error, wrote),
        RunError::Cancelled => Failure::new(stopped(wrote), "stopped on request").not_done(match wrote {
            Wrote::Nothing => "nothing was written to any PACS",
            Wrote::Perhaps => "what had not begun; what had is in the journal, see `lockstep status`",
        }),
    }
}

/// A source could not be read whole.
pub(crate) fn unreadable(system: &str, fault: &Fault) -> Failure {
    let next = match (&fault.help, fault.kind) {
        (Some(help), _) => help.clone(),
        (None, FaultKind::Cancelled) => "run it again when ready".into(),
        (None, _) => "lockstep probe".into(),
    };
    Failure::new(Exit::Unreadable, format!("{system} could not be read whole: {fault}"))
        .not_done("no removal was planned; every PACS keeps the state it has")
        .next(next)
}

/// A plan is refused.
pub(crate) fn refused(refusal: &Refusal, plan: Option<&Path>) -> Failure {
    let what = match plan {
        Some(plan) => format!("{}: {refusal}", plan.display()),
        None => refusal.to_string(),
    };
    let next = match refusal {
        Refusal::WrongLane { .. } => "lockstep plan, and find out who changed the file",
        Refusal::OtherPlan { .. } => "remove that line from approvals.jsonl, or approve this plan: lockstep approve",
        Refusal::FromTheFuture { .. } => "set the clock of this machine, then: lockstep plan",
        Refusal::OtherTarget { .. } => "lockstep probe; if the system is the right one: lockstep plan",
        Refusal::Expired { .. } | Refusal::Used | Refusal::ConfigChanged | Refusal::PolicyChanged { .. } => {
            "lockstep plan, then approve and apply the new plan"
        }
    };
    Failure::new(Exit::Refused, what).not_done("nothing of this plan was applied").next(next)
}

/// The memory failed.
pub(crate) fn store(error: StoreError, wrote: Wrote) -> Failure {
    let failure = Failure::new(store_exit(&error, wrote), error.to_string());
    match error {
        StoreError::Leased { holder, .. } => failure
            .not_done("nothing was read or written")
            .next(format!("wait for that run, or find out what became of {holder}")),
        StoreError::Deposed => failure.next("lockstep status, then the same command again"),
        StoreError::Corrupt { .. } => failure
            .not_done("nothing was planned or applied; `lockstep offboard` works without the state")
            .next("restore the state from a backup; do not delete it: everybody would look new"),
        StoreError::TooNew { .. } => failure
            .not_done("nothing was read or written")
            .next("use the version of Lockstep that wrote the state, or a newer one"),
        StoreError::Illegal(_) => failure.next("lockstep status; please report this"),
        StoreError::Io(_) => failure.next("check that the disk has room and that the state folder is writable"),
    }
}

const fn store_exit(error: &StoreError, wrote: Wrote) -> Exit {
    match error {
        StoreError::Leased { .. } | StoreError::Deposed => Exit::Busy,
        StoreError::Corrupt { .. } | StoreError::TooNew { .. } | StoreError::Illegal(_) => Exit::Integrity,
        StoreError::Io(_) => stopped(wrote),
    }
}

const fn stopped(wrote: Wrote) -> Exit {
    match wrote {
        Wrote::Nothing => Exit::Failed,
        Wrote::Perhaps => Exit::Partial,
    }
}

/// A file or folder of ours could not be read or written.
pub(crate) fn file(what: &str, path: &Path, error: impl Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_the_number_that_scripts_rely_on() {
        let fault = Fault::new(FaultKind::Denied, "corp", "read people", "not allowed");
        let unreadable = RunError::Unreadable { system: "corp".into(), fault };
        assert_eq!(run(unreadable, Wrote::Nothing).exit, Exit::Unreadable);
        assert_eq!(run(RunError::Refused(Refusal::Used), Wrote::Nothing).exit, Exit::Refused);
        assert_eq!(run(RunError::Cancelled, Wrote::Nothing).exit, Exit::Failed);
        assert_eq!(run(RunError::Cancelled, Wrote::Perhaps).exit, Exit::Partial);
        let corrupt = StoreError::Corrupt { what: "state".into(), detail: "checksum".into() };
        assert_eq!(store(corrupt, Wrote::Nothing).exit, Exit::Integrity);
        assert_eq!(store(StoreError::Deposed, Wrote::Perhaps).exit, Exit::Busy);
        assert_eq!(store(StoreError::Io("disk full".into()), Wrote::Perhaps).exit, Exit::Partial);
    }

    #[test]
    fn a_source_that_failed_says_that_nothing_was_removed() {
        let fault = Fault::new(FaultKind::Unreachable, "corp", "connect", "refused").with_help("start the server");
        let text = super::unreadable("corp", &fault).to_string();
        assert!(text.contains("no removal was planned") && text.contains("next: start the server"), "{text}");
    }
}
