//! Bytes of a Kafka record: a header that names the writer's schema, then Avro binary.
//!
//! The header is Avro's single-object encoding: `C3 01`, then the schema's CRC-64-AVRO fingerprint, little-endian.
//! [`Framing`] is where another header, such as that of a schema registry, has its place.

use apache_avro::{from_avro_datum, from_value, to_avro_datum, to_value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
pub use crate::codec::Malformed;
use crate::schema::{AUDIT_TODAY, CONTROL_TODAY, DEAD_LETTER_TODAY, FRAME_EARLIER, FRAME_TODAY, Released};
use crate::{AuditEvent, Control, DeadLetter, Frame, SealedFrame};

/// Avro single-object encoding's marker (Avro 1.12 specification, "Single-object encoding").
const MARKER: [u8; 2] = [0xC3, 0x01];
const HEADER: usize = MARKER.len() + 8;

/// How a record names its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Framing {
    /// Marker and fingerprint: readers need no registry.
    #[default]
    SingleObject,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No header that is known here.
    #[error("the record does not begin with an Avro single-object header")]
    NoHeader,
    /// Written under a schema that is neither today's nor an earlier release: the writer is newer than this reader.
    #[error("the record's schema {0:016x} is unknown: upgrade this reader before the writers")]
    UnknownSchema(u64),
    /// The header is right and the record is not.
    #[error("the record does not fit its schema: {0}")]
    Malformed(#[from] Malformed),
    /// A record of an earlier release that does not resolve to today's.
    #[error("the record of an earlier release cannot be read")]
    Unresolvable(#[source] Box<apache_avro::Error>),
}

impl DecodeError {
    /// A stable name, for metrics and dead letters.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoHeader => "no_header",
            Self::UnknownSchema(_) => "unknown_schema",
            Self::Malformed(_) => "malformed",
            Self::Unresolvable(_) => "unresolvable",
        }
    }
}

/// The frame as a Kafka record's value.
#[must_use]
pub fn encode_frame(frame: &SealedFrame, framing: Framing) -> Vec<u8> {
    let frame = frame.frame();
    let mut out = Vec::with_capacity(HEADER + 768 + frame.payload.as_ref().map_or(0, |payload| payload.0.len()));
    header(framing, &FRAME_TODAY, &mut out);
    codec::encode_frame(frame, &mut out);
    out
}

/// Reads a frame, written under today's schema or an earlier released one.
///
/// # Errors
/// Foreign bytes, an unknown schema, or a damaged record. Neither reveals the payload.
pub fn decode_frame(record: &[u8]) -> Result<Frame, DecodeError> {
    let (fingerprint, body) = split(record)?;
    if fingerprint == FRAME_TODAY.fingerprint {
        return Ok(codec::decode_frame(body)?);
    }
    let earlier = FRAME_EARLIER
        .iter()
        .find(|released| released.fingerprint == fingerprint)
        .ok_or(DecodeError::UnknownSchema(u64::from_le_bytes(fingerprint)))?;
    Ok(codec::decode_frame(&resolve(body, earlier, &FRAME_TODAY)?)?)
}

/// The statement as a Kafka record's value.
#[must_use]
pub fn encode_control(control: &Control, framing: Framing) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    header(framing, &CONTROL_TODAY, &mut out);
    codec::encode_control(control, &mut out);
    out
}

/// Reads a control statement. The caller verifies its signature.
///
/// # Errors
/// As [`decode_frame`].
pub fn decode_control(record: &[u8]) -> Result<Control, DecodeError> {
    let (fingerprint, body) = split(record)?;
    if fingerprint != CONTROL_TODAY.fingerprint {
        return Err(DecodeError::UnknownSchema(u64::from_le_bytes(fingerprint)));
    }
    Ok(codec::decode_control(body)?)
}

/// The event as a Kafka record's value.
#[must_use]
pub fn encode_audit(event: &AuditEvent, framing: Framing) -> Vec<u8> {
    let mut out = Vec::with_capacity(1536);
    header(framing, &AUDIT_TODAY, &mut out);
    codec::encode_audit(event, &mut out);
    out
}

/// Reads an audit event.
///
/// # Errors
/// As [`decode_frame`].
pub fn decode_audit(record: &[u8]) -> Result<AuditEvent, DecodeError> {
    decode_by_reference(record, &AUDIT_TODAY)
}

/// The dead letter as a Kafka record's value.
#[must_use]
pub fn encode_dead_letter(letter: &DeadLetter, framing: Framing) -> Vec<u8> {
    encode_by_reference(letter, framing, &DEAD_LETTER_TODAY)
}

/// Reads a dead letter.
///
/// # Errors
/// As [`decode_frame`].
pub fn decode_dead_letter(record: &[u8]) -> Result<DeadLetter, DecodeError> {
    decode_by_reference(record, &DEAD_LETTER_TODAY)
}

/// `apache-avro` and serde do, away from the hot path.
fn encode_by_reference<T: Serialize>(record: &T, framing: Framing, released: &Released) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    header(framing, released, &mut out);
    let body = to_value(record)
        .and_then(|value| value.resolve(&released.schema))
        .and_then(|value| to_avro_datum(&released.schema, value))
        .expect("the type mirrors its schema: a test encodes one with every field");
    out.extend_from_slice(&body);
    out
}

fn decode_by_reference<T: DeserializeOwned>(record: &[u8], released: &Released) -> Result<T, DecodeError> {
    let (fingerprint, mut body) = split(record)?;
    if fingerprint != released.fingerprint {
        return Err(DecodeError::UnknownSchema(u64::from_le_bytes(fingerprint)));
    }
    let value = from_avro_datum(&released.schema, &mut body, None)
        .and_then(|value| from_value(&value))
        .map_err(|error| DecodeError::Unresolvable(Box::new(error)))?;
    if body.is_empty() {
        Ok(value)
    } else {
        Err(Malformed::Trailing(body.len()).into())
    }
}

fn header(framing: Framing, released: &Released, out: &mut Vec<u8>) {
    match framing {
        Framing::SingleObject => {
            out.extend_from_slice(&MARKER);
            out.extend_from_slice(&released.fingerprint);
        }
    }
}

fn split(record: &[u8]) -> Result<([u8; 8], &[u8]), DecodeError> {
    let body = record.strip_prefix(&MARKER).ok_or(DecodeError::NoHeader)?;
    let (fingerprint, body) = body.split_first_chunk::<8>().ok_or(DecodeError::NoHeader)?;
    Ok((*fingerprint, body))
}

/// Avro schema resolution by the reference implementation: rare, so its speed does not matter.
fn resolve(body: &[u8], from: &Released, to: &Released) -> Result<Vec<u8>, DecodeError> {
    let unresolvable = |error| DecodeError::Unresolvable(Box::new(error));
    let mut rest = body;
    let value = from_avro_datum(&from.schema, &mut rest, Some(&to.schema)).map_err(unresolvable)?;
    if !rest.is_empty() {
        return Err(Malformed::Trailing(rest.len()).into());
    }
    to_avro_datum(&to.schema, value).map_err(unresolvable)
}
