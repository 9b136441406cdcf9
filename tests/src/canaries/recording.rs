//! What is left of the traffic, everywhere: it hides canaries, or it shows them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tapedeck_dev::clickhouse::ClickHouse;
use tapedeck_dev::services::Database;

use super::messages::Exchange;
use super::plan::{Canary, Place};
use super::search::{Found, Search};
use super::target::Target;
use super::{Account, SCRIBBLED, UNRECORDED, traffic};
use crate::oracle::table::{self, Row};
use crate::oracle::topic::Record;
use crate::{Deck, DeckOptions, Parts, Tape, target as behind};

/// Leaks that an error shows.
const SHOWN: usize = 40;

/// Whether redaction is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redaction {
    On,
    Off,
}

impl Redaction {
    fn settings(self) -> Value {
        match self {
            Self::On => json!({ "redaction": { "key": [{ "id": "canary", "secret": { "env": "TOKENS" } }] } }),
            Self::Off => json!({ "redaction": { "policy": [{ "disable": ["*"] }] } }),
        }
    }
}

/// What is left of the traffic, everywhere.
pub(super) struct Recording {
    tape: Tape,
    database: Database,
    topic_prefix: String,
    metrics: Vec<String>,
}

impl Recording {
    /// Makes a deck's recording of the traffic, and ends it.
    pub(super) async fn make(
        parts: &'static Parts,
        clickhouse: &ClickHouse,
        target: &Target,
        exchanges: &[Exchange],
        unrecorded: &[Canary],
        redaction: Redaction,
    ) -> anyhow::Result<Self> {
        let temporary = parts.site().run.room("temporary")?;
        let temporary = ("TMPDIR".to_owned(), temporary.display().to_string());
        let secret = ("TOKENS".to_owned(), "no canary can be made out of its token".to_owned());
        let deck = Deck::with(
            parts,
            DeckOptions {
                clickhouse: Some(clickhouse.url()),
                consumer: redaction.settings(),
                consumer_environment: vec![temporary.clone(), secret],
                proxy_environment: vec![temporary],
                ..DeckOptions::of(vec![behind("planter", &target.url())])
            },
        )
        .await?;
        see_through(&deck.database).await?;
        let (knocked, scribbled) = unrecorded.split_at(UNRECORDED);
        traffic::call(&deck, exchanges).await?;
        traffic::knock(&deck, knocked).await?;
        traffic::scribble(&deck, scribbled).await?;
        deck.settled().await?;
        let metrics = vec![
            deck.proxy.service().metrics().await?,
            deck.consumer.service().metrics().await?,
        ];
        let (database, topic_prefix) = (deck.database.clone(), deck.kafka.topic_prefix.clone());
        let tape = deck.finish().await?;
        ensure!(
            tape.letters.len() == scribbled.len(),
            "{} dead letters of {}",
            tape.letters.len(),
            scribbled.len()
        );
        Ok(Self {
            tape,
            database,
            topic_prefix,
            metrics,
        })
    }

    /// Nothing of any canary is anywhere but in the raw topic.
    pub(super) async fn hides(
        &self,
        parts: &Parts,
        search: &Search,
        canaries: &[Canary],
        account: &mut Account,
    ) -> anyhow::Result<()> {
        // What was dropped would hide anything.
        let dropped = self
            .tape
            .rows
            .iter()
            .filter(|row| row.redaction == "dropped" && row.verdict == "intact");
        let dropped: Vec<_> = dropped.map(|row| (&row.redaction_reason, &row.rpc_method)).collect();
        ensure!(dropped.is_empty(), "bodies were dropped: {dropped:?}");
        self.raw_topic_has_all(search, canaries).await?;

        let run = parts.site().run.path();
        let raw = format!("{}.frames.v1-", self.topic_prefix);
        let places = [
            ("tables", self.tables(search).await?, false),
            ("messages put together", self.joined(search), false),
            ("audit topic", over(search, &self.tape.audit_records), true),
            ("dead letters", over(search, &self.tape.letter_records), false),
            ("control topic", over(search, &self.tape.statements), false),
            (
                "pages of figures",
                search.over(self.metrics.iter().map(String::as_bytes)),
                true,
            ),
            ("logs", search.below(&run.join("logs"), &|_| true)?, true),
            ("ClickHouse's files", search.below(run, &is_of_clickhouse(run))?, false),
            (
                "broker's files",
                search.below(run, &is_of_broker(run, &self.topic_prefix, &raw))?,
                false,
            ),
            (
                "all else in the run's folder",
                search.below(run, &is_of_others(run))?,
                true,
            ),
        ];
        let mut leaks = Vec::new();
        for (place, found, has_sign) in places {
            ensure!(
                found.bytes > 0 && (found.sign || !has_sign),
                "{place}: nothing was searched"
            );
            leaks.extend(
                found
                    .numbers()
                    .map(|number| format!("in the {place}: {}", canaries[number])),
            );
            *account.searched.entry(place).or_default() += found.bytes;
        }
        let (count, shown) = (leaks.len(), &leaks[..leaks.len().min(SHOWN)]);
        ensure!(
            leaks.is_empty(),
            "{count} times a canary came out:\n{}",
            shown.join("\n")
        );
        Ok(())
    }

    /// Every canary is in the tables, and in their files.
    pub(super) async fn shows(
        &self,
        parts: &Parts,
        search: &Search,
        canaries: &[Canary],
        recorded: usize,
        account: &mut Account,
    ) -> anyhow::Result<()> {
        let run = parts.site().run.path();
        let tables = self.tables(search).await?;
        let joined = self.joined(search);
        let files = search.below(run, &is_of_clickhouse(run))?;
        let audit = over(search, &self.tape.audit_records);
        // Where a message was cut into parts in the middle of a canary, no row has all of it.
        let cut: Vec<usize> = joined.numbers().filter(|number| !tables.canaries[*number]).collect();
        let unseen = |found: &Found, but: &[usize]| -> Vec<String> {
            let unseen = (0..recorded).filter(|number| !found.canaries[*number] && !but.contains(number));
            unseen.map(|number| canaries[number].to_string()).collect()
        };
        for (place, unseen) in [
            ("tables", unseen(&tables.and(&joined), &[])),
            ("files", unseen(&files, &cut)),
        ] {
            let (count, shown) = (unseen.len(), &unseen[..unseen.len().min(SHOWN)]);
            ensure!(
                unseen.is_empty(),
                "with redaction off, {count} are not seen in the {place}: the search is blind\n{}",
                shown.join("\n")
            );
        }
        ensure!(
            audit.count() > 0,
            "with redaction off, nothing is seen on the audit topic"
        );
        let has_parts = canaries.iter().any(|canary| canary.place == Place::AnswerParts);
        ensure!(!cut.is_empty() || !has_parts, "no part ends within a canary");
        account.cut = cut.len();
        account.audited = audit.count();
        Ok(())
    }

    /// Canaries that were not even sent would come out nowhere.
    async fn raw_topic_has_all(&self, search: &Search, canaries: &[Canary]) -> anyhow::Result<()> {
        let mut payloads: BTreeMap<_, Vec<u8>> = BTreeMap::new();
        for entry in &self.tape.recorded {
            let frame = &entry.frame;
            let payload = frame.payload.iter().flat_map(|payload| payload.0.iter());
            // A message's parts, one after the other.
            payloads
                .entry((frame.exchange_id, frame.direction.as_str()))
                .or_default()
                .extend(payload);
        }
        let metadata = self.tape.recorded.iter().flat_map(|entry| {
            let (client, sse) = (&entry.frame.client, entry.frame.sse.as_ref());
            let fields = [&client.user_agent, &client.claimed_name];
            let of_event = sse.into_iter().flat_map(|sse| [&sse.id, &sse.comment]);
            fields.into_iter().chain(of_event).flatten().map(String::as_bytes)
        });
        let scribbled = self.tape.undecodable.iter().map(|record| &record.value[..]);
        let found = search.over(payloads.values().map(Vec::as_slice).chain(metadata).chain(scribbled));
        let knocked = canaries.len() - UNRECORDED - SCRIBBLED..canaries.len() - SCRIBBLED;
        let missing = (0..canaries.len()).find(|number| !found.canaries[*number] && !knocked.contains(number));
        match missing {
            None => Ok(()),
            Some(number) => anyhow::bail!("never came to the raw topic: {}", canaries[number]),
        }
    }

    /// All columns of all tables, as they are.
    async fn tables(&self, search: &Search) -> anyhow::Result<Found> {
        let mut found = search.nothing();
        for name in table::tables(&self.database).await? {
            search.look(&table::bytes(&self.database, &format!("`{name}`")).await?, &mut found);
        }
        Ok(found)
    }

    /// Messages that came in parts, whole.
    fn joined(&self, search: &Search) -> Found {
        let mut open: BTreeMap<_, Vec<u8>> = BTreeMap::new();
        let split = |row: &&Row| row.part_index > 0 || !row.part_last;
        for row in self.tape.rows.iter().filter(split) {
            let message = open.entry((row.exchange_id, &row.direction)).or_default();
            message.extend_from_slice(&row.payload.0);
        }
        search.over(open.values().map(Vec::as_slice))
    }

    /// Drops the database: the next one's files are to be searched, not these.
    pub(super) async fn forget(self) -> anyhow::Result<()> {
        let statement = format!("DROP DATABASE {} SYNC", self.database.name);
        Ok(self.database.client().query(&statement).execute().await?)
    }
}

fn over(search: &Search, records: &[Record]) -> Found {
    let fields = |record: &Record| [&record.key[..], &record.value[..], &record.headers[..]].concat();
    let records: Vec<Vec<u8>> = records.iter().map(fields).collect();
    search.over(records.iter().map(Vec::as_slice))
}

/// Has ClickHouse write what it is given, uncompressed.
async fn see_through(database: &Database) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Table {
        name: String,
        columns: Vec<String>,
    }
    let statement = "SELECT t.name AS name, groupArray(c.name) AS columns FROM system.tables AS t \
         JOIN system.columns AS c ON c.database = t.database AND c.table = t.name \
         WHERE t.database = currentDatabase() AND t.engine LIKE '%MergeTree' AND c.default_kind != 'ALIAS' GROUP BY name";
    let tables: Vec<Table> = table::query(database, statement).await?;
    ensure!(!tables.is_empty(), "there are no tables");
    for Table { name, columns } in tables {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("MODIFY COLUMN `{column}` CODEC(NONE)"))
            .collect();
        let statement = format!("ALTER TABLE `{name}` {}", columns.join(", "));
        database
            .client()
            .query(&statement)
            .execute()
            .await
            .with_context(|| format!("{name} is to be readable"))?;
    }
    Ok(())
}

/// The part of a path that is a room of the run, and what is below it.
fn room<'p>(run: &Path, path: &'p Path) -> (PathBuf, &'p Path) {
    let below = path.strip_prefix(run).unwrap_or(path);
    let room = below.iter().next().map(PathBuf::from).unwrap_or_default();
    let rest = below.strip_prefix(&room).unwrap_or(below);
    (room, rest)
}

fn begins(room: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| room.to_string_lossy().starts_with(name))
}

const BROKERS: [&str; 2] = ["kafka", "tansu"];

fn is_of_clickhouse(run: &Path) -> impl Fn(&Path) -> bool {
    move |path| begins(&room(run, path).0, &["clickhouse"])
}

/// The broker's own files, and those of our topics, but for the raw one's and indices, which hold offsets alone. The embedded
/// broker has all topics in one file.
fn is_of_broker(run: &Path, ours: &str, raw: &str) -> impl Fn(&Path) -> bool {
    move |path| {
        let (room, rest) = room(run, path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_topic = rest.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.contains(".v1-") && (!part.starts_with(ours) || part.starts_with(raw))
        });
        let is_index = name.ends_with("index") || name.starts_with("log.db");
        begins(&room, &BROKERS) && !is_topic && !is_index
    }
}

fn is_of_others(run: &Path) -> impl Fn(&Path) -> bool {
    move |path| {
        let (room, _) = room(run, path);
        !begins(&room, &["clickhouse", "logs"]) && !begins(&room, &BROKERS)
    }
}
