//! What must hold of everything that a writer handed over, whatever became of it.

use std::collections::{BTreeMap, BTreeSet};

use tapedeck_schemas::{Digest, Frame, Kind, SegmentSealed};

use super::standby::{Fate, Handed};

/// Judges the log of a writer that has ended; panics where a promise is broken.
pub(super) fn judge(handed: &[Handed], highest: i64, ended: &[SegmentSealed]) {
    numbers_are_dense(handed, highest);
    what_is_not_acknowledged_is_named(handed);
    let mut segments = BTreeMap::<_, Vec<&Handed>>::new();
    for one in handed {
        segments.entry(one.frame.segment_id).or_default().push(one);
    }
    for frames in segments.values() {
        the_chain_verifies(frames);
        nothing_follows_a_failure(frames);
        no_producer_can_overtake(frames);
    }
    let stated: BTreeMap<_, _> = ended.iter().map(|one| (one.segment_id, one)).collect();
    assert_eq!(stated.len(), ended.len(), "a segment's end is stated once");
    assert_eq!(
        stated.keys().collect::<Vec<_>>(),
        segments.keys().collect::<Vec<_>>(),
        "every segment's end is stated"
    );
    for (id, frames) in &segments {
        let last = &frames[frames.len() - 1].frame;
        assert_eq!(stated[id].count, frames.len() as i64);
        assert_eq!(stated[id].head, last.frame_hash);
        let failed = stated[id].reason == "publish_failed";
        let sealed = last.kind == Kind::SegmentSealed;
        // A seal that fails after a frame has opened the next segment is named there, like any unconfirmed frame.
        assert!(failed || sealed, "{:?}", stated[id]);
        let none_failed = frames
            .iter()
            .all(|one| one.fate == Fate::Acknowledged && one.failed_at.is_none());
        assert!(!(failed && sealed && none_failed), "{:?}", stated[id]);
    }
}

fn numbers_are_dense(handed: &[Handed], highest: i64) {
    let mut numbers: Vec<i64> = handed.iter().map(|one| one.frame.writer_seq).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=highest).collect::<Vec<_>>());
}

fn what_is_not_acknowledged_is_named(handed: &[Handed]) {
    let in_the_log = |one: &&Handed| one.fate == Fate::Acknowledged;
    let named: BTreeSet<(i64, i64)> = handed
        .iter()
        .filter(in_the_log)
        .filter_map(|one| one.frame.segment.as_ref()?.previous.as_ref())
        .flat_map(|previous| previous.lost.iter().map(|lost| (lost.seq, lost.writer_seq)))
        .collect();
    for lost in handed.iter().filter(|one| !in_the_log(one)) {
        let number = (lost.frame.seq, lost.frame.writer_seq);
        assert!(named.contains(&number), "{number:?} is in no acknowledged opener");
    }
}

fn the_chain_verifies(frames: &[&Handed]) {
    let mut head = Digest::ZERO;
    for (seq, frame) in frames.iter().map(|one| &one.frame).enumerate() {
        frame.verify_hash().expect("the hash is that of the frame");
        assert_eq!((frame.seq, frame.previous_hash), (seq as i64, head));
        assert_eq!(frame.kind == Kind::SegmentOpened, seq == 0);
        assert_eq!(frame.kind == Kind::SegmentSealed, is_last_if_sealed(frames, frame));
        head = frame.frame_hash;
    }
}

fn is_last_if_sealed(frames: &[&Handed], frame: &Frame) -> bool {
    frame.kind == Kind::SegmentSealed && frame.seq + 1 == frames.len() as i64
}

fn nothing_follows_a_failure(frames: &[&Handed]) {
    if let Some(first) = frames.iter().filter_map(|one| one.failed_at).min() {
        assert!(
            frames.iter().all(|one| one.at <= first),
            "a broken segment takes no frame"
        );
    }
}

fn no_producer_can_overtake(frames: &[&Handed]) {
    for pair in frames.windows(2).filter(|pair| pair[0].producer != pair[1].producer) {
        let earlier = frames.iter().take_while(|one| one.at < pair[1].at);
        for one in earlier {
            assert_eq!(one.fate, Fate::Acknowledged);
            assert!(one.reported_at < pair[1].at, "an earlier producer still had a frame");
        }
    }
}
