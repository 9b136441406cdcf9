use std::collections::BTreeMap;

use clickhouse::{Client, Row};
use serde::Deserialize;
use tracing::info;

use super::database::{DatabaseError, execute};
use crate::retention::{Retention, STANDARD};

/// What the tables are created with.
const CREATED_WITH: u32 = 400;

/// Tables whose rows expire by class, counted from the session's start, and what their TTL has besides.
const TABLES: [(&str, &str); 4] = [
    ("frames", ", toDateTime(session_start) RECOMPRESS CODEC(ZSTD(3))"),
    ("calls", ", toDateTime(session_start) RECOMPRESS CODEC(ZSTD)"),
    ("sessions", ""),
    ("unknown_calls", ""),
];

#[derive(Row, Deserialize)]
struct ClassRow {
    class: String,
    days: u32,
}

/// Makes the classes' days the tables' TTL where they have changed. A class that the configuration names no longer keeps
/// its days: rows of it may be there.
///
/// Returns the names of the classes that were changed or are new.
///
/// # Errors
/// What ClickHouse refuses. Interrupted, it starts over.
pub async fn apply_retention(client: &Client, retention: &Retention) -> Result<Vec<String>, DatabaseError> {
    let known = "SELECT toString(class) AS class, argMax(days, changed) AS days FROM retention_classes GROUP BY class";
    let known: Vec<ClassRow> = client
        .query(known)
        .fetch_all()
        .await
        .map_err(|source| DatabaseError::ClickHouse {
            what: "reading retention_classes".into(),
            source,
        })?;
    let mut days: BTreeMap<String, u32> = known.into_iter().map(|row| (row.class, row.days)).collect();
    let is_new = days.is_empty();
    days.entry(STANDARD.to_owned()).or_insert(CREATED_WITH);
    let mut changed = Vec::new();
    for class in retention.classes() {
        if days.insert(class.name.to_string(), class.days) != Some(class.days) {
            changed.push(class.name.to_string());
        }
    }
    if changed.is_empty() && !is_new {
        return Ok(changed);
    }
    if !changed.is_empty() {
        for statement in statements(&days) {
            execute(client, "setting retention", &statement).await?;
        }
    }
    let rows: Vec<String> = days
        .iter()
        .map(|(class, days)| format!("('{class}', {days})"))
        .collect();
    let note = format!("INSERT INTO retention_classes (class, days) VALUES {}", rows.join(", "));
    execute(client, "noting retention", &note).await?;
    info!(?days, "retention is set");
    Ok(changed)
}

/// The statements that set these days. A class's name needs no quoting; the configuration sees to that.
pub(super) fn statements(days: &BTreeMap<String, u32>) -> Vec<String> {
    let list = |items: Vec<String>| items.join(", ");
    let names = list(days.keys().map(|class| format!("'{class}'")).collect());
    let numbers = list(days.values().map(u32::to_string).collect());
    let standard = days.get(STANDARD).copied().unwrap_or(CREATED_WITH);
    // Seconds as a number, with a bound: beyond the year 2106 a DateTime begins anew, and everything would be expired.
    let until = format!(
        "toDateTime(least(toInt64(toUnixTimestamp(session_start)) \
         + toInt64(transform(toString(retention), [{names}], [{numbers}], {standard})) * 86400, 4294800000))"
    );
    TABLES
        .iter()
        .map(|(table, besides)| format!("ALTER TABLE {table} MODIFY TTL {until}{besides}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn each_table_gets_the_days_of_every_class() {
        let days = [("short".to_owned(), 7), ("standard".to_owned(), 400)].into();
        let statements = statements(&days);
        assert_eq!(statements.len(), 4);
        for statement in statements {
            assert!(
                statement.contains("['short', 'standard'], [7, 400], 400"),
                "{statement}"
            );
        }
    }
}
