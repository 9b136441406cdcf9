use bytes::Bytes;
use uuid::Uuid;

use crate::hash::{frame_hash, metadata_commitment, payload_commitment};
use crate::{Counters, Digest, Direction, Frame, Kind, Payload, RpcKind, Salt, Salts};

/// The growing end of one segment: hands out sequence numbers, keeps the counters, and links each frame to the one before.
///
/// The caller serializes: frames are published in the order in which they were sealed.
#[derive(Debug)]
pub struct Chain {
    writer_id: Uuid,
    segment_id: Uuid,
    /// Invariant: the `seq` of the next frame, which is the number of frames sealed so far.
    next: i64,
    head: Digest,
    counters: Counters,
}

/// A frame whose hash is final. Only [`Chain::seal`] makes one, and only a sealed frame can be encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedFrame(Frame);

impl SealedFrame {
    /// The frame, to be read.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.0
    }

    /// The frame, sealed no more.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        self.0
    }
}

impl Chain {
    /// A segment without frames; its first must be a `segment_opened`.
    #[must_use]
    pub fn open(writer_id: Uuid, segment_id: Uuid) -> Self {
        Self {
            writer_id,
            segment_id,
            next: 0,
            head: Digest::ZERO,
            counters: Counters::default(),
        }
    }

    /// Fills what the recorder owns of a frame (writer, segment, `seq`, counters, sizes, salts, commitments, hashes),
    /// whatever was in these fields, and makes it the head. `payload` becomes the frame's.
    pub fn seal(&mut self, mut frame: Frame, writer_seq: i64, payload: Option<Bytes>) -> SealedFrame {
        frame.writer_id = self.writer_id;
        frame.writer_seq = writer_seq;
        frame.segment_id = self.segment_id;
        frame.seq = self.next;
        frame.payload_size = payload.as_ref().map_or(0, |payload| payload.len() as i64);
        self.count(&frame);
        frame.counters = self.counters;
        frame.salts = Salts {
            payload: payload.as_ref().map(|_| Salt::random()),
            metadata: Salt::random(),
        };
        frame.commitments.payload = payload
            .as_ref()
            .zip(frame.salts.payload.as_ref())
            .map(|(payload, salt)| payload_commitment(salt, payload));
        frame.payload = payload.map(Payload);
        frame.commitments.metadata = metadata_commitment(&frame);
        frame.previous_hash = self.head;
        frame.frame_hash = frame_hash(&frame);
        self.head = frame.frame_hash;
        self.next += 1;
        SealedFrame(frame)
    }

    /// The segment's id.
    #[must_use]
    pub fn segment_id(&self) -> Uuid {
        self.segment_id
    }

    /// Number of frames sealed so far.
    #[must_use]
    pub fn count_of_frames(&self) -> i64 {
        self.next
    }

    /// Hash of the last frame sealed; zeros before the first.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    fn count(&mut self, frame: &Frame) {
        let counters = &mut self.counters;
        match frame.direction {
            Direction::ToTarget => counters.bytes_to_target += frame.payload_size,
            Direction::ToClient => counters.bytes_to_client += frame.payload_size,
            Direction::None => {}
        }
        // A refused body may come in parts, too.
        if frame.kind == Kind::Refused && frame.part.last {
            counters.refused += 1;
        }
        // A message is counted once, on its last part, where its envelope is complete.
        let Some(rpc) = frame
            .rpc
            .as_ref()
            .filter(|_| frame.kind == Kind::Message && frame.part.last)
        else {
            return;
        };
        match (rpc.kind, frame.direction) {
            (RpcKind::Request, Direction::ToTarget) => counters.requests += 1,
            (RpcKind::Response, Direction::ToClient) => {
                counters.answers += 1;
                counters.errors += i64::from(rpc.is_error == Some(true));
            }
            (RpcKind::Error, Direction::ToClient) => {
                counters.answers += 1;
                counters.errors += 1;
            }
            _ => {}
        }
    }
}
