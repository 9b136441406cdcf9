//! Commitments and the frame hash. `README.md` has the definition in prose.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{Digest, Frame, Salt};

/// Length that stands for an absent value; no real length reaches it.
const ABSENT: u32 = u32::MAX;

/// Fields to be hashed: each is its length in four big-endian bytes and then itself, so no two tuples share bytes.
pub(crate) struct Tuple(Vec<u8>);

impl Tuple {
    pub(crate) fn new(label: &str) -> Self {
        let mut tuple = Self(Vec::with_capacity(768));
        tuple.text(label);
        tuple
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let length = u32::try_from(value.len()).expect("a hashed field is far below 4 GiB: bodies go in by commitment");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn optional(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.bytes(value),
            None => {
                self.0.extend_from_slice(&ABSENT.to_be_bytes());
                self
            }
        }
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn optional_text(&mut self, value: Option<&str>) -> &mut Self {
        self.optional(value.map(str::as_bytes))
    }

    pub(crate) fn number(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    fn optional_number(&mut self, value: Option<i64>) -> &mut Self {
        self.optional(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))
    }

    fn flag(&mut self, value: bool) -> &mut Self {
        self.bytes(&[u8::from(value)])
    }

    pub(crate) fn id(&mut self, value: Uuid) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Says whether a group of fields follows.
    pub(crate) fn present<T>(&mut self, value: Option<&T>) -> &mut Self {
        self.flag(value.is_some())
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(&self.0).into())
    }

    /// The bytes themselves, to be signed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `SHA-256("payload/v1" ‖ salt ‖ payload)`: label and salt have fixed lengths, so nothing needs a prefix.
pub(crate) fn payload_commitment(salt: &Salt, payload: &[u8]) -> Digest {
    Digest(
        Sha256::new()
            .chain_update(b"payload/v1")
            .chain_update(salt.0)
            .chain_update(payload)
            .finalize()
            .into(),
    )
}

/// Commitment to everything beside the payload that may have to be masked.
pub(crate) fn metadata_commitment(frame: &Frame) -> Digest {
    let mut tuple = Tuple::new("metadata/v1");
    tuple.bytes(&frame.salts.metadata.0);
    let principal = frame.principal.as_deref();
    tuple
        .optional_text(principal.and_then(|p| p.name.as_deref()))
        .optional_text(principal.and_then(|p| p.email.as_deref()))
        .text(&frame.client.address)
        .optional_text(frame.client.user_agent.as_deref())
        .optional_text(frame.client.claimed_name.as_deref())
        .optional_text(frame.client.claimed_version.as_deref())
        .optional_text(frame.rpc.as_ref().and_then(|rpc| rpc.name.as_deref()));
    let sse = frame.sse.as_ref();
    tuple
        .optional_text(sse.and_then(|sse| sse.id.as_deref()))
        .optional_text(sse.and_then(|sse| sse.event.as_deref()))
        .optional_text(sse.and_then(|sse| sse.comment.as_deref()));
    tuple.digest()
}

/// The hash over every field: maskable ones through the commitments, all others directly, `previous_hash` last.
pub(crate) fn frame_hash(frame: &Frame) -> Digest {
    let mut tuple = Tuple::new("frame/v1");
    tuple
        .id(frame.writer_id)
        .number(frame.writer_seq)
        .id(frame.segment_id)
        .number(frame.seq)
        .id(frame.exchange_id)
        .bytes(frame.session_key.as_bytes())
        .optional(frame.session_id.as_ref().map(|id| id.as_bytes().as_slice()))
        .number(frame.time)
        .number(frame.monotonic_ns)
        .text(frame.kind.as_str())
        .text(frame.direction.as_str())
        .optional_text(frame.end.map(|end| end.as_str()))
        .text(&frame.tenant)
        .text(&frame.target);
    hash_principal(&mut tuple, frame);
    tuple
        .optional_text(frame.protocol.revision.as_deref())
        .text(&frame.protocol.transport)
        .optional(frame.protocol.session_hash.as_ref().map(|hash| hash.0.as_slice()));
    tuple.present(frame.rpc.as_ref());
    if let Some(rpc) = &frame.rpc {
        tuple
            .text(rpc.kind.as_str())
            .optional_text(rpc.method.as_deref())
            .optional_text(rpc.id.as_deref())
            .optional_number(rpc.error_code)
            .optional(rpc.is_error.map(u8::from).as_ref().map(std::slice::from_ref));
    }
    tuple
        .optional_text(frame.http.method.as_deref())
        .optional_number(frame.http.status.map(i64::from))
        .optional_text(frame.http.content_type.as_deref());
    tuple.present(frame.sse.as_ref());
    if let Some(sse) = &frame.sse {
        tuple.optional_number(sse.retry).flag(sse.complete);
    }
    tuple.optional_text(frame.traceparent.as_deref());
    tuple.present(frame.decision.as_ref());
    if let Some(decision) = &frame.decision {
        tuple
            .text(&decision.rule)
            .text(&decision.action)
            .optional_text(decision.approval_id.as_deref());
    }
    let counters = &frame.counters;
    tuple
        .number(counters.requests)
        .number(counters.answers)
        .number(counters.errors)
        .number(counters.refused)
        .number(counters.bytes_to_target)
        .number(counters.bytes_to_client);
    hash_segment(&mut tuple, frame);
    tuple.present(frame.gap.as_ref());
    if let Some(gap) = &frame.gap {
        tuple.text(&gap.reason).number(gap.frames).number(gap.bytes);
    }
    tuple
        .number(frame.payload_size)
        .number(i64::from(frame.part.index))
        .flag(frame.part.last)
        .optional(frame.commitments.payload.as_ref().map(|digest| digest.0.as_slice()))
        .bytes(&frame.commitments.metadata.0)
        .bytes(&frame.previous_hash.0);
    tuple.digest()
}

fn hash_principal(tuple: &mut Tuple, frame: &Frame) {
    tuple.present(frame.principal.as_ref());
    let Some(principal) = frame.principal.as_deref() else {
        return;
    };
    tuple.text(&principal.issuer).text(&principal.subject);
    tuple.number(principal.groups.len() as i64);
    for group in &principal.groups {
        tuple.text(group);
    }
    tuple
        .optional_text(principal.client_id.as_deref())
        .optional_text(principal.token_id.as_deref())
        .optional_text(principal.token_session.as_deref())
        .optional_text(principal.key_thumbprint.as_deref());
}

fn hash_segment(tuple: &mut Tuple, frame: &Frame) {
    tuple.present(frame.segment.as_ref());
    let Some(event) = &frame.segment else { return };
    tuple.text(&event.reason).present(event.previous.as_ref());
    let Some(previous) = &event.previous else { return };
    tuple
        .id(previous.segment_id)
        .number(previous.seq)
        .bytes(&previous.head.0);
    tuple.number(previous.lost.len() as i64);
    for lost in &previous.lost {
        tuple.number(lost.seq).number(lost.writer_seq);
    }
}

/// What of a frame does not fit its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashMismatch {
    /// The payload is not the one that was committed to.
    #[error("the payload does not fit its commitment")]
    Payload,
    /// Maskable metadata is not what was committed to.
    #[error("the metadata does not fit its commitment")]
    Metadata,
    /// Another field, or the chain, was changed.
    #[error("the frame does not fit its hash")]
    Frame,
}

impl Frame {
    /// Recomputes commitments and hash of a frame as the proxy published it, unredacted.
    ///
    /// # Errors
    /// Says which part does not fit. Whether `previous_hash` is that of the frame before is the caller's to compare.
    pub fn verify_hash(&self) -> Result<(), HashMismatch> {
        let payload = match (&self.payload, &self.salts.payload) {
            (Some(payload), Some(salt)) => Some(payload_commitment(salt, &payload.0)),
            (None, None) => None,
            _ => return Err(HashMismatch::Payload),
        };
        if payload != self.commitments.payload {
            return Err(HashMismatch::Payload);
        }
        if metadata_commitment(self) != self.commitments.metadata {
            return Err(HashMismatch::Metadata);
        }
        self.verify_redacted_hash()
    }

    /// Recomputes the hash from the commitments alone, as for a frame whose payload or metadata is masked or erased.
    ///
    /// # Errors
    /// [`HashMismatch::Frame`] where any other field, or a commitment, was changed.
    pub fn verify_redacted_hash(&self) -> Result<(), HashMismatch> {
        if frame_hash(self) == self.frame_hash {
            Ok(())
        } else {
            Err(HashMismatch::Frame)
        }
    }
}
