//! Single promises of segments, and the bounds.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Kind, LostFrame, MAX_PART};

use super::standby::{Standby, record, writer};
use crate::record::NotRecorded;
use crate::record::in_flight::MAX_BYTES;
use crate::record::segment::MAX_UNCONFIRMED;

#[test]
fn an_unused_segment_is_sealed_and_a_used_one_is_not() {
    let standby = Standby::default();
    let writer = writer(&standby);
    record(&writer, 1, 10).expect("nothing refuses");
    assert!(writer.seal_unused(Duration::from_secs(3_600), "idle").is_empty());
    assert_eq!(writer.seal_unused(Duration::ZERO, "idle").len(), 1);
    standby.with(|log| {
        let kinds: Vec<Kind> = log.handed.iter().map(|one| one.frame.kind).collect();
        assert_eq!(kinds, [Kind::SegmentOpened, Kind::Message, Kind::SegmentSealed]);
        let events: Vec<_> = log.handed.iter().filter_map(|one| one.frame.segment.as_ref()).collect();
        assert_eq!(
            (events[0].reason.as_str(), events[1].reason.as_str()),
            ("first", "idle")
        );
        assert_eq!(events[0].previous, None);
    });
}

#[test]
fn the_opener_after_a_failure_names_the_old_head_and_all_that_is_unconfirmed() {
    let standby = Standby::default();
    let writer = writer(&standby);
    for _ in 0..3 {
        record(&writer, 1, 10).expect("nothing refuses");
    }
    // Opener and first message arrive, the second message fails, the third is still under way.
    standby.report(0, true);
    standby.report(0, true);
    standby.report(0, false);
    record(&writer, 1, 10).expect("a new segment takes it");
    standby.with(|log| {
        let (old, opener) = (&log.handed[3].frame, &log.handed[4].frame);
        assert_eq!(opener.kind, Kind::SegmentOpened);
        let event = opener.segment.as_ref().expect("an opener has one");
        assert_eq!(event.reason, "publish_failed");
        let previous = event.previous.as_ref().expect("it names the old segment");
        assert_eq!(
            (previous.segment_id, previous.seq, previous.head),
            (old.segment_id, 3, old.frame_hash)
        );
        let lost = [LostFrame { seq: 2, writer_seq: 3 }, LostFrame { seq: 3, writer_seq: 4 }];
        assert_eq!(previous.lost, lost);
        assert_ne!(log.handed[5].frame.segment_id, old.segment_id);
    });
}

#[test]
fn a_failure_that_no_frame_follows_is_named_all_the_same() {
    let standby = Standby::default();
    let writer = writer(&standby);
    record(&writer, 1, 10).expect("nothing refuses");
    standby.report(0, true);
    standby.report(0, false);
    drop(writer.seal_unused(Duration::ZERO, "idle"));
    standby.with(|log| {
        let kinds: Vec<Kind> = log.handed[2..].iter().map(|one| one.frame.kind).collect();
        assert_eq!(kinds, [Kind::SegmentOpened, Kind::SegmentSealed]);
        let event = log.handed[2].frame.segment.as_ref().expect("an opener has one");
        let previous = event.previous.as_ref().expect("it names the old segment");
        assert_eq!(previous.lost, [LostFrame { seq: 1, writer_seq: 2 }]);
    });
}

#[test]
fn a_key_with_too_many_unconfirmed_frames_is_refused_and_others_are_not() {
    let standby = Standby::default();
    let writer = writer(&standby);
    // The opener is one of them.
    for _ in 1..MAX_UNCONFIRMED {
        record(&writer, 1, 0).expect("there is room");
    }
    let highest = writer.writer_seq();
    assert_eq!(record(&writer, 1, 0).err(), Some(NotRecorded::TooManyUnconfirmed));
    assert_eq!(writer.writer_seq(), highest, "what is refused has no number");
    record(&writer, 2, 0).expect("another key has room");
    standby.report(0, true);
    record(&writer, 1, 0).expect("there is room again");
}

#[test]
fn a_full_queue_refuses_before_a_frame_has_a_number() {
    let standby = Standby::default();
    let writer = writer(&standby);
    let taken = (0..=MAX_BYTES / MAX_PART)
        .take_while(|_| record(&writer, 1, MAX_PART).is_ok())
        .count();
    assert_eq!(taken, MAX_BYTES / MAX_PART - 1, "headers take the place of the last");
    let highest = writer.writer_seq();
    assert_eq!(record(&writer, 1, MAX_PART).err(), Some(NotRecorded::QueueFull));
    assert_eq!(writer.writer_seq(), highest);
    standby.acknowledge_all();
    record(&writer, 1, MAX_PART).expect("there is room again");
    standby.with(|log| {
        let opened = log.handed.iter().filter(|one| one.frame.kind == Kind::SegmentOpened);
        assert_eq!(opened.count(), 1, "a full queue breaks no segment");
    });
}

#[test]
fn a_payload_over_a_part_is_refused() {
    let standby = Standby::default();
    let refused = record(&writer(&standby), 1, MAX_PART + 1);
    assert_eq!(refused.err(), Some(NotRecorded::TooLarge(MAX_PART + 1)));
}

#[test]
fn a_message_that_is_not_taken_is_not_recorded() {
    let standby = Standby::default();
    let writer = writer(&standby);
    record(&writer, 1, 10).expect("nothing refuses");
    standby.refuse_next();
    let refused = record(&writer, 1, 10);
    assert_eq!(
        refused.err(),
        Some(NotRecorded::Undelivered(RDKafkaErrorCode::QueueFull))
    );
}

#[test]
fn a_manifest_is_told_of_a_durable_head_once_and_of_none_that_is_not() {
    let standby = Standby::default();
    let writer = writer(&standby);
    record(&writer, 1, 10).expect("nothing refuses");
    assert!(writer.in_flight.take_moved().is_empty());
    standby.acknowledge_all();
    let heads = || {
        let moved = writer.in_flight.take_moved();
        moved.iter().filter_map(|ledger| ledger.report()).collect::<Vec<_>>()
    };
    let told = heads();
    let last = standby.with(|log| log.handed[1].frame.frame_hash);
    assert_eq!(
        told.iter().map(|head| (head.seq, head.head)).collect::<Vec<_>>(),
        [(1, last)]
    );
    assert!(heads().is_empty());
    record(&writer, 1, 10).expect("nothing refuses");
    standby.acknowledge_all();
    assert_eq!(heads().len(), 1);
}
