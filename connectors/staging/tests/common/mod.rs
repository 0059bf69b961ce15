//! A site for tests: a drop folder, a folder of exports, an importer that works when it is told to, and the connector.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockstep_conformance::Seed;
use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Cx, Expectation, Fault, FieldName,
    KeyKind, Opening, Profile, Reason, RunId, Secret, SecretError, SecretRef, Secrets, Situation, Step, Steps, Subject,
    TargetId, TargetReader,
};
use lockstep_staging::simulator::{Faulty, Importer, World};
use lockstep_staging::{ImportProfile, Staging, open_on};

pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "none is needed".into() })
    }
}

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) importer: Arc<Importer>,
    pub(crate) share: Arc<Faulty>,
    pub(crate) target: Staging,
    pub(crate) profile: ImportProfile,
    settings: String,
}

impl Site {
    /// A site with a shipped profile.
    pub(crate) fn new(profile: &str) -> Self {
        Self::with(ImportProfile::shipped(profile).expect("shipped"), profile, &Seed::standard())
    }

    /// A site with a profile of its own, written to a file.
    pub(crate) fn edited(from: &str, edit: impl Fn(String) -> String) -> Self {
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{from}.toml"));
        let text = edit(std::fs::read_to_string(shipped).expect("a profile"));
        let profile = ImportProfile::parse(&text).expect("a profile");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &text).expect("written");
        let (_, path) = file.keep().expect("kept");
        let site = Self::with(profile, &path.display().to_string(), &Seed::standard());
        std::fs::remove_file(path).expect("read already");
        site
    }

    pub(crate) fn with(profile: ImportProfile, named: &str, seed: &Seed) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["drop", "export"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let importer =
            Importer::new(World::new(&profile, seed), &folder.path().join("drop"), &folder.path().join("export"));
        importer.tick();
        let key = if named.contains('/') { "profile_file" } else { "profile" };
        let settings = format!(
            r#"{{"site":"hq","{key}":"{named}","manifests":"manifests","wait_seconds":0,"drop":{{"folder":"drop"}},
                "export":{{"folder":"export","settled_seconds":0,"margin_seconds":0}}}}"#
        );
        let share = Arc::new(Faulty::default());
        let target = opened(&folder, &settings, &share);
        Self { folder, importer, share, target, profile, settings }
    }

    /// Another process of Lockstep.
    pub(crate) fn reopen(&mut self) {
        self.target = opened(&self.folder, &self.settings, &self.share);
    }

    pub(crate) fn id(&self, nth: usize) -> CardholderId {
        World::id_of(&self.profile, &Seed::standard().cardholders[nth]).expect("an id")
    }

    /// The names in the drop folder.
    pub(crate) fn dropped(&self) -> Vec<String> {
        names(&self.folder.path().join("drop"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the PACS has.
    pub(crate) fn record(&self, id: &CardholderId) -> Option<Cardholder> {
        self.importer.world(|world| world.record(id))
    }

    /// An export that is surely newer than all that was delivered.
    pub(crate) async fn newer_export(&self) {
        // The clock of the file system goes in steps; an export of the same step is no newer one.
        tokio::time::sleep(Duration::from_millis(15)).await;
        self.importer.export_all();
    }

    pub(crate) async fn read(&self, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.target.read(&cx(), id).await
    }
}

fn opened(folder: &tempfile::TempDir, settings: &str, share: &Arc<Faulty>) -> Staging {
    let opening = Opening { base: folder.path(), secrets: &NoSecrets };
    let config = serde_json::from_str(settings).expect("settings");
    open_on(TargetId::new("hq").expect("id"), config, &opening, share.clone()).expect("opened")
}

pub(crate) fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

pub(crate) fn action(subject: Subject, steps: Vec<Step>) -> Action {
    let (target, steps) = (TargetId::new("hq").expect("id"), Steps::new(steps).expect("steps"));
    Action {
        id: ActionId::of(RunId::new(uuid::Uuid::nil()), &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    }
}

pub(crate) fn on(id: &CardholderId, steps: Vec<Step>) -> Action {
    action(Subject::Existing(id.clone()), steps)
}

/// Somebody new of this number.
pub(crate) fn joiner(number: usize) -> Action {
    let id = uuid::Uuid::from_u128(0x7000_0000_0000_4000_8000_0000_0000_0000 + number as u128).to_string();
    let key = CorrelationKey::new(KeyKind::Directory, &id).expect("a key");
    let keys: CorrelationKeys = [key.clone()].into_iter().collect();
    let fields = [("given_name", format!("New{number}")), ("family_name", "Person".to_owned())];
    let profile: Profile =
        fields.into_iter().map(|(name, value)| (FieldName::new(name).expect("a field"), value)).collect();
    action(Subject::New(key), vec![Step::Provision { profile, keys }])
}
