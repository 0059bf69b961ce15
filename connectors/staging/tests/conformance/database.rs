//! A bed on a real PostgreSQL: an outbox, views, and an importer at work as a task. One server for all laws, a database for
//! each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_conformance::{Seed, TargetBed, TargetRig, Trouble};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, Opening, Secret, SecretError, SecretRef, Secrets, Target, TargetId,
};
use lockstep_staging::simulator::{Rules, TableImporter, World, schema};
use lockstep_staging::{Consumed, ImportProfile, open};
use lockstep_testbed::postgres::{ADMIN, ADMIN_PASSWORD, Postgres};
use tokio::sync::Mutex;
use tokio_postgres::NoTls;

use crate::wire::Wire;

/// How often the importer looks.
const PERIOD: Duration = Duration::from_millis(5);
const PASSWORD: &str = "Svc-test-40c1d9";

/// A server that is started when it is first needed, and ends with the last bed.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<OnceLock<Result<Postgres, String>>>);

impl Server {
    fn get(&self) -> Result<&Postgres, String> {
        let started = || Postgres::start()?.ok_or_else(|| "PostgreSQL is not installed".to_owned());
        self.0.get_or_init(started).as_ref().map_err(Clone::clone)
    }

    async fn admin(&self, database: &str) -> Result<tokio_postgres::Client, String> {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.get()?.address().port())
            .user(ADMIN)
            .password(ADMIN_PASSWORD)
            .dbname(database);
        let (client, connection) = config.connect(NoTls).await.map_err(|error| error.to_string())?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

pub(crate) struct DatabaseBed {
    pub(crate) server: Server,
    pub(crate) profile: &'static str,
    pub(crate) consumed: Consumed,
}

struct OnePassword;

impl Secrets for OnePassword {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(PASSWORD.to_owned()))
    }
}

struct Rig {
    server: Server,
    importer: Arc<Mutex<TableImporter>>,
    work: tokio::task::JoinHandle<()>,
    wire: Arc<Wire>,
    target: Box<dyn Target>,
    database: String,
    account: String,
    cardholders: Vec<CardholderId>,
    levels: Vec<AccessLevelId>,
    locks: Mutex<Option<tokio_postgres::Client>>,
    cut: Arc<std::sync::atomic::AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[async_trait]
impl TargetBed for DatabaseBed {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        static NTH: AtomicU32 = AtomicU32::new(0);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let (database, account) = (format!("conform{nth}"), format!("lockstep{nth}"));
        let profile = ImportProfile::shipped(self.profile)?;
        let server = self.server.clone();
        server.get()?.create_database(&database)?;
        let client = server.admin(&database).await?;
        let sql = |error: tokio_postgres::Error| format!("{error:?}");
        client.batch_execute(&schema(&profile, &account, PASSWORD)).await.map_err(sql)?;
        let importer = TableImporter::start(client, World::new(&profile, seed), self.consumed).await.map_err(sql)?;
        let importer = Arc::new(Mutex::new(importer));
        let wire = Arc::new(Wire::to(server.get()?.address()).await?);
        let cut = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (own, cutting, way) = (importer.clone(), cut.clone(), wire.clone());
        let work = tokio::spawn(async move {
            loop {
                let mut importer = own.lock().await;
                // A PACS that is locked for a moment goes on afterwards.
                if importer.tick().await.unwrap_or(false) && cutting.load(Ordering::SeqCst) {
                    way.close();
                }
                drop(importer);
                tokio::time::sleep(PERIOD).await;
            }
        });
        let consumed = if self.consumed == Consumed::State { "state" } else { "deleted" };
        let settings = format!(
            r#"{{"site":"hq","profile":"{}","manifests":"manifests","wait_seconds":4,
                "database":{{"host":"127.0.0.1","port":{},"name":"{database}","user":"{account}","password":"env:PG","consumed":"{consumed}"}}}}"#,
            self.profile,
            wire.port()
        );
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let config = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
        let opening = Opening { base: folder.path(), secrets: &OnePassword };
        let id = TargetId::new("conform").map_err(|error| error.to_string())?;
        let target = open(id, config, &opening).map_err(|fault| fault.to_string())?;
        Ok(Box::new(Rig {
            server,
            importer,
            work,
            wire,
            target: Box::new(target),
            database,
            account,
            cardholders: seed.cardholders.iter().filter_map(|holder| World::id_of(&profile, holder)).collect(),
            levels: World::level_ids(seed),
            locks: Mutex::new(None),
            cut,
            _folder: folder,
        }))
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        let why = match trouble {
            Trouble::CutList => "a query is answered whole or fails",
            Trouble::RepeatedPage => "a query has no pages",
            Trouble::IgnoredFilter => "a database does not ignore a condition",
            Trouble::Throttle => "a database does not throttle",
            Trouble::ShortList
            | Trouble::LostAnswer
            | Trouble::Refuse
            | Trouble::Deny
            | Trouble::Unauthenticated
            | Trouble::Hang
            | Trouble::Down => return None,
        };
        Some(why.to_owned())
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

impl Rig {
    async fn sql(&self, sql: &str) -> Result<(), String> {
        self.server.admin(&self.database).await?.batch_execute(sql).await.map_err(|error| format!("{error:?}"))
    }

    async fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.importer.lock().await.rules);
    }

    /// Who is connected is asked for the password again.
    fn disconnect(&self) -> String {
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'", self.account)
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
        Some(Ok(self.importer.lock().await.world().record(id)))
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        match trouble {
            Trouble::Refuse => self.rules(|rules| rules.refuses = true).await,
            Trouble::LostAnswer => self.cut.store(true, Ordering::SeqCst),
            Trouble::Down => self.wire.close(),
            Trouble::Deny => {
                let account = &self.account;
                let views = "lockstep_cardholders, lockstep_credentials, lockstep_memberships, lockstep_groups";
                self.sql(&format!("REVOKE ALL ON lockstep_outbox, {views} FROM {account}")).await?;
            }
            Trouble::Unauthenticated => {
                self.sql(&format!("ALTER ROLE {} PASSWORD 'another'; {}", self.account, self.disconnect())).await?;
            }
            Trouble::Hang => {
                let client = self.server.admin(&self.database).await?;
                let lock =
                    "BEGIN; LOCK TABLE lockstep_cardholders, pacs_people, lockstep_outbox IN ACCESS EXCLUSIVE MODE";
                client.batch_execute(lock).await.map_err(|error| format!("{error:?}"))?;
                *self.locks.lock().await = Some(client);
            }
            Trouble::ShortList => {
                // Only whoever knows the reading before this one can tell that it is short.
                let cx = lockstep_contract::Cx::new(Duration::from_secs(5));
                self.target.list(&cx, None).await.map_err(|fault| fault.to_string())?;
                let mut importer = self.importer.lock().await;
                importer.rules.short_export = true;
                importer.edit(|_| {}).await.map_err(|error| format!("{error:?}"))?;
            }
            other => return Err(format!("not supported: {other}")),
        }
        Ok(())
    }

    async fn heal(&self) {
        self.cut.store(false, Ordering::SeqCst);
        self.wire.reopen();
        *self.locks.lock().await = None;
        self.rules(|rules| *rules = Rules::default()).await;
        let views = "lockstep_cardholders, lockstep_credentials, lockstep_memberships, lockstep_groups";
        let account = &self.account;
        let healed = format!(
            "ALTER ROLE {account} PASSWORD '{PASSWORD}'; GRANT SELECT, INSERT ON lockstep_outbox TO {account}; \
             GRANT SELECT ON {views} TO {account}"
        );
        // A server that refuses this fails the law by itself.
        let _ = self.sql(&healed).await;
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }
}
