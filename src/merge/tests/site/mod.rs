//! Two feeds in one folder, as one directory: what the tests of the merged directory share.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockstep_contract::{
    Cursor, Cx, Directory, DirectoryId, Fault, FieldName, GroupId, Next, Opening, Page, Person, PersonId, Scope,
    Secret, SecretError, SecretRef, Secrets, Standing,
};
use lockstep_hr_csv::{Config, HrFeed, open};
use lockstep_merge::{Anchor, Merged, Missing, Overlay};

pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "there are none".into() })
    }
}

/// A feed on files in a folder.
pub(crate) fn feed(folder: &Path, id: &str, settings: &str) -> HrFeed {
    let config: Config = serde_json::from_str(settings).expect("settings");
    let opening = Opening { base: folder, secrets: &NoSecrets };
    open(DirectoryId::new(id).expect("id"), config, &opening).expect("opens")
}

/// `corp` in `corp.csv` and `corp-groups.csv`, and `hr` in `hr.csv` and `hr-groups.csv` over it.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) merged: Merged,
}

pub(crate) const CORP: &str = r#"{"people":"corp.csv","groups":"corp-groups.csv","min_rows":1}"#;
pub(crate) const HR: &str = r#"{"people":"hr.csv","groups":"hr-groups.csv","min_rows":1,"time_zone":"Europe/Berlin"}"#;

impl Site {
    pub(crate) fn new(anchor: Anchor, missing: Missing, corp: &str, hr: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Self { merged: merged(folder.path(), anchor, missing, (CORP, HR)), folder };
        site.write("corp.csv", corp);
        site.write("hr.csv", hr);
        site.write("corp-groups.csv", "group,member\nStaff,A1\nStaff,A2\n");
        site.write("hr-groups.csv", "group,member\nLab,H1\nLab,H2\n");
        site
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).expect("writes");
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).expect("removes");
    }

    /// Everybody, and what was set aside.
    pub(crate) async fn census(&self) -> Result<(Vec<Person>, Vec<String>), Fault> {
        let people = all(&self.merged).await?;
        let aside = self.merged.take_quarantined();
        Ok((people, aside.into_iter().map(|(who, why)| format!("{who}: {why}")).collect()))
    }

    /// The standing of one person in the census, which a look-up must share.
    pub(crate) async fn standing(&self, person: &str) -> Standing {
        let (people, _) = self.census().await.expect("a census");
        let listed = people.into_iter().find(|one| one.id == id(person)).expect("is in the census");
        match self.merged.lookup(&cx(), &id(person)).await {
            Ok(lockstep_contract::Presence::Present(found)) => {
                assert_eq!((found.standing, &found.keys), (listed.standing, &listed.keys), "a look-up says the same");
            }
            Ok(gone) => panic!("{person} is in the census, and looked up {gone:?}"),
            // A look-up that may be tried again decides nothing either.
            Err(fault) => assert_eq!(listed.standing, Standing::Unconfirmed, "{fault}"),
        }
        listed.standing
    }
}

pub(crate) fn merged(folder: &Path, anchor: Anchor, missing: Missing, (corp, hr): (&str, &str)) -> Merged {
    let overlay = Overlay { directory: Arc::new(feed(folder, "hr", hr)), anchor, missing };
    Merged::new(Arc::new(feed(folder, "corp", corp)), vec![overlay])
}

/// As the engine reads: a page that failed for a moment is asked for again.
pub(crate) async fn all(directory: &dyn Directory) -> Result<Vec<Person>, Fault> {
    let scope = Scope { fields: ["display_name", "department"].map(FieldName::known).into() };
    let (mut people, mut at, mut again) = (Vec::new(), None::<Cursor>, 0);
    loop {
        match directory.people(&cx(), &scope, at.clone()).await {
            Ok(Page { items, next }) => {
                people.extend(items);
                match next {
                    Next::More(cursor) => at = Some(cursor),
                    Next::End(_) => return Ok(people),
                }
            }
            Err(fault) if fault.kind.is_transient() && again < 4 => again += 1,
            Err(fault) => return Err(fault),
        }
    }
}

pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(10))
}

pub(crate) fn id(text: &str) -> PersonId {
    PersonId::new(text).expect("id")
}

pub(crate) fn group(text: &str) -> GroupId {
    GroupId::new(text).expect("group")
}
