//! The suite itself under test: connectors with one planted bug each, and the law that must catch it.

#[path = "../../sim/tests/beds/mod.rs"]
mod beds;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use beds::{PacsBed, PacsRig, PeopleBed, PeopleRig};
use lockstep_conformance::{
    DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble, Outcome, Report, Seed, TargetBed, TargetRig, Trouble,
    check_directory, check_target, directory_laws, target_laws,
};
use lockstep_contract::{
    AccessLevelId, Action, ApplyFault, Cardholder, CardholderId, Catalog, Census, CorrelationKey, Cursor, Cx,
    Directory, DirectoryInfo, EmptyProof, Fault, FaultKind, GroupId, GroupPath, Health, Membership, Next, Page, Person,
    PersonId, Presence, Proof, Receipt, Scope, Status, Subject, Target, TargetInfo, TargetReader, Validity,
};
use lockstep_sim::{Sim, SimDirectory};

fn broken(reports: &[Report]) -> Vec<&str> {
    reports.iter().filter(|report| matches!(report.outcome, Outcome::Broken(_))).map(|report| report.law).collect()
}

/// What is wrong with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    Nothing,
    TakesTheFirstPageForTheList,
    SwallowsACutList,
    SaysDoneAndDoesNothing,
    DropsLevelsItWasNotAskedAbout,
    CallsALostAnswerRefused,
    AnswersNothingThereWhenDenied,
    CutsNames,
    WritesValidityInLocalTime,
    LiftsSuspensions,
    CreatesTwice,
    ForgetsHowLongToWait,
    PutsTheSecretIntoFaults,
    BelievesTheFilter,
    BlamesTheUserForAnOutage,
    IgnoresCancellation,
}

/// Each bug with the law that must catch it.
const BUGS: [(Bug, &str); 15] = [
    (Bug::TakesTheFirstPageForTheList, "list_ends_with_census"),
    (Bug::SwallowsACutList, "cut_list_is_a_fault"),
    (Bug::SaysDoneAndDoesNothing, "accepted_is_visible"),
    (Bug::DropsLevelsItWasNotAskedAbout, "unmanaged_levels_survive"),
    (Bug::CallsALostAnswerRefused, "cut_after_send_is_uncertain"),
    (Bug::AnswersNothingThereWhenDenied, "denied_is_not_missing"),
    (Bug::CutsNames, "names_round_trip"),
    (Bug::WritesValidityInLocalTime, "validity_keeps_its_zone"),
    (Bug::LiftsSuspensions, "reductions_never_raise"),
    (Bug::CreatesTwice, "apply_twice_is_once"),
    (Bug::ForgetsHowLongToWait, "throttle_says_when"),
    (Bug::PutsTheSecretIntoFaults, "no_secret_in_any_fault"),
    (Bug::BelievesTheFilter, "ignored_filter_is_noticed"),
    (Bug::BlamesTheUserForAnOutage, "unreadable_is_not_empty"),
    (Bug::IgnoresCancellation, "cancel_stops_before_the_next_request"),
];

const SECRET: &str = "correct-horse-battery";

struct Buggy {
    sim: Sim,
    bug: Bug,
}

impl Buggy {
    fn spoil(&self, mut fault: Fault) -> Fault {
        match self.bug {
            Bug::ForgetsHowLongToWait => fault.retry_after = None,
            Bug::PutsTheSecretIntoFaults => fault.message.push_str(SECRET),
            Bug::BlamesTheUserForAnOutage if fault.kind == FaultKind::Unreachable => fault.kind = FaultKind::Invalid,
            _ => {}
        }
        fault
    }

    fn context(&self, cx: &Cx) -> Cx {
        if self.bug == Bug::IgnoresCancellation { Cx::new(cx.budget) } else { cx.clone() }
    }

    /// Has its way with a record after a write.
    fn meddle(&self, id: &CardholderId, before: Option<&Cardholder>) {
        let mut world = self.sim.world();
        let Some(mut record) = world.cardholders.get(id).cloned() else { return };
        match self.bug {
            Bug::DropsLevelsItWasNotAskedAbout => {
                let kept = |level: &AccessLevelId| before.is_some_and(|was| !was.levels.contains(level));
                record.levels.retain(kept);
            }
            Bug::CutsNames => {
                let short = |value: &str| value.chars().take(30).collect::<String>();
                record.profile = record.profile.iter().map(|(name, value)| (name.clone(), short(value))).collect();
            }
            Bug::WritesValidityInLocalTime => {
                let hour = jiff::SignedDuration::from_hours(1);
                record.validity = Validity {
                    from: record.validity.from.map(|at| at + hour),
                    until: record.validity.until.map(|at| at + hour),
                };
            }
            Bug::LiftsSuspensions if before.is_some_and(|was| was.status == Status::Suspended) => {
                record.status = Status::Active;
            }
            Bug::CreatesTwice if before.is_none() => {
                world.created.clear();
                record.keys = lockstep_contract::CorrelationKeys::new();
            }
            _ => return,
        }
        world.insert(record);
    }
}

#[async_trait]
impl TargetReader for Buggy {
    fn info(&self) -> &TargetInfo {
        self.sim.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.sim.probe(cx).await.map_err(|fault| self.spoil(fault))
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.sim.catalog(&self.context(cx)).await.map_err(|fault| self.spoil(fault))
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        let later = at.is_some();
        let mut page = match self.sim.list(&self.context(cx), at).await {
            Err(fault) if self.bug == Bug::SwallowsACutList && later && fault.kind == FaultKind::Unreachable => {
                return Ok(Page { items: Vec::new(), next: Next::End(Census { sent: 10, server_total: None }) });
            }
            other => other.map_err(|fault| self.spoil(fault))?,
        };
        if self.bug == Bug::TakesTheFirstPageForTheList {
            page.next = Next::End(Census { sent: page.items.len() as u64, server_total: None });
        }
        Ok(page)
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let mut found = self.sim.find(&self.context(cx), key).await.map_err(|fault| self.spoil(fault))?;
        if self.bug == Bug::BelievesTheFilter {
            found = self.sim.world().cardholders.values().cloned().collect();
        }
        Ok(found)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        match self.sim.read(&self.context(cx), id).await {
            Err(fault) if self.bug == Bug::AnswersNothingThereWhenDenied && fault.kind == FaultKind::Denied => Ok(None),
            other => other.map_err(|fault| self.spoil(fault)),
        }
    }
}

#[async_trait]
impl Target for Buggy {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let before = match &action.subject {
            Subject::Existing(id) => self.sim.world().cardholders.get(id).cloned(),
            Subject::New(_) => None,
        };
        if let (Bug::SaysDoneAndDoesNothing, Some(record)) = (self.bug, &before) {
            return Ok(Receipt { cardholder: record.id.clone(), enforced: self.info().capabilities.enforcement });
        }
        let receipt = match self.sim.apply(&self.context(cx), action).await {
            Err(ApplyFault::Uncertain(fault)) if self.bug == Bug::CallsALostAnswerRefused => {
                return Err(ApplyFault::Refused(fault));
            }
            Err(ApplyFault::Uncertain(fault)) => return Err(ApplyFault::Uncertain(self.spoil(fault))),
            Err(ApplyFault::Refused(fault)) => return Err(ApplyFault::Refused(self.spoil(fault))),
            Err(ApplyFault::NotSent(fault)) => return Err(ApplyFault::NotSent(self.spoil(fault))),
            Ok(receipt) => receipt,
        };
        self.meddle(&receipt.cardholder, before.as_ref());
        Ok(receipt)
    }
}

struct BuggyRig {
    rig: PacsRig,
    target: Buggy,
}

#[async_trait]
impl TargetRig for BuggyRig {
    fn target(&self) -> &dyn Target {
        &self.target
    }

    fn cardholders(&self) -> &[CardholderId] {
        self.rig.cardholders()
    }

    fn levels(&self) -> &[AccessLevelId] {
        self.rig.levels()
    }

    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        self.rig.raw(id).await
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        self.rig.trouble(trouble).await
    }

    async fn heal(&self) {
        self.rig.heal().await;
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

struct BuggyBed(Bug);

#[async_trait]
impl TargetBed for BuggyBed {
    fn name(&self) -> &'static str {
        "planted"
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        let rig = PacsRig::new(seed)?;
        let target = Buggy { sim: rig.sim.clone(), bug: self.0 };
        Ok(Box::new(BuggyRig { rig, target }))
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        PacsBed.cannot(trouble)
    }
}

#[tokio::test]
async fn a_target_without_a_bug_keeps_every_law_and_skips_none() {
    for report in check_target(&BuggyBed(Bug::Nothing)).await {
        assert_eq!(report.outcome, Outcome::Kept, "{}", report.law);
    }
}

#[tokio::test]
async fn every_bug_of_a_target_is_caught_by_its_law() {
    for (bug, law) in BUGS {
        let law = target_laws().iter().find(|one| one.name == law).expect("a law of that name");
        let outcome = law.examine(&BuggyBed(bug)).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{bug:?} should break {}: {outcome:?}", law.name);
    }
}

#[tokio::test]
async fn what_a_bed_cannot_bring_about_is_skipped_with_the_reason() {
    struct Poor;
    #[async_trait]
    impl TargetBed for Poor {
        fn name(&self) -> &'static str {
            "poor"
        }
        async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
            PacsBed.fresh(seed).await
        }
    }
    let reports = check_target(&Poor).await;
    let skipped = reports.iter().find(|report| report.law == "cut_list_is_a_fault").expect("the law is there");
    assert!(matches!(&skipped.outcome, Outcome::Skipped(why) if why.contains("breaks off")), "{skipped}");
    assert!(broken(&reports).is_empty(), "{:?}", broken(&reports));
}

#[tokio::test]
async fn a_bed_that_makes_no_system_breaks_every_law() {
    struct Dead;
    #[async_trait]
    impl TargetBed for Dead {
        fn name(&self) -> &'static str {
            "dead"
        }
        async fn fresh(&self, _: &Seed) -> Result<Box<dyn TargetRig>, String> {
            Err("no server".to_owned())
        }
        fn cannot(&self, _: Trouble) -> Option<String> {
            None
        }
    }
    let reports = check_target(&Dead).await;
    assert_eq!(broken(&reports).len(), reports.len(), "nothing is kept by a system that is not there");
}

/// What is wrong with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DirectoryBug {
    Nothing,
    CallsHiddenEmpty,
    LeavesOutNestedGroupsItCannotRead,
    SaysGoneWithoutACanary,
    ReadsEverybodyAsActive,
    ForgetsNestedGroups,
    LosesAPerson,
    LeavesGroupsUnanswered,
    CallsAnUnknownGroupEmpty,
}

const DIRECTORY_BUGS: [(DirectoryBug, &str); 8] = [
    (DirectoryBug::CallsHiddenEmpty, "hidden_is_not_empty"),
    (DirectoryBug::LeavesOutNestedGroupsItCannotRead, "unreadable_is_not_empty"),
    (DirectoryBug::SaysGoneWithoutACanary, "everything_hidden_is_nobody_gone"),
    (DirectoryBug::ReadsEverybodyAsActive, "ended_is_read_as_ended"),
    (DirectoryBug::ForgetsNestedGroups, "members_are_transitive"),
    (DirectoryBug::LosesAPerson, "people_end_with_census"),
    (DirectoryBug::LeavesGroupsUnanswered, "every_group_is_answered"),
    (DirectoryBug::CallsAnUnknownGroupEmpty, "unknown_group_is_unreadable"),
];

struct BuggyDirectory {
    sim: SimDirectory,
    bug: DirectoryBug,
}

#[async_trait]
impl Directory for BuggyDirectory {
    fn info(&self) -> &DirectoryInfo {
        self.sim.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.sim.probe(cx).await
    }

    async fn people(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        let mut page = self.sim.people(cx, scope, at).await?;
        if self.bug == DirectoryBug::ReadsEverybodyAsActive {
            page.items.iter_mut().for_each(|person| person.standing = lockstep_contract::Standing::Active);
        }
        if self.bug == DirectoryBug::LosesAPerson {
            page.items.retain(|person| person.id.to_string() != "person-007");
        }
        Ok(page)
    }

    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        let mut answers = self.sim.members(cx, groups).await;
        for (id, answer) in &mut answers {
            let seen: Vec<PersonId> = self.sim.world().group(id).people.iter().cloned().collect();
            let direct = lockstep_contract::Members::new(seen);
            match (self.bug, &*answer) {
                (DirectoryBug::CallsHiddenEmpty, Membership::Unproven) => {
                    *answer = Membership::Empty(EmptyProof::ServerCount);
                }
                (DirectoryBug::LeavesOutNestedGroupsItCannotRead, Membership::Unreadable(_))
                | (DirectoryBug::ForgetsNestedGroups, _) => {
                    *answer = direct.map_or(Membership::Unproven, Membership::Members);
                }
                (DirectoryBug::CallsAnUnknownGroupEmpty, Membership::Unreadable(fault))
                    if fault.kind == FaultKind::Missing =>
                {
                    *answer = Membership::Empty(EmptyProof::ServerCount);
                }
                _ => {}
            }
        }
        if self.bug == DirectoryBug::LeavesGroupsUnanswered {
            answers.retain(|_, answer| !matches!(answer, Membership::Unreadable(_)));
        }
        answers
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        self.sim.find(cx, key).await
    }

    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        match self.sim.lookup(cx, id).await {
            Err(_) if self.bug == DirectoryBug::SaysGoneWithoutACanary => {
                Ok(Presence::Gone(Proof::NotFound { canary: "none".to_owned() }))
            }
            other => other,
        }
    }

    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        self.sim.paths(cx, id, groups).await
    }

    fn take_quarantined(&self) -> Vec<(String, String)> {
        self.sim.take_quarantined()
    }
}

struct BuggyDirectoryRig {
    rig: PeopleRig,
    directory: BuggyDirectory,
}

#[async_trait]
impl DirectoryRig for BuggyDirectoryRig {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    fn people(&self) -> &[PersonId] {
        self.rig.people()
    }

    fn groups(&self) -> &[GroupId] {
        self.rig.groups()
    }

    async fn trouble(&self, trouble: DirectoryTrouble) -> Result<(), String> {
        self.rig.trouble(trouble).await
    }

    async fn heal(&self) {
        self.rig.heal().await;
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

struct BuggyDirectoryBed(DirectoryBug);

#[async_trait]
impl DirectoryBed for BuggyDirectoryBed {
    fn name(&self) -> &'static str {
        "planted"
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        let rig = PeopleRig::new(seed)?;
        let directory = BuggyDirectory { sim: rig.sim.clone(), bug: self.0 };
        Ok(Box::new(BuggyDirectoryRig { rig, directory }))
    }

    fn cannot(&self, trouble: DirectoryTrouble) -> Option<String> {
        PeopleBed.cannot(trouble)
    }
}

#[tokio::test]
async fn a_directory_without_a_bug_keeps_every_law_and_skips_none() {
    for report in check_directory(&BuggyDirectoryBed(DirectoryBug::Nothing)).await {
        assert_eq!(report.outcome, Outcome::Kept, "{}", report.law);
    }
}

#[tokio::test]
async fn every_bug_of_a_directory_is_caught_by_its_law() {
    for (bug, law) in DIRECTORY_BUGS {
        let law = directory_laws().iter().find(|one| one.name == law).expect("a law of that name");
        let outcome = law.examine(&BuggyDirectoryBed(bug)).await;
        assert!(matches!(outcome, Outcome::Broken(_)), "{bug:?} should break {}: {outcome:?}", law.name);
    }
}
