//! `[query_log]`: where ClickHouse says who asked it in SQL, past the console.

use std::time::Duration;

use tapedeck_config::{ClickHouse, OneOrMany, Section};

/// Whose questions are not looks: the services' of `deploy/clickhouse/users.d`.
const SERVICES: [&str; 2] = ["tapedeck_loader", "tapedeck_console"];

/// Where questions in SQL are on record, and which are looks.
#[derive(Clone, Debug)]
pub struct QueryLog {
    /// One server with its `system.query_log`, and a user who may read that.
    pub clickhouse: ClickHouse,
    /// Database users who are services: what they ask is not somebody's look. All others are people.
    pub services: Vec<String>,
    /// Between two readings.
    pub every: Duration,
}

impl QueryLog {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let services = section.field::<OneOrMany<String>>("services").optional();
        let services = services.map_or_else(|| SERVICES.map(str::to_owned).into(), |OneOrMany(names)| names);
        let every = section
            .field::<Duration>("every")
            .and_then(|every| match every.as_millis() {
                100..=3_600_000 => Ok(every),
                _ => Err("it must be from 100ms to 1h"),
            });
        let every = every.or(Duration::from_secs(10));
        let clickhouse = ClickHouse::read(section)?;
        if clickhouse.urls().nth(1).is_some() {
            let message = "`url` is one server here: each has a log of its own, and a console of its own takes from it";
            section.reader().problem(section.span(), message);
        }
        Some(Self {
            clickhouse,
            services,
            every,
        })
    }
}
