//! Random actions whose answers do not come, landed or not, followed up the way the engine does it: look before anything is
//! sent again. At the end nobody is there twice, and every record is as asked. This module must not know any vendor.

mod deal;

use lockstep_conformance::Seed;
use lockstep_contract::{Action, ApplyFault, Cardholder, CardholderId, Cx, Fault, FaultKind, Step, Subject};

use crate::bed::{Bed, Rig};
use crate::dice::Dice;
use crate::server::{Mishap, When};
use crate::sweep::operation::action;
use crate::sweep::reach::{beyond, lacking};
use crate::sweep::report::Report;
use crate::sweep::truth::Truth;
use crate::sweep::{AMPLE, SHORT};
use crate::vendor::Vendor;
use deal::Deal;

/// So many worlds are worked on at the same time.
const WORLDS: usize = 8;
/// An action is sent so often at most, the last time without trouble.
const SENDS_MAX: usize = 4;

/// Deals so many random actions with random timeouts, from a seed.
///
/// # Panics
/// When there is no runtime, or no server can be made. What the connector does wrong is in the report.
pub fn landed_timeouts<V: Vendor>(bed: Bed<V>, cases: usize, seed: u64) -> Report {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut worlds = tokio::task::JoinSet::new();
        for world in 0..WORLDS {
            let cases = (cases + WORLDS - 1 - world) / WORLDS;
            worlds.spawn(live(bed, cases, seed.wrapping_add(world as u64)));
        }
        let mut report = Report::new(bed.label(), "timeouts");
        let (mut requests, mut inapplicable) = (0, 0);
        while let Some(lived) = worlds.join_next().await {
            match lived {
                Ok(lived) => {
                    requests += lived.requests;
                    inapplicable += lived.inapplicable;
                    for (case, broken) in lived.broken {
                        report = report.with(&case, None, "timeouts", vec![broken]);
                    }
                }
                Err(error) => report = report.with("a world", None, "timeouts", vec![format!("it panics: {error}")]),
            }
        }
        if inapplicable * 2 > cases {
            let much = format!("{inapplicable} of {cases} actions are refused without trouble");
            report = report.with("every case", None, "timeouts", vec![much]);
        }
        report.swept("random actions", requests, cases);
        report.sorted()
    })
}

/// What became of one world.
#[derive(Default)]
struct Lived {
    requests: usize,
    inapplicable: usize,
    broken: Vec<(String, String)>,
}

async fn live<V: Vendor>(bed: Bed<V>, cases: usize, seed: u64) -> Lived {
    let mut lived = Lived::default();
    let rig = match bed.rig(&Seed::standard()).await {
        Ok(rig) => rig,
        Err(why) => {
            lived.broken.push(("a world".to_owned(), why));
            return lived;
        }
    };
    let mut world = World { deal: Deal::of(&rig), rig, dice: Dice::new(seed), trail: Vec::new() };
    for case in 0..cases {
        match world.case().await {
            Ok(Done::Settled) => {}
            Ok(Done::Inapplicable) => lived.inapplicable += 1,
            Err(broken) => {
                let trail = world.trail.join("; ");
                lived.broken.push((format!("seed {seed}, case {case}"), format!("{broken} (after: {trail})")));
                break; // What follows would stand on a world that is wrong.
            }
        }
    }
    lived.requests = world.rig.server.arrived().len();
    lived
}

/// How a case ended.
enum Done {
    Settled,
    /// The system cannot do what was dealt.
    Inapplicable,
}

/// What a look at a record means for an action.
enum Judged {
    Done,
    NotYet,
    /// A newcomer is there, and something is still to be done.
    Half(CardholderId),
    Otherwise(String),
}

struct World<V> {
    rig: Rig<V>,
    deal: Deal,
    dice: Dice,
    /// What happened in this case.
    trail: Vec<String>,
}

impl<V: Vendor> World<V> {
    async fn case(&mut self) -> Result<Done, String> {
        self.trail.clear();
        let before = Truth::of(self.rig.vendor());
        let Some(action) = self.deal.action(&mut self.dice, self.rig.target(), &before) else {
            return Ok(Done::Inapplicable);
        };
        self.trail.push(format!("{:?}", action.steps));
        let done = self.drive(&action, &before).await?;
        if matches!(done, Done::Settled) {
            self.settled(&action, &before)?;
        }
        Ok(done)
    }

    /// As the engine does it: sent, and read before it is sent again.
    async fn drive(&mut self, action: &Action, before: &Truth) -> Result<Done, String> {
        let mut action = action.clone();
        for send in 1..=SENDS_MAX {
            let budget = if send < SENDS_MAX { self.misfortune(send) } else { AMPLE };
            let outcome = self.rig.target().apply(&Cx::new(budget), &action).await;
            self.rig.server.heal();
            self.trail.push(match &outcome {
                Ok(_) => "accepted".to_owned(),
                Err(fault) => fault.to_string(),
            });
            let created = match outcome {
                Ok(receipt) => Some(receipt.cardholder),
                Err(ApplyFault::NotSent(fault) | ApplyFault::Refused(fault)) => {
                    if self.none_the_worse(&fault, before, send)? {
                        return Ok(Done::Inapplicable);
                    }
                    continue;
                }
                Err(ApplyFault::Uncertain(_)) => None,
            };
            let accepted = created.is_some();
            match self.judge(&action, created.as_ref(), before).await? {
                Judged::Done => return Ok(Done::Settled),
                Judged::NotYet if accepted => return Err("accepted, but without effect".to_owned()),
                Judged::NotYet => {}
                Judged::Half(_) if accepted => return Err("accepted, but only half of it is done".to_owned()),
                Judged::Half(id) => action = self.rest(&action, &id)?,
                Judged::Otherwise(how) => return Err(how),
            }
        }
        Err(format!("it is not done after {SENDS_MAX} times, the last one without trouble"))
    }

    /// After a no: nothing may have happened. True when no waiting will help.
    fn none_the_worse(&self, fault: &Fault, before: &Truth, send: usize) -> Result<bool, String> {
        let now = Truth::of(self.rig.vendor());
        // An earlier attempt may have got somewhere; that was looked at then.
        if send == 1 && now != *before {
            return Err(format!("it says that there was no effect, and there was: {fault}"));
        }
        match fault.kind {
            FaultKind::Unsupported | FaultKind::Invalid => Ok(true),
            kind if kind.is_transient() => Ok(false),
            _ => Err(format!("a timeout is taken for something else: {fault}")),
        }
    }

    /// Something goes wrong with one of the next requests, or nothing does. The budget of the call.
    fn misfortune(&mut self, send: usize) -> std::time::Duration {
        if !self.dice.percent(if send == 1 { 80 } else { 40 }) {
            return AMPLE;
        }
        let page = || crate::message::Reply::text(504, "text/html", "<html>Gateway timeout</html>");
        let (mishap, budget) = match self.dice.below(100) {
            0..40 => (Mishap::LostAnswer, AMPLE),
            40..60 => (Mishap::LostRequest, AMPLE),
            60..70 => (Mishap::Cut, AMPLE),
            70..80 => (Mishap::LandedThen(page()), AMPLE),
            80..85 => (Mishap::Instead(page()), AMPLE),
            85..95 => (Mishap::LandedSilence, SHORT),
            _ => (Mishap::Silence, SHORT),
        };
        // Most actions are one or two requests; some need a read or two before.
        let nth = self.dice.below(3);
        self.trail.push(format!("{mishap:?} at request {nth}"));
        self.rig.server.mishap(When::nth(nth), mishap);
        budget
    }

    async fn judge(&self, action: &Action, created: Option<&CardholderId>, before: &Truth) -> Result<Judged, String> {
        let cx = Cx::new(AMPLE);
        let target = self.rig.target();
        let found: Vec<Cardholder> = match (&action.subject, created) {
            (Subject::Existing(id), _) | (Subject::New(_), Some(id)) => {
                target.read(&cx, id).await.map(|record| record.into_iter().collect())
            }
            (Subject::New(key), None) => target.find(&cx, key).await,
        }
        .map_err(|fault| format!("it cannot be read, although nothing is wrong any more: {fault}"))?;
        let can = &target.info().capabilities;
        Ok(match (found.as_slice(), &action.subject) {
            ([], Subject::New(_)) => Judged::NotYet,
            ([], Subject::Existing(id)) => Judged::Otherwise(format!("the record `{id}` is gone")),
            ([now], _) if lacking(&action.steps, now, can).is_empty() => Judged::Done,
            ([now], Subject::New(_)) => Judged::Half(now.id.clone()),
            ([now], Subject::Existing(id)) => match before.records.get(id) {
                Some(was) => {
                    let changed = beyond(&action.steps, was, now, can);
                    if changed.is_empty() { Judged::NotYet } else { Judged::Otherwise(changed.join(", ")) }
                }
                // A newcomer's second half.
                None => Judged::NotYet,
            },
            (several, _) => Judged::Otherwise(format!("{} records have the key of the newcomer", several.len())),
        })
    }

    /// What the next plan does for a newcomer of whom only a part arrived.
    fn rest(&self, whole: &Action, id: &CardholderId) -> Result<Action, String> {
        let steps: Vec<Step> =
            whole.steps.iter().filter(|step| !matches!(step, Step::Provision { .. })).cloned().collect();
        action(self.rig.target(), Subject::Existing(id.clone()), steps)
            .ok_or_else(|| format!("the new record `{id}` lacks fields that it was made with"))
    }

    /// Everything is as asked, and nothing else happened.
    fn settled(&self, action: &Action, before: &Truth) -> Result<(), String> {
        let now = Truth::of(self.rig.vendor());
        let duplicates = now.duplicates();
        if duplicates != before.duplicates() {
            return Err(format!("there are duplicates: {}", duplicates.join(", ")));
        }
        let can = &self.rig.target().info().capabilities;
        let newer = now.newer(before);
        let (own, is) = match &action.subject {
            Subject::Existing(id) => (Some(id), now.records.get(id)),
            Subject::New(_) => (None, newer.first().copied()),
        };
        if newer.len() != usize::from(own.is_none()) {
            return Err(format!("{} records were made", newer.len()));
        }
        if let Some(id) = now.disturbed(before, own) {
            return Err(format!("the record `{id}`, which the action is not about, changed"));
        }
        let Some(is) = is else { return Err("the record is gone".to_owned()) };
        let mut wrong = lacking(&action.steps, is, can);
        if let Some(was) = own.and_then(|id| before.records.get(id)) {
            wrong.extend(beyond(&action.steps, was, is, can));
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("settled, and wrong: {}", wrong.join(", "))) }
    }
}
