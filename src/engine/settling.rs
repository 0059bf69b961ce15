//! Settling one action that a crash, or a system that was away, left open: read it back first, and send it again only
//! when nothing happened and sending it is still right. Nothing here reads the directory, so what gives access waits for
//! the next plan, unless a return by name was interrupted.

use lockstep_contract::Subject;
use lockstep_core::{ActionEvent, ActionState};

use crate::judging::{held, only_reduces};
use crate::sending::{Judged, SENDS_MAX, Site, action_report};
use crate::{ActionReport, JournalEntry, StoreError};

impl Site<'_> {
    /// Settles an action that a crash, or a system that was away, left open.
    pub(crate) async fn settle(&self, entry: &JournalEntry) -> Result<ActionReport, StoreError> {
        let intent = &entry.intent;
        self.leave_open(&intent.action.subject);
        if let Some(why) = self.stopped() {
            return Ok(action_report(&intent.action, entry.state, why));
        }
        match self.judge(intent, None).await {
            Judged::Done(after) => {
                self.went_well();
                self.record(intent, ActionEvent::Verify, "read back as expected after an interruption", Some(*after))
                    .await
            }
            Judged::Otherwise(text, now) => self.diverged(intent, &text, now).await,
            Judged::Unknown(fault) => {
                let detail = format!("still open: {fault}");
                self.failed(Some(fault.kind), &detail);
                self.record(intent, ActionEvent::Doubt, &detail, None).await
            }
            Judged::NotYet(text) if entry.state == ActionState::Acknowledged => {
                self.diverged(intent, &format!("accepted, but without effect: {text}"), None).await
            }
            Judged::NotYet(_) => {
                let refusal = match self.why_not_again(entry) {
                    Some(why) => Some(why),
                    None => self.ask_fuse(&intent.action).await?,
                };
                match refusal {
                    Some(why) => {
                        let detail = format!("interrupted without effect, and not sent again: {why}");
                        self.record(intent, ActionEvent::Refuse, &detail, None).await
                    }
                    None => self.drive(intent.clone(), entry.sent).await,
                }
            }
        }
    }

    /// Why an interrupted action that had no effect is not sent again.
    fn why_not_again(&self, entry: &JournalEntry) -> Option<String> {
        let (intent, action) = (&entry.intent, &entry.intent.action);
        // A return by name was approved by name, and rests on no reading of the directory.
        let returns = self.lifts.iter().any(|lift| lift.run == intent.run);
        if !only_reduces(action) && !returns {
            return Some("the directory was not read since; the next plan decides".to_owned());
        }
        if let Subject::Existing(record) = &action.subject
            && self.lifts.iter().any(|lift| lift.ended(intent.run, &self.id, record))
        {
            return Some("the offboarding that it is of was lifted by name".to_owned());
        }
        if held(&self.holds, &self.links, action, intent.before.as_ref()).is_some() {
            // An offboarding goes on until it is done.
            return None;
        }
        if entry.sent >= SENDS_MAX {
            return Some(format!("it was sent {} times", entry.sent));
        }
        let hours = self.order.limits.get(&self.id).map_or(24, |limits| limits.plan_age_hours);
        let age = (self.order.clock)().duration_since(intent.at);
        if age.as_hours() >= i64::from(hours) {
            return Some(format!("it was meant {} hours ago; plan again", age.as_hours()));
        }
        None
    }
}
