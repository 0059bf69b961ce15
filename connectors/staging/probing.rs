//! What a probe looks at: the folder and its clock, the export and its age, and what still waits.

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Check, CheckOutcome, Cx, Fault, Health};

use crate::view::Whom;
use crate::{Outgoing, Staging};

/// Clocks further apart than this make the age of an export meaningless.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_secs(120);

fn check(name: &str, outcome: CheckOutcome, detail: impl Into<String>, help: Option<String>) -> Check {
    Check { name: name.to_owned(), outcome, detail: detail.into(), help }
}

impl Staging {
    pub(crate) async fn probe_all(&self, cx: &Cx) -> Result<Health, Fault> {
        let mut checks = vec![self.profile_check()];
        // A system that is away fails the probe as a whole; only then is it tried again.
        let snapshot = self.snapshot(cx, "probe", Whom::Everybody).await?;
        let age = Timestamp::now().duration_since(snapshot.as_of);
        let detail =
            format!("{} people, as of {:.0}, {} minutes ago", snapshot.people.len(), snapshot.as_of, age.as_mins());
        checks.push(check("read-back", CheckOutcome::Pass, detail, None));
        checks.push(self.delivery_check().await?);
        checks.push(self.waiting_check(cx, &snapshot).await?);
        Ok(Health { checks, server: None })
    }

    fn profile_check(&self) -> Check {
        let profile = &self.profile;
        if profile.verified {
            return check("profile", CheckOutcome::Pass, format!("{}: {}", profile.name, profile.about), None);
        }
        let detail =
            format!("{}: {}; not verified: {}", profile.name, profile.about, profile.open_questions.join("; "));
        let help = "compare it with an export of your own system, correct it in a file of your own, and name that as \
                    `profile_file`";
        check("profile", CheckOutcome::Warn, detail, Some(help.to_owned()))
    }

    async fn delivery_check(&self) -> Result<Check, Fault> {
        match &self.outgoing {
            Outgoing::Folder(folder) => {
                let tried = folder.clone();
                let done = self.blocking("probe", move || tried.try_out()).await?;
                let apart = done.map_err(|error| self.folder_fault("probe", &error))?;
                Ok(if apart.abs() > CLOCKS_APART_MAX {
                    let detail = format!("its clock is {} seconds off ours", apart.as_secs());
                    let help = "set the clocks; until then, the age of an export says little";
                    check("drop folder", CheckOutcome::Warn, detail, Some(help.to_owned()))
                } else {
                    check("drop folder", CheckOutcome::Pass, "it can be written, and its clock agrees with ours", None)
                })
            }
            Outgoing::Outbox(outbox) => {
                let (enough, too_much) = outbox.rights("probe").await?;
                let help = "grant INSERT and SELECT on the outbox, SELECT on the views, and nothing else";
                Ok(match (enough, too_much) {
                    (true, false) => check("outbox", CheckOutcome::Pass, "rows can be inserted and not changed", None),
                    (true, true) => {
                        let detail = "the account may also change or delete rows";
                        check("outbox", CheckOutcome::Warn, detail, Some(help.to_owned()))
                    }
                    (false, _) => check("outbox", CheckOutcome::Fail, "rows cannot be inserted", Some(help.to_owned())),
                })
            }
        }
    }

    async fn waiting_check(&self, cx: &Cx, snapshot: &crate::people::Snapshot) -> Result<Check, Fault> {
        let open = self.still_open(cx, None, snapshot).await?;
        let patience = SignedDuration::from_secs(self.profile.delivery.patience_seconds());
        let late =
            open.iter().filter(|one| one.taken.is_none() && Timestamp::now().duration_since(one.prepared) > patience);
        Ok(match (late.count(), open.len()) {
            (0, 0) => check("deliveries", CheckOutcome::Pass, "nothing waits to be confirmed", None),
            (0, waiting) => {
                let detail = format!("{waiting} deliveries are not confirmed yet");
                check("deliveries", CheckOutcome::Pass, detail, None)
            }
            (late, _) => {
                let detail = format!("{late} deliveries were not taken within {} minutes", patience.as_mins());
                let help =
                    "the importer stands still: look into its service, and do by hand what `lockstep export` lists";
                check("deliveries", CheckOutcome::Fail, detail, Some(help.to_owned()))
            }
        })
    }
}
