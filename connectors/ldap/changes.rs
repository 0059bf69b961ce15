//! Whom to look at since a watermark: whoever the server says was touched, whoever is below a group that was, and whoever
//! ended by the clock. Never a proof: what is said of anybody is thrown away.
//!
//! A watermark holds which server it is of. Another server, one that went back, a question that is another one today, or
//! any doubt is said as a reset, and then only a census helps.

mod content_sync;
mod dirsync;
mod lists;
mod memory;
mod remember;
mod sorting;
mod stamps;
mod usn;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_contract::{Changes, Cx, Fault, FaultKind, PersonId, Watermark, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::Ldap;
use crate::api::{Call, Session};
use crate::config::Notice;
use crate::entry::Entry;
use crate::facts::{Facts, replica};
use memory::{Memory, Update};

pub(crate) use content_sync::SYNC_REQUEST;
pub(crate) use dirsync::may_replicate;

const OPERATION: &str = "read changes";
/// Beyond so many people a census is quicker than looking at each.
const NAMED_MAX: usize = 1_000;

/// How a server is asked what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Active Directory: whatever has a higher change number.
    Usn,
    /// Active Directory: the replication control, seeing only what the account may read.
    Dirsync,
    /// Content synchronization (RFC 4533).
    Sync,
    /// Whatever was modified since. Blind to what was deleted.
    Timestamp,
}

/// What a watermark holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    version: u32,
    /// What is asked of whom, as a digest.
    asked: String,
    way: Way,
    /// Which database of which server, where it can tell.
    replica: String,
    /// When it was looked.
    at: Timestamp,
    /// How far the server was.
    place: String,
}

/// What is kept from one look to the next, beside the watermark.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    memory: Option<Memory>,
    /// The watermark that the memory belongs to.
    of: String,
    /// The watermark that was given last, and what leads there. It counts only when somebody comes back with it: until
    /// then, those who were named may not have been looked at.
    pending: Option<(String, Update)>,
}

impl Kept {
    /// Brings the memory to this watermark, or forgets it.
    fn turn_to(&mut self, watermark: &str) {
        let pending = self.pending.take();
        if self.of == watermark {
            return;
        }
        match (pending, &mut self.memory) {
            (Some((next, update)), Some(memory)) if next == watermark => {
                memory.commit(update);
                self.of = next;
            }
            _ => self.memory = None,
        }
    }
}

/// What a server said in one go.
#[derive(Debug, Default)]
struct Round {
    /// Entries that were touched.
    entries: Vec<Entry>,
    /// What is not to be seen any more.
    left: Vec<PersonId>,
    /// If the server said so: everything that is still there. Whatever is in neither list is not.
    present: Option<HashSet<PersonId>>,
    /// Where the next one begins.
    place: String,
    /// Something happened of which the server does not say what.
    unclear: bool,
}

impl Round {
    fn join(&mut self, later: Self) {
        self.entries.extend(later.entries);
        self.left.extend(later.left);
        if let (Some(earlier), Some(later)) = (&mut self.present, &later.present) {
            earlier.retain(|id| later.contains(id));
        } else if later.present.is_some() {
            self.present = later.present;
        }
        self.place = later.place;
        self.unclear |= later.unclear;
    }
}

/// One look.
struct Look<'a> {
    ldap: &'a Ldap,
    call: Call<'a>,
    session: Session,
    facts: Arc<Facts>,
    way: Way,
    now: Timestamp,
}

impl Ldap {
    /// Whom to look at. The new watermark may be kept only when all of them were looked at.
    pub(crate) async fn changes_since(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        let call = self.call(cx);
        let session = self.session(&call).await?;
        let facts = self.facts(&call, &session).await?;
        let unsupported = |message| call.about(OPERATION).fault(FaultKind::Unsupported, message);
        let way = self.way(&facts).map_err(unsupported)?;
        let mut kept = self.kept.lock().await;
        let look = Look { ldap: self, call, session, facts, way, now: Timestamp::now() };
        let changes = look.at(&mut kept, since).await?;
        self.give_back(look.session);
        Ok(changes)
    }

    /// How this server is asked what changed, or why it is not.
    pub(crate) fn way(&self, facts: &Facts) -> Result<Way, &'static str> {
        match (self.settings.config.changes, facts.active_directory) {
            (Notice::Off, _) => {
                Err("`changes = \"off\"`: this directory is not asked what changed; a full read is used")
            }
            (Notice::Usn | Notice::Auto, true) => Ok(Way::Usn),
            (Notice::Dirsync, true) => Ok(Way::Dirsync),
            (Notice::Sync, false) => Ok(Way::Sync),
            (Notice::Auto, false) if facts.content_sync => Ok(Way::Sync),
            (Notice::Timestamp | Notice::Auto, false) => Ok(Way::Timestamp),
            (Notice::Usn | Notice::Dirsync, false) => Err("`changes`: this server is not Active Directory"),
            (Notice::Sync | Notice::Timestamp, true) => Err("`changes`: Active Directory has `usn` and `dirsync`"),
        }
    }

    /// Tries to ask what changed, once. For the probe.
    pub(crate) async fn try_changes(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Arc<Facts>,
    ) -> Result<Way, Fault> {
        let unsupported = |message| call.about(OPERATION).fault(FaultKind::Unsupported, message);
        let way = self.way(facts).map_err(unsupported)?;
        let (session, facts) = (session.clone(), Arc::clone(facts));
        let look = Look { ldap: self, call: *call, session, facts, way, now: Timestamp::now() };
        let place = match way {
            Way::Usn => look.usn_now().await?.to_string(),
            Way::Dirsync => look.dirsync_now().await?,
            Way::Sync => look.sync_now().await?,
            Way::Timestamp => return Ok(way),
        };
        match look.round(&place).await? {
            Some(_) => Ok(way),
            None => Err(unsupported("the server does not know its own word for how far it is")),
        }
    }

    /// Any difference in what would be asked makes a watermark worthless.
    fn asked(&self, facts: &Facts) -> String {
        let config = &self.settings.config;
        let parts = [
            config.url.as_str(),
            &facts.root,
            &config.people.base,
            &facts.people_filter,
            facts.id.name(),
            &config.groups.base,
            &facts.groups_filter,
            if config.show_deleted { "deleted" } else { "" },
        ];
        sha256_hex(parts.join("\n").as_bytes())
    }
}

impl Look<'_> {
    async fn at(&self, kept: &mut Kept, since: Option<Watermark>) -> Result<Changes, Fault> {
        let replica = if self.facts.active_directory { replica(&self.session, &self.call).await? } else { None };
        let mark = Mark {
            version: 1,
            asked: self.ldap.asked(&self.facts),
            way: self.way,
            replica: replica.unwrap_or_default(),
            at: self.now,
            place: String::new(),
        };
        let Some((since, old)) = since.and_then(|since| believed(&since, &mark).map(|old| (since.0, old))) else {
            return self.begin_anew(kept, mark).await;
        };
        let Some(mut round) = self.round(&old.place).await? else {
            return self.begin_anew(kept, mark).await;
        };
        kept.turn_to(&since);
        let forgotten = kept.memory.is_none();
        if forgotten {
            // Nothing is known about how groups were. That does no harm as long as none was touched, neither before the
            // lists are read, nor while they are.
            kept.of = String::new();
            kept.memory = Some(self.remember(old.at).await?.0);
            match self.round(&round.place).await? {
                Some(meanwhile) => round.join(meanwhile),
                None => return self.begin_anew(kept, mark).await,
            }
            kept.of.clone_from(&since);
        }
        let next = write(Mark { place: round.place.clone(), ..mark }, self)?;
        let Some(memory) = &kept.memory else { return Err(self.broken("what was known is lost")) };
        let sorted = self.sort(memory, round).await?;
        let concerned = memory.concerned(&sorted.update);
        let groups = forgotten && !sorted.update.groups.is_empty();
        let mut people: BTreeSet<PersonId> = concerned.people.into_iter().chain(sorted.people).collect();
        people.extend(memory.ended_between(old.at, self.now).cloned());
        kept.pending = Some((next.0.clone(), sorted.update));
        let many = people.len() > NAMED_MAX;
        let reset = many || groups || sorted.unclear || concerned.unclear;
        Ok(Changes { people: if many { Vec::new() } else { people.into_iter().collect() }, next, reset })
    }

    /// Follows from now on. Whatever happened before is for a census that begins after this.
    async fn begin_anew(&self, kept: &mut Kept, mark: Mark) -> Result<Changes, Fault> {
        *kept = Kept::default();
        let place = match self.way {
            Way::Usn => Some(self.usn_now().await?.to_string()),
            Way::Dirsync => Some(self.dirsync_now().await?),
            Way::Sync => Some(self.sync_now().await?),
            Way::Timestamp => None,
        };
        let (memory, newest) = self.remember(self.now).await?;
        let next = write(Mark { place: place.unwrap_or_else(|| stamps::place(&newest, self.now)), ..mark }, self)?;
        *kept = Kept { memory: Some(memory), of: next.0.clone(), pending: None };
        Ok(Changes { people: Vec::new(), next, reset: true })
    }

    /// What happened since a place; `None` when the server cannot tell from there.
    async fn round(&self, place: &str) -> Result<Option<Round>, Fault> {
        match self.way {
            Way::Usn => self.usn_round(place).await,
            Way::Dirsync => self.dirsync_round(place).await,
            Way::Sync => self.sync_round(place).await,
            Way::Timestamp => self.stamps_round(place).await,
        }
    }

    fn broken(&self, message: &str) -> Fault {
        self.call.about(OPERATION).protocol(message)
    }
}

fn write(mark: Mark, look: &Look<'_>) -> Result<Watermark, Fault> {
    serde_json::to_string(&mark).map(Watermark).map_err(|_| look.broken("the watermark cannot be written"))
}

/// The mark in a watermark, if it is of this server and for this question.
fn believed(watermark: &Watermark, today: &Mark) -> Option<Mark> {
    let mark: Mark = serde_json::from_str(&watermark.0).ok()?;
    let same = mark == Mark { at: mark.at, place: mark.place.clone(), ..today.clone() };
    (same && mark.at <= today.at).then_some(mark)
}
