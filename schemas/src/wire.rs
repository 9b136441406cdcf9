//! Bytes of a Kafka record: a header that names the writer's schema, then Avro binary.
//!
//! The header is Avro's single-object encoding: `C3 01`, then the schema's CRC-64-AVRO fingerprint, little-endian. Where a
//! schema registry is used it is Confluent's: a zero byte, then the schema's id there, four bytes, big-endian.

use std::collections::BTreeMap;
use std::sync::Arc;

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
/// Confluent's wire format begins with it.
const MAGIC: u8 = 0;

/// How a record names its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Framing {
    /// Marker and fingerprint: readers need no registry.
    #[default]
    SingleObject,
    /// A schema registry's id.
    Registry(u32),
}

/// Schemas by their ids in a registry.
#[derive(Clone, Debug, Default)]
pub struct SchemaIds(BTreeMap<u32, Arc<Released>>);

impl SchemaIds {
    /// Notes what the registry has under an id. A schema that this version does not know is read by Avro's rules for
    /// schemas that differ: that of a newer writer, whose new fields are left out.
    ///
    /// # Errors
    /// Where the text is no schema.
    pub fn insert(&mut self, id: u32, schema: &str) -> Result<(), Box<apache_avro::Error>> {
        self.0.insert(id, Arc::new(Released::read(schema)?));
        Ok(())
    }

    /// Whether an id was noted.
    #[must_use]
    pub fn knows(&self, id: u32) -> bool {
        self.0.contains_key(&id)
    }
}

/// The schema's id, of a record that has Confluent's header.
#[must_use]
pub fn registry_id(record: &[u8]) -> Option<u32> {
    match record {
        [MAGIC, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No header that is known here.
    #[error(
        "the record does not begin with an Avro single-object header, nor with that of a registry which is known here"
    )]
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

/// Reads a frame with a single-object header, written under today's schema or an earlier released one.
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

/// Reads a frame with either header; `ids` has what the registry said of the record's id ([`registry_id`]).
///
/// # Errors
/// As [`decode_frame`].
pub fn decode_frame_by(record: &[u8], ids: &SchemaIds) -> Result<Frame, DecodeError> {
    match split_by(record, ids)? {
        None => decode_frame(record),
        Some((written, body)) if written.fingerprint == FRAME_TODAY.fingerprint => Ok(codec::decode_frame(body)?),
        Some((written, body)) => Ok(codec::decode_frame(&resolve(body, written, &FRAME_TODAY)?)?),
    }
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

/// Reads a control statement with either header.
///
/// # Errors
/// As [`decode_frame`].
pub fn decode_control_by(record: &[u8], ids: &SchemaIds) -> Result<Control, DecodeError> {
    match split_by(record, ids)? {
        None => decode_control(record),
        Some((written, body)) if written.fingerprint == CONTROL_TODAY.fingerprint => Ok(codec::decode_control(body)?),
        Some((written, body)) => Ok(codec::decode_control(&resolve(body, written, &CONTROL_TODAY)?)?),
    }
}

/// The event as JSON, without what it has nothing to say of.
#[must_use]
pub fn encode_audit_json(event: &AuditEvent) -> Vec<u8> {
    let mut json = serde_json::to_value(event).expect("texts, numbers, lists and maps with text keys are JSON");
    drop_nothing(&mut json);
    json.to_string().into_bytes()
}

/// Takes out members that are null or an empty list.
fn drop_nothing(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(members) => {
            members.retain(|_, value| !(value.is_null() || value.as_array().is_some_and(Vec::is_empty)));
            members.values_mut().for_each(drop_nothing);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nothing),
        _ => {}
    }
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
        Framing::Registry(id) => {
            out.push(MAGIC);
            out.extend_from_slice(&id.to_be_bytes());
        }
    }
}

fn split(record: &[u8]) -> Result<([u8; 8], &[u8]), DecodeError> {
    let body = record.strip_prefix(&MARKER).ok_or(DecodeError::NoHeader)?;
    let (fingerprint, body) = body.split_first_chunk::<8>().ok_or(DecodeError::NoHeader)?;
    Ok((*fingerprint, body))
}

/// The schema and body of a record with a registry's header; `None` where it has another.
fn split_by<'a>(record: &'a [u8], ids: &'a SchemaIds) -> Result<Option<(&'a Released, &'a [u8])>, DecodeError> {
    let Some(id) = registry_id(record) else {
        return Ok(None);
    };
    let written = ids.0.get(&id).ok_or(DecodeError::NoHeader)?;
    Ok(Some((written, &record[1 + size_of::<u32>()..])))
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
