//! Migrations: forward only, repeatable, refused where the database is newer; and the statements for a cluster.

use tapedeck_consumer::migrate::{DatabaseError, MIGRATIONS, apply_retention, migrate_database, printed_statements};
use tapedeck_consumer::retention::{Class, Retention};

use crate::frames::Proxy;
use crate::recording::{self, OUTCOMES};
use crate::stack::Case;

async fn execute(case: &Case, sql: &str) {
    case.sink.client().query_raw(sql).execute().await.expect("executed");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing_and_a_newer_database_is_refused() {
    let case = Case::new().await;
    let tables = "SELECT concat(name, ' ', create_table_query) FROM system.tables WHERE database = currentDatabase() ORDER BY name";
    let before = case.texts(tables).await;
    let again = migrate_database(case.sink.client(), case.sink.database()).await;
    assert_eq!(again.expect("nothing to do"), Vec::<&str>::new());
    assert_eq!(case.texts(tables).await, before);
    execute(
        &case,
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (999, '999_later.sql', '')",
    )
    .await;
    let refused = migrate_database(case.sink.client(), case.sink.database()).await;
    let known = MIGRATIONS.last().expect("there are some").number;
    match refused {
        Err(DatabaseError::Newer {
            database: 999,
            known: told,
        }) => assert_eq!(told, known),
        other => panic!("{other:?}"),
    }
    assert_eq!(case.texts(tables).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_applied_with_another_text_is_refused() {
    let case = Case::new().await;
    execute(
        &case,
        "ALTER TABLE schema_migrations UPDATE checksum = 'other' WHERE number = 2 SETTINGS mutations_sync = 2",
    )
    .await;
    let refused = migrate_database(case.sink.client(), case.sink.database()).await;
    assert!(
        matches!(refused, Err(DatabaseError::Changed("002_sessions.sql"))),
        "{refused:?}"
    );
}

/// Each statement of each migration is the last one that was executed before the process died; then it is run again.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_migration_resumes_wherever_it_was_cut() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    recording::record(&mut proxy);
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    service.stop().await;
    let outcomes = "SELECT concat(outcome, ' ', toString(count())) FROM calls_v GROUP BY outcome ORDER BY outcome";
    let expected: Vec<String> = OUTCOMES
        .iter()
        .map(|(outcome, count)| format!("{outcome} {count}"))
        .collect();
    assert_eq!(case.texts(outcomes).await, expected);
    for migration in MIGRATIONS.iter().rev() {
        // Everything that it makes is there, and it is not noted: as if it had died before its last step.
        let forget = format!(
            "ALTER TABLE schema_migrations DELETE WHERE number >= {} SETTINGS mutations_sync = 2",
            migration.number
        );
        execute(&case, &forget).await;
        let applied = migrate_database(case.sink.client(), case.sink.database()).await;
        let later = MIGRATIONS.iter().filter(|one| one.number >= migration.number);
        assert_eq!(applied.expect("it resumes").len(), later.count());
    }
    // As if the fifth had died before it came to `calls`: what is in `frames` by then is filled in.
    for drop in ["VIEW calls_from_frames", "VIEW calls_v", "TABLE calls"] {
        execute(&case, &format!("DROP {drop}")).await;
    }
    execute(
        &case,
        "ALTER TABLE schema_migrations DELETE WHERE number >= 5 SETTINGS mutations_sync = 2",
    )
    .await;
    migrate_database(case.sink.client(), case.sink.database())
        .await
        .expect("it resumes");
    assert_eq!(case.texts(outcomes).await, expected, "filled from frames");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_days_of_classes_are_the_tables_ttl_and_old_partitions_go() {
    let case = Case::new().await;
    let class = |days, targets: &[&str]| {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        let name = "short".into();
        Retention::new(
            vec![Class {
                name,
                days,
                tenants: Vec::new(),
                targets,
            }],
            std::time::Duration::from_secs(400 * 86_400),
        )
    };
    let client = case.sink.client();
    assert_eq!(
        apply_retention(client, &class(7, &["tools"])).await.expect("set"),
        ["short"]
    );
    assert_eq!(
        apply_retention(client, &class(7, &["tools"])).await.expect("set"),
        Vec::<String>::new(),
        "nothing to do"
    );
    for (retention, age) in [("short", 8), ("short", 1), ("standard", 8)] {
        let frame = format!(
            "INSERT INTO frames (tenant, session_start, session_id, exchange_id, time, kind, direction, rpc_kind, rpc_method, rpc_id, retention) \
             SELECT 'acme', now64(3) - INTERVAL {age} DAY, generateUUIDv7() AS id, id, now64(6), 'message', 'to_target', 'request', 'tools/call', '1', '{retention}'"
        );
        execute(&case, &frame).await;
    }
    for table in ["frames", "calls", "sessions"] {
        execute(&case, &format!("OPTIMIZE TABLE {table} FINAL")).await;
        let left = format!(
            "SELECT concat(retention, ' ', toString(dateDiff('day', session_start, now64(3)))) FROM {table} ORDER BY 1"
        );
        assert_eq!(case.texts(&left).await, ["short 1", "standard 8"], "{table}");
    }
    // Days that would pass the end of ClickHouse's time are no reason to expire all.
    assert_eq!(
        apply_retention(client, &class(40_000, &["tools"])).await.expect("set"),
        ["short"]
    );
    execute(&case, "OPTIMIZE TABLE frames FINAL").await;
    assert_eq!(case.number("SELECT count() FROM frames").await, 2);
    let days = "SELECT toInt64(argMax(days, changed)) FROM retention_classes WHERE class = 'short'";
    assert_eq!(case.number(days).await, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_for_a_cluster_are_clickhouses_sql() {
    let case = Case::new().await;
    for cluster in [None, Some("east")] {
        let statements = printed_statements(&case.config.retention, cluster).expect("a good name");
        assert!(statements.len() > 30, "{} statements", statements.len());
        for statement in statements {
            let parsed = case
                .sink
                .client()
                .query("SELECT formatQuery(?)")
                .bind(&statement)
                .fetch_one::<String>()
                .await;
            let parsed = parsed.unwrap_or_else(|error| panic!("{error}:\n{statement}"));
            let kinds = [
                "CREATE TABLE",
                "CREATE OR REPLACE VIEW",
                "CREATE VIEW",
                "CREATE MATERIALIZED VIEW",
                "ALTER TABLE",
            ];
            assert!(kinds.iter().any(|kind| parsed.starts_with(kind)), "{parsed}");
            assert_eq!(parsed.contains("ON CLUSTER"), cluster.is_some(), "{parsed}");
        }
    }
}
