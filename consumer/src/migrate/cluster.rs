//! The statements of `deploy/clickhouse` for a cluster: replicated tables on every shard, and over them tables that read
//! all shards.
//!
//! A table keeps its name on its shard, where a consumer loads it and reads it back; `NAME_all` reads it on every shard, and
//! so do the views that users query. Holds, erasures and the like are the same on all shards.

use super::database::MIGRATIONS;
use super::retention;
use super::statements::statements;
use crate::retention::Retention;

/// Tables that are the same on every shard.
const EVERYWHERE: [&str; 4] = ["retention_classes", "holds", "erasures", "ended_browser_sessions"];
/// The view that a materialized view reads, on each shard.
const LOCAL_VIEW: &str = "active_holds";

/// The cluster's name cannot be written into a statement.
#[derive(Debug, thiserror::Error)]
#[error("a cluster's name has letters, digits, `_` and `-` only: {0}")]
pub struct BadCluster(String);

/// All statements in order, without the semicolons; for a cluster, where one is named.
///
/// # Errors
/// When the cluster's name is none.
pub fn printed_statements(retention: &Retention, cluster: Option<&str>) -> Result<Vec<String>, BadCluster> {
    let days = retention
        .classes()
        .iter()
        .map(|class| (class.name.to_string(), class.days))
        .collect();
    let all = MIGRATIONS.iter().flat_map(|migration| statements(migration.sql));
    let all: Vec<String> = all.chain(retention::statements(&days)).collect();
    let Some(cluster) = cluster else { return Ok(all) };
    let fits = |byte: u8| matches!(byte, b'_' | b'-') || byte.is_ascii_alphanumeric();
    if cluster.is_empty() || !cluster.bytes().all(fits) {
        return Err(BadCluster(cluster.to_owned()));
    }
    Ok(on_cluster(&all, cluster))
}

fn on_cluster(all: &[String], cluster: &str) -> Vec<String> {
    let mut tables: Vec<&str> = Vec::new();
    let mut made = Vec::new();
    // After the tables that read all shards, which they read.
    let mut views: Vec<String> = Vec::new();
    for statement in all {
        let Some((head, name, rest)) = cut(statement) else {
            continue;
        };
        let here = format!("{head}{name} ON CLUSTER '{cluster}'");
        if head.contains("TABLE IF NOT EXISTS") {
            if !EVERYWHERE.contains(&name) {
                tables.push(name);
            }
            made.push(format!("{here}{}", replicated(rest, EVERYWHERE.contains(&name))));
        } else if head.contains("MATERIALIZED") || head.contains("ALTER") || name == LOCAL_VIEW {
            made.push(format!("{here}{rest}"));
        } else {
            views.push(format!("{here}{rest}"));
        }
    }
    made.extend(tables.iter().map(|table| {
        format!(
            "CREATE TABLE IF NOT EXISTS {table}_all ON CLUSTER '{cluster}' AS {table}\n\
             ENGINE = Distributed('{cluster}', currentDatabase(), '{table}')\n\
             COMMENT 'Reads {table} on every shard; nothing is written through it'"
        )
    }));
    made.extend(views.into_iter().map(|view| {
        tables.iter().fold(view, |view, table| {
            view.replace(&format!("FROM {table} AS "), &format!("FROM {table}_all AS "))
        })
    }));
    made
}

/// A statement as what comes before its object's name, the name, and the rest.
fn cut(statement: &str) -> Option<(&str, &str, &str)> {
    const HEADS: [&str; 5] = [
        "CREATE TABLE IF NOT EXISTS ",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS ",
        "CREATE OR REPLACE VIEW ",
        "CREATE VIEW IF NOT EXISTS ",
        "ALTER TABLE ",
    ];
    let head = HEADS.into_iter().find(|head| statement.starts_with(head))?;
    let rest = &statement[head.len()..];
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    Some((&statement[..head.len()], &rest[..end], &rest[end..]))
}

/// A table's definition with its engine's replicated kind. A token is remembered in Keeper, for a week.
fn replicated(definition: &str, everywhere: bool) -> String {
    let (path, replica) = match everywhere {
        true => ("/clickhouse/tables/all/{database}/{table}", "{shard}-{replica}"),
        false => ("/clickhouse/tables/{shard}/{database}/{table}", "{replica}"),
    };
    let definition = definition.replace(
        "non_replicated_deduplication_window = ",
        "replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = ",
    );
    let Some((before, engine)) = definition.split_once("ENGINE = ") else {
        return definition;
    };
    let (kind, after) = engine.split_at(engine.find("MergeTree").map_or(0, |at| at + "MergeTree".len()));
    let after = match after.strip_prefix('(') {
        Some(arguments) => format!(", {arguments}"),
        None => format!("){after}"),
    };
    format!("{before}ENGINE = Replicated{kind}('{path}', '{replica}'{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_replicated_and_read_on_all_shards() {
        let statements = printed_statements(&Retention::default(), Some("east")).expect("a good name");
        let all = statements.join(";\n");
        for statement in &statements {
            assert!(statement.contains("ON CLUSTER 'east'"), "{statement}");
        }
        assert!(!all.contains("ENGINE = MergeTree") && !all.contains("ENGINE = AggregatingMergeTree"));
        assert!(!all.contains("non_replicated"));
        assert!(all.contains("ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}', changed)"));
        assert!(all.contains("CREATE TABLE IF NOT EXISTS calls_all ON CLUSTER 'east' AS calls"));
        assert!(all.contains("FROM sessions_all AS s"));
        let place = |what: &str| statements.iter().position(|one| one.contains(what));
        assert!(
            place("calls_all ON") < place("VIEW calls_v "),
            "a view finds what it reads"
        );
    }

    #[test]
    fn nothing_is_lost_on_the_way_to_a_cluster() {
        let plain = printed_statements(&Retention::default(), None).expect("no name");
        assert!(
            plain.iter().all(|statement| cut(statement).is_some()),
            "a statement of another form"
        );
    }

    #[test]
    fn a_name_that_would_end_its_quotes_is_refused() {
        assert!(printed_statements(&Retention::default(), Some("a'b")).is_err());
    }
}
