//! Signed statements of a writer about its own frames, as in `control.avsc`.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::hash::Tuple;
use crate::{Digest, SessionKey};

/// One signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct Control {
    pub writer_id: Uuid,
    pub control_seq: i64,
    pub time: i64,
    pub body: ControlBody,
    pub previous_hash: Digest,
    pub signature: [u8; 64],
}

/// What is stated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each branch's doc is in control.avsc")]
pub enum ControlBody {
    WriterStarted(WriterStarted),
    SegmentSealed(SegmentSealed),
    WriterManifest(WriterManifest),
    WriterStopped(WriterStopped),
}

/// The first statement of a writer: its public key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct WriterStarted {
    pub public_key: [u8; 32],
    pub instance: String,
    pub version: String,
    pub endorsement: Option<Endorsement>,
}

/// Ties a writer to an installation's configured key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct Endorsement {
    pub public_key: [u8; 32],
    pub signature: [u8; 64],
}

/// A segment has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct SegmentSealed {
    pub segment_id: Uuid,
    pub session_key: SessionKey,
    pub count: i64,
    pub head: Digest,
    pub reason: String,
}

/// What the writer has durably recorded so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct WriterManifest {
    pub writer_seq: i64,
    pub heads: Vec<Head>,
    pub chunk: i32,
    pub last: bool,
    pub refusals_not_written: i64,
}

/// The durable end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct Head {
    pub segment_id: Uuid,
    pub session_key: SessionKey,
    pub seq: i64,
    pub head: Digest,
}

/// Goodbye.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in control.avsc")]
pub struct WriterStopped {
    pub writer_seq: i64,
    pub reason: String,
}

/// A statement that its writer did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a point of the curve.
    #[error("the writer's public key is not an Ed25519 key")]
    Key,
    /// Any field was changed, or another key signed.
    #[error("the statement was not signed with the writer's key")]
    Signature,
}

impl Control {
    /// Verifies the signature, strictly (RFC 8032, no weak keys).
    ///
    /// # Errors
    /// Where `public_key` is none, or did not sign exactly this.
    pub fn verify(&self, public_key: &[u8; 32]) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| SignatureError::Key)?;
        key.verify_strict(signed_tuple(self).as_bytes(), &Signature::from_bytes(&self.signature))
            .map_err(|_| SignatureError::Signature)
    }

    /// What the next statement's `previous_hash` must be.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest(Sha256::digest(signed_tuple(self).as_bytes()).into())
    }
}

/// The growing end of one writer's statements.
///
/// Holds the writer's private key, which never leaves it: `Debug` does not print it and it is erased on drop.
pub struct ControlChain {
    writer_id: Uuid,
    key: SigningKey,
    next: i64,
    head: Digest,
}

impl ControlChain {
    /// A new writer with a key of its own.
    #[must_use]
    pub fn open(writer_id: Uuid) -> Self {
        Self {
            writer_id,
            key: SigningKey::from_bytes(&rand::random()),
            next: 0,
            head: Digest::ZERO,
        }
    }

    /// The key that verifies this writer's statements.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Numbers, chains and signs a statement. `time` in microseconds since 1970.
    pub fn sign(&mut self, time: i64, body: ControlBody) -> Control {
        let mut control = Control {
            writer_id: self.writer_id,
            control_seq: self.next,
            time,
            body,
            previous_hash: self.head,
            signature: [0; 64],
        };
        control.signature = self.key.sign(signed_tuple(&control).as_bytes()).to_bytes();
        self.head = control.hash();
        self.next += 1;
        control
    }
}

impl std::fmt::Debug for ControlChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlChain")
            .field("writer_id", &self.writer_id)
            .field("next", &self.next)
            .finish()
    }
}

/// All fields but the signature.
fn signed_tuple(control: &Control) -> Tuple {
    let mut tuple = Tuple::new("control/v1");
    tuple
        .id(control.writer_id)
        .number(control.control_seq)
        .number(control.time);
    match &control.body {
        ControlBody::WriterStarted(started) => {
            tuple
                .text("writer_started")
                .bytes(&started.public_key)
                .text(&started.instance)
                .text(&started.version);
            tuple.present(started.endorsement.as_ref());
            if let Some(endorsement) = &started.endorsement {
                tuple.bytes(&endorsement.public_key).bytes(&endorsement.signature);
            }
        }
        ControlBody::SegmentSealed(sealed) => {
            tuple
                .text("segment_sealed")
                .id(sealed.segment_id)
                .bytes(sealed.session_key.as_bytes())
                .number(sealed.count)
                .bytes(&sealed.head.0)
                .text(&sealed.reason);
        }
        ControlBody::WriterManifest(manifest) => {
            tuple
                .text("writer_manifest")
                .number(manifest.writer_seq)
                .number(manifest.heads.len() as i64);
            for head in &manifest.heads {
                tuple
                    .id(head.segment_id)
                    .bytes(head.session_key.as_bytes())
                    .number(head.seq)
                    .bytes(&head.head.0);
            }
            tuple.number(i64::from(manifest.chunk)).number(i64::from(manifest.last));
            tuple.number(manifest.refusals_not_written);
        }
        ControlBody::WriterStopped(stopped) => {
            tuple
                .text("writer_stopped")
                .number(stopped.writer_seq)
                .text(&stopped.reason);
        }
    }
    tuple.bytes(&control.previous_hash.0);
    tuple
}
