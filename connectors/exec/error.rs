//! What an error of the child is for the caller. Pure.

use std::time::Duration;

use lockstep_contract::{ApplyFault, Fault, FaultKind, Secret, quote};

use crate::protocol::{Effect, ErrorData, WireError};

/// No PACS is waited for longer than this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);
/// JSON-RPC 2.0, section 5.1: the method does not exist.
const NO_SUCH_METHOD: i64 = -32601;

/// A call that failed, and what is known of its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallFault {
    /// For a read this is all that counts.
    pub(crate) fault: Box<Fault>,
    /// For a write.
    pub(crate) effect: Effect,
}

impl From<CallFault> for Fault {
    fn from(call: CallFault) -> Self {
        *call.fault
    }
}

impl From<CallFault> for ApplyFault {
    fn from(call: CallFault) -> Self {
        match call.effect {
            Effect::NotSent => Self::NotSent(*call.fault),
            Effect::Refused => Self::Refused(*call.fault),
            Effect::Uncertain => Self::Uncertain(*call.fault),
        }
    }
}

/// What the child said about a failure.
pub(crate) fn of(system: &str, operation: &str, error: &WireError, secrets: &[Secret]) -> CallFault {
    let said = quote(&error.message, secrets);
    let fault = |kind, message: String| Fault::new(kind, system, operation, message);
    let data = error.data.as_ref().map(|data| serde_json::from_value::<ErrorData>(data.clone()));
    match data {
        Some(Ok(data)) => {
            let mut told =
                fault(data.kind, if said.is_empty() { "the connector gives no reason".into() } else { said });
            told.retry_after = data.retry_after_seconds.map(|wait| Duration::from_secs(wait).min(RETRY_AFTER_MAX));
            told.help = data.help.map(|help| quote(&help, secrets));
            CallFault { fault: Box::new(told), effect: data.effect }
        }
        None if error.code == NO_SUCH_METHOD => CallFault {
            fault: Box::new(fault(FaultKind::Unsupported, "the connector does not know this method".to_owned())),
            effect: Effect::Refused,
        },
        None | Some(Err(_)) => CallFault {
            fault: Box::new(fault(
                FaultKind::Protocol,
                format!("the connector failed and does not say in which way (code {}): {said}", error.code),
            )),
            effect: Effect::Uncertain,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(code: i64, message: &str, data: serde_json::Value) -> CallFault {
        let data = (!data.is_null()).then_some(data);
        of("hq", "apply", &WireError { code, message: message.to_owned(), data }, &[Secret::new("hunter2".into())])
    }

    #[test]
    fn only_what_the_child_vouches_for_counts_as_without_effect() {
        let effect = |data| said(-32000, "no", data).effect;
        assert_eq!(effect(json!({"kind": "denied", "effect": "refused"})), Effect::Refused);
        assert_eq!(effect(json!({"kind": "unreachable", "effect": "not-sent"})), Effect::NotSent);
        for vague in [json!({"kind": "denied"}), json!({"kind": "boom", "effect": "refused"}), json!(7), json!(null)] {
            assert_eq!(effect(vague.clone()), Effect::Uncertain, "{vague}");
        }
        assert_eq!(said(NO_SUCH_METHOD, "", json!(null)).fault.kind, FaultKind::Unsupported);
    }

    #[test]
    fn what_it_says_is_cut_escaped_and_free_of_secrets_and_waits_are_capped() {
        let told = said(
            -32000,
            "log-in hunter2 failed\u{1b}[2J",
            json!({"kind": "throttled", "retry_after_seconds": 1_000_000_u64, "help": "hunter2"}),
        );
        let text = format!("{:?}", told.fault);
        assert!(!text.contains("hunter2") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(told.fault.retry_after, Some(RETRY_AFTER_MAX));
    }
}
