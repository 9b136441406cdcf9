//! One exchange as the recorder sees it: every frame of it is made here, and so is its one end.

mod own;
mod parts;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use tapedeck_schemas::{Decision, Digest, Direction, End, Frame, Kind, Part, Principal, Rpc, RpcKind, SessionKey, Sse};
use uuid::Uuid;

use crate::identity::CertificateThumbprint;
use crate::record::{Demand, Durable, NotRecorded, Pending, Recorder};
use crate::telemetry::ExchangeTrace;
use own::Own;
use parts::parts;

/// How far an exchange has come, which decides its end if nobody states one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is on record: nothing to end.
    Silent,
    /// The request was handed to the recorder; the target has seen nothing.
    Recorded,
    /// The target may have seen it.
    Forwarded,
    /// A frame of the answer with this end was handed to the recorder, and not all of the answer was released yet.
    Ending(End),
    /// It has its end.
    Ended,
}

/// Proof that a request is on record, all of its parts.
#[derive(Debug)]
#[must_use = "the request may be forwarded now"]
pub(crate) struct RequestOnRecord {
    exchange_id: Uuid,
}

impl RequestOnRecord {
    pub(crate) fn exchange_id(&self) -> Uuid {
        self.exchange_id
    }
}

/// One body, or one event, of an answer; or a part of it.
#[derive(Debug)]
pub(crate) struct AnswerPiece {
    pub(crate) payload: Option<Bytes>,
    pub(crate) part: Part,
    /// Null on all parts but the last.
    pub(crate) rpc: Option<Rpc>,
    pub(crate) sse: Option<Sse>,
    pub(crate) end: Option<End>,
}

/// The frames of one exchange.
///
/// Invariant: of the ends on record the one with the highest `writer_seq` is true. The last frame of an answer says how
/// the exchange is going to end; where the answer is not released after all, a later frame of its own says how it did. An
/// exchange that is dropped before its end, by an early return or a panic, is given one then: `not_forwarded` or, past
/// that, `aborted`.
#[derive(Debug)]
pub(crate) struct Tape {
    recorder: Recorder,
    demand: Demand,
    /// What all frames of the exchange have in common.
    common: Frame,
    /// The client's message, where it has sent one.
    asked: Option<Rpc>,
    /// The messages in it, where it is a batch.
    batched: Vec<Rpc>,
    /// `Last-Event-ID`: what a listener has seen already.
    resumes_after: Option<String>,
    /// The certificate of the client's connection, for the record of a caller who stays nobody.
    certificate: Option<CertificateThumbprint>,
    stage: Stage,
    trace: ExchangeTrace,
}

impl Tape {
    /// An exchange of a caller who is not known yet. `common` has the exchange's id, target, client, protocol and HTTP
    /// method.
    pub(crate) fn of_stranger(recorder: Recorder, demand: Demand, common: Frame) -> Self {
        Self {
            recorder,
            demand,
            common,
            asked: None,
            batched: Vec::new(),
            resumes_after: None,
            certificate: None,
            stage: Stage::Silent,
            trace: ExchangeTrace::default(),
        }
    }

    /// What it says from now on is in this trace, too.
    pub(crate) fn traced(&mut self, trace: ExchangeTrace) {
        self.trace = trace;
    }

    /// From now on the exchange is `principal`'s, in `tenant`.
    pub(crate) fn belongs_to(&mut self, principal: Arc<Principal>, tenant: &str) {
        self.common.session_key = SessionKey::of_principal(
            tenant,
            &principal.issuer,
            &principal.subject,
            principal.client_id.as_deref(),
            &self.common.target,
        );
        tenant.clone_into(&mut self.common.tenant);
        self.common.principal = Some(principal);
    }

    /// The caller is nobody yet, and this is what the connection has shown.
    pub(crate) fn shows(&mut self, certificate: Option<CertificateThumbprint>) {
        self.certificate = certificate;
    }

    /// The client's message, and the messages in it where it is a batch.
    pub(crate) fn asks(&mut self, rpc: Rpc, batched: Vec<Rpc>) {
        self.asked = Some(rpc);
        self.batched = batched;
    }

    /// A stream is asked for from this event on.
    pub(crate) fn resumes(&mut self, last_event_id: String) {
        self.resumes_after = Some(last_event_id);
    }

    /// A revision or a trace that only the message names; what a header named stays.
    pub(crate) fn names(&mut self, revision: Option<String>, traceparent: Option<String>) {
        let common = &mut self.common;
        common.protocol.revision = common.protocol.revision.take().or(revision);
        common.traceparent = common.traceparent.take().or(traceparent);
    }

    /// The target's session that the request names, by a verified tag.
    pub(crate) fn in_session(&mut self, session_id: Uuid, target_session_hash: Digest) {
        self.common.session_id = Some(session_id);
        self.common.protocol.session_hash = Some(target_session_hash);
    }

    /// The session that the target's answer opens: this exchange's own.
    pub(crate) fn opens_session(&mut self, target_session_hash: Digest) {
        self.common.session_id = Some(self.common.exchange_id);
        self.common.protocol.session_hash = Some(target_session_hash);
    }

    pub(crate) fn exchange_id(&self) -> Uuid {
        self.common.exchange_id
    }

    pub(crate) fn asked(&self) -> Option<&Rpc> {
        self.asked.as_ref()
    }

    /// What an answer with this id answers: of a batch, the message in it.
    pub(crate) fn asked_with(&self, id: Option<&str>) -> Option<&Rpc> {
        let batched = self.batched.iter().find(|one| id.is_some() && one.id.as_deref() == id);
        batched.or(self.asked.as_ref())
    }

    /// For what a process says that the exchange started: it goes on when the exchange has ended.
    pub(crate) fn aside(&self) -> Aside {
        let mut common = self.common.clone();
        common.http.content_type = Some("text/plain".to_owned());
        Aside {
            recorder: self.recorder.clone(),
            common,
        }
    }

    /// Records what the client sent and waits until all of it is as durable as the target demands. `body` is none for
    /// GET and DELETE.
    pub(crate) async fn request(
        &mut self,
        body: Option<Bytes>,
        content_type: Option<String>,
        claimed: (Option<String>, Option<String>),
    ) -> Result<RequestOnRecord, NotRecorded> {
        self.trace.asked(&self.common, self.asked.as_ref());
        if self.common.traceparent.is_none() {
            // Where the client has no trace, ours is what whoever loads this goes on with.
            self.common.traceparent = self.trace.traceparent();
        }
        let kind = if body.is_some() {
            Kind::Message
        } else {
            Kind::ExchangeStart
        };
        let mut waiting: Vec<Pending> = Vec::with_capacity(1);
        for (part, payload) in parts(body) {
            let mut own = Own::new(kind, Direction::ToTarget, part);
            own.content_type.clone_from(&content_type);
            if part.last {
                own.rpc.clone_from(&self.asked);
                own.claimed.clone_from(&claimed);
            }
            if kind == Kind::ExchangeStart && self.resumes_after.is_some() {
                own.sse = Some(Sse {
                    id: self.resumes_after.clone(),
                    event: None,
                    retry: None,
                    comment: None,
                    complete: true,
                });
            }
            waiting.push(self.record(own, payload)?);
            self.stage = Stage::Recorded;
        }
        // Each call of a batch is on record by itself; its bytes are in the batch's own frames.
        for at in 0..self.batched.len() {
            let mut own = Own::new(kind, Direction::ToTarget, Part::WHOLE);
            own.rpc = Some(self.batched[at].clone());
            waiting.push(self.record(own, None)?);
        }
        for pending in waiting {
            let durable: Durable = pending.durable().await?;
            debug_assert_eq!(durable.exchange_id(), self.common.exchange_id);
        }
        Ok(RequestOnRecord {
            exchange_id: self.common.exchange_id,
        })
    }

    /// From now on the target may have seen the request. Gives its `traceparent`, if it is to be told another than the
    /// client's.
    pub(crate) fn forwarding(&mut self) -> Option<HeaderValue> {
        self.stage = Stage::Forwarded;
        self.trace.forwards(&self.common, self.asked.as_ref())
    }

    /// What the target answered, on each frame of the answer from now on.
    pub(crate) fn answered_with(&mut self, status: u16, content_type: Option<String>) {
        self.common.http.status = Some(i32::from(status));
        self.common.http.content_type = content_type;
        self.trace.answered(status);
    }

    /// Records a piece of the answer. Its end, if it has one, is the exchange's once all is [`released`](Self::released).
    pub(crate) fn answer(&mut self, piece: AnswerPiece) -> Result<Pending, NotRecorded> {
        if let Some(rpc) = &piece.rpc {
            self.trace.said(rpc);
        }
        let mut own = Own::new(Kind::Message, Direction::ToClient, piece.part);
        own.rpc = piece.rpc;
        own.sse = piece.sse;
        own.end = piece.end;
        own.content_type.clone_from(&self.common.http.content_type);
        let pending = self.record(own, piece.payload)?;
        if let Some(end) = piece.end {
            self.stage = Stage::Ending(end);
        }
        Ok(pending)
    }

    /// All of the answer was released: the end that its last frame has holds. Where that has none, a frame of its own
    /// says it.
    pub(crate) fn released(&mut self) {
        match self.stage {
            Stage::Ending(end) => {
                self.stage = Stage::Ended;
                self.trace.ended(end);
            }
            _ => self.end(End::Answered),
        }
    }

    /// From now on the frames say that a rule of the proxy's ended the exchange.
    pub(crate) fn ended_by(&mut self, rule: &str) {
        self.common.decision = Some(Decision {
            rule: rule.to_owned(),
            action: "end".to_owned(),
            approval_id: None,
        });
    }

    /// Ends the exchange by a frame of its own that nobody waits for. It overrules an end that a frame of the answer has:
    /// that may be on record, and something of the answer was not released.
    pub(crate) fn end(&mut self, end: End) {
        if matches!(self.stage, Stage::Silent | Stage::Ended) {
            return;
        }
        self.stage = Stage::Ended;
        self.trace.ended(end);
        let mut frame = self.frame(Kind::ExchangeEnd, Direction::None);
        frame.end = Some(end);
        frame.rpc = self.asked.as_ref().map(|asked| Rpc {
            kind: RpcKind::None,
            ..asked.clone()
        });
        self.recorder.record_unwaited(self.recorder.draft(frame, None));
    }

    /// Records that the proxy said no. With a principal the body is evidence; without one nothing of it is kept.
    pub(crate) fn refuse(mut self, rule: &str, status: u16, body: Option<Bytes>) {
        self.trace.refused(&self.common, self.asked.as_ref(), rule, status);
        let known = self.common.principal.is_some();
        if !known {
            self.common.session_key = SessionKey::of_stranger(&self.common.target, &self.common.client.address);
            self.common.principal = self.certificate.map(holder);
        }
        for (part, payload) in parts(body.filter(|_| known)) {
            let mut frame = self.frame(Kind::Refused, Direction::ToTarget);
            frame.http.status = Some(i32::from(status));
            frame.part = part;
            frame.decision = Some(Decision {
                rule: rule.to_owned(),
                action: "refuse".to_owned(),
                approval_id: None,
            });
            if part.last {
                frame.end = Some(End::Refused);
                frame.rpc = self.asked.take().filter(|_| known);
            }
            let draft = self.recorder.draft(frame, payload);
            if known {
                self.recorder.record_unwaited(draft);
            } else {
                self.recorder.refuse_stranger(draft);
            }
        }
        self.stage = Stage::Ended;
    }

    /// Records a frame that has this beside what all have in common.
    fn record(&mut self, mut own: Own, payload: Option<Bytes>) -> Result<Pending, NotRecorded> {
        own.swap(&mut self.common);
        let recorded = self.recorder.record_lent(&mut self.common, payload, self.demand);
        own.swap(&mut self.common);
        recorded
    }

    fn frame(&self, kind: Kind, direction: Direction) -> Frame {
        Frame {
            kind,
            direction,
            ..self.common.clone()
        }
    }
}

/// Nobody who is known, with the key of this certificate.
fn holder(certificate: CertificateThumbprint) -> Arc<Principal> {
    Arc::new(Principal {
        key_thumbprint: Some(format!("x5t#S256:{certificate}")),
        ..Principal::default()
    })
}

/// Records what is no message, under the exchange that brought it about. Nobody waits for it.
#[derive(Debug)]
pub(crate) struct Aside {
    recorder: Recorder,
    common: Frame,
}

impl Aside {
    /// A frame without a direction, whose payload is `words`.
    pub(crate) fn say(&self, words: Bytes) {
        for (part, payload) in parts(Some(words)) {
            let frame = Frame {
                kind: Kind::Message,
                direction: Direction::None,
                part,
                ..self.common.clone()
            };
            self.recorder.record_unwaited(self.recorder.draft(frame, payload));
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        match self.stage {
            Stage::Silent | Stage::Ended => {}
            Stage::Recorded => self.end(End::NotForwarded),
            Stage::Forwarded | Stage::Ending(_) => self.end(End::Aborted),
        }
    }
}
