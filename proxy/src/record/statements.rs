//! What the writer states about itself on the control topic, signed and in order.

use std::collections::VecDeque;

use tapedeck_schemas::{ControlBody, ControlChain, Head, WriterManifest, WriterStarted, WriterStopped, wire};

use super::durable::Pending;
use super::writer::{Writer, micros};
use crate::spool::SpoolError;

/// Heads in one chunk of a manifest: about 100 bytes each, so that a chunk stays under 256 KiB.
const HEADS: usize = 2_048;
/// Statements handed over before the first is awaited.
const AT_ONCE: usize = 256;

/// The chain of statements and those that the broker has not acknowledged yet.
///
/// A statement that fails is sent again, with all that follow, until it is acknowledged: the chain has no holes.
/// The same statement may therefore be in the topic twice, equal to the byte.
pub(super) struct Statements {
    chain: ControlChain,
    unsent: VecDeque<Vec<u8>>,
    framing: wire::Framing,
}

impl Statements {
    /// The chain of a new writer, whose first statement is its key.
    pub(super) fn open(writer: &Writer, instance: &str) -> Self {
        let chain = ControlChain::open(writer.id);
        let started = ControlBody::WriterStarted(WriterStarted {
            public_key: chain.public_key(),
            instance: instance.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            endorsement: None,
        });
        let mut statements = Self {
            chain,
            unsent: VecDeque::new(),
            framing: writer.framings.control,
        };
        statements.say(started);
        statements
    }

    /// The writer's key, as it is sent.
    pub(super) fn introduction(&self) -> Option<Vec<u8>> {
        self.unsent.front().cloned()
    }

    /// Puts what is unsent into the spool. It stays unsent: the same statement twice is one.
    pub(super) fn spool(&self, writer: &Writer) -> Result<(), SpoolError> {
        let Some(spooling) = &writer.in_flight.spooling else {
            return Err(SpoolError::Failed);
        };
        self.unsent
            .iter()
            .try_for_each(|statement| spooling.append_statement(writer.id, statement))
    }

    /// Of every segment that ended since the last call.
    pub(super) fn segments_ended(&mut self, writer: &Writer) {
        for ended in writer.take_ended() {
            self.say(ControlBody::SegmentSealed(ended));
        }
    }

    /// The durable heads that moved since the last manifest. Without any it is still a sign of life.
    pub(super) fn manifest(&mut self, writer: &Writer) {
        let moved = writer.in_flight.take_moved();
        let heads: Vec<Head> = moved.iter().filter_map(|ledger| ledger.report()).collect();
        let writer_seq = writer.writer_seq();
        let refusals_not_written = writer.in_flight.metrics.refusals_not_written();
        let chunks = heads.chunks(HEADS).count().max(1);
        for index in 0..chunks {
            let heads = heads.iter().skip(index * HEADS).take(HEADS);
            self.say(ControlBody::WriterManifest(WriterManifest {
                writer_seq,
                heads: heads.copied().collect(),
                chunk: i32::try_from(index).unwrap_or(i32::MAX),
                last: index + 1 == chunks,
                refusals_not_written,
            }));
        }
    }

    /// Nothing follows.
    pub(super) fn goodbye(&mut self, writer: &Writer) {
        self.say(ControlBody::WriterStopped(WriterStopped {
            writer_seq: writer.writer_seq(),
            reason: "shutdown".to_owned(),
        }));
    }

    /// Whether the broker has all of them.
    pub(super) fn all_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Sends what is unsent, in order, until all is acknowledged or one fails.
    pub(super) async fn send(&mut self, writer: &Writer) {
        while !self.unsent.is_empty() {
            let batch = self.unsent.iter().take(AT_ONCE);
            let handed_over: Vec<Pending> = batch
                .map(|statement| Pending::new(writer.publish_statement(statement)))
                .collect();
            for pending in handed_over {
                if let Err(error) = pending.durable().await {
                    tracing::warn!(%error, unsent = self.unsent.len(), "control statements wait to be sent again");
                    return;
                }
                self.unsent.pop_front();
            }
        }
    }

    fn say(&mut self, body: ControlBody) {
        let control = self.chain.sign(micros(), body);
        self.unsent.push_back(wire::encode_control(&control, self.framing));
    }
}
