use clickhouse::{Client, Row};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tracing::info;

use super::statements::statements;

/// One numbered SQL file.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// From the file's name, ascending from 1.
    pub number: u32,
    /// The file's name.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

/// Embeds numbered files of `deploy/clickhouse`.
macro_rules! migrations {
    ($($number:literal $name:literal),+ $(,)?) => {
        /// Every migration of this version, in order.
        pub const MIGRATIONS: &[Migration] = &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../../../deploy/clickhouse/", $name)),
        }),+];
    };
}

migrations!(
    1 "001_frames.sql",
    2 "002_sessions.sql",
    3 "003_gaps.sql",
    4 "004_writers.sql",
    5 "005_calls.sql",
    6 "006_letters_and_access.sql",
    7 "007_retention.sql",
    8 "008_views.sql",
    9 "009_retries.sql",
    10 "010_tokens.sql",
    11 "011_browser_sessions.sql",
    12 "012_withheld.sql",
);

/// Why the database could not be brought to this version.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// ClickHouse refused, or could not be reached.
    #[error("ClickHouse: {what}: {source}")]
    ClickHouse {
        /// What was being done.
        what: String,
        /// ClickHouse's own word.
        source: clickhouse::error::Error,
    },
    /// The database was migrated by a later version.
    #[error(
        "the database is at migration {database}, this version knows {known}: use a version that is at least as new"
    )]
    Newer {
        /// Highest number applied.
        database: u32,
        /// Highest number known.
        known: u32,
    },
    /// A file that was applied has another text now.
    #[error("migration {0} was applied with another text: a released file must never be changed")]
    Changed(&'static str),
}

#[derive(Debug, Row, Deserialize)]
struct Applied {
    number: u32,
    checksum: String,
}

/// Creates `database` where it is missing and applies the migrations that it lacks, in order.
///
/// Statements are written to be repeatable, because ClickHouse has no transaction around them: a migration counts as
/// applied only after its last statement, and one that was interrupted starts over.
///
/// Returns the names of the files that were applied now.
///
/// # Errors
/// See [`DatabaseError`]. Nothing that was there is dropped.
pub async fn migrate_database(client: &Client, database: &str) -> Result<Vec<&'static str>, DatabaseError> {
    let anywhere = client.clone().with_database("default");
    let exists = anywhere
        .query("SELECT count() FROM system.databases WHERE name = ?")
        .bind(database)
        .fetch_one::<u64>()
        .await
        .map_err(|source| DatabaseError::ClickHouse {
            what: "looking for the database".into(),
            source,
        })?;
    // Where somebody else has created it, no right to create databases is needed.
    if exists == 0 {
        let create = format!("CREATE DATABASE IF NOT EXISTS {database}");
        execute(&anywhere, "creating the database", &create).await?;
    }
    let client = client.clone().with_database(database);
    let history = "CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32 COMMENT 'From the name of the file', \
        name String COMMENT 'Name of the file', checksum String COMMENT 'SHA-256 of its text', \
        applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) \
        ENGINE = MergeTree ORDER BY number COMMENT 'Migrations that were applied'";
    execute(&client, "creating schema_migrations", history).await?;
    let applied: Vec<Applied> = client
        .query("SELECT number, any(checksum) AS checksum FROM schema_migrations GROUP BY number ORDER BY number")
        .fetch_all()
        .await
        .map_err(|source| DatabaseError::ClickHouse {
            what: "reading schema_migrations".into(),
            source,
        })?;
    let known = MIGRATIONS.last().map_or(0, |last| last.number);
    if let Some(newest) = applied.last().filter(|newest| newest.number > known) {
        return Err(DatabaseError::Newer {
            database: newest.number,
            known,
        });
    }
    let mut now = Vec::new();
    for migration in MIGRATIONS {
        let checksum: String = Sha256::digest(migration.sql)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        match applied.iter().find(|one| one.number == migration.number) {
            Some(one) if one.checksum == checksum => continue,
            Some(_) => return Err(DatabaseError::Changed(migration.name)),
            None => apply(&client, migration, &checksum, !applied.is_empty()).await?,
        }
        now.push(migration.name);
    }
    Ok(now)
}

/// `is_upgrade`: rows may be there already, which new materialized views have not seen.
async fn apply(client: &Client, migration: &Migration, checksum: &str, is_upgrade: bool) -> Result<(), DatabaseError> {
    for statement in statements(migration.sql) {
        execute(client, migration.name, &statement).await?;
    }
    for view in fills(migration.sql).filter(|_| is_upgrade) {
        fill(client, migration.name, view).await?;
    }
    client
        .query("INSERT INTO schema_migrations (number, name, checksum) VALUES (?, ?, ?)")
        .bind(migration.number)
        .bind(migration.name)
        .bind(checksum)
        .execute()
        .await
        .map_err(|source| DatabaseError::ClickHouse {
            what: migration.name.into(),
            source,
        })?;
    info!(migration = migration.name, "applied");
    Ok(())
}

/// The views that a file says are to be filled with the rows that are there: `-- fill: NAME`.
fn fills(sql: &str) -> impl Iterator<Item = &str> {
    sql.lines().filter_map(|line| line.strip_prefix("-- fill: "))
}

/// Runs a materialized view's statement over all rows. Its states are idempotent, so doing it again changes nothing.
async fn fill(client: &Client, what: &str, view: &str) -> Result<(), DatabaseError> {
    let failed = |source| DatabaseError::ClickHouse {
        what: format!("{what}: filling {view}"),
        source,
    };
    let definition = "SELECT extract(create_table_query, ' TO ([^ ]+)'), as_select, \
         assumeNotNull((SELECT arrayStringConcat(groupArray(name), ', ') FROM (SELECT name FROM system.columns \
         WHERE database = currentDatabase() AND table = ? ORDER BY position))) \
         FROM system.tables WHERE database = currentDatabase() AND name = ?";
    let (target, select, columns) = client
        .query(definition)
        .bind(view)
        .bind(view)
        .fetch_one::<(String, String, String)>()
        .await
        .map_err(failed)?;
    client
        .query_raw(&format!("INSERT INTO {target} ({columns}) {select}"))
        .with_setting("insert_deduplicate", "0")
        .with_setting("max_partitions_per_insert_block", "0")
        .execute()
        .await
        .map_err(failed)
}

pub(super) async fn execute(client: &Client, what: &str, sql: &str) -> Result<(), DatabaseError> {
    // `?` is a placeholder to the client, and doubled where it is meant.
    client
        .query(&sql.replace('?', "??"))
        .execute()
        .await
        .map_err(|source| DatabaseError::ClickHouse {
            what: what.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn a_file_says_which_views_are_filled() {
        let sql = "-- fill: calls_from_frames\nCREATE …\n--fill: no\n-- fill: other\n";
        assert_eq!(super::fills(sql).collect::<Vec<_>>(), ["calls_from_frames", "other"]);
    }

    #[test]
    fn every_numbered_file_is_embedded_once_and_in_order() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/clickhouse");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        files.sort();
        let names: Vec<&str> = MIGRATIONS.iter().map(|migration| migration.name).collect();
        assert_eq!(names, files);
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert!(index == 0 || MIGRATIONS[index - 1].number < migration.number);
            assert!(migration.name.starts_with(&format!("{:03}_", migration.number)));
        }
    }
}
