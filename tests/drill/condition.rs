//! Everything that may be broken when somebody has to be put out. Each condition brings the fault about for real, and
//! takes it away again afterwards.

use lockstep_testbed::scripted::Mood;

use crate::program::Stream;
use crate::scene::{Scene, Skipped};
use crate::shim;

/// What may be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    GuardTripped,
    FuseOpen,
    StaleLease,
    ApplyRunning,
    DirectoryDown,
    StateMissing,
    StateLost,
    StateCorrupt,
    StateLocked,
    StateUnreachable,
    RosterMissing,
    SiemHung,
    StderrHung,
    StdoutClosed,
    StdoutGone,
    StdoutFull,
    PacsDead,
    PacsHanging,
    PacsFailing,
    ClockAhead,
    ClockBehind,
    OtherSectionBroken,
    OtherMappingBroken,
    KeyringGone,
    KeyringHangs,
    DiskFull,
    DiskReadOnly,
    MaintenanceWindow,
}

use Condition as C;

/// All of them, in the order in which they are brought about.
pub(crate) const ALL: [Condition; 28] = [
    C::GuardTripped,
    C::FuseOpen,
    C::StaleLease,
    C::ApplyRunning,
    C::DirectoryDown,
    C::StateMissing,
    C::StateLost,
    C::StateCorrupt,
    C::StateLocked,
    C::StateUnreachable,
    C::RosterMissing,
    C::SiemHung,
    C::StderrHung,
    C::StdoutClosed,
    C::StdoutGone,
    C::StdoutFull,
    C::PacsDead,
    C::PacsHanging,
    C::PacsFailing,
    C::ClockAhead,
    C::ClockBehind,
    C::OtherSectionBroken,
    C::OtherMappingBroken,
    C::KeyringGone,
    C::KeyringHangs,
    C::DiskFull,
    C::DiskReadOnly,
    C::MaintenanceWindow,
];

/// What of the site a condition needs for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Directory,
    Feed,
    Database,
    Roster,
    Disk,
    Annex,
    Lab,
    Clock,
    Stdout,
    Stderr,
}

const TEN_YEARS: i64 = 10 * 365 * 86_400;

impl Condition {
    pub(crate) fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    fn parts(self) -> &'static [Part] {
        match self {
            C::DiskFull | C::DiskReadOnly => &[Part::Disk],
            C::GuardTripped => &[Part::Feed],
            C::FuseOpen | C::StaleLease => &[Part::Feed, Part::Database],
            C::ApplyRunning => &[Part::Feed, Part::Database, Part::Disk, Part::Annex],
            C::DirectoryDown => &[Part::Directory],
            C::StateMissing | C::StateLost | C::StateCorrupt | C::StateLocked => &[Part::Database, Part::Disk],
            C::StateUnreachable => &[Part::Database, Part::Roster, Part::Disk],
            C::RosterMissing => &[Part::Roster, Part::Disk],
            C::SiemHung | C::StderrHung => &[Part::Stderr],
            C::StdoutClosed | C::StdoutGone | C::StdoutFull => &[Part::Stdout],
            C::PacsDead | C::PacsHanging | C::PacsFailing | C::OtherSectionBroken | C::OtherMappingBroken => {
                &[Part::Annex]
            }
            C::ClockAhead | C::ClockBehind => &[Part::Clock],
            C::KeyringGone | C::KeyringHangs => &[Part::Lab],
            C::MaintenanceWindow => &[],
        }
    }

    /// True when both can be there at once without being the same fault.
    pub(crate) fn goes_with(self, other: Self) -> bool {
        let there = |one: Self| one != C::MaintenanceWindow;
        there(self) && there(other) && self != other && self.parts().iter().all(|part| !other.parts().contains(part))
    }

    /// Brings it about.
    pub(crate) fn cause(self, scene: &mut Scene<'_>) -> Result<(), Skipped> {
        match self {
            C::GuardTripped => scene.trip_a_guard(),
            C::FuseOpen => scene.open_the_fuse(),
            C::StaleLease => scene.die_while_applying(),
            C::ApplyRunning => scene.apply_slowly(),
            C::DirectoryDown => scene.close_the_directory(),
            C::StateMissing => scene.lose_the_database(true),
            C::StateLost => scene.lose_the_database(false),
            C::StateCorrupt => scene.damage_the_database(),
            C::StateLocked => scene.lock_the_database(),
            C::StateUnreachable => scene.hang_the_state(),
            C::RosterMissing => scene.lose_the_roster(),
            C::SiemHung => scene.hang_the_alerts()?,
            C::StderrHung => scene.stderr = Stream::Hung,
            C::StdoutClosed => scene.stdout = Stream::Closed,
            C::StdoutGone => scene.stdout = Stream::Gone,
            C::StdoutFull => scene.stdout = Stream::Full,
            C::PacsDead => scene.annex(Mood::Dead),
            C::PacsHanging => scene.annex(Mood::Hangs),
            C::PacsFailing => scene.annex(Mood::Fails),
            C::ClockAhead => scene.env.extend(shim::clock(TEN_YEARS)),
            C::ClockBehind => scene.env.extend(shim::clock(-TEN_YEARS)),
            C::OtherSectionBroken => scene.break_a_section(),
            C::OtherMappingBroken => scene.break_a_mapping(),
            C::KeyringGone => scene.without_a_bus(),
            C::KeyringHangs => scene.hang_the_keyring(),
            C::DiskFull => scene.fill_the_disk(),
            C::DiskReadOnly => scene.lock_the_disk(),
            C::MaintenanceWindow => return Err(Skipped("this version has no maintenance windows")),
        }
        Ok(())
    }
}
