//! Everything that one deck has recorded, loaded and published.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use tapedeck_dev::services::{Database, Kafka};
use tapedeck_schemas::wire::{decode_audit, decode_dead_letter};
use tapedeck_schemas::{AuditEvent, DeadLetter};
use uuid::Uuid;

use crate::oracle::control::{self, Proof};
use crate::oracle::table::{self, Row};
use crate::oracle::topic::{self, Record, Recorded};
use crate::oracle::{Wrong, chain, compare};

/// The whole record of a deck.
#[derive(Debug, Clone)]
pub struct Tape {
    /// The raw topic's frames.
    pub recorded: Vec<Recorded>,
    /// The raw topic's records that are no frames.
    pub undecodable: Vec<Record>,
    /// The control topic.
    pub statements: Vec<Record>,
    /// The table `frames`, by segment and number.
    pub rows: Vec<Row>,
    /// The audit topic, without repetitions.
    pub audit: Vec<AuditEvent>,
    /// The audit topic's records as they are.
    pub audit_records: Vec<Record>,
    /// The dead-letter topic.
    pub letters: Vec<DeadLetter>,
    /// The dead-letter topic's records as they are.
    pub letter_records: Vec<Record>,
}

impl Tape {
    /// Reads all of it as it is now.
    ///
    /// # Errors
    /// When the broker or ClickHouse does not answer, or a record of the audit or dead-letter topic cannot be decoded.
    pub async fn read(kafka: &Kafka, database: &Database) -> anyhow::Result<Self> {
        let brokers = kafka.brokers.as_str();
        let (recorded, undecodable) = topic::frames(brokers, &kafka.frames()).await?;
        let audit_records = topic::read(brokers, &format!("{}.audit.v1", kafka.topic_prefix)).await?;
        let letter_records = topic::read(brokers, &format!("{}.deadletter.v1", kafka.topic_prefix)).await?;
        let audit: BTreeMap<String, AuditEvent> = audit_records
            .iter()
            .map(|record| {
                let event = decode_audit(&record.value).context("the audit topic")?;
                Ok((event.metadata.uid.clone(), event))
            })
            .collect::<anyhow::Result<_>>()?;
        let letters = letter_records
            .iter()
            .map(|record| decode_dead_letter(&record.value).context("the dead-letter topic"))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            recorded,
            undecodable: undecodable.into_iter().map(|(record, _)| record).collect(),
            statements: topic::read(brokers, &format!("{}.control.v1", kafka.topic_prefix)).await?,
            rows: table::read(database).await?,
            audit: audit.into_values().collect(),
            audit_records,
            letters,
            letter_records,
        })
    }

    /// Holds it against all oracles.
    ///
    /// # Errors
    /// Names what does not fit.
    pub fn verify(&self) -> anyhow::Result<Proof> {
        chain::verify(&self.recorded)?;
        let proof = control::verify(&self.statements, &self.recorded)?;
        compare::exactly_once(&self.recorded, &self.undecodable, &self.rows)?;
        compare::chains(&self.rows)?;
        self.verify_sessions()?;
        Ok(proof)
    }

    /// Within a session the numbers of its frames are dense from 1, and each counter only grows.
    fn verify_sessions(&self) -> anyhow::Result<()> {
        let mut wrong = Wrong::default();
        let mut sessions: BTreeMap<Uuid, Vec<&Row>> = BTreeMap::new();
        for row in self
            .rows
            .iter()
            .filter(|row| !row.session_id.is_nil() && row.verdict != "undecodable")
        {
            sessions.entry(row.session_id).or_default().push(row);
        }
        for (session, mut rows) in sessions {
            rows.sort_by_key(|row| row.session_seq);
            let numbers: Vec<u64> = rows.iter().map(|row| row.session_seq).collect();
            let dense: Vec<u64> = (1..=rows.len() as u64).collect();
            wrong.unless(numbers == dense, || {
                format!("session {session} has the numbers {numbers:?}")
            });
            let grows = |of: fn(&Row) -> u64| rows.windows(2).all(|pair| of(pair[0]) <= of(pair[1]));
            let grow =
                grows(|row| row.session_calls) && grows(|row| row.session_errors) && grows(|row| row.session_bytes);
            wrong.unless(grow, || format!("a counter of session {session} falls"));
        }
        wrong.verdict("the sessions")
    }

    /// Rows of the session's frames, in the order of the session.
    pub fn session(&self, session: Uuid) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| row.session_id == session).collect();
        rows.sort_by_key(|row| row.session_seq);
        rows
    }

    /// The sessions that there are.
    pub fn sessions(&self) -> BTreeSet<Uuid> {
        self.rows
            .iter()
            .map(|row| row.session_id)
            .filter(|session| !session.is_nil())
            .collect()
    }

    /// Rows of refusals, in the order of time.
    pub fn refusals(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| row.kind == "refused").collect();
        rows.sort_by_key(|row| row.time);
        rows
    }

    /// Bodies of whole messages in that direction, in the order of the session, parts put together again: what was sent.
    pub fn messages(&self, session: Uuid, direction: &str) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut open: BTreeMap<Uuid, Vec<u8>> = BTreeMap::new();
        for row in self.session(session) {
            if row.kind != "message" || row.direction != direction || row.payload.0.is_empty() {
                continue;
            }
            open.entry(row.exchange_id)
                .or_default()
                .extend_from_slice(&row.payload.0);
            if row.part_last {
                messages.extend(open.remove(&row.exchange_id));
            }
        }
        messages
    }
}
