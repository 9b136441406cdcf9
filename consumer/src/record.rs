//! A record of the frames' topic, decoded or not.

use sha2::{Digest as _, Sha256};
use tapedeck_schemas::wire::{SchemaIds, decode_frame_by};
use tapedeck_schemas::{DeadLetter, Digest, Frame, SessionKey};

use crate::rows::Origin;

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since 1970; 0 for none.
    pub kafka_time: i64,
    /// Its size, key and value, in bytes.
    pub size: usize,
    /// Bytes of the value.
    value_size: usize,
    /// The frame fits its hash.
    pub(crate) is_sound: bool,
    /// The frame, or why it is none. It has a place of its own: it is handed on from stage to stage, and is large.
    pub content: Result<Box<Frame>, Undecodable>,
}

/// A record that is no frame. Nothing of its value is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Stable name of the reason.
    pub reason: &'static str,
    /// Bytes of the value.
    pub size: usize,
    key: Option<[u8; 32]>,
    key_hash: Option<Digest>,
}

impl Record {
    /// Decodes a record's value.
    #[must_use]
    pub fn read(offset: i64, kafka_time: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        Self::read_by(&SchemaIds::default(), offset, kafka_time, key, value)
    }

    /// The same, with what a schema registry has said.
    #[must_use]
    pub fn read_by(ids: &SchemaIds, offset: i64, kafka_time: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let undecodable = |reason| Undecodable {
            reason,
            size: value.map_or(0, <[u8]>::len),
            key: key.and_then(|key| key.try_into().ok()),
            key_hash: key.map(|key| Digest(Sha256::digest(key).into())),
        };
        let content = match value {
            None => Err(undecodable("no_value")),
            Some(value) => decode_frame_by(value, ids)
                .map(Box::new)
                .map_err(|error| undecodable(error.reason())),
        };
        Self {
            offset,
            kafka_time,
            is_sound: content.as_ref().is_ok_and(|frame| frame.verify_hash().is_ok()),
            size: key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len),
            value_size: value.map_or(0, <[u8]>::len),
            content,
        }
    }

    /// What tells this record from another at the same offset of a recreated topic.
    #[must_use]
    pub fn hash(&self, origin: &Origin) -> Digest {
        match &self.content {
            Ok(frame) => frame.frame_hash,
            Err(undecodable) => undecodable.hash(origin, self.offset, self.kafka_time),
        }
    }
}

impl Record {
    /// The hash of the stub row that a consumer leaves which cannot decode the record: one of a version before, perhaps.
    #[must_use]
    pub fn stub_hash(&self, origin: &Origin) -> Digest {
        stub_hash(origin, self.offset, self.kafka_time, self.value_size)
    }

    /// Makes it a record that is no frame, as the version had it that loaded it first.
    pub fn forget_content(&mut self) {
        if let Ok(frame) = &self.content {
            let key = frame.session_key;
            self.content = Err(Undecodable {
                reason: "by_an_earlier_version",
                size: self.value_size,
                key: Some(*key.as_bytes()),
                key_hash: Some(Digest(Sha256::digest(key.as_bytes()).into())),
            });
        }
    }
}

/// Over where and when the record is, and how large: a hash of its bytes would let anyone try what they are.
fn stub_hash(origin: &Origin, offset: i64, kafka_time: i64, size: usize) -> Digest {
    let text = format!(
        "undecodable/v1\n{}\n{}\n{offset}\n{kafka_time}\n{size}",
        origin.topic, origin.partition
    );
    Digest(Sha256::digest(text).into())
}

impl Undecodable {
    /// The key, if it has the form of a session key.
    #[must_use]
    pub fn session_key(&self) -> Option<SessionKey> {
        self.key.map(|key| SessionKey(Digest(key)))
    }

    fn hash(&self, origin: &Origin, offset: i64, kafka_time: i64) -> Digest {
        stub_hash(origin, offset, kafka_time, self.size)
    }

    /// What its row has of a frame.
    pub(crate) fn frame(&self, origin: &Origin, offset: i64, kafka_time: i64) -> Frame {
        Frame {
            session_key: self.session_key().unwrap_or_default(),
            time: kafka_time.saturating_mul(1000),
            payload_size: i64::try_from(self.size).unwrap_or(i64::MAX),
            frame_hash: self.hash(origin, offset, kafka_time),
            ..Frame::default()
        }
    }

    /// What goes to the dead-letter topic.
    pub(crate) fn letter(&self, origin: &Origin, offset: i64, kafka_time: i64) -> DeadLetter {
        let key = self
            .key_hash
            .map_or_else(|| "no key".to_owned(), |hash| format!("SHA-256 of the key: {hash}"));
        DeadLetter {
            source: origin.source.clone(),
            topic: origin.topic.clone(),
            partition: origin.partition,
            offset,
            time: kafka_time,
            reason: self.reason.to_owned(),
            detail: key,
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            consumer_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
