//! The control topic: each writer's signed statements, held against the frames that they are about.

use std::collections::BTreeMap;

use tapedeck_schemas::wire::decode_control;
use tapedeck_schemas::{Control, ControlBody, Digest, Kind, SegmentSealed};
use uuid::Uuid;

use super::Wrong;
use super::topic::{Record, Recorded};

/// What the statements prove.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Writers that have introduced themselves.
    pub writers: usize,
    /// Segments whose seal fits.
    pub sealed: usize,
    /// Manifests whose heads fit.
    pub manifests: usize,
    /// Writers that have said goodbye.
    pub stopped: usize,
}

/// Verifies signatures, numbers and chain of all statements, and that seals and manifests fit the frames.
///
/// # Errors
/// Names everything that does not fit.
pub fn verify(records: &[Record], recorded: &[Recorded]) -> anyhow::Result<Proof> {
    let mut wrong = Wrong::default();
    let mut writers: BTreeMap<Uuid, Vec<Control>> = BTreeMap::new();
    for record in records {
        match decode_control(&record.value) {
            Ok(control) => {
                wrong.unless(record.key == control.writer_id.as_bytes(), || {
                    format!("the statement at {:?} is not keyed by its writer", record.place)
                });
                let statements = writers.entry(control.writer_id).or_default();
                // One whose acknowledgement was lost is said again, in the same words.
                if !statements.contains(&control) {
                    statements.push(control);
                }
            }
            Err(error) => wrong.add(format!("the record at {:?} is no statement: {error}", record.place)),
        }
    }
    for frame in recorded.iter().map(|entry| &entry.frame) {
        wrong.unless(writers.contains_key(&frame.writer_id), || {
            format!(
                "writer {} has written a frame, and never introduced itself",
                frame.writer_id
            )
        });
    }
    let mut proof = Proof::default();
    let book = Book::new(recorded);
    for (writer, statements) in &writers {
        verify_writer(*writer, statements, &book, &mut proof, &mut wrong);
    }
    wrong.verdict("the control topic")?;
    Ok(proof)
}

/// The frames as statements name them.
struct Book {
    /// Hash of each frame by segment and number.
    hashes: BTreeMap<(Uuid, i64), Digest>,
    /// The last number of each writer.
    last: BTreeMap<Uuid, i64>,
    /// Kind of each segment's last frame.
    kinds: BTreeMap<Uuid, Kind>,
}

impl Book {
    fn new(recorded: &[Recorded]) -> Self {
        let mut book = Self {
            hashes: BTreeMap::new(),
            last: BTreeMap::new(),
            kinds: BTreeMap::new(),
        };
        for frame in recorded.iter().map(|entry| &entry.frame) {
            book.hashes.insert((frame.segment_id, frame.seq), frame.frame_hash);
            book.kinds.insert(frame.segment_id, frame.kind);
            let last = book.last.entry(frame.writer_id).or_default();
            *last = frame.writer_seq.max(*last);
        }
        book
    }

    /// A segment that a failed publish has ended has no closing frame, and its last frames may be lost: then what is
    /// stated is what the writer hashed, and what is there must not go beyond it.
    fn fits(&self, seal: &SegmentSealed) -> bool {
        let head = self.head(seal.segment_id);
        if seal.reason == "publish_failed" {
            return head.is_none_or(|(seq, hash)| seq < seal.count - 1 || (seq, hash) == (seal.count - 1, seal.head));
        }
        let is_closed = self.kinds.get(&seal.segment_id) == Some(&Kind::SegmentSealed);
        is_closed && head == Some((seal.count - 1, seal.head))
    }

    fn head(&self, segment: Uuid) -> Option<(i64, Digest)> {
        self.hashes
            .range((segment, 0)..=(segment, i64::MAX))
            .next_back()
            .map(|((_, seq), hash)| (*seq, *hash))
    }
}

fn verify_writer(writer: Uuid, statements: &[Control], book: &Book, proof: &mut Proof, wrong: &mut Wrong) {
    let key = match statements.first().map(|first| &first.body) {
        Some(ControlBody::WriterStarted(started)) => started.public_key,
        _ => return wrong.add(format!("writer {writer} does not begin by introducing itself")),
    };
    proof.writers += 1;
    let mut previous = Digest::ZERO;
    let mut mark = 0;
    for (at, control) in statements.iter().enumerate() {
        let name = format!("writer {writer}, statement {}", control.control_seq);
        let expected = statements[0].control_seq + at as i64;
        wrong.unless(control.control_seq == expected, || {
            format!("{name}: {expected} was to come")
        });
        wrong.unless(control.verify(&key).is_ok(), || {
            format!("{name}: the signature is wrong")
        });
        wrong.unless(control.previous_hash == previous, || {
            format!("{name} does not follow the one before it")
        });
        previous = control.hash();
        match &control.body {
            ControlBody::WriterStarted(_) => wrong.unless(at == 0, || format!("{name}: it starts again")),
            ControlBody::SegmentSealed(seal) => {
                wrong.unless(book.fits(seal), || {
                    format!("{name}: the seal of {} does not fit", seal.segment_id)
                });
                proof.sealed += 1;
            }
            ControlBody::WriterManifest(manifest) => {
                for head in &manifest.heads {
                    let fits = book.hashes.get(&(head.segment_id, head.seq)) == Some(&head.head);
                    wrong.unless(fits, || format!("{name}: the head of {} does not fit", head.segment_id));
                }
                wrong.unless(manifest.writer_seq >= mark, || {
                    format!("{name}: the high-water mark falls")
                });
                mark = manifest.writer_seq;
                proof.manifests += 1;
            }
            ControlBody::WriterStopped(stopped) => {
                let last = book.last.get(&writer).copied().unwrap_or(0);
                wrong.unless(stopped.writer_seq == last, || {
                    format!("{name}: it stopped at {}, its last frame is {last}", stopped.writer_seq)
                });
                wrong.unless(at + 1 == statements.len(), || {
                    format!("{name}: it goes on after its goodbye")
                });
                proof.stopped += 1;
            }
        }
        let last = book.last.get(&writer).copied().unwrap_or(0);
        wrong.unless(mark <= last, || {
            format!("{name} promises frame {mark}, and {last} is the last")
        });
    }
}
