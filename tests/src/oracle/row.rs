//! A row of `frames`, and the frame that it was, as far as redaction has left it.

use std::sync::Arc;

use anyhow::Context as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tapedeck_schemas::{
    Client, Commitments, Counters, Decision, Digest, Direction, End, Frame, Gap, Http, Kind, LostFrame, Part, Payload,
    PreviousSegment, Principal, Protocol, Rpc, RpcKind, Salt, Salts, SegmentEvent, SessionKey, Sse,
};
use uuid::Uuid;

/// The optional fields of a frame, in the order of their bits in `present`.
#[derive(Debug, Clone, Copy)]
enum Field {
    Session,
    End,
    Principal,
    PrincipalName,
    PrincipalEmail,
    PrincipalClientId,
    PrincipalTokenId,
    PrincipalTokenSession,
    PrincipalKeyThumbprint,
    UserAgent,
    ClaimedName,
    ClaimedVersion,
    Revision,
    SessionHash,
    Rpc,
    RpcMethod,
    RpcId,
    RpcName,
    RpcErrorCode,
    RpcIsError,
    HttpMethod,
    HttpStatus,
    ContentType,
    Sse,
    SseId,
    SseEvent,
    SseRetry,
    SseComment,
    Traceparent,
    Decision,
    Approval,
    Segment,
    PreviousSegment,
    Gap,
    Payload,
    PayloadSalt,
    MetadataSalt,
    /// Something that the hash covers directly was masked.
    DirectMasked,
}

/// One row of `frames`. Names and meaning are the table's.
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs, reason = "each column's comment is in deploy/clickhouse")]
pub struct Row {
    pub tenant: String,
    pub session_start: i64,
    pub session_id: Uuid,
    pub segment_id: Uuid,
    pub seq: i64,
    pub time: i64,
    pub monotonic_ns: i64,
    pub writer_id: Uuid,
    pub writer_seq: i64,
    pub exchange_id: Uuid,
    pub session_key: Hex,
    pub kind: String,
    pub direction: String,
    pub ended: String,
    pub target: String,
    pub issuer: String,
    pub subject: String,
    pub principal_name: String,
    pub principal_email: String,
    pub groups: Vec<String>,
    pub client_id: String,
    pub token_id: String,
    pub token_session: String,
    pub key_thumbprint: String,
    pub client_address: String,
    pub user_agent: String,
    pub claimed_name: String,
    pub claimed_version: String,
    pub revision: String,
    pub transport: String,
    pub session_hash: Hex,
    pub rpc_kind: String,
    pub rpc_method: String,
    pub rpc_id: String,
    pub rpc_name: String,
    pub rpc_error_code: i64,
    pub rpc_is_error: bool,
    pub http_method: String,
    pub http_status: i32,
    pub content_type: String,
    pub sse_id: String,
    pub sse_event: String,
    pub sse_retry: i64,
    pub sse_comment: String,
    pub sse_complete: bool,
    pub traceparent: String,
    pub decision_rule: String,
    pub decision_action: String,
    pub approval_id: String,
    pub segment_requests: i64,
    pub segment_answers: i64,
    pub segment_errors: i64,
    pub segment_refused: i64,
    pub segment_bytes_to_target: i64,
    pub segment_bytes_to_client: i64,
    pub segment_reason: String,
    pub previous_segment_id: Uuid,
    pub previous_segment_seq: i64,
    pub previous_segment_head: Hex,
    pub lost_seq: Vec<i64>,
    pub lost_writer_seq: Vec<i64>,
    pub gap_reason: String,
    pub gap_frames: i64,
    pub gap_bytes: i64,
    pub payload: Hex,
    pub payload_size: i64,
    pub part_index: i32,
    pub part_last: bool,
    pub redaction: String,
    pub redaction_reason: String,
    pub redaction_rules: Vec<String>,
    pub present: u64,
    pub payload_salt: Hex,
    pub metadata_salt: Hex,
    pub payload_commitment: Hex,
    pub metadata_commitment: Hex,
    pub frame_hash: Hex,
    pub verdict: String,
    pub truncated: bool,
    pub session_shared: bool,
    pub session_starts: bool,
    pub session_seq: u64,
    pub session_calls: u64,
    pub session_errors: u64,
    pub session_bytes: u64,
    pub kafka_source: String,
    pub kafka_topic: String,
    pub kafka_partition: i32,
    pub kafka_offset: i64,
    pub kafka_time: i64,
}

impl Row {
    /// The payload, redacted.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload.0).into_owned()
    }

    /// Where its record is in the topic.
    pub fn place(&self) -> (i32, i64) {
        (self.kafka_partition, self.kafka_offset)
    }

    /// The frame's hash.
    pub fn hash(&self) -> Digest {
        self.frame_hash.digest()
    }

    /// Whether nothing that the hash covers without a commitment was masked: only then can it be recomputed.
    pub fn has_all_direct_fields(&self) -> bool {
        !self.had(Field::DirectMasked)
    }

    /// Whether the row holds the whole frame, to the last bit.
    pub fn is_unchanged(&self) -> bool {
        let payload_is_whole = !self.had(Field::Payload) || self.had(Field::PayloadSalt);
        payload_is_whole && self.had(Field::MetadataSalt) && self.has_all_direct_fields()
    }

    fn had(&self, field: Field) -> bool {
        self.present & (1 << field as u64) != 0
    }

    fn some<T>(&self, field: Field, value: T) -> Option<T> {
        self.had(field).then_some(value)
    }

    fn text_of(&self, field: Field, column: &str) -> Option<String> {
        self.some(field, column.to_owned())
    }

    /// The frame that the row was made of, given the hash of the frame before it, which no row holds. Masked texts are as
    /// masked; a payload that was masked or dropped is not there.
    ///
    /// # Errors
    /// When a column names something that no frame has.
    pub fn frame(&self, previous_hash: Digest) -> anyhow::Result<Frame> {
        Ok(Frame {
            writer_id: self.writer_id,
            writer_seq: self.writer_seq,
            segment_id: self.segment_id,
            seq: self.seq,
            exchange_id: self.exchange_id,
            session_key: SessionKey(self.session_key.digest()),
            session_id: self.some(Field::Session, self.session_id),
            time: self.time,
            monotonic_ns: self.monotonic_ns,
            kind: named(Kind::ALL, Kind::as_str, &self.kind)?,
            direction: named(Direction::ALL, Direction::as_str, &self.direction)?,
            end: if self.had(Field::End) {
                Some(named(End::ALL, End::as_str, &self.ended)?)
            } else {
                None
            },
            tenant: self.tenant.clone(),
            target: self.target.clone(),
            principal: self.some(Field::Principal, Arc::new(self.principal())),
            client: Client {
                address: self.client_address.clone(),
                user_agent: self.text_of(Field::UserAgent, &self.user_agent),
                claimed_name: self.text_of(Field::ClaimedName, &self.claimed_name),
                claimed_version: self.text_of(Field::ClaimedVersion, &self.claimed_version),
            },
            protocol: Protocol {
                revision: self.text_of(Field::Revision, &self.revision),
                transport: self.transport.clone(),
                session_hash: self.had(Field::SessionHash).then(|| self.session_hash.digest()),
            },
            rpc: if self.had(Field::Rpc) { Some(self.rpc()?) } else { None },
            http: Http {
                method: self.text_of(Field::HttpMethod, &self.http_method),
                status: self.some(Field::HttpStatus, self.http_status),
                content_type: self.text_of(Field::ContentType, &self.content_type),
            },
            sse: self.had(Field::Sse).then(|| self.sse()),
            traceparent: self.text_of(Field::Traceparent, &self.traceparent),
            decision: self.had(Field::Decision).then(|| Decision {
                rule: self.decision_rule.clone(),
                action: self.decision_action.clone(),
                approval_id: self.text_of(Field::Approval, &self.approval_id),
            }),
            counters: self.counters(),
            segment: self.had(Field::Segment).then(|| self.segment()),
            gap: self.had(Field::Gap).then(|| Gap {
                reason: self.gap_reason.clone(),
                frames: self.gap_frames,
                bytes: self.gap_bytes,
            }),
            payload: self
                .had(Field::PayloadSalt)
                .then(|| Payload(self.payload.0.clone().into())),
            payload_size: self.payload_size,
            part: Part {
                index: self.part_index,
                last: self.part_last,
            },
            salts: Salts {
                payload: self.had(Field::PayloadSalt).then(|| Salt(self.payload_salt.array())),
                metadata: Salt(self.metadata_salt.array()),
            },
            commitments: Commitments {
                payload: self.had(Field::Payload).then(|| self.payload_commitment.digest()),
                metadata: self.metadata_commitment.digest(),
            },
            previous_hash,
            frame_hash: self.hash(),
        })
    }

    fn principal(&self) -> Principal {
        Principal {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            name: self.text_of(Field::PrincipalName, &self.principal_name),
            email: self.text_of(Field::PrincipalEmail, &self.principal_email),
            groups: self.groups.clone(),
            client_id: self.text_of(Field::PrincipalClientId, &self.client_id),
            token_id: self.text_of(Field::PrincipalTokenId, &self.token_id),
            token_session: self.text_of(Field::PrincipalTokenSession, &self.token_session),
            key_thumbprint: self.text_of(Field::PrincipalKeyThumbprint, &self.key_thumbprint),
        }
    }

    fn rpc(&self) -> anyhow::Result<Rpc> {
        Ok(Rpc {
            kind: named(RpcKind::ALL, RpcKind::as_str, &self.rpc_kind)?,
            method: self.text_of(Field::RpcMethod, &self.rpc_method),
            id: self.text_of(Field::RpcId, &self.rpc_id),
            name: self.text_of(Field::RpcName, &self.rpc_name),
            error_code: self.some(Field::RpcErrorCode, self.rpc_error_code),
            is_error: self.some(Field::RpcIsError, self.rpc_is_error),
        })
    }

    fn sse(&self) -> Sse {
        Sse {
            id: self.text_of(Field::SseId, &self.sse_id),
            event: self.text_of(Field::SseEvent, &self.sse_event),
            retry: self.some(Field::SseRetry, self.sse_retry),
            comment: self.text_of(Field::SseComment, &self.sse_comment),
            complete: self.sse_complete,
        }
    }

    fn counters(&self) -> Counters {
        Counters {
            requests: self.segment_requests,
            answers: self.segment_answers,
            errors: self.segment_errors,
            refused: self.segment_refused,
            bytes_to_target: self.segment_bytes_to_target,
            bytes_to_client: self.segment_bytes_to_client,
        }
    }

    fn segment(&self) -> SegmentEvent {
        let lost = self.lost_seq.iter().zip(&self.lost_writer_seq);
        SegmentEvent {
            reason: self.segment_reason.clone(),
            previous: self.had(Field::PreviousSegment).then(|| PreviousSegment {
                segment_id: self.previous_segment_id,
                seq: self.previous_segment_seq,
                head: self.previous_segment_head.digest(),
                lost: lost.map(|(&seq, &writer_seq)| LostFrame { seq, writer_seq }).collect(),
            }),
        }
    }
}

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> anyhow::Result<T> {
    let found = all.iter().copied().find(|variant| name(*variant) == text);
    found.with_context(|| format!("no frame has `{text}`"))
}

/// Bytes that a statement has spelled in hexadecimal digits.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    fn array(&self) -> [u8; 32] {
        // A column of FixedString(32) has that many; of anything else the hash would not fit, and that is the test.
        self.0.as_slice().try_into().unwrap_or_default()
    }

    fn digest(&self) -> Digest {
        Digest(self.array())
    }
}

impl std::fmt::Debug for Hex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .ok_or_else(|| D::Error::custom("no hexadecimal digit"))
        };
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Ok((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => Err(D::Error::custom("half a byte")),
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }
}
