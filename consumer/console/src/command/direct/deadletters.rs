//! `tapedeck deadletters`: records that the consumer could not read, and reading them again.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use clickhouse::Row;
use comfy_table::{ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};

use super::Database;
use crate::command::arguments::Shown;
use crate::command::json;
use crate::moment;
use crate::text::{bytes, printable};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// List them, newest first.
    List(List),
    /// Show one, and every attempt to read it again.
    Show {
        /// TOPIC/PARTITION/OFFSET, as `list` shows it.
        letter: Place,
    },
    /// Have them read again from the raw topic, which must have them still.
    Retry(Retry),
}

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that have not been loaded since.
    #[arg(long)]
    open: bool,
    /// Only those with this reason, such as unknown_schema.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Which ones, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// TOPIC/PARTITION/OFFSET, as `list` shows it.
    #[arg(required_unless_present = "reason", conflicts_with = "reason")]
    letters: Vec<Place>,
    /// All that have this reason and have not been loaded since.
    #[arg(long)]
    reason: Option<String>,
    /// Who asks: goes into the access log.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    by: String,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    topic: String,
    partition: i32,
    offset: i64,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "say TOPIC/PARTITION/OFFSET, such as mcp.frames.v1/3/4711";
        let mut parts = text.rsplitn(3, '/');
        let (offset, partition, topic) = (parts.next(), parts.next(), parts.next());
        Ok(Self {
            topic: topic.filter(|topic| !topic.is_empty()).ok_or(FORM)?.to_owned(),
            partition: partition.and_then(|part| part.parse().ok()).ok_or(FORM)?,
            offset: offset.and_then(|part| part.parse().ok()).ok_or(FORM)?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A row of `deadletters_v`. Times are microseconds since 1970; 0: never.
#[derive(Debug, Row, Serialize, Deserialize)]
struct Letter {
    source: String,
    topic: String,
    partition: i32,
    offset: i64,
    time: i64,
    reason: String,
    size: i64,
    session_id: String,
    retried: i64,
}

/// A row of `retries_v`.
#[derive(Debug, Row, Serialize, Deserialize)]
struct Attempt {
    requested: i64,
    requested_by: String,
    outcome: String,
}

const COLUMNS: &str = "toString(kafka_source) AS source, toString(kafka_topic) AS topic, kafka_partition AS partition, \
    kafka_offset AS offset, toUnixTimestamp64Micro(toDateTime64(kafka_time, 6, 'UTC')) AS time, reason, size, \
    toString(session_id) AS session_id, toUnixTimestamp64Micro(ifNull(retried, fromUnixTimestamp64Micro(0, 'UTC'))) AS retried";
const PLACE: &str = "kafka_topic = ? AND kafka_partition = ? AND kafka_offset = ?";

/// Does it. False: there is no such letter.
pub(crate) async fn run(database: &Database, what: &What, out: &mut impl Write) -> anyhow::Result<bool> {
    match what {
        What::List(which) => list(database, which, out).await.map(|()| true),
        What::Show { letter } => show(database, letter, out).await,
        What::Retry(which) => retry(database, which, out).await,
    }
}

async fn list(database: &Database, which: &List, out: &mut impl Write) -> anyhow::Result<()> {
    // The column of the view, not what it is shown as.
    let open = if which.open { "d.retried IS NULL" } else { "1" };
    let reason = if which.reason.is_some() { "reason = ?" } else { "1" };
    let sql = format!(
        "SELECT {COLUMNS} FROM deadletters_v AS d WHERE {open} AND {reason} ORDER BY kafka_time DESC, kafka_offset DESC LIMIT {}",
        which.shown.limit
    );
    let mut query = database.query(&sql);
    if let Some(reason) = &which.reason {
        query = query.bind(reason);
    }
    let letters: Vec<Letter> = query
        .fetch_all()
        .await
        .context("reading dead letters from ClickHouse")?;
    if which.shown.json {
        return letters.iter().try_for_each(|letter| json::line(letter, out));
    }
    if letters.is_empty() {
        writeln!(out, "There is no dead letter.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["RECORD", "WRITTEN", "REASON", "SIZE", "LOADED"]);
    for letter in &letters {
        table.add_row([
            printable(&letter.place().to_string()),
            moment::display(letter.time),
            printable(&letter.reason),
            bytes(u64::try_from(letter.size).unwrap_or(0)),
            when(letter.retried),
        ]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim())?;
    }
    Ok(())
}

async fn show(database: &Database, place: &Place, out: &mut impl Write) -> anyhow::Result<bool> {
    let sql = format!("SELECT {COLUMNS} FROM deadletters_v WHERE {PLACE}");
    let letters: Vec<Letter> = bind(database.query(&sql), place)
        .fetch_all()
        .await
        .context("reading a dead letter from ClickHouse")?;
    for letter in &letters {
        writeln!(
            out,
            "record   {} of {}",
            printable(&letter.place().to_string()),
            printable(&letter.source)
        )?;
        writeln!(out, "written  {}", moment::display(letter.time))?;
        writeln!(out, "reason   {}", printable(&letter.reason))?;
        writeln!(out, "size     {}", bytes(u64::try_from(letter.size).unwrap_or(0)))?;
        writeln!(out, "session  {}", letter.session_id)?;
        writeln!(out, "loaded   {}", when(letter.retried))?;
    }
    let sql = format!(
        "SELECT toUnixTimestamp64Micro(r.requested) AS requested, requested_by, outcome FROM retries_v AS r \
         WHERE {PLACE} ORDER BY r.requested"
    );
    let attempts: Vec<Attempt> = bind(database.query(&sql), place)
        .fetch_all()
        .await
        .context("reading retries from ClickHouse")?;
    for attempt in attempts {
        let outcome = match attempt.outcome.as_str() {
            "" => "waits for the consumer".to_owned(),
            outcome => printable(outcome),
        };
        let (when, who) = (moment::display(attempt.requested), printable(&attempt.requested_by));
        writeln!(out, "retry    {when} by {who}: {outcome}")?;
    }
    Ok(!letters.is_empty())
}

/// Asks for it; whoever owns the partition does it within seconds. Asking twice is as good as once.
async fn retry(database: &Database, which: &Retry, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut places = which.letters.clone();
    if let Some(reason) = &which.reason {
        let sql =
            format!("SELECT {COLUMNS} FROM deadletters_v AS d WHERE reason = ? AND d.retried IS NULL LIMIT 100000");
        let letters: Vec<Letter> = database
            .query(&sql)
            .bind(reason)
            .fetch_all()
            .await
            .context("reading dead letters from ClickHouse")?;
        places.extend(letters.iter().map(Letter::place));
    }
    let log = "INSERT INTO access_log (subject, role, action, outcome, object, filter, rows, user_agent) \
        SELECT ?, 'administrator', 'retry', 'allowed', ?, ?, ?, 'tapedeck'";
    let object = which.letters.first().map(Place::to_string).unwrap_or_default();
    let filter = which.reason.as_deref().unwrap_or_default();
    let entry = database.query(log).bind(&which.by).bind(object).bind(filter);
    let entry = entry.bind(u64::try_from(places.len()).unwrap_or(u64::MAX));
    entry.execute().await.context("writing to the access log")?;
    let mut asked = 0_usize;
    for place in &places {
        let count = format!("SELECT count() FROM deadletters_v WHERE {PLACE}");
        let known: u64 = bind(database.query(&count), place)
            .fetch_one()
            .await
            .context("looking for a dead letter")?;
        if known == 0 {
            writeln!(out, "{}: no such dead letter", printable(&place.to_string()))?;
            continue;
        }
        let sql = format!(
            "INSERT INTO deadletter_retries (kafka_source, kafka_topic, kafka_partition, kafka_offset, requested_by) \
             SELECT kafka_source, kafka_topic, kafka_partition, kafka_offset, ? FROM deadletters_v WHERE {PLACE}"
        );
        bind(database.query(&sql).bind(&which.by), place)
            .execute()
            .await
            .context("asking for a retry")?;
        asked += 1;
    }
    if asked == 0 && !places.is_empty() {
        return Ok(false);
    }
    if places.is_empty() {
        bail!("no dead letter has this reason and waits to be loaded");
    }
    writeln!(
        out,
        "{asked} will be read again; `tapedeck deadletters show` has what becomes of each"
    )?;
    Ok(true)
}

impl Letter {
    fn place(&self) -> Place {
        Place {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
        }
    }
}

fn bind(query: clickhouse::query::Query, place: &Place) -> clickhouse::query::Query {
    query.bind(&place.topic).bind(place.partition).bind(place.offset)
}

fn when(micros: i64) -> String {
    match micros {
        0 => "-".to_owned(),
        micros => moment::display(micros),
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_read_from_its_end_and_shown_the_same() {
        let place: Place = "mcp.frames.v1/3/4711".parse().expect("a place");
        assert_eq!(
            (place.partition, place.offset, place.to_string().as_str()),
            (3, 4711, "mcp.frames.v1/3/4711")
        );
        for wrong in ["", "3/4", "/3/4", "topic/x/4", "topic/3/"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
