//! The outbox on a real PostgreSQL: a crash makes nothing twice, what is taken is not done, and the account can do no more
//! than it must.

mod common;

use common::{cx, on};
use lockstep_conformance::Seed;
use lockstep_contract::{
    ApplyFault, CardholderId, CheckOutcome, FaultKind, Opening, Reduction, Secret, SecretError, SecretRef, Secrets,
    Status, Step, Target, TargetId, TargetReader,
};
use lockstep_staging::simulator::{TableImporter, World, schema};
use lockstep_staging::{Consumed, ImportProfile, Staging, open};
use lockstep_testbed::postgres::{ADMIN, ADMIN_PASSWORD, Postgres};
use tokio_postgres::{Client, NoTls};

const PASSWORD: &str = "Svc-test-40c1d9";

struct OnePassword;

impl Secrets for OnePassword {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(PASSWORD.to_owned()))
    }
}

struct Site<'s> {
    server: &'s Postgres,
    folder: tempfile::TempDir,
    importer: TableImporter,
    target: Staging,
    settings: String,
}

async fn client(server: &Postgres, user: &str, password: &str, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.address().port()).user(user).password(password).dbname(database);
    let (client, connection) = config.connect(NoTls).await.expect("connected");
    tokio::spawn(async move { drop(connection.await) });
    client
}

fn opened(folder: &tempfile::TempDir, settings: &str) -> Staging {
    let opening = Opening { base: folder.path(), secrets: &OnePassword };
    let config = serde_json::from_str(settings).expect("settings");
    open(TargetId::new("hq").expect("id"), config, &opening).expect("opened")
}

impl<'s> Site<'s> {
    async fn new(server: &'s Postgres, database: &str, consumed: Consumed) -> Self {
        let profile = ImportProfile::shipped("genetec").expect("shipped");
        server.create_database(database).expect("made");
        let admin = client(server, ADMIN, ADMIN_PASSWORD, database).await;
        admin.batch_execute(&schema(&profile, database, PASSWORD)).await.expect("a schema");
        let world = World::new(&profile, &Seed::standard());
        let importer = TableImporter::start(admin, world, consumed).await.expect("started");
        let folder = tempfile::tempdir().expect("a folder");
        let word = if consumed == Consumed::State { "state" } else { "deleted" };
        let settings = format!(
            r#"{{"site":"hq","manifests":"manifests","wait_seconds":0,"database":{{"host":"127.0.0.1","port":{},
                "name":"{database}","user":"{database}","password":"env:PG","consumed":"{word}"}}}}"#,
            server.address().port()
        );
        let target = opened(&folder, &settings);
        Self { server, folder, importer, target, settings }
    }

    fn id(nth: usize) -> CardholderId {
        let profile = ImportProfile::shipped("genetec").expect("shipped");
        World::id_of(&profile, &Seed::standard().cardholders[nth]).expect("an id")
    }

    async fn suspend(&self, nth: usize) -> String {
        let action = on(&Self::id(nth), vec![Step::Reduce(Reduction::Suspend)]);
        match self.target.apply(&cx(), &action).await {
            Err(ApplyFault::Uncertain(fault)) if fault.kind == FaultKind::Unconfirmed => fault.to_string(),
            other => panic!("it should be delivered and not confirmed, and is {other:?}"),
        }
    }

    async fn status(&self, nth: usize) -> Result<Status, FaultKind> {
        let read = self.target.read(&cx(), &Self::id(nth)).await;
        read.map(|record| record.expect("there").status).map_err(|fault| fault.kind)
    }

    fn rows(&self, database: &str) -> String {
        self.server.sql(database, "SELECT count(*) FROM lockstep_outbox").expect("counted").trim().to_owned()
    }
}

/// Nothing is tested without a server, and it says so; where servers are demanded, that fails.
fn server() -> Option<Postgres> {
    let server = Postgres::start().expect("it starts");
    let demanded = std::env::var_os("TESTBED_REAL_SERVERS").is_some_and(|value| value == "1");
    assert!(server.is_some() || !demanded, "PostgreSQL is not installed");
    server
}

#[tokio::test]
async fn the_outbox_keeps_its_promises() {
    let Some(server) = server() else { return };
    a_crash_makes_nothing_twice(&server).await;
    taken_is_not_done(&server).await;
    a_deleted_row_was_taken_and_the_view_says_what_came_of_it(&server).await;
    the_account_can_do_no_more_than_it_must(&server).await;
    an_emptied_view_is_not_an_empty_pacs(&server).await;
}

async fn a_crash_makes_nothing_twice(server: &Postgres) {
    let mut site = Site::new(server, "crash", Consumed::State).await;
    let said = site.suspend(1).await;
    assert!(said.contains("has not taken it"), "{said}");
    // Another process, which knows of it.
    site.target = opened(&site.folder, &site.settings);
    site.suspend(1).await;
    assert_eq!(site.rows("crash"), "1");
    // The process died between inserting and writing that down: nobody knows of it but the table.
    std::fs::remove_dir_all(site.folder.path().join("manifests")).expect("removed");
    site.target = opened(&site.folder, &site.settings);
    site.suspend(1).await;
    assert_eq!(site.rows("crash"), "1", "it waits already");
    assert!(site.importer.tick().await.expect("worked"));
    assert_eq!(site.status(1).await, Ok(Status::Suspended));
    // Done long ago, and wanted again: that is a new one.
    site.importer.edit(|world| world.edit(&Site::id(1), "State", "0")).await.expect("edited");
    site.suspend(1).await;
    assert_eq!(site.rows("crash"), "2");
    site.importer.tick().await.expect("worked");
    assert_eq!(site.status(1).await, Ok(Status::Suspended));
}

async fn taken_is_not_done(server: &Postgres) {
    let mut site = Site::new(server, "taken", Consumed::State).await;
    site.suspend(1).await;
    site.importer.rules.stopped = true;
    site.importer.tick().await.expect("nothing");
    assert_eq!(site.status(1).await, Err(FaultKind::Unconfirmed), "the importer stands still");
    site.importer.rules.stopped = false;
    site.importer.rules.crashes_while_reading = true;
    site.importer.tick().await.expect("died");
    assert_eq!(site.status(1).await, Err(FaultKind::Unconfirmed), "it took the row and died");
    assert_eq!(site.status(3).await, Ok(Status::Active), "nobody else waits");
    site.importer.rules.ignores_content = true;
    site.suspend(3).await;
    site.importer.tick().await.expect("worked");
    assert_eq!(site.status(3).await, Ok(Status::Active), "it says done, and the view says what is");
    site.importer.rules.ignores_content = false;
    site.importer.rules.refuses = true;
    site.suspend(4).await;
    site.importer.tick().await.expect("refused");
    assert_eq!(site.status(4).await, Ok(Status::Active));
}

async fn a_deleted_row_was_taken_and_the_view_says_what_came_of_it(server: &Postgres) {
    let mut site = Site::new(server, "deleted", Consumed::Deleted).await;
    site.suspend(1).await;
    assert_eq!(site.status(1).await, Err(FaultKind::Unconfirmed));
    site.importer.tick().await.expect("worked");
    assert_eq!(site.rows("deleted"), "0");
    assert_eq!(site.status(1).await, Ok(Status::Suspended));
    site.importer.rules.ignores_content = true;
    site.suspend(3).await;
    site.importer.tick().await.expect("worked");
    assert_eq!(site.status(3).await, Ok(Status::Active), "gone is not done");
}

async fn the_account_can_do_no_more_than_it_must(server: &Postgres) {
    let site = Site::new(server, "rights", Consumed::State).await;
    let health = site.target.probe(&cx()).await.expect("probed");
    let outbox = health.checks.iter().find(|check| check.name == "outbox").expect("looked at");
    assert_eq!(outbox.outcome, CheckOutcome::Pass, "{outbox:?}");
    let own = client(server, "rights", PASSWORD, "rights").await;
    for sql in [
        "DELETE FROM lockstep_outbox",
        "UPDATE lockstep_outbox SET state = 'done'",
        "SELECT * FROM pacs_people",
        "UPDATE lockstep_cardholders SET \"State\" = '0'",
    ] {
        assert!(own.batch_execute(sql).await.is_err(), "{sql}");
    }
    server.sql("rights", "GRANT DELETE ON lockstep_outbox TO rights").expect("granted");
    let health = site.target.probe(&cx()).await.expect("probed");
    let outbox = health.checks.iter().find(|check| check.name == "outbox").expect("looked at");
    assert_eq!(outbox.outcome, CheckOutcome::Warn, "{outbox:?}");
}

async fn an_emptied_view_is_not_an_empty_pacs(server: &Postgres) {
    let mut site = Site::new(server, "emptied", Consumed::State).await;
    site.target.list(&cx(), None).await.expect("whole");
    site.importer.rules.empty_export = true;
    site.importer.edit(|_| {}).await.expect("edited");
    assert_eq!(site.target.list(&cx(), None).await.expect_err("not believed").kind, FaultKind::Protocol);
}
