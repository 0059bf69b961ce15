//! What a directory connector supplies so that the suite can examine it. This module must not know what is examined.

use async_trait::async_trait;
use lockstep_contract::{Directory, GroupId, PersonId, Profile};

use crate::seed::profile_of;

/// Makes directories to examine a connector against.
#[async_trait]
pub trait DirectoryBed: Send + Sync {
    /// What is examined, for the output.
    fn name(&self) -> &str;

    /// A directory that holds exactly these records (besides what every directory of its kind holds), and a connector
    /// opened on it. Called once for each law, on a runtime of that law's own.
    ///
    /// # Errors
    /// When the directory cannot be made: the law fails with this text.
    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String>;

    /// Why this bed cannot bring that trouble about; `None` when it can.
    fn cannot(&self, trouble: DirectoryTrouble) -> Option<String> {
        Some(format!("this bed cannot bring about: {trouble}"))
    }

    /// True when two laws must not run at the same time. The default.
    fn one_at_a_time(&self) -> bool {
        true
    }
}

/// One directory with a connector opened on it.
#[async_trait]
pub trait DirectoryRig: Send + Sync {
    /// The connector under examination.
    fn directory(&self) -> &dyn Directory;

    /// The ids of the seeded people, in the order of the seed.
    fn people(&self) -> &[PersonId];

    /// The seeded groups as a mapping would name them, in the order of the seed.
    fn groups(&self) -> &[GroupId];

    /// Brings a trouble about, from now on and until [`heal`](Self::heal).
    ///
    /// # Errors
    /// When it cannot be brought about although [`DirectoryBed::cannot`] did not say so.
    async fn trouble(&self, trouble: DirectoryTrouble) -> Result<(), String> {
        Err(format!("not supported: {trouble}"))
    }

    /// Ends all trouble.
    async fn heal(&self) {}

    /// Every secret that the connector was given. None of them may appear in any fault.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The records of a fresh directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorySeed {
    /// The people.
    pub people: Vec<SeedPerson>,
    /// The groups.
    pub groups: Vec<SeedGroup>,
}

/// A person of a fresh directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedPerson {
    /// Fields; a bed stores those that its directory has a place for. Keys follow from them: employee number, user
    /// principal name, mail, account.
    pub profile: Profile,
    /// False for an account that is to be read as ended.
    pub active: bool,
}

/// A group of a fresh directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedGroup {
    /// Its name.
    pub name: String,
    /// The people it names, as positions in [`DirectorySeed::people`].
    pub people: Vec<usize>,
    /// The groups it names, as positions in [`DirectorySeed::groups`].
    pub groups: Vec<usize>,
}

impl DirectorySeed {
    /// How many people the laws use.
    pub const PEOPLE: usize = 25;
    /// Names people 0 to 4.
    pub const PLAIN: usize = 0;
    /// Names person 5 and the plain group.
    pub const OUTER: usize = 1;
    /// Names the outer group only: three levels deep.
    pub const OUTERMOST: usize = 2;
    /// Names person 6 and [`CYCLE_BACK`](Self::CYCLE_BACK).
    pub const CYCLE: usize = 3;
    /// Names person 7 and [`CYCLE`](Self::CYCLE).
    pub const CYCLE_BACK: usize = 4;
    /// Names nobody.
    pub const EMPTY: usize = 5;

    /// 25 people, of whom number 3 has ended, and six groups.
    pub fn standard() -> Self {
        let people = (0..Self::PEOPLE).map(|n| SeedPerson { profile: profile_of(n), active: n != 3 }).collect();
        let group = |name: &str, people: &[usize], groups: &[usize]| SeedGroup {
            name: name.to_owned(),
            people: people.to_vec(),
            groups: groups.to_vec(),
        };
        let groups = vec![
            group("conformance-plain", &[0, 1, 2, 3, 4], &[]),
            group("conformance-outer", &[5], &[Self::PLAIN]),
            group("conformance-outermost", &[], &[Self::OUTER]),
            group("conformance-cycle", &[6], &[Self::CYCLE_BACK]),
            group("conformance-cycle-back", &[7], &[Self::CYCLE]),
            group("conformance-empty", &[], &[]),
        ];
        Self { people, groups }
    }
}

/// What a bed can be asked to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirectoryTrouble {
    /// Reading the people breaks off after the first page, or in the middle.
    CutPeople,
    /// The members of [`DirectorySeed::PLAIN`] cannot be read, and the directory says so.
    GroupDenied,
    /// The members of [`DirectorySeed::PLAIN`] are hidden: the directory answers without an error, and empty.
    GroupHidden,
    /// The whole directory shows nothing, without an error.
    EverythingHidden,
    /// The directory refuses everything.
    Deny,
    /// The directory accepts requests and never answers.
    Hang,
    /// Nobody listens.
    Down,
}

impl DirectoryTrouble {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CutPeople,
        Self::GroupDenied,
        Self::GroupHidden,
        Self::EverythingHidden,
        Self::Deny,
        Self::Hang,
        Self::Down,
    ];
}

impl std::fmt::Display for DirectoryTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CutPeople => "a list of people that breaks off",
            Self::GroupDenied => "a group that may not be read",
            Self::GroupHidden => "a group whose members are hidden",
            Self::EverythingHidden => "a directory that shows nothing",
            Self::Deny => "a directory that refuses everything",
            Self::Hang => "a directory that never answers",
            Self::Down => "a directory that is down",
        })
    }
}
