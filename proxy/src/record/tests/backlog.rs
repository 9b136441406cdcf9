//! Frames that nobody waits for: on record once, or counted.

use std::collections::BTreeMap;

use bytes::Bytes;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Frame, Kind, MAX_PART, SessionKey};

use super::model;
use super::oracle::judge;
use super::standby::{Fate, Standby, counted_writer, end, record, writer};
use crate::record::backlog::{FRAME_BYTES, MAX_BYTES, MAX_FRAMES};
use crate::record::writer::Writer;
use crate::record::{NotReady, NotRecorded};

#[derive(Clone, Debug)]
enum Event {
    /// The caller's exchange ends.
    End(u8),
    Record(u8),
    KafkaAway(bool),
    HandOver(usize),
    Acknowledge(usize),
    Fail(usize),
    TooLarge(usize),
    RefuseNext,
    SealUnused,
    ReplaceProducer,
}

fn event() -> impl Strategy<Value = Event> {
    let nth = || prop_oneof![3 => Just(0_usize), 1 => any::<usize>()];
    prop_oneof![
        8 => (0_u8..3).prop_map(Event::End),
        3 => (0_u8..3).prop_map(Event::Record),
        2 => any::<bool>().prop_map(Event::KafkaAway),
        3 => (0_usize..6).prop_map(Event::HandOver),
        6 => nth().prop_map(Event::Acknowledge),
        3 => nth().prop_map(Event::Fail),
        1 => nth().prop_map(Event::TooLarge),
        1 => Just(Event::RefuseNext),
        1 => Just(Event::SealUnused),
        1 => Just(Event::ReplaceProducer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_end_is_on_record_once_or_counted_and_first_handed_over_in_the_order_of_the_calls(
        events in proptest::collection::vec(event(), 0..150),
    ) {
        let mut registry = Registry::default();
        let standby = Standby::default();
        let writer = counted_writer(&standby, &mut registry);
        let (mut ends, mut ready, mut too_large) = (0_u128, true, 0);
        let mut callers = BTreeMap::new();
        for event in events {
            match event {
                Event::End(caller) => {
                    ends += 1;
                    callers.insert(ends, end(caller, ends).session_key);
                    writer.record_unwaited(end(caller, ends), None, ready);
                }
                // What is waited for is refused while Kafka is away.
                Event::Record(caller) => drop(ready.then(|| record(&writer, caller, 10))),
                Event::KafkaAway(away) => ready = !away,
                Event::HandOver(most) => drop(ready.then(|| writer.hand_over_backlog(most))),
                Event::Acknowledge(nth) => standby.report(nth, true),
                Event::Fail(nth) => standby.report(nth, false),
                Event::TooLarge(nth) => {
                    let is_end = standby.nth(nth, |one| one.frame.kind == Kind::ExchangeEnd);
                    too_large += usize::from(is_end == Some(true));
                    standby.report_as(nth, Err(RDKafkaErrorCode::MessageSizeTooLarge));
                }
                Event::RefuseNext => standby.refuse_next(),
                Event::SealUnused => drop(writer.seal_unused(std::time::Duration::ZERO, "idle")),
                Event::ReplaceProducer => {
                    standby.next_producer();
                    drop(writer.replace(Box::new(standby.clone())));
                }
            }
        }
        model::end(&writer, &standby);
        standby.with(|log| judge(&log.handed, writer.writer_seq(), &writer.take_ended()));

        let sealed = standby.with(|log| {
            let of_ends = log.handed.iter().filter(|one| one.frame.kind == Kind::ExchangeEnd);
            of_ends.map(|one| (one.frame.exchange_id.as_u128(), one.fate)).collect::<Vec<_>>()
        });
        let exchanges: Vec<u128> = sealed.iter().map(|(exchange, _)| *exchange).collect();
        let mut sorted = exchanges.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (1..=ends).collect::<Vec<_>>(), "each is sealed into one frame");
        let lost = sealed.iter().filter(|(_, fate)| *fate != Fate::Acknowledged).count();
        prop_assert_eq!((lost, lost_ends(&registry)), (too_large, too_large));
        let mut last: BTreeMap<SessionKey, u128> = BTreeMap::new();
        for exchange in exchanges {
            let before = last.insert(callers[&exchange], exchange);
            prop_assert!(before.is_none_or(|before| before < exchange), "{:?} before {}", before, exchange);
        }
    }
}

/// What the metric says of ends that are not on record.
fn lost_ends(registry: &Registry) -> usize {
    let mut page = String::new();
    encode(&mut page, registry).expect("a string takes it");
    let name = r#"tapedeck_recorder_unwaited_lost_total{kind="exchange_end"} "#;
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

#[test]
fn while_kafka_is_away_nothing_is_handed_over_and_a_frame_keeps_the_time_of_what_it_describes() {
    let standby = Standby::default();
    let writer = writer(&standby);
    writer.record_unwaited(end(1, 1), None, false);
    assert_eq!(standby.outstanding(), 0);
    let kafka_is_back = crate::record::writer::micros();
    assert!(writer.hand_over_backlog(usize::MAX).is_some());
    standby.with(|log| {
        let (opener, kept) = (&log.handed[0].frame, &log.handed[1].frame);
        assert!(kept.time <= kafka_is_back && kafka_is_back <= opener.time);
        assert!(kept.monotonic_ns < opener.monotonic_ns);
    });
}

#[test]
fn a_frame_whose_publish_failed_is_handed_over_again_with_its_old_number() {
    let standby = Standby::default();
    let writer = writer(&standby);
    writer.record_unwaited(end(1, 1), None, true);
    standby.report(0, true);
    standby.report(0, false);
    record(&writer, 1, 10).expect("a new segment takes what comes after");
    assert!(writer.hand_over_backlog(usize::MAX).is_some());
    assert!(writer.hand_over_backlog(usize::MAX).is_none(), "it is under way");
    standby.acknowledge_all();
    assert_eq!(writer.in_flight.backlog.count(), 0);
    standby.with(|log| {
        let ends: Vec<_> = log.handed.iter().filter(|one| one.frame.end.is_some()).collect();
        assert_eq!(ends.len(), 1);
        assert_eq!((ends[0].again, ends[0].fate), (1, Fate::Acknowledged));
    });
}

#[test]
fn what_does_not_fit_is_counted_and_a_gap_takes_its_place() {
    let mut registry = Registry::default();
    let standby = Standby::default();
    let writer = counted_writer(&standby, &mut registry);
    let missed = 5;
    for exchange in 0..MAX_FRAMES + missed {
        writer.record_unwaited(end(1, exchange as u128), None, false);
    }
    writer.record_unwaited(end(2, 0), None, false);
    assert_eq!(lost_ends(&registry), missed + 1);
    assert_eq!(writer.in_flight.backlog.count(), MAX_FRAMES + 2, "and two gaps");
    while writer.in_flight.backlog.count() > 0 {
        drop(writer.hand_over_backlog(1_000));
        standby.acknowledge_all();
    }
    standby.with(|log| {
        let gaps: Vec<&Frame> = log.handed.iter().map(|one| &one.frame).collect();
        let of = |caller| {
            let key = end(caller, 0).session_key;
            let of_key = gaps.iter().filter(|frame| frame.session_key == key);
            let last = of_key.max_by_key(|frame| frame.seq).expect("it has frames");
            assert_eq!((last.kind, last.exchange_id), (Kind::Gap, last.segment_id));
            last.gap.clone().expect("a gap says what it is").frames
        };
        assert_eq!((of(1), of(2)), (missed as i64, 1));
    });
}

#[test]
fn what_best_effort_misses_is_one_gap_a_key_and_reason() {
    let standby = Standby::default();
    let writer = writer(&standby);
    let away = NotRecorded::from(NotReady::Away);
    for (caller, bytes, why) in [
        (1, 10, away),
        (1, 20, away),
        (2, 5, away),
        (1, 1, NotRecorded::QueueFull),
    ] {
        writer.miss(&mut end(caller, 0), bytes, why);
    }
    drop(writer.hand_over_backlog(usize::MAX));
    standby.acknowledge_all();
    assert_eq!(writer.in_flight.backlog.count(), 0);
    let mut gaps: Vec<_> = standby.with(|log| {
        let gaps = log.handed.iter().filter_map(|one| one.frame.gap.clone());
        gaps.map(|gap| (gap.reason, gap.frames, gap.bytes)).collect()
    });
    gaps.sort_unstable();
    let expected = [("kafka_away", 1, 5), ("kafka_away", 2, 30), ("queue_full", 1, 1)];
    assert_eq!(
        gaps,
        expected.map(|(reason, frames, bytes)| (reason.to_owned(), frames, bytes))
    );
}

/// Refusals with large bodies, as many as fit, and `more`.
fn fill(writer: &Writer, more: usize) -> usize {
    let fit = MAX_BYTES / (FRAME_BYTES + MAX_PART);
    for exchange in 0..fit + more {
        let refusal = Frame {
            kind: Kind::Refused,
            ..end(1, exchange as u128)
        };
        writer.record_unwaited(refusal, Some(Bytes::from(vec![0; MAX_PART])), false);
    }
    fit
}

#[test]
fn bodies_of_refusals_count_by_their_size() {
    let writer = writer(&Standby::default());
    let fit = fill(&writer, 3);
    assert_eq!(writer.in_flight.backlog.count(), fit + 1, "and a gap");
}

#[test]
fn a_gap_that_was_sealed_counts_no_more_and_another_does() {
    let standby = Standby::default();
    let writer = writer(&standby);
    let fit = fill(&writer, 1);
    drop(writer.hand_over_backlog(usize::MAX));
    assert_eq!(standby.outstanding(), 1 + fit + 1, "opener, refusals, gap");
    let refusal = Some(Bytes::from(vec![0; MAX_PART]));
    writer.record_unwaited(end(1, 0), refusal, true);
    standby.acknowledge_all();
    assert_eq!(writer.in_flight.backlog.count(), 0);
    standby.with(|log| {
        let gaps = log.handed.iter().filter_map(|one| one.frame.gap.as_ref());
        let gaps: Vec<_> = gaps.map(|gap| (gap.frames, gap.bytes)).collect();
        assert_eq!(gaps, [(1, MAX_PART as i64); 2]);
    });
}
