//! The scanner: the grammar and the reader of what it finds.

use super::reader::Reader;
use super::{Envelope, EnvelopeError, Limits};
use crate::json::Machine;

/// Reads one message in any pieces. See the [module](super) for what it promises.
#[derive(Clone, Debug)]
pub struct EnvelopeScanner {
    machine: Machine,
    reader: Reader,
    failed: Option<EnvelopeError>,
}

impl EnvelopeScanner {
    /// A scanner for one message.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            machine: Machine::new(limits.depth),
            reader: Reader::new(limits),
            failed: None,
        }
    }

    /// Takes the next bytes of the message, of any number.
    ///
    /// # Errors
    /// As soon as the bytes so far cannot begin an envelope any more, and again on every later call. The scanner stays
    /// usable: a caller that streams what is not JSON-RPC may go on pushing, or stop.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EnvelopeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.machine
            .push(bytes, &mut self.reader)
            .inspect_err(|&error| self.failed = Some(error))
    }

    /// The message is over.
    ///
    /// # Errors
    /// If it was no envelope: the error of the first [`push`](Self::push) that failed, or what is missing at the end.
    pub fn finish(mut self) -> Result<Envelope, EnvelopeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.machine.finish(&mut self.reader)?;
        self.reader.into_envelope()
    }

    /// What is known already, for the parts of a message that is still streaming: none if the input failed, or if the
    /// kind is still open. What follows can still add to it, or show that the message is no envelope after all.
    #[must_use]
    pub fn so_far(&self) -> Option<Envelope> {
        if self.failed.is_some() {
            return None;
        }
        self.reader.so_far()
    }
}
