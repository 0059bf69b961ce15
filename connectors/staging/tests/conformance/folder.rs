//! A bed with a drop folder, a folder of exports, and an importer at work in the background.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_conformance::{Seed, TargetBed, TargetRig, Trouble};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, Opening, Secret, SecretError, SecretRef, Secrets, Target, TargetId,
};
use lockstep_staging::simulator::{Faulty, Importer, Running, World};
use lockstep_staging::{Config, ImportProfile, open_on};

/// How often the importer looks.
const PERIOD: Duration = Duration::from_millis(5);

pub(crate) struct FolderBed {
    profile: &'static str,
}

impl FolderBed {
    pub(crate) const fn new(profile: &'static str) -> Self {
        Self { profile }
    }
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "a drop folder needs none".into() })
    }
}

struct Rig {
    // Stops before its folders go.
    _running: Running,
    importer: Arc<Importer>,
    share: Arc<Faulty>,
    target: Box<dyn Target>,
    folder: tempfile::TempDir,
    cardholders: Vec<CardholderId>,
    levels: Vec<AccessLevelId>,
}

fn settings(profile: &str) -> Config {
    let text = format!(
        r#"{{"site":"hq","profile":"{profile}","manifests":"manifests","wait_seconds":4,
            "drop":{{"folder":"share/drop"}},
            "export":{{"folder":"share/export","settled_seconds":0,"margin_seconds":0}}}}"#
    );
    serde_json::from_str(&text).expect("settings")
}

#[async_trait]
impl TargetBed for FolderBed {
    fn name(&self) -> &str {
        self.profile
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let [drop, export] = ["share/drop", "share/export"].map(|name| folder.path().join(name));
        for path in [&drop, &export] {
            std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
        }
        let profile = ImportProfile::shipped(self.profile)?;
        let importer = Importer::new(World::new(&profile, seed), &drop, &export);
        importer.tick();
        let share = Arc::new(Faulty::default());
        let id = TargetId::new("conform").map_err(|error| error.to_string())?;
        let opening = Opening { base: folder.path(), secrets: &NoSecrets };
        let target = open_on(id, settings(self.profile), &opening, share.clone()).map_err(|fault| fault.to_string())?;
        Ok(Box::new(Rig {
            _running: importer.run(PERIOD),
            importer,
            share,
            target: Box::new(target),
            cardholders: seed.cardholders.iter().filter_map(|holder| World::id_of(&profile, holder)).collect(),
            levels: World::level_ids(seed),
            folder,
        }))
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        let why = match trouble {
            Trouble::RepeatedPage => "an export has no pages",
            Trouble::IgnoredFilter => "an export is not filtered",
            Trouble::Unauthenticated => "a folder knows rights, not log-ins",
            Trouble::Throttle => "a folder does not throttle",
            Trouble::Hang => "an export is there or not; nobody is waited for",
            Trouble::CutList
            | Trouble::ShortList
            | Trouble::LostAnswer
            | Trouble::Refuse
            | Trouble::Deny
            | Trouble::Down => return None,
        };
        Some(why.to_owned())
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

impl Rig {
    fn share_folder(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Exports that were made before a trouble began say nothing about it.
async fn next_export(folder: &Path) {
    let stamp = || {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.metadata().ok()?.modified().ok())
            .max()
    };
    let before = stamp();
    for _ in 0..400 {
        if stamp() != before {
            break;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[async_trait]
impl TargetRig for Rig {
    fn target(&self) -> &dyn Target {
        &*self.target
    }

    fn cardholders(&self) -> &[CardholderId] {
        &self.cardholders
    }

    fn levels(&self) -> &[AccessLevelId] {
        &self.levels
    }

    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        Some(Ok(self.importer.world(|world| world.record(id))))
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        match trouble {
            Trouble::CutList => self.importer.set(|rules| rules.torn_export = true),
            Trouble::ShortList => {
                // Only whoever knows the export before this one can tell that it is short.
                let cx = lockstep_contract::Cx::new(Duration::from_secs(5));
                self.target.list(&cx, None).await.map_err(|fault| fault.to_string())?;
                self.importer.set(|rules| rules.short_export = true);
            }
            // The PACS does it, and nothing newer shows it.
            Trouble::LostAnswer => self.importer.set(|rules| rules.stale_export = true),
            Trouble::Refuse => self.importer.set(|rules| rules.refuses = true),
            Trouble::Deny => self.share.fail_all(ErrorKind::PermissionDenied),
            Trouble::Down => {
                let away = std::fs::rename(self.share_folder("share"), self.share_folder("away"));
                away.map_err(|error| error.to_string())?;
            }
            other => return Err(format!("not supported: {other}")),
        }
        if matches!(trouble, Trouble::CutList | Trouble::ShortList) {
            next_export(&self.share_folder("share/export")).await;
            next_export(&self.share_folder("share/export")).await;
        }
        Ok(())
    }

    async fn heal(&self) {
        self.share.heal();
        self.importer.set(|rules| *rules = lockstep_staging::simulator::Rules::default());
        let _ = std::fs::rename(self.share_folder("away"), self.share_folder("share"));
    }
}
