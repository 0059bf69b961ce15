//! Who else has a key of somebody who is about to lose access. A census sees everybody, and holds those whose keys clash;
//! a look at a few people has to ask.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use lockstep_contract::{CorrelationKey, Cx, Directory, Fault, FaultKind, Person, PersonId};

use crate::layers::{self, Way};

/// So many keys are asked for at one time.
const AT_ONCE: usize = 8;

/// The people with these keys. A kind of key that the directory does not hold is nobody's there.
///
/// # Errors
/// When it cannot be told who has one of them.
pub(super) async fn with_keys(
    directory: &dyn Directory,
    cx: &Cx,
    keys: BTreeSet<CorrelationKey>,
) -> Result<BTreeMap<PersonId, Person>, Fault> {
    let system = directory.info().id.as_str();
    let mut answers =
        futures::stream::iter(keys)
            .map(|key| async move {
                layers::read(cx, Way::to(system), "find who has a key", || directory.find(cx, &key)).await
            })
            .buffer_unordered(AT_ONCE);
    let mut people = BTreeMap::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(found) => people.extend(found.into_iter().map(|person| (person.id.clone(), person))),
            Err(fault) if fault.kind == FaultKind::Unsupported => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(people)
}
