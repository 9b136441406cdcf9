//! Who asks ClickHouse itself is on the access log as well, once.

use std::collections::BTreeMap;

use clickhouse::{Client, Compression, Row};
use serde::Deserialize;
use tapedeck_config::Environment;
use tapedeck_console::serve::{self, config::Config};
use tapedeck_consumer::migrate::migrate_database;
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind, Login, example_users};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::progress::Quiet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A value that the auditor looks for: it is in their questions, and must be nowhere else.
const SECRET: &str = "hunter2";
const AUDITOR: &str = "tapedeck_auditor_acme";

/// ClickHouse with the users that installations are recommended, each with its name as password.
struct Guarded {
    clickhouse: ClickHouse,
    _run: Run,
}

/// An entry of the access log.
#[derive(Debug, Row, Deserialize)]
struct Entry {
    outcome: String,
    reason: String,
    object: String,
    filter: String,
    rows: u64,
    client_address: String,
    request_id: String,
}

impl Guarded {
    async fn start() -> Self {
        let folder = Folder::open().expect("a folder for parts");
        let run = folder.run("test-sql-looks").expect("a folder for this run");
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let login = Login {
            user: "root".to_owned(),
            password: "root".to_owned().into(),
        };
        let started = ClickHouse::with_users(ClickHouseKind::choose().0, login, &[&example_users()], site).await;
        let guarded = Self {
            clickhouse: started.expect("ClickHouse"),
            _run: run,
        };
        migrate_database(&guarded.client("tapedeck_migrator"), "tapedeck")
            .await
            .expect("the migrator may migrate");
        guarded
    }

    fn client(&self, user: &str) -> Client {
        let client = Client::default().with_url(self.clickhouse.url());
        let client = client.with_user(user).with_password(user).with_database("tapedeck");
        // Who may only read may not choose how answers are compressed.
        client.with_compression(Compression::None)
    }

    /// Asks as a user, and says what ClickHouse made of it.
    async fn ask(&self, user: &str, id: &str, sql: &str) -> Result<(), String> {
        let query = self.client(user).query_raw(sql).with_setting("query_id", id);
        let mut lines = query.fetch_bytes("TSV").map_err(|error| error.to_string())?;
        lines.collect().await.map(drop).map_err(|error| error.to_string())
    }

    /// What was asked until now is in the log of queries.
    async fn flush(&self) {
        let flushed = self.client("root").query("SYSTEM FLUSH LOGS query_log").execute().await;
        flushed.expect("the log of queries is written");
    }

    /// As many consoles, each for one reading: they end when they have taken all that there is.
    async fn consoles(&self, count: usize) {
        let done = CancellationToken::new();
        done.cancel();
        let consoles = (0..count).map(|_| async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let served = serve::run_on(listener, self.config(), done.clone()).await;
            served.expect("a console")
        });
        futures_util::future::join_all(consoles).await;
    }

    fn config(&self) -> Config {
        let url = self.clickhouse.url();
        let section = |name: &str, user: &str| {
            format!("[{name}]\nurl = \"{url}\"\nuser = \"{user}\"\npassword_env = \"{user}\"\n")
        };
        let text = format!(
            "listen = \"127.0.0.1:0\"\npublic_url = \"https://console.test\"\n{}{}{}\
             [issuer]\nurl = \"https://login.test\"\nclient_id = \"tapedeck\"\n[roles]\nviewer = \"staff\"\n",
            section("clickhouse", "tapedeck_console"),
            section("access_log", "tapedeck_console"),
            section("query_log", "tapedeck_watcher"),
        );
        let passwords = ["tapedeck_console", "tapedeck_watcher"].map(|user| (user.to_owned(), user.to_owned()));
        let environment = Environment::Given(passwords.into());
        tapedeck_config::read_text_with("test.toml", &text, environment, Config::build).expect("a right configuration")
    }

    async fn entries(&self) -> BTreeMap<String, Entry> {
        let sql = "SELECT toString(outcome) AS outcome, reason, object, filter, rows, toString(client_address) AS client_address, \
            toString(request_id) AS request_id FROM access_log \
            WHERE role = 'sql' AND action = 'sql' AND issuer = '' AND subject = 'tapedeck_auditor_acme' ORDER BY time";
        let entries = self.client("tapedeck_console").query(sql).fetch_all::<Entry>().await;
        let entries = entries.expect("the console reads the log");
        let count = entries.len();
        let by_id: BTreeMap<String, Entry> = entries.into_iter().map(|one| (one.request_id.clone(), one)).collect();
        assert_eq!(by_id.len(), count, "each question is one entry");
        by_id
    }
}

fn id(number: u8) -> String {
    format!("0198c0de-0000-7000-8000-0000000000{number:02}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_auditor_asks_in_sql_is_on_the_access_log_once_and_without_values() {
    let guarded = Guarded::start().await;
    let frame = "INSERT INTO frames (tenant, session_start, session_id, exchange_id, time, kind, direction, subject, payload) \
        SELECT 'acme', now64(3), generateUUIDv7() AS id, id, now64(6), 'message', 'to_target', 'alice', 'the word is hunter2' FROM numbers(3)";
    guarded
        .ask("tapedeck_loader", &id(90), frame)
        .await
        .expect("the loader adds rows");

    let looked = format!("SELECT payload FROM messages_v WHERE payload LIKE '%{SECRET}%' LIMIT 2 /* {SECRET} */");
    guarded
        .ask(AUDITOR, &id(1), &looked)
        .await
        .expect("it is the auditor's tenant");
    let refused = format!("SELECT count() FROM deadletters WHERE reason = '{SECRET}'");
    guarded
        .ask(AUDITOR, &id(2), &refused)
        .await
        .expect_err("not the auditor's");
    let changed = format!("INSERT INTO access_log (subject) VALUES ('{SECRET}')");
    guarded
        .ask(AUDITOR, &id(3), &changed)
        .await
        .expect_err("nobody changes the log");
    // Where quotes are missing or wrong, a value stands where a name should.
    let misspelt = [
        format!("SELECT payload FROM frames WHERE payload = {SECRET}"),
        format!("SELECT payload FROM frames WHERE payload = \"{SECRET}\""),
        format!("SELECT payload FROM frames WHERE payload = '{SECRET}"),
        format!("SELECT {SECRET} payload WHERE FROM"),
    ];
    for (number, sql) in (4..).zip(&misspelt) {
        guarded.ask(AUDITOR, &id(number), sql).await.expect_err(sql);
    }
    guarded.flush().await;

    // Two consoles at once find the same questions.
    guarded.consoles(2).await;
    let entries = guarded.entries().await;
    assert_eq!(
        entries.keys().cloned().collect::<Vec<_>>(),
        (1..=7).map(id).collect::<Vec<_>>()
    );
    let seen = &entries[&id(1)];
    assert_eq!(
        (seen.outcome.as_str(), seen.reason.as_str(), seen.rows),
        ("allowed", "", 2)
    );
    assert!(
        seen.object.contains("tapedeck.messages_v") && seen.object.contains("tapedeck.frames"),
        "{seen:?}"
    );
    assert!(
        seen.filter
            .contains("SELECT payload FROM messages_v WHERE payload LIKE ? LIMIT ?"),
        "{seen:?}"
    );
    assert!(seen.filter.contains("\"rows_read\":3"), "{seen:?}");
    assert_eq!(seen.client_address, "127.0.0.1");
    let refused = &entries[&id(2)];
    assert_eq!(
        (refused.outcome.as_str(), refused.reason.as_str()),
        ("refused", "ACCESS_DENIED")
    );
    assert!(
        refused
            .filter
            .contains("SELECT count() FROM deadletters WHERE reason = ?"),
        "{refused:?}"
    );
    assert_eq!(entries[&id(3)].outcome, "refused");
    for number in 4..=7 {
        let failed = &entries[&id(number)];
        assert_eq!(failed.outcome, "failed", "{failed:?}");
        assert!(
            !failed.reason.is_empty() && failed.filter.contains("\"sql\":\"\""),
            "{failed:?}"
        );
    }

    // After a restart: what was taken is not taken again, and what is new is.
    guarded
        .ask(AUDITOR, &id(8), &looked)
        .await
        .expect("it is the auditor's tenant");
    guarded.flush().await;
    guarded.consoles(1).await;
    guarded.consoles(2).await;
    let entries = guarded.entries().await;
    assert_eq!(
        entries.keys().cloned().collect::<Vec<_>>(),
        (1..=8).map(id).collect::<Vec<_>>()
    );

    // Nobody's values are in the log, and services' own questions are no looks.
    let log = guarded.client("tapedeck_console").query("SELECT count() FROM access_log WHERE \
        position(concat(object, filter, reason, user_agent), ?) > 0 OR subject IN ('tapedeck_loader', 'tapedeck_console', 'tapedeck_watcher')");
    assert_eq!(log.bind(SECRET).fetch_one::<u64>().await.expect("a count"), 0);
    // The log of queries holds values: one user reads it, who reads nothing else.
    for (user, sql) in [
        ("tapedeck_console", "SELECT query FROM system.query_log"),
        ("tapedeck_loader", "SELECT query FROM system.query_log"),
        (AUDITOR, "SELECT query FROM system.query_log"),
        ("tapedeck_watcher", "SELECT payload FROM frames"),
        ("tapedeck_watcher", "SELECT subject FROM access_log"),
        (AUDITOR, "SELECT 1 SETTINGS log_queries = 0"),
    ] {
        let denied = guarded.ask(user, &id(99), sql).await.expect_err(sql);
        assert!(
            denied.contains("Code: 497") || denied.contains("Code: 164"),
            "{user}: {denied}"
        );
    }
}
