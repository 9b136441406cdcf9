//! Reading a dead letter again, by the owner of its partition: once in its effect, however often it is asked for.

use foldhash::HashSet;
use tapedeck_redact::DropReason;
use tracing::info;
use uuid::Uuid;

use super::once::Landed;
use super::{Known, Loader, token_prefix};
use crate::parts::{Message, Waiting};
use crate::record::Record;
use crate::redaction::{self, Body};
use crate::rows::{Row, Verdict};
use crate::sessions::{Event, Place, Sessions};
use crate::stop::{Stop, persist};

impl Loader {
    /// Loads a record that was a dead letter, if it can be read now, into the session that it would have been in; `None`:
    /// the log does not have it any more. Everything below its offset must be in the table. Notes what became of it.
    ///
    /// A crash in between repeats it: a row that is there is not inserted again, events go out again under the same ids.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn retry(&mut self, offset: i64, record: Option<Record>) -> Result<(), Stop> {
        self.settled().await?;
        let outcome = match record {
            None => "gone",
            Some(record) => self.read_again(record).await?,
        };
        self.metrics.retried.inc();
        info!(
            partition = self.origin.partition,
            offset, outcome, "a dead letter was read again"
        );
        persist("noting a retry", || {
            self.sink.note_retried(&self.origin, offset, outcome)
        })
        .await
    }

    async fn read_again(&mut self, record: Record) -> Result<&'static str, Stop> {
        let offset = record.offset;
        let rows = || self.sink.letter_rows(&self.origin, offset);
        let (is_letter, is_loaded) = persist("reading back", rows).await?;
        if !is_letter {
            return Ok("no_dead_letter");
        }
        let frame = match &record.content {
            Ok(frame) => frame,
            Err(undecodable) => return Ok(undecodable.reason),
        };
        let place = (frame.segment_id, frame.seq);
        let verdict = match frame.verify_hash() {
            Err(_) => Verdict::Tampered,
            Ok(()) => {
                let places: HashSet<(Uuid, i64)> = [place].into_iter().collect();
                let hashes = || self.sink.hashes(&self.origin, i64::MAX, &places);
                let known = persist("looking up duplicates", hashes).await?;
                match known.get(&place) {
                    Some(hashes) if hashes.contains(&frame.frame_hash) && !is_loaded => return Ok("duplicate"),
                    Some(hashes) if !hashes.contains(&frame.frame_hash) => Verdict::Fork,
                    _ => Verdict::Intact,
                }
            }
        };
        let session = self.session_at(&record).await?;
        let mut row = self.late_row(record, verdict, session, is_loaded).await?;
        if !is_loaded {
            let token = format!("{}retry/{offset}", token_prefix(&self.origin));
            let storing = self.storing().await?;
            while storing.insert(&token, &mut [&mut row], None).await? == Landed::TooLate {}
        }
        self.storing().await?.publish(&[row], &[]).await?;
        Ok("loaded")
    }

    /// The session that a record of this offset is in: that of the rest of its exchange, else what the rule says after
    /// all rows before it.
    async fn session_at(&self, record: &Record) -> Result<Uuid, Stop> {
        let Ok(frame) = &record.content else {
            return Ok(Uuid::nil());
        };
        let find = || {
            self.sink
                .session_of_exchange(&self.origin, &frame.session_key, frame.exchange_id)
        };
        if let Some(session) = persist("reading back", find).await? {
            return Ok(session);
        }
        let mut then = Sessions::new(self.idle);
        let missing = then.missing(std::iter::once(&**frame));
        let none = HashSet::default();
        let past = || self.sink.past(&self.origin, record.offset, &none, &missing, self.idle);
        let past = persist("reading back", past).await?;
        then.restore(&missing, past.sessions, past.exchanges);
        let masked = redaction::mask(frame.clone(), &self.live.redactor, &mut redaction::Known::default());
        Ok(then.place(&Event::of(record.offset, masked.frame())).session)
    }

    /// The frame's row: in its session, and counted there as the latest, since the rows after it are there already; not
    /// counted again where it was before.
    async fn late_row(
        &mut self,
        record: Record,
        verdict: Verdict,
        session: Uuid,
        is_counted: bool,
    ) -> Result<Row, Stop> {
        let (offset, kafka_time) = (record.offset, record.kafka_time);
        let fresh = [(record, verdict)];
        let mut calls = self.look_up_calls(&fresh, offset).await?;
        self.renew_orders().await?;
        let [(record, _)] = fresh;
        let frame = record.content.expect("who calls this has looked at its frame");
        if self.state.segments.knows(frame.segment_id) {
            self.state.segments.insert(frame.segment_id, frame.seq);
        }
        let sessions = &self.state.sessions;
        let missing = sessions.missing_session(frame.session_key, session, frame.time);
        if !missing.is_empty() {
            let none = HashSet::default();
            let past = || self.sink.past(&self.origin, i64::MAX, &none, &missing, self.idle);
            let past = persist("reading back", past).await?;
            self.state.sessions.restore(&missing, past.sessions, past.exchanges);
        }
        let is_whole = frame.part.index == 0 && frame.part.last;
        let mut frame = redaction::mask(frame, &self.live.redactor, &mut self.state.clean);
        let event = Event::of(offset, frame.frame());
        let answers = calls.take(&event, session);
        let place = match is_counted {
            true => Place {
                session,
                ..Place::default()
            },
            false => self.state.sessions.place_late(&event, session),
        };
        let payload = frame.take_payload();
        // The other parts of its message have gone their way; alone it cannot be looked at.
        let message = Message {
            frames: vec![Waiting {
                offset,
                frame,
                with: Known {
                    kafka_time,
                    verdict,
                    place,
                    answers,
                },
            }],
            body: match is_whole {
                true => Body::Whole(payload),
                false => Body::Withheld(DropReason::Incomplete),
            },
            truncated: !is_whole,
            would: Vec::new(),
            size: 0,
        };
        let mut rows = Vec::with_capacity(1);
        self.finish(message, &mut rows);
        // One frame, one row.
        Ok(rows.swap_remove(0))
    }
}
