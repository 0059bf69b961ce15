//! Beds that make simulated systems. Also used by the tests of the conformance suite itself.

use std::num::NonZeroU32;

use async_trait::async_trait;
use lockstep_conformance::{
    DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble, Seed, TargetBed, TargetRig, Trouble,
};
use lockstep_contract::{
    AccessLevel, AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId,
    CredentialKind, CredentialStatus, Directory, DirectoryId, GroupId, KeyKind, Person, PersonId, Standing, Target,
    TargetId, field,
};
use lockstep_sim::{DirectoryWorld, GroupView, Mishap, Operation, Sim, SimDirectory, World};

const PAGE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

/// Makes simulated PACS.
pub(crate) struct PacsBed;

/// One simulated PACS.
pub(crate) struct PacsRig {
    pub(crate) sim: Sim,
    pub(crate) cardholders: Vec<CardholderId>,
    pub(crate) levels: Vec<AccessLevelId>,
}

#[async_trait]
impl TargetBed for PacsBed {
    fn name(&self) -> &'static str {
        "sim"
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        Ok(Box::new(PacsRig::new(seed)?))
    }

    fn cannot(&self, _: Trouble) -> Option<String> {
        None
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

impl PacsRig {
    /// A simulated PACS with these records.
    pub(crate) fn new(seed: &Seed) -> Result<Self, String> {
        let mut world = World::new("conformance");
        let mut levels = Vec::new();
        for (nth, level) in seed.levels.iter().enumerate() {
            let id = AccessLevelId::new(format!("level-{nth:02}")).map_err(|error| error.to_string())?;
            let level = AccessLevel { name: level.name.clone(), doors: level.doors.clone(), site: None };
            world.levels.insert(id.clone(), level);
            levels.push(id);
        }
        let mut cardholders = Vec::new();
        for (nth, seeded) in seed.cardholders.iter().enumerate() {
            let id = CardholderId::new(format!("holder-{nth:03}")).map_err(|error| error.to_string())?;
            let card = |(n, number): (usize, &String)| Credential {
                id: CredentialId::new(format!("card-{nth}-{n}")).expect("plain"),
                kind: CredentialKind::Card,
                number: Some(number.clone()),
                status: CredentialStatus::Active,
            };
            world.insert(Cardholder {
                id: id.clone(),
                keys: seeded.keys.clone(),
                profile: seeded.profile.clone(),
                status: seeded.status.clone(),
                levels: seeded.levels.iter().map(|n| levels[*n].clone()).collect(),
                credentials: seeded.cards.iter().enumerate().map(card).collect(),
                validity: seeded.validity,
                site: None,
                revision: None,
            });
            cardholders.push(id);
        }
        let sim = Sim::in_memory(TargetId::new("conformance").expect("id"), world).with_page_size(PAGE);
        Ok(Self { sim, cardholders, levels })
    }
}

#[async_trait]
impl TargetRig for PacsRig {
    fn target(&self) -> &dyn Target {
        &self.sim
    }

    fn cardholders(&self) -> &[CardholderId] {
        &self.cardholders
    }

    fn levels(&self) -> &[AccessLevelId] {
        &self.levels
    }

    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        Some(Ok(self.sim.world().cardholders.get(id).cloned()))
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        let faults = self.sim.faults();
        match trouble {
            Trouble::CutList => faults.always(Operation::List, Mishap::CutList),
            Trouble::ShortList => faults.always(Operation::List, Mishap::ShortList),
            Trouble::RepeatedPage => faults.on(Operation::List, 2, Mishap::RepeatedPage),
            Trouble::IgnoredFilter => faults.always(Operation::Find, Mishap::IgnoredFilter),
            Trouble::LostAnswer => faults.always(Operation::Apply, Mishap::LostAnswer),
            Trouble::Refuse => faults.always(Operation::Apply, Mishap::Refuse),
            Trouble::Deny => faults.everywhere(Mishap::Deny),
            Trouble::Unauthenticated => faults.everywhere(Mishap::Unauthenticated),
            Trouble::Throttle => faults.everywhere(Mishap::Throttle(Trouble::THROTTLE_WAIT)),
            Trouble::Hang => faults.everywhere(Mishap::Hang),
            Trouble::Down => faults.everywhere(Mishap::Down),
        };
        Ok(())
    }

    async fn heal(&self) {
        self.sim.faults().clear();
    }
}

/// Makes simulated directories.
pub(crate) struct PeopleBed;

/// One simulated directory.
pub(crate) struct PeopleRig {
    pub(crate) sim: SimDirectory,
    pub(crate) people: Vec<PersonId>,
    pub(crate) groups: Vec<GroupId>,
}

#[async_trait]
impl DirectoryBed for PeopleBed {
    fn name(&self) -> &'static str {
        "sim"
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        Ok(Box::new(PeopleRig::new(seed)?))
    }

    fn cannot(&self, _: DirectoryTrouble) -> Option<String> {
        None
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

impl PeopleRig {
    /// A simulated directory with these records.
    pub(crate) fn new(seed: &DirectorySeed) -> Result<Self, String> {
        let mut world = DirectoryWorld::default();
        let mut people = Vec::new();
        for (nth, seeded) in seed.people.iter().enumerate() {
            let id = PersonId::new(format!("person-{nth:03}")).map_err(|error| error.to_string())?;
            let key = |kind, name| {
                seeded.profile.get(name).map(|value| CorrelationKey::new(kind, value).expect("a plain value is a key"))
            };
            let keys: CorrelationKeys = [
                key(KeyKind::Employee, field::EMPLOYEE_NUMBER),
                key(KeyKind::Upn, field::UPN),
                key(KeyKind::Mail, field::MAIL),
            ]
            .into_iter()
            .flatten()
            .collect();
            let standing = if seeded.active { Standing::Active } else { Standing::Ended { since: None } };
            world.insert(Person { id: id.clone(), keys, profile: seeded.profile.clone(), standing });
            people.push(id);
        }
        let name = |n: &usize| GroupId::new(&seed.groups[*n].name).expect("a plain name");
        let groups: Vec<GroupId> = (0..seed.groups.len()).map(|n| name(&n)).collect();
        for (id, seeded) in groups.iter().zip(&seed.groups) {
            let group = world.group(id);
            group.people = seeded.people.iter().map(|n| people[*n].clone()).collect();
            group.groups = seeded.groups.iter().map(name).collect();
        }
        let sim = SimDirectory::new(DirectoryId::new("conformance").expect("id"), world).with_page_size(PAGE);
        Ok(Self { sim, people, groups })
    }
}

#[async_trait]
impl DirectoryRig for PeopleRig {
    fn directory(&self) -> &dyn Directory {
        &self.sim
    }

    fn people(&self) -> &[PersonId] {
        &self.people
    }

    fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    async fn trouble(&self, trouble: DirectoryTrouble) -> Result<(), String> {
        let faults = self.sim.faults();
        let plain = &self.groups[DirectorySeed::PLAIN];
        match trouble {
            DirectoryTrouble::CutPeople => {
                faults.always(Operation::People, Mishap::CutList);
            }
            DirectoryTrouble::GroupDenied => self.sim.world().group(plain).view = GroupView::Denied,
            DirectoryTrouble::GroupHidden => self.sim.world().group(plain).view = GroupView::Hidden,
            DirectoryTrouble::EverythingHidden => self.sim.world().shows_nothing = true,
            DirectoryTrouble::Deny => {
                faults.everywhere(Mishap::Deny);
            }
            DirectoryTrouble::Hang => {
                faults.everywhere(Mishap::Hang);
            }
            DirectoryTrouble::Down => {
                faults.everywhere(Mishap::Down);
            }
        }
        Ok(())
    }

    async fn heal(&self) {
        self.sim.faults().clear();
        let mut world = self.sim.world();
        world.shows_nothing = false;
        world.group(&self.groups[DirectorySeed::PLAIN]).view = GroupView::Visible;
    }
}
