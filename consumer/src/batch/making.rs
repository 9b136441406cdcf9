//! From messages to rows.

use tapedeck_redact::Finding;
use tapedeck_schemas::{DeadLetter, Payload};

use super::{Known, Loader};
use crate::calls::Calls;
use crate::parts::{Message, Waiting};
use crate::record::{Record, Undecodable};
use crate::redaction::{self, Body, CleanFrame, MaskedFrame};
use crate::rows::{Row, Verdict};
use crate::sessions::{Event, Place};
use crate::stop::{Stop, persist};

impl Loader {
    /// Masks, places and puts together. Gives back the rows of all messages that are whole or given up, and the dead
    /// letters. The sessions are those of the frames' own order, whenever their rows are complete.
    pub(super) fn take_in(&mut self, records: Vec<(Record, Verdict)>, mut calls: Calls) -> (Vec<Row>, Vec<DeadLetter>) {
        let (mut rows, mut letters) = (Vec::with_capacity(records.len()), Vec::new());
        for (record, verdict) in records {
            match record.content {
                Err(undecodable) => {
                    self.metrics.undecodable.inc();
                    letters.push(undecodable.letter(&self.origin, record.offset, record.kafka_time));
                    rows.push(self.stub(&undecodable, record.offset, record.kafka_time));
                }
                Ok(frame) => {
                    let mut frame = redaction::mask(frame, &self.live.redactor, &mut self.state.clean);
                    let event = Event::of(record.offset, frame.frame());
                    let place = self.state.sessions.place(&event);
                    let with = Known {
                        kafka_time: record.kafka_time,
                        verdict,
                        answers: calls.take(&event, place.session),
                        place,
                    };
                    let offset = record.offset;
                    if self.state.parts.passes(frame.frame()) {
                        let payload = frame.take_payload();
                        rows.push(self.finish_whole(Waiting { offset, frame, with }, payload.as_ref()));
                        continue;
                    }
                    let waiting = Waiting { offset, frame, with };
                    for message in self.state.parts.take(waiting, &self.live) {
                        self.finish(message, &mut rows);
                    }
                }
            }
        }
        for message in self.state.parts.expire() {
            self.finish(message, &mut rows);
        }
        (rows, letters)
    }

    /// Reads again, from time to time, whose frames are to be erased.
    pub(super) async fn renew_orders(&mut self) -> Result<(), Stop> {
        if self.state.orders.are_old() {
            self.state.orders = persist("reading erasures", || self.sink.orders()).await?;
        }
        Ok(())
    }

    /// Redacts a message and makes its rows.
    pub(super) fn finish(&self, message: Message<Known>, rows: &mut Vec<Row>) {
        let (mut frames, mut known) = (Vec::new(), Vec::new());
        let count = message.frames.len();
        for waiting in message.frames {
            known.push((waiting.offset, waiting.with));
            frames.push(waiting.frame);
        }
        self.would(&message.would);
        if let (Body::Whole(payload), Some(frame)) = (&message.body, frames.first()) {
            self.try_rules(frame, payload.as_ref());
        }
        let clean = redaction::clean(frames, message.body, &self.live.redactor);
        for (index, (frame, (offset, known))) in clean.into_iter().zip(known).enumerate() {
            let row = self.row(offset, known, frame);
            rows.push(Row {
                truncated: message.truncated,
                message_size: if index + 1 == count { message.size } else { 0 },
                ..row
            });
        }
    }

    /// The same for a message that came in one frame, whose payload this is: nearly all of them do.
    pub(super) fn finish_whole(&self, waiting: Waiting<Known>, payload: Option<&Payload>) -> Row {
        self.try_rules(&waiting.frame, payload);
        let frame = redaction::clean_whole(waiting.frame, payload, &self.live.redactor);
        self.row(waiting.offset, waiting.with, frame)
    }

    fn row(&self, offset: i64, known: Known, mut frame: CleanFrame) -> Row {
        let retention = self
            .retention
            .class(&frame.frame().tenant, &frame.frame().target)
            .clone();
        if self.state.orders.erase(frame.frame(), known.place.session) {
            frame.erase();
        }
        self.metrics.found(frame.rules());
        Row {
            offset,
            kafka_time: known.kafka_time,
            frame,
            verdict: known.verdict,
            truncated: false,
            place: known.place,
            answers: known.answers,
            message_size: 0,
            retention,
        }
    }

    /// Counts what rules that are only tried would do to a message that came in one frame; of others it is told with their
    /// parts.
    fn try_rules(&self, frame: &MaskedFrame, payload: Option<&Payload>) {
        if let (Some(tried), Some(payload)) = (&self.live.tried, payload) {
            let redacted = tried.redact(&payload.0, &redaction::context(frame.frame()));
            self.would(redacted.findings());
        }
    }

    fn would(&self, findings: &[Finding]) {
        for finding in findings {
            self.metrics.would(&finding.rule, finding.action, finding.count);
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
