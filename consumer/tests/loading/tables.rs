//! What users find in the database: queries, comments, dead letters, and the rights of those who look.

use clickhouse::{Client, Compression};
use tapedeck_consumer::batch::Batch;
use tapedeck_consumer::migrate::migrate_database;
use tapedeck_consumer::record::Record;
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind, Login, example_users};
use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::Quiet;

use crate::frames::Proxy;
use crate::loader;
use crate::recording;
use crate::stack::Case;

/// The statements of `queries.sql`, each under its line.
fn queries() -> Vec<(String, String)> {
    let text = include_str!("../../../deploy/clickhouse/queries.sql");
    let mut queries: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("-- ") {
            Some(title) if title.starts_with(|c: char| c.is_ascii_digit()) => {
                queries.push((title.to_owned(), String::new()));
            }
            Some(_) => {}
            None => {
                if let Some((_, query)) = queries.last_mut() {
                    query.push_str(line);
                    query.push('\n');
                }
            }
        }
    }
    queries
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_that_is_shipped_finds_something_in_a_recording() {
    let mut case = Case::new().await;
    case.config.silence = std::time::Duration::from_secs(2);
    let mut proxy = Proxy::new();
    let session = recording::record(&mut proxy);
    let mut records = proxy.records();
    records.push((records[0].0.clone(), b"no frame".to_vec()));
    case.publish(&records).await;
    let service = case.start();
    case.wait_for("SELECT count() FROM calls_v WHERE outcome = 'unknown'", 1)
        .await;
    service.stop().await;
    let client = case.sink.client();
    let look = "INSERT INTO access_log (subject, email, role, action, outcome, session_id) \
         SELECT 'carol', 'carol@example.com', 'auditor', 'replay', 'allowed', toUUID(?)";
    client
        .query(look)
        .bind(session.to_string())
        .execute()
        .await
        .expect("logged");
    let queries = queries();
    assert!(queries.len() >= 20, "{} queries", queries.len());
    for (number, (title, query)) in queries.iter().enumerate() {
        assert!(title.starts_with(&format!("{}. ", number + 1)), "{title}");
        let query = query
            .trim()
            .strip_suffix(';')
            .expect("a statement ends with a semicolon");
        let mut cursor = client
            .query_raw(query)
            .with_setting("param_user", "alice")
            .with_setting("param_tool", "echo")
            .with_setting("param_session", session.to_string())
            .fetch_bytes("JSONEachRow")
            .expect("a query");
        let rows = cursor
            .collect()
            .await
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        assert!(!rows.is_empty(), "{title} finds nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_that_users_may_query_has_a_comment() {
    let case = Case::new().await;
    let sql = "SELECT concat(table, '.', name) FROM system.columns WHERE database = currentDatabase() AND comment = '' \
         AND NOT endsWith(table, '_from_frames') AND table != 'schema_migrations'";
    assert_eq!(case.texts(sql).await, Vec::<String>::new());
    let views = "SELECT toInt64(uniqExact(table)) FROM system.columns WHERE database = currentDatabase() AND endsWith(table, '_v')";
    assert_eq!(case.number(views).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_frame_is_a_dead_letter_in_the_table_once() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.call("before");
    let mut records = proxy.records();
    records.push((records[0].0.clone(), b"no frame".to_vec()));
    case.publish(&records).await;
    for _ in 0..2 {
        let service = case.start();
        case.wait_for_commit(records.len() as i64).await;
        service.stop().await;
    }
    let sql = "SELECT concat(reason, ' ', toString(kafka_offset), ' ', toString(size), ' ', toString(retried IS NULL)) FROM deadletters_v";
    assert_eq!(case.texts(sql).await, ["no_header 3 8 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_an_earlier_version_could_not_read_is_no_other_record() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.call("once unreadable");
    let records = proxy.records();
    // A stub has no time but its record's.
    let time = jiff::Timestamp::now().as_millisecond();
    let load = async |records: &[(Vec<u8>, Vec<u8>)]| {
        let there = case.sink.loaded(&case.origin(), 0).await.expect("read back");
        let read = (0..).zip(records);
        let batch = Batch {
            start: 0,
            end: records.len() as i64,
            records: read
                .map(|(offset, (key, value))| Record::read(offset, time, Some(key), Some(value)))
                .collect(),
            reserved: case.budget.nothing(),
        };
        loader(&case, there).await.load(batch).await
    };
    // As long as the frame that it is, and of another version.
    let mut unreadable = records.clone();
    unreadable[1].1.fill(0xff);
    load(&unreadable).await.expect("loaded");
    load(&records)
        .await
        .expect("the same log, read by a version that knows better");
    assert_eq!(case.number("SELECT count() FROM frames").await, records.len() as i64);
    assert_eq!(
        case.number("SELECT count() FROM frames WHERE kind = 'undecodable'")
            .await,
        1
    );
    // Another log is still another log.
    unreadable[1].1.push(0);
    assert!(load(&unreadable).await.is_err());
}

/// A ClickHouse with the users of the example file, each with its name as password, and a database with rows of two tenants.
async fn guarded() -> (ClickHouse, impl Fn(&str) -> Client) {
    let folder = Folder::open().expect("a folder for parts");
    let run = folder.run("test-users").expect("a folder for this run");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let login = Login {
        user: "root".to_owned(),
        password: "sesame".to_owned().into(),
    };
    let clickhouse = ClickHouse::with_users(ClickHouseKind::choose().0, login, &[&example_users()], site).await;
    let clickhouse = clickhouse.expect("ClickHouse");
    let url = clickhouse.url();
    let client = move |user: &str| {
        let client = Client::default().with_url(&url).with_user(user).with_password(user);
        client.with_database("tapedeck").with_compression(Compression::None)
    };
    migrate_database(&client("tapedeck_migrator"), "tapedeck")
        .await
        .expect("the migrator may migrate");
    (clickhouse, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loads_looks_and_audits_may_do_that_and_no_more() {
    let (_clickhouse, client) = guarded().await;
    let (loader, console, auditor) = (
        client("tapedeck_loader"),
        client("tapedeck_console"),
        client("tapedeck_auditor_acme"),
    );
    let run = async |client: &Client, sql: &str| client.query_raw(sql).execute().await;
    for tenant in ["acme", "other"] {
        let frame = format!(
            "INSERT INTO frames (tenant, session_start, session_id, exchange_id, time, kind, direction, rpc_kind, rpc_method, rpc_id, subject) \
             SELECT '{tenant}', now64(3), generateUUIDv7() AS id, id, now64(6), 'message', 'to_target', 'request', 'tools/call', '1', 'alice'"
        );
        run(&loader, &frame).await.expect("the loader adds rows");
    }
    let log = "INSERT INTO access_log (subject, action, outcome, tenant) VALUES ('carol', 'view', 'allowed', 'acme'), ('dan', 'view', 'allowed', 'other')";
    run(&console, log).await.expect("the console writes what it shows");
    let ended = "INSERT INTO ended_browser_sessions (id, until) VALUES (generateUUIDv4(), now() + 60)";
    run(&console, ended)
        .await
        .expect("the console notes who has signed out");
    let count = async |client: &Client, table: &str| {
        let sql = format!("SELECT count() FROM {table}");
        client.query_raw(&sql).fetch_one::<u64>().await
    };
    for (table, all) in [
        ("frames", 2),
        ("sessions_v", 2),
        ("calls_v", 2),
        ("messages_v", 2),
        ("access_v", 2),
    ] {
        assert_eq!(count(&console, table).await.expect("the console reads"), all, "{table}");
        assert_eq!(
            count(&auditor, table).await.expect("the auditor reads"),
            all / 2,
            "{table}: of the auditor's tenant only"
        );
    }
    for table in ["deadletters", "writers", "erasures", "holds", "schema_migrations"] {
        assert_denied(
            &count(&auditor, table).await.expect_err("not the auditor's").to_string(),
            table,
        );
    }
    // Nobody who looks can change what was looked at, or that it was.
    for (who, client) in [("console", &console), ("loader", &loader), ("auditor", &auditor)] {
        for statement in [
            "ALTER TABLE access_log DELETE WHERE 1",
            "DELETE FROM access_log WHERE 1",
            "ALTER TABLE access_log UPDATE subject = 'nobody' WHERE 1",
            "TRUNCATE TABLE access_log",
            "DROP TABLE access_log",
            "ALTER TABLE access_log MODIFY TTL toDateTime(time) + INTERVAL 1 SECOND",
            "ALTER TABLE access_log DROP PARTITION 202601",
            "ALTER TABLE frames DELETE WHERE 1",
            "RENAME TABLE access_log TO elsewhere",
            "CREATE TABLE mine (x UInt8) ENGINE = MergeTree ORDER BY x",
        ] {
            let error = run(client, statement).await.expect_err(statement).to_string();
            assert_denied(&error, &format!("{who}: {statement}"));
        }
    }
    for (who, client, statement) in [
        ("console", &console, "INSERT INTO frames (tenant) VALUES ('acme')"),
        (
            "auditor",
            &auditor,
            "INSERT INTO access_log (subject) VALUES ('nobody')",
        ),
        ("console", &console, "ALTER TABLE ended_browser_sessions DELETE WHERE 1"),
    ] {
        let error = run(client, statement).await.expect_err(statement).to_string();
        assert_denied(&error, &format!("{who}: {statement}"));
    }
    assert_eq!(
        count(&console, "access_log").await.expect("it reads"),
        2,
        "all is still there"
    );
}

/// ACCESS_DENIED, or READONLY for who only reads.
fn assert_denied(error: &str, what: &str) {
    assert!(
        error.contains("Code: 497") || error.contains("Code: 164"),
        "{what}: {error}"
    );
}
