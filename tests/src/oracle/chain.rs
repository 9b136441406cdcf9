//! The raw topic by itself: dense numbers, hashes, chains, and no hole that nobody has named.

use std::collections::{BTreeMap, BTreeSet};

use tapedeck_schemas::{Digest, Frame, Kind};
use uuid::Uuid;

use super::Wrong;
use super::topic::Recorded;

/// Holds all frames of a topic against each other. A hole in a segment, or in a writer's numbers, is right only where a
/// later `segment_opened` names it as lost.
///
/// # Errors
/// Names everything that does not fit.
pub fn verify(recorded: &[Recorded]) -> anyhow::Result<()> {
    let mut wrong = Wrong::default();
    let named = losses(recorded);
    for (segment, frames) in &segments(recorded, &mut wrong) {
        verify_segment(*segment, frames, &named, &mut wrong);
    }
    verify_writers(recorded, &named, &mut wrong);
    verify_ends(recorded, &mut wrong);
    wrong.verdict("the raw topic")
}

/// Frames by segment and number. The same frame twice is a duplicate, and one of them is kept; two with one number are wrong.
fn segments<'a>(recorded: &'a [Recorded], wrong: &mut Wrong) -> BTreeMap<Uuid, BTreeMap<i64, &'a Recorded>> {
    let mut segments: BTreeMap<Uuid, BTreeMap<i64, &Recorded>> = BTreeMap::new();
    for entry in recorded {
        let frames = segments.entry(entry.frame.segment_id).or_default();
        if let Some(earlier) = frames.insert(entry.frame.seq, entry) {
            wrong.unless(earlier.identity() == entry.identity(), || {
                format!("segment {} has two frames {}", entry.frame.segment_id, entry.frame.seq)
            });
        }
    }
    segments
}

fn verify_segment(segment: Uuid, frames: &BTreeMap<i64, &Recorded>, named: &Losses, wrong: &mut Wrong) {
    let mut expected = 0;
    let mut previous = Some(Digest::ZERO);
    let mut place = None;
    for (&seq, entry) in frames {
        let frame = &entry.frame;
        for missing in expected..seq {
            // What follows a lost frame cannot be held against its hash.
            previous = None;
            wrong.unless(named.seqs.contains(&(segment, missing)), || {
                format!("segment {segment}: frame {missing} is missing, and nobody says so")
            });
        }
        expected = seq + 1;
        if let Err(mismatch) = frame.verify_hash() {
            wrong.add(format!("segment {segment}, frame {seq}: {mismatch}"));
        }
        if let Some(previous) = previous {
            wrong.unless(frame.previous_hash == previous, || {
                format!("segment {segment}, frame {seq} does not follow the frame before it")
            });
        }
        previous = Some(frame.frame_hash);
        wrong.unless(entry.key == frame.session_key.as_bytes(), || {
            format!("segment {segment}, frame {seq}: the record's key is not the session key")
        });
        wrong.unless((seq == 0) == (frame.kind == Kind::SegmentOpened), || {
            format!("segment {segment}, frame {seq} is of kind {}", frame.kind)
        });
        let (partition, offset) = entry.place;
        let follows = place.is_none_or(|(before, at)| before == partition && at < offset);
        wrong.unless(follows, || {
            format!(
                "segment {segment}, frame {seq} is at {:?}, before its predecessor",
                entry.place
            )
        });
        place = Some(entry.place);
        let of_one = frames.values().next().is_some_and(|first| {
            (first.frame.session_key, first.frame.writer_id) == (frame.session_key, frame.writer_id)
        });
        wrong.unless(of_one, || {
            format!("segment {segment}, frame {seq} has another writer or session key")
        });
    }
}

/// Frames whose delivery was not confirmed: they may be in the log or not.
#[derive(Default)]
struct Losses {
    seqs: BTreeSet<(Uuid, i64)>,
    writer_seqs: BTreeSet<(Uuid, i64)>,
}

fn losses(recorded: &[Recorded]) -> Losses {
    let mut losses = Losses::default();
    for Frame { writer_id, segment, .. } in recorded.iter().map(|entry| &entry.frame) {
        let Some(previous) = segment.as_ref().and_then(|event| event.previous.as_ref()) else {
            continue;
        };
        for lost in &previous.lost {
            losses.seqs.insert((previous.segment_id, lost.seq));
            losses.writer_seqs.insert((*writer_id, lost.writer_seq));
        }
    }
    losses
}

fn verify_writers(recorded: &[Recorded], named: &Losses, wrong: &mut Wrong) {
    let mut writers: BTreeMap<Uuid, BTreeMap<i64, Digest>> = BTreeMap::new();
    for Frame {
        writer_id,
        writer_seq,
        frame_hash,
        ..
    } in recorded.iter().map(|entry| &entry.frame)
    {
        let twice = writers.entry(*writer_id).or_default().insert(*writer_seq, *frame_hash);
        wrong.unless(twice.is_none_or(|earlier| earlier == *frame_hash), || {
            format!("writer {writer_id} used {writer_seq} twice")
        });
    }
    for (writer, numbers) in writers {
        let mut expected = 1;
        for (number, _) in numbers {
            for missing in expected..number {
                wrong.unless(named.writer_seqs.contains(&(writer, missing)), || {
                    format!("writer {writer}: number {missing} is missing, and nobody says so")
                });
            }
            expected = number + 1;
        }
    }
}

/// At most one confirmed end of an exchange, but for a later frame of its own that overrules the end of an answer.
fn verify_ends(recorded: &[Recorded], wrong: &mut Wrong) {
    let mut ends: BTreeMap<Uuid, BTreeMap<(Uuid, i64), &Frame>> = BTreeMap::new();
    let unconfirmed = losses(recorded).writer_seqs;
    for frame in recorded.iter().map(|entry| &entry.frame) {
        let number = (frame.writer_id, frame.writer_seq);
        if frame.end.is_some() && !unconfirmed.contains(&number) {
            ends.entry(frame.exchange_id).or_default().insert(number, frame);
        }
    }
    for (exchange, ends) in ends {
        let ends: Vec<&Frame> = ends.into_values().collect();
        let is_right = match ends[..] {
            [_] => true,
            [answer, overruling] => {
                let is_one_writers = answer.writer_id == overruling.writer_id;
                is_one_writers && answer.kind == Kind::Message && overruling.kind == Kind::ExchangeEnd
            }
            _ => false,
        };
        wrong.unless(is_right, || {
            let ends = ends.iter().filter_map(|frame| {
                let end = frame.end?;
                Some(format!("{end} ({}.{})", frame.segment_id, frame.seq))
            });
            format!(
                "exchange {exchange} ended more than once: {}",
                ends.collect::<Vec<_>>().join(", ")
            )
        });
    }
}
