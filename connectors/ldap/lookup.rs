//! Single people: by key, by immutable id, and the canaries that prove that the reader can see.

use std::sync::Arc;

use lockstep_contract::{CorrelationKey, Cx, Entitled, Fault, FaultKind, KeyKind, Person, PersonId, Presence, Proof};

use crate::Ldap;
use crate::api::{Call, Search, Session, Sight};
use crate::config::Gone;
use crate::dn::Name;
use crate::entry::Entry;
use crate::facts::Facts;
use crate::filter;
use crate::guid;

pub(crate) const NO_TOMBSTONES: &str = "on Active Directory, set `show_deleted = true` and let the account list Deleted \
    Objects; or, if it may read the whole naming context, `people.gone = \"not-found\"`";

/// Somebody is not seen, and that proves nothing.
fn doubt(call: &Call<'_>, message: String, help: &str) -> Fault {
    call.about("look somebody up").fault(FaultKind::Denied, message).with_help(help)
}

impl Ldap {
    /// The people with this key.
    pub(crate) async fn find_people(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        let call = self.call(cx);
        let operation = format!("find {}", key.kind());
        if key.kind() == KeyKind::Directory {
            let id = PersonId::new(key.value())
                .map_err(|error| call.about(&operation).fault(FaultKind::Invalid, error.to_string()))?;
            return self.by_id(&call, &id).await.map(|found| found.0.into_iter().collect());
        }
        let session = self.session(&call).await?;
        let facts = self.facts(&call, &session).await?;
        let Some(attribute) = facts.fields.attribute_of(key.kind()) else {
            let message = format!("no attribute of this directory holds {} keys", key.kind());
            return Err(call.about(&operation).fault(FaultKind::Unsupported, message));
        };
        let mut search = self.people_search(&facts, self.person_attributes(&facts));
        search.filter = filter::all([facts.people_filter.as_str(), &filter::equals(attribute, key.value())]);
        let mut people = Vec::new();
        for entry in session.all(&call, &operation, &search).await? {
            let person = self.person(&call, &session, &facts, &entry).await?;
            // Servers compare by rules of their own; a key is exact.
            if person.keys.contains(key) {
                people.push(person);
            }
        }
        self.give_back(session);
        Ok(people)
    }

    /// The person with this immutable id, or a proof that there is none any more.
    pub(crate) async fn look_up(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        let call = self.call(cx);
        let (found, session) = self.by_id(&call, id).await?;
        if let Some(person) = found {
            return Ok(Presence::Present(Box::new(person)));
        }
        let facts = self.facts(&call, &session).await?;
        let proof = match self.gone_by(&facts) {
            Gone::Tombstone => self.proof_by_tombstone(&call, &session, &facts, id).await?,
            Gone::NotFound => self.proof_by_absence(&call, &session, &facts, id).await?,
        };
        self.give_back(session);
        Ok(Presence::Gone(proof))
    }

    /// Whether a list of everybody would have this person. An entry that was read and stands outside the base is
    /// evidence that it would not; one that the filter passes over is none: the filter may ask for what may not be read.
    pub(crate) async fn within_reach(&self, cx: &Cx, id: &PersonId) -> Result<Entitled, Fault> {
        let (call, operation) = (self.call(cx), "see whether somebody is in reach");
        let session = self.session(&call).await?;
        let facts = self.facts(&call, &session).await?;
        let Some(by_id) = facts.id.filter(id) else { return Ok(Entitled::Unknown) };
        let mut search = self.people_search(&facts, [facts.id.name().to_owned()].into());
        search.filter = filter::all([facts.people_filter.as_str(), &by_id]);
        let listed = session.all(&call, operation, &search).await?;
        if listed.iter().any(|entry| facts.id.of(entry).as_ref() == Some(id)) {
            self.give_back(session);
            return Ok(Entitled::Yes);
        }
        search.base.clone_from(&facts.root);
        search.filter = by_id;
        let seen = session.all(&call, operation, &search).await?;
        self.give_back(session);
        let name = match seen.as_slice() {
            [entry] if facts.id.of(entry).as_ref() == Some(id) => Name::from_bytes(&entry.name),
            _ => None,
        };
        let outside = name.is_some_and(|name| !name.is_below(&self.settings.people_base));
        Ok(if outside { Entitled::No } else { Entitled::Unknown })
    }

    /// What this directory takes for a proof. Active Directory keeps tombstones, so there nothing less is needed.
    pub(crate) fn gone_by(&self, facts: &Facts) -> Gone {
        let usual = if facts.active_directory { Gone::Tombstone } else { Gone::NotFound };
        self.settings.config.people.gone.unwrap_or(usual)
    }

    async fn proof_by_tombstone(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        id: &PersonId,
    ) -> Result<Proof, Fault> {
        if !facts.active_directory || !self.settings.config.show_deleted {
            return Err(doubt(call, format!("{id} is not seen, and no tombstones are looked for"), NO_TOMBSTONES));
        }
        if self.tombstone(call, session, facts, id).await? {
            return Ok(Proof::Tombstone);
        }
        let message = format!("{id} is not found, and no tombstone: perhaps moved where this account cannot see");
        let help =
            "let the account read the place, or list Deleted Objects if it may not yet (see the rights it needs)";
        Err(doubt(call, message, help))
    }

    /// A moved entry keeps its id. So nobody with the id in a naming context that is read whole is a proof; whether the
    /// account may read all of it can only be tried at its top and at the canaries.
    async fn proof_by_absence(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        id: &PersonId,
    ) -> Result<Proof, Fault> {
        let Some(canary) = self.settings.config.canary.iter().next() else {
            let message = format!("{id} is not seen, and without a canary that does not prove that it is gone");
            return Err(doubt(call, message, "set `canary` to an account that never leaves"));
        };
        self.see_canaries(call, session, facts).await?;
        if !self.sees_root(call, session, facts).await? {
            let message = format!(
                "{id} is not seen, nor is the top of the naming context: perhaps moved where this account cannot see"
            );
            return Err(doubt(call, message, "let the account read the whole naming context"));
        }
        Ok(Proof::NotFound { canary: canary.to_owned() })
    }

    /// True when the account may read the entry at the top of the naming context in which people are looked for.
    pub(crate) async fn sees_root(&self, call: &Call<'_>, session: &Session, facts: &Facts) -> Result<bool, Fault> {
        let search = Search::entry(facts.root.as_str(), vec!["objectClass".to_owned()]);
        Ok(facts.root_known
            && match session.entry(call, "read the top of the naming context", &search).await? {
                Sight::Seen(entry) => !entry.values("objectClass").is_empty(),
                Sight::Absent { .. } | Sight::Hidden => false,
            })
    }

    /// Looks everywhere in the naming context: somebody who was moved is not gone.
    async fn by_id(&self, call: &Call<'_>, id: &PersonId) -> Result<(Option<Person>, Session), Fault> {
        let operation = "look somebody up";
        let session = self.session(call).await?;
        let facts = self.facts(call, &session).await?;
        let Some(by_id) = facts.id.filter(id) else {
            let message = format!("{id} is no {}", facts.id.name());
            return Err(call.about(operation).fault(FaultKind::Invalid, message));
        };
        let mut search = self.people_search(&facts, self.person_attributes(&facts));
        search.base.clone_from(&facts.root);
        search.filter = by_id;
        let mut entries = session.all(call, operation, &search).await?;
        match (entries.pop(), entries.len()) {
            (Some(entry), 0) => {
                let person = self.person(call, &session, &facts, &entry).await?;
                if person.id != *id {
                    return Err(call.about(operation).protocol("the server answered with somebody else"));
                }
                Ok((Some(person), session))
            }
            (None, _) => Ok((None, session)),
            (Some(_), _) => Err(call.about(operation).protocol(format!("several entries have the id {id}"))),
        }
    }

    async fn tombstone(&self, call: &Call<'_>, session: &Session, facts: &Facts, id: &PersonId) -> Result<bool, Fault> {
        let Some(by_id) = facts.id.filter(id) else { return Ok(false) };
        let search = Search {
            base: facts.root.clone(),
            filter: filter::all([by_id.as_str(), "(isDeleted=TRUE)"]),
            attributes: vec!["isDeleted".to_owned(), facts.id.name().to_owned()],
            deleted: true,
            elsewhere: Arc::clone(&facts.elsewhere),
            ..Search::default()
        };
        let entries = session.all(call, "look for a tombstone", &search).await?;
        Ok(entries
            .iter()
            .any(|entry| facts.id.of(entry).as_ref() == Some(id) && entry.only("isDeleted") == Some(b"TRUE")))
    }

    /// All attributes of a person.
    fn person_attributes(&self, facts: &Facts) -> std::collections::BTreeSet<String> {
        let mut attributes = facts.fields.attributes(None);
        attributes.extend(self.standing_attributes(facts));
        attributes.insert(facts.id.name().to_owned());
        attributes
    }

    async fn person(&self, call: &Call<'_>, session: &Session, facts: &Facts, entry: &Entry) -> Result<Person, Fault> {
        let standing = self.standing_of_one(call, session, facts, entry).await?;
        facts.fields.person(entry, &facts.id, standing, None).map_err(|why| {
            let message = format!("the record {} cannot be understood: {why}", entry.shown());
            call.about("read one person").fault(FaultKind::Protocol, message)
        })
    }

    /// The ids of the canaries, all of which must be seen on this very connection. None when none are configured.
    pub(crate) async fn see_canaries(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
    ) -> Result<Vec<PersonId>, Fault> {
        let mut ids = Vec::new();
        for canary in self.settings.config.canary.iter() {
            let seen = self.see_canary(call, session, facts, canary).await?;
            let id = seen.and_then(|entry| facts.id.of(&entry)).ok_or_else(|| {
                let message =
                    format!("the canary {canary} is not seen, so nothing that is not seen is believed to be gone");
                let fault = call.about("look for the canary").fault(FaultKind::Denied, message);
                fault.with_help("check the rights of the service account, and that `canary` names an entry that exists")
            })?;
            ids.push(id);
        }
        Ok(ids)
    }

    async fn see_canary(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        canary: &str,
    ) -> Result<Option<Entry>, Fault> {
        let operation = "look for the canary";
        let id = guid::from_text(canary).map(PersonId::from_uuid);
        let attributes = vec![facts.id.name().to_owned()];
        if let Some(by_id) = id.and_then(|id| facts.id.filter(&id)) {
            let mut search = self.people_search(facts, attributes.into_iter().collect());
            search.filter = by_id;
            return Ok(session.all(call, operation, &search).await?.into_iter().next());
        }
        match session.entry(call, operation, &Search::entry(canary, attributes)).await? {
            Sight::Seen(entry) => Ok(Some(entry)),
            Sight::Absent { .. } | Sight::Hidden => Ok(None),
        }
    }
}
