//! From messages to rows.

use super::{Known, Loader};
use crate::calls::Calls;
use crate::parts::Message;
use crate::record::{Record, Undecodable};
use crate::redaction::{self, Body, CleanFrame, MaskedFrame};
use crate::rows::{Row, Verdict};
use crate::sessions::Place;
use crate::stop::{Stop, persist};

impl Loader {
    /// Reads back the requests that answers of this batch may belong to, though they came back elsewhere.
    pub(super) async fn look_up_calls(&mut self, fresh: &[(Record, Verdict)], start: i64) -> Result<Calls, Stop> {
        let frames = || fresh.iter().filter_map(|(record, _)| record.content.as_ref().ok());
        let (redactor, known) = (&self.live.redactor, &mut self.state.clean);
        let mut calls = Calls::of(frames(), |id, frame| redaction::mask_text(id, frame, redactor, known));
        if calls.sought().is_empty() {
            return Ok(calls);
        }
        let earliest = frames().map(|frame| frame.time).min().unwrap_or_default();
        let ask = || self.sink.asked(&self.origin, start, calls.sought(), earliest);
        let found = persist("reading back", ask).await?;
        calls.restore(found);
        Ok(calls)
    }

    /// Reads again, from time to time, whose frames are to be erased.
    pub(super) async fn renew_orders(&mut self) -> Result<(), Stop> {
        if self.state.orders.are_old() {
            self.state.orders = persist("reading erasures", || self.sink.orders()).await?;
        }
        Ok(())
    }

    /// Erases of rows what has been ordered to be erased since they were made; whether that was anything. The orders are those
    /// that were read last.
    pub(super) fn erase_named<'a>(&self, rows: impl Iterator<Item = &'a mut Row>) -> bool {
        let mut erased = false;
        for row in rows {
            if self.state.orders.erase(row.frame.frame(), row.place.session) {
                row.frame.erase();
                erased = true;
            }
        }
        erased
    }

    /// Redacts a message and makes its rows.
    pub(super) fn finish(&self, message: Message<Known>, rows: &mut Vec<Row>) {
        let (mut frames, mut known) = (Vec::new(), Vec::new());
        let count = message.frames.len();
        for waiting in message.frames {
            known.push((waiting.offset, waiting.with));
            frames.push(waiting.frame);
        }
        self.try_rules(&frames, &message.body);
        let clean = redaction::clean(frames, message.body, &self.live.redactor);
        for (index, (mut frame, (offset, known))) in clean.into_iter().zip(known).enumerate() {
            let retention = self
                .retention
                .class(&frame.frame().tenant, &frame.frame().target)
                .clone();
            if self.state.orders.erase(frame.frame(), known.place.session) {
                frame.erase();
            }
            self.metrics.found(frame.rules());
            rows.push(Row {
                offset,
                kafka_time: known.kafka_time,
                frame,
                verdict: known.verdict,
                truncated: message.truncated,
                place: known.place,
                answers: known.answers,
                message_size: if index + 1 == count { message.size } else { 0 },
                retention,
            });
        }
    }

    /// Counts what rules that are only tried would do to a message that came in one frame.
    fn try_rules(&self, frames: &[MaskedFrame], body: &Body) {
        if let (Some(tried), Body::Whole(Some(payload)), Some(frame)) = (&self.live.tried, body, frames.first()) {
            let redacted = tried.redact(&payload.0, &redaction::context(frame.frame()));
            for finding in redacted.findings() {
                self.metrics.would(&finding.rule, finding.action, finding.count);
            }
        }
    }

    /// The row that keeps the place of a record that is no frame, in the session that its key is in.
    pub(super) fn stub(&self, undecodable: &Undecodable, offset: i64, kafka_time: i64) -> Row {
        let session = undecodable
            .session_key()
            .and_then(|key| self.state.sessions.latest(&key));
        Row {
            offset,
            kafka_time,
            frame: CleanFrame::stub(undecodable.frame(&self.origin, offset, kafka_time), undecodable.reason),
            verdict: Verdict::Undecodable,
            truncated: false,
            place: Place {
                session: session.unwrap_or_default(),
                ..Place::default()
            },
            answers: None,
            message_size: 0,
            retention: self.retention.class("", "").clone(),
        }
    }
}
