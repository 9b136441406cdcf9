//! The segments' state machine under any order of events, judged by the oracle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::oracle::judge;
use super::standby::{Fate, Standby, record, writer};
use crate::record::NotRecorded;
use crate::record::durable::Pending;
use crate::record::writer::Writer;

#[derive(Clone, Debug)]
enum Event {
    Record(u8),
    Acknowledge(usize),
    Fail(usize),
    RefuseNext,
    SealUnused,
    ReplaceProducer,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_u8..3).prop_map(Event::Record),
        // Mostly in order, as Kafka does it; sometimes late.
        6 => prop_oneof![3 => Just(0_usize), 1 => any::<usize>()].prop_map(Event::Acknowledge),
        2 => any::<usize>().prop_map(Event::Fail),
        1 => Just(Event::RefuseNext),
        2 => Just(Event::SealUnused),
        1 => Just(Event::ReplaceProducer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_chains_verify_and_every_unacknowledged_frame_is_named(
        events in proptest::collection::vec(event(), 0..120),
    ) {
        let standby = Standby::default();
        let writer = writer(&standby);
        let mut waiting = Vec::new();
        for event in events {
            match event {
                Event::Record(caller) => match record(&writer, caller, 10) {
                    Ok(delivery) => waiting.push((standby.with(|log| log.handed.len()) - 1, Pending::new(delivery))),
                    Err(error) => prop_assert!(matches!(error, NotRecorded::Undelivered(_))),
                },
                Event::Acknowledge(nth) => standby.report(nth, true),
                Event::Fail(nth) => standby.report(nth, false),
                Event::RefuseNext => standby.refuse_next(),
                Event::SealUnused => drop(writer.seal_unused(Duration::ZERO, "idle")),
                Event::ReplaceProducer => {
                    standby.next_producer();
                    drop(writer.replace(Box::new(standby.clone())));
                }
            }
        }
        end(&writer, &standby);
        standby.with(|log| judge(&log.handed, writer.writer_seq(), &writer.take_ended()));
        for (index, pending) in waiting {
            let durable = pending.now_or_never().expect("every message was reported").is_ok();
            prop_assert_eq!(durable, standby.with(|log| log.handed[index].fate) == Fate::Acknowledged);
        }
    }
}

#[test]
fn threads_that_record_under_one_key_while_segments_are_sealed_keep_the_order() {
    let standby = Standby::default();
    let writer = Arc::new(writer(&standby));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recording: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for turn in 0..500_u16 {
                        record(&writer, (turn % 2) as u8, 10).expect("nothing refuses");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                standby.acknowledge_all();
                drop(writer.seal_unused(Duration::ZERO, "idle"));
            }
        });
        let all = recording.into_iter().map(|thread| thread.join());
        let all: Vec<_> = all.collect();
        ended.store(true, Ordering::Relaxed);
        assert!(all.iter().all(Result::is_ok));
    });
    end(&writer, &standby);
    standby.with(|log| {
        judge(&log.handed, writer.writer_seq(), &writer.take_ended());
        let messages = log.handed.iter().filter(|one| one.frame.payload.is_some());
        assert_eq!(messages.count(), 2_000);
    });
}

/// The faults stop: all that is outstanding is acknowledged, and every segment sealed.
pub(super) fn end(writer: &Writer, standby: &Standby) {
    // The last event may have been the refusal of a publish that never came.
    for _ in 0..8 {
        drop(writer.hand_over_backlog(usize::MAX));
        standby.acknowledge_all();
        drop(writer.seal_unused(Duration::ZERO, "shutdown"));
    }
    assert_eq!(
        writer.in_flight.backlog.count(),
        0,
        "everything that was kept is on record"
    );
    assert_eq!(writer.slots.count(), 0, "every segment is sealed and forgotten");
    assert_eq!(standby.outstanding(), 0);
}
