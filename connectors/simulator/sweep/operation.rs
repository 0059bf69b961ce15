//! The operations that a sweep carries out, and how one is carried out. This module must not judge.

use lockstep_conformance::SeedCardholder;
use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, Census,
    CorrelationKey, CredentialSupport, Cx, Expectation, Fault, FaultKind, FieldName, InactiveStatus, KeyKind, Next,
    Profile, Reason, Receipt, Reduction, RunId, Situation, Step, Steps, Subject, Target, Validity, field,
};

use super::truth::Truth;
use crate::bed::Rig;
use crate::vendor::Vendor;

/// One thing that is done at a system.
pub(super) struct Operation {
    /// Its name: `list`, `apply grant`.
    pub(super) name: String,
    /// What was done before, without trouble.
    pub(super) before: Option<Action>,
    /// Whether nothing is known of the system yet when it begins: no session, nothing discovered.
    pub(super) cold: bool,
    /// What is done.
    pub(super) what: What,
}

/// What is done.
pub(super) enum What {
    Probe,
    Catalog,
    List,
    Find(CorrelationKey),
    Read(CardholderId),
    Apply(Box<Action>),
}

/// What it gave.
#[derive(Debug)]
pub(super) enum Answer {
    Health,
    Catalog(Catalog),
    List(Vec<Cardholder>, Census),
    Found(Vec<Cardholder>),
    Read(Option<Box<Cardholder>>),
    Written(Receipt),
}

/// Why it gave nothing.
#[derive(Debug)]
pub(super) enum Failed {
    Reading(Fault),
    Writing(ApplyFault),
}

impl Failed {
    pub(super) fn fault(&self) -> &Fault {
        match self {
            Self::Reading(fault) => fault,
            Self::Writing(fault) => fault.fault(),
        }
    }
}

/// More pages than any world of a sweep has records.
const PAGES_MAX: usize = 1_000;

impl What {
    pub(super) async fn perform(&self, target: &dyn Target, cx: &Cx) -> Result<Answer, Failed> {
        let reading = match self {
            Self::Probe => target.probe(cx).await.map(|_| Answer::Health),
            Self::Catalog => target.catalog(cx).await.map(Answer::Catalog),
            Self::List => list(target, cx).await,
            Self::Find(key) => target.find(cx, key).await.map(Answer::Found),
            Self::Read(id) => target.read(cx, id).await.map(|record| Answer::Read(record.map(Box::new))),
            Self::Apply(action) => {
                return target.apply(cx, action).await.map(Answer::Written).map_err(Failed::Writing);
            }
        };
        reading.map_err(Failed::Reading)
    }
}

async fn list(target: &dyn Target, cx: &Cx) -> Result<Answer, Fault> {
    let (mut items, mut at) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = target.list(cx, at).await?;
        items.extend(page.items);
        match page.next {
            Next::End(census) => return Ok(Answer::List(items, census)),
            Next::More(cursor) => at = Some(cursor),
        }
    }
    let message = format!("the list has no end: {PAGES_MAX} pages and more");
    Err(Fault::new(FaultKind::Protocol, "sweep", "read a list", message))
}

/// Makes the operations for one rig. They are the same, in the same order, for every rig of a bed.
pub(super) fn operations<V: Vendor>(rig: &Rig<V>, truth: &Truth) -> Vec<Operation> {
    let facts = Facts { rig, truth, can: rig.target().info().capabilities.clone() };
    let mut all = facts.reads();
    all.extend(facts.single_steps());
    all.extend(facts.combinations());
    all.extend(facts.newcomers());
    all
}

/// The action that consists of these steps. The same steps are the same action.
pub(crate) fn action(target: &dyn Target, subject: Subject, steps: Vec<Step>) -> Option<Action> {
    let steps = Steps::new(steps)?;
    let run = RunId::new(uuid::Uuid::from_u128(0x5eed_0000_0000_7000_8000_0000_0000_0001));
    let target = target.info().id.clone();
    Some(Action {
        id: ActionId::of(run, &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    })
}

/// Of the fields that this system stores, one that is neither a key nor required.
pub(crate) fn plain_field(can: &Capabilities) -> Option<FieldName> {
    [field::DEPARTMENT, field::TITLE, field::DISPLAY_NAME, field::GIVEN_NAME, field::FAMILY_NAME]
        .into_iter()
        .find(|name| can.fields.contains_key(*name))
        .map(FieldName::known)
}

/// A bounded validity, on whole hours: some systems have no seconds.
pub(crate) fn years(from: i16, until: i16) -> Validity {
    let noon = |year: i16| jiff::civil::date(year, 6, 30).at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok();
    Validity { from: noon(from).map(|at| at.timestamp()), until: noon(until).map(|at| at.timestamp()) }
}

struct Facts<'r, V> {
    rig: &'r Rig<V>,
    truth: &'r Truth,
    can: Capabilities,
}

impl<V: Vendor> Facts<'_, V> {
    fn id(&self, nth: usize) -> Option<CardholderId> {
        self.truth.order.get(nth).cloned()
    }

    fn level(&self, nth: usize) -> Option<AccessLevelId> {
        self.rig.server.vendor().levels().get(nth).cloned()
    }

    fn reads(&self) -> Vec<Operation> {
        let read = |name: &str, cold, what| Operation { name: name.to_owned(), before: None, cold, what };
        let mut all = vec![
            read("probe", true, What::Probe),
            read("catalog", false, What::Catalog),
            read("list", false, What::List),
        ];
        let known = self.id(0).and_then(|id| self.truth.records.get(&id));
        for key in known.into_iter().flat_map(|record| record.keys.iter()) {
            if self.can.keys.contains(&key.kind()) {
                all.push(read(&format!("find by {}", key.kind()), false, What::Find(key.clone())));
            }
        }
        let nobodys = [KeyKind::Directory, KeyKind::Employee, KeyKind::Upn, KeyKind::Mail, KeyKind::Account]
            .into_iter()
            .find(|kind| self.can.keys.contains(kind));
        let nobodys = nobodys.and_then(|kind| SeedCardholder::nth(9_999).keys.of(kind).next().cloned()).map(What::Find);
        all.extend(nobodys.map(|what| read("find nobody", false, what)));
        all.extend(self.id(0).map(|id| read("read", true, What::Read(id))));
        all.extend(self.stranger().map(|id| read("read a stranger", false, What::Read(id))));
        all
    }

    /// An id like those of the system that no record has.
    fn stranger(&self) -> Option<CardholderId> {
        let like = self.id(0)?;
        let stem: String = like.as_str().chars().take(like.as_str().chars().count().saturating_sub(2)).collect();
        let mut free = (0..=0xff_u32).rev().filter_map(|n| CardholderId::new(format!("{stem}{n:02x}")).ok());
        free.find(|id| !self.truth.records.contains_key(id))
    }

    fn on(&self, name: &str, nth: usize, before: Vec<Step>, steps: Vec<Step>) -> Option<Operation> {
        let subject = Subject::Existing(self.id(nth)?);
        let before = action(self.rig.target(), subject.clone(), before);
        let what = What::Apply(Box::new(action(self.rig.target(), subject, steps)?));
        Some(Operation { name: format!("apply {name}"), before, cold: false, what })
    }

    fn off(&self, nth: usize) -> Option<Reduction> {
        if self.can.credentials == CredentialSupport::None {
            return None;
        }
        let record = self.truth.records.get(&self.id(nth)?)?;
        let credential = record.credentials.first()?.id.clone();
        Some(Reduction::Deactivate { credential, status: InactiveStatus::Disabled })
    }

    fn amend(&self) -> Option<Step> {
        let name = plain_field(&self.can)?;
        Some(Step::Amend { profile: Profile::from_iter([(name, "Sweep & Swept".to_owned())]) })
    }

    fn single_steps(&self) -> Vec<Operation> {
        let suspend: Step = Reduction::Suspend.into();
        let single = |name: &str, nth, step: Option<Step>| self.on(name, nth, vec![], vec![step?]);
        let validity = |step: Step| self.can.validity.then_some(step);
        let off = self.off(3);
        let on = off.as_ref().and_then(|off| match off {
            Reduction::Deactivate { credential, .. } => Some(Step::Activate { credential: credential.clone() }),
            Reduction::Suspend | Reduction::Revoke { .. } | Reduction::Narrow { .. } => None,
        });
        let activate = || self.on("activate", 3, vec![off.clone()?.into()], vec![on.clone()?]);
        [
            single("suspend", 0, Some(suspend.clone())),
            single("deactivate", 3, off.clone().map(Into::into)),
            single("revoke", 0, self.level(1).map(|level| Reduction::Revoke { level }.into())),
            single("narrow", 0, validity(Reduction::Narrow { validity: years(2026, 2031) }.into())),
            single("amend", 0, self.amend()),
            self.on("reinstate", 4, vec![suspend], vec![Step::Reinstate]),
            single("widen", 0, validity(Step::Widen { validity: years(2025, 2035) })),
            single("grant", 1, self.level(4).map(|level| Step::Grant { level })),
            activate(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn combinations(&self) -> Vec<Operation> {
        let revoke = |nth| self.level(nth).map(|level| Step::from(Reduction::Revoke { level }));
        let grant = |nth| self.level(nth).map(|level| Step::Grant { level });
        let some = |steps: Vec<Option<Step>>| steps.into_iter().flatten().collect::<Vec<_>>();
        let leaver = some(vec![Some(Reduction::Suspend.into()), self.off(0).map(Into::into), revoke(0), revoke(1)]);
        let mover = some(vec![revoke(0), grant(4), grant(5), self.amend()]);
        let rehire = some(vec![Some(Step::Reinstate), grant(5)]);
        // An offboarding is often the first thing that a program says to a system.
        let leaver = self.on("leaver", 0, vec![], leaver).map(|leaver| Operation { cold: true, ..leaver });
        let rehire = self.on("rehire", 4, vec![Reduction::Suspend.into()], rehire);
        [leaver, self.on("mover", 0, vec![], mover), rehire].into_iter().flatten().collect()
    }

    fn newcomers(&self) -> Vec<Operation> {
        let Some((key, provision)) = newcomer(1_000, &self.can) else { return Vec::new() };
        let grants = [4, 5].into_iter().filter_map(|nth| self.level(nth)).map(|level| Step::Grant { level });
        let joiner: Vec<Step> = std::iter::once(provision.clone()).chain(grants).collect();
        [("provision", vec![provision]), ("joiner", joiner)]
            .into_iter()
            .filter_map(|(name, steps)| {
                let what = What::Apply(Box::new(action(self.rig.target(), Subject::New(key.clone()), steps)?));
                Some(Operation { name: format!("apply {name}"), before: None, cold: false, what })
            })
            .collect()
    }
}

/// A newcomer of that number, as far as the system has a place for it: the key that finds the record, and the step that makes
/// it.
pub(crate) fn newcomer(n: usize, can: &Capabilities) -> Option<(CorrelationKey, Step)> {
    let person = SeedCardholder::nth(n);
    let profile = person.profile.iter().filter(|(name, _)| can.fields.contains_key(*name));
    let profile = profile.map(|(name, value)| (name.clone(), value.to_owned())).collect();
    let lasting = |key: &&CorrelationKey| can.keys.contains(&key.kind()) && key.kind() != KeyKind::Card;
    let keys: lockstep_contract::CorrelationKeys = person.keys.iter().filter(lasting).cloned().collect();
    let key = keys.iter().next().cloned()?;
    Some((key, Step::Provision { profile, keys }))
}
