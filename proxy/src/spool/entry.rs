//! One record of the spool as bytes, and back.
//!
//! `length: u32 LE | crc: u32 LE | body`, where `body` is `topic: u8 | key length: u8 | key | value`, `length` is that of the body, and
//! `crc` is CRC-32 (ISO-HDLC, as in RFC 1952) over the four bytes of `length` and the body.

use crate::record::TopicRole;

/// Bytes before the body.
pub(super) const HEAD: usize = 8;
/// Longest body. Above what the recorder hands to Kafka; a length beyond it is no length.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;
/// What an entry takes besides key and value.
const OVERHEAD: usize = HEAD + 2;

/// A record for Kafka, as it will be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) topic: TopicRole,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// No whole entry begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn;

impl<'a> Entry<'a> {
    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        OVERHEAD + self.key.len() + self.value.len()
    }

    /// Appends it. Keys have at most 255 bytes: they are digests and UUIDs.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let key_length = u8::try_from(self.key.len()).expect("keys are digests and UUIDs");
        let length = u32::try_from(self.size() - HEAD).expect("a record has less than 4 MiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        let crc_at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(match self.topic {
            TopicRole::Frames => 0,
            TopicRole::Control => 1,
        });
        bytes.push(key_length);
        bytes.extend_from_slice(self.key);
        bytes.extend_from_slice(self.value);
        let crc = checksum(length, &bytes[crc_at + 4..]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    }

    /// The entry that `bytes` begin with, and what follows it.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Torn> {
        let (length, rest) = bytes.split_first_chunk().ok_or(Torn)?;
        let (crc, rest) = rest.split_first_chunk().ok_or(Torn)?;
        let length = u32::from_le_bytes(*length);
        let size = usize::try_from(length).map_err(|_| Torn)?;
        if size > LONGEST {
            return Err(Torn);
        }
        let (body, rest) = rest.split_at_checked(size).ok_or(Torn)?;
        if checksum(length, body) != u32::from_le_bytes(*crc) {
            return Err(Torn);
        }
        let (&[topic, key_length], body) = body.split_first_chunk().ok_or(Torn)?;
        let (key, value) = body.split_at_checked(usize::from(key_length)).ok_or(Torn)?;
        let topic = match topic {
            0 => TopicRole::Frames,
            1 => TopicRole::Control,
            _ => return Err(Torn),
        };
        Ok((Self { topic, key, value }, rest))
    }
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
