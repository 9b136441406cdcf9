use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;

/// From Kafka's own test of its hash (`UtilsTest.testMurmur2`).
#[test]
fn keys_hash_as_in_kafka() {
    let expected = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    for (key, hash) in expected {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
    }
}

#[test]
fn messages_share_a_lane_where_they_share_a_partition_and_statements_have_their_own() {
    let lane = |key: &str, partitions| Lane::of(TopicRole::Frames, key.as_bytes(), partitions);
    assert_eq!(lane("abc", 8), Lane((479_470_107_usize % 8) as u8));
    for partitions in [0, 1, 8, 63, 64, 1000] {
        for key in ["21", "foobar", "abc"] {
            assert_eq!(lane(key, partitions), lane(key, partitions));
            assert_ne!(lane(key, partitions), CONTROL);
        }
    }
    assert_eq!(Lane::of(TopicRole::Control, b"21", 8), CONTROL);
}

#[derive(Clone, Debug)]
enum Event {
    /// A message to this lane, in a hurry or not; librdkafka takes it, or not.
    Pass(u8, bool, bool),
    /// The nth of those under way.
    Arrive(usize),
    /// Of all, or of what is urgent; librdkafka takes what waits, or not.
    HandOver(bool, bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_u8..3, prop::bool::weighted(0.6), prop::bool::weighted(0.9))
            .prop_map(|(lane, hurries, taken)| Event::Pass(lane, hurries, taken)),
        6 => any::<usize>().prop_map(Event::Arrive),
        2 => (prop::bool::weighted(0.3), prop::bool::weighted(0.9))
            .prop_map(|(all, taken)| Event::HandOver(all, taken)),
    ]
}

/// What librdkafka would have seen.
#[derive(Default)]
struct Seen {
    /// In this order, whether it was taken or not.
    handed: Vec<(Lane, usize)>,
    under_way: Vec<Lane>,
}

impl Seen {
    fn take(&mut self, lane: Lane, message: usize, taken: bool) -> bool {
        self.handed.push((lane, message));
        if taken {
            self.under_way.push(lane);
        }
        taken
    }

    fn under_way(&self, lane: Lane) -> usize {
        self.under_way.iter().filter(|one| **one == lane).count()
    }

    fn handed(&self, lane: Lane) -> Vec<usize> {
        let of_lane = self.handed.iter().filter(|one| one.0 == lane);
        of_lane.map(|one| one.1).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_message_is_handed_over_once_and_in_order_and_none_waits_for_nothing(
        events in proptest::collection::vec(event(), 0..300),
    ) {
        let lanes = Lanes::new(Arc::default());
        let mut seen = Seen::default();
        let mut passed: Vec<(Lane, usize)> = Vec::new();
        // By message.
        let mut hurry: Vec<bool> = Vec::new();
        for event in events {
            match event {
                Event::Pass(lane, hurries, taken) => {
                    let (lane, message) = (Lane(lane), passed.len());
                    passed.push((lane, message));
                    hurry.push(hurries);
                    let (before, waits) = (seen.under_way(lane), seen.handed(lane).len() + 1 < of(&passed, lane).len());
                    let mut went = false;
                    let now = || {
                        went = true;
                        seen.take(lane, message, taken).then_some(()).ok_or(())
                    };
                    let haste = if hurries { Haste::Now } else { Haste::Soon };
                    let outcome = lanes.pass(lane, haste, now, || message);
                    let free = before <= FEW && !waits;
                    prop_assert_eq!(went, hurries && free, "at once where few are under way, and never past another");
                    prop_assert_eq!(outcome.is_ok(), !went || taken);
                }
                Event::Arrive(nth) if !seen.under_way.is_empty() => {
                    let nth = nth % seen.under_way.len();
                    lanes.arrived(seen.under_way.swap_remove(nth));
                }
                Event::Arrive(_) => {}
                Event::HandOver(all, taken) => {
                    let before = [0, 1, 2].map(|lane| seen.under_way(Lane(lane)));
                    lanes.hand_over(all, |lane, message| seen.take(lane, message, taken));
                    for lane in [0, 1, 2].map(Lane) {
                        let waiting = of(&passed, lane).split_off(seen.handed(lane).len());
                        let hurries = waiting.iter().any(|message| all || hurry[*message]);
                        let few = before[usize::from(lane.0)] <= FEWER;
                        prop_assert!(!(hurries && few), "those before it are nearly all there");
                    }
                }
            }
        }
        // The faults stop: every report comes, and is followed by a hand-over, as those before it.
        lanes.hand_over(false, |lane, message| seen.take(lane, message, true));
        while let Some(lane) = seen.under_way.pop() {
            lanes.arrived(lane);
            lanes.hand_over(false, |lane, message| seen.take(lane, message, true));
        }
        let left = |lane: &(Lane, usize)| !seen.handed.contains(lane);
        prop_assert!(!passed.iter().any(|one| left(one) && hurry[one.1]), "what hurries does not wait for a time");
        lanes.hand_over(true, |lane, message| seen.take(lane, message, true));
        prop_assert!(!lanes.is_waiting());
        prop_assert!(lanes.take().is_empty());
        for lane in [0, 1, 2].map(Lane) {
            prop_assert_eq!(seen.handed(lane), of(&passed, lane));
        }
    }
}

fn of(all: &[(Lane, usize)], lane: Lane) -> Vec<usize> {
    let of_lane = all.iter().filter(|one| one.0 == lane);
    of_lane.map(|one| one.1).collect()
}

#[test]
fn a_lone_message_goes_at_once_and_many_go_together() {
    let lanes = Lanes::new(Arc::default());
    let lane = Lane(0);
    let mut gone = 0;
    for message in 0..20 {
        let now = || {
            gone += 1;
            Ok::<_, Infallible>(())
        };
        lanes.pass(lane, Haste::Now, now, || message).expect("it cannot fail");
    }
    assert_eq!(gone, FEW + 1);
    let mut together = Vec::new();
    let mut hand_over = || {
        lanes.hand_over(false, |_, message| {
            together.push(message);
            true
        });
        together.len()
    };
    assert_eq!(hand_over(), 0, "as many are under way as may be");
    (FEWER..=FEW).for_each(|_| lanes.arrived(lane));
    assert_eq!(hand_over(), 20 - (FEW + 1));
}

#[test]
fn who_hands_over_is_stirred_where_no_report_would_do_it() {
    let stirred = Arc::new(Notify::new());
    let is_stirred = || stirred.notified().now_or_never().is_some();
    let lanes = Lanes::new(Arc::clone(&stirred));
    let pass = |haste| lanes.pass(Lane(0), haste, || Ok::<_, Infallible>(()), || ());
    let mut together = 0;
    let mut hand_over = |all| {
        lanes.hand_over(all, |_, ()| {
            together += 1;
            true
        });
        together
    };
    pass(Haste::Soon).expect("it waits");
    assert!(is_stirred(), "for its time begins");
    pass(Haste::Soon).expect("it waits");
    assert!(!is_stirred());
    assert_eq!(hand_over(false), 0);
    pass(Haste::Now).expect("it waits");
    assert!(is_stirred(), "for it takes those before it along");
    assert_eq!(hand_over(false), 3);
    (0..3).for_each(|_| lanes.arrived(Lane(0)));
    (0..MANY).for_each(|_| pass(Haste::Soon).expect("it waits"));
    assert_eq!(hand_over(false), 3 + MANY, "they are enough");
    (0..MANY).for_each(|_| lanes.arrived(Lane(0)));
    pass(Haste::Soon).expect("it waits");
    assert_eq!(hand_over(false), 3 + MANY);
    assert_eq!(hand_over(true), 4 + MANY, "its time is over");
}

#[test]
fn nothing_waits_where_all_was_taken() {
    let lanes = Lanes::new(Arc::default());
    for lane in [Lane(0), Lane(7)] {
        lanes
            .pass(lane, Haste::Soon, || Ok::<_, Infallible>(()), || lane)
            .expect("it waits");
    }
    assert!(lanes.is_waiting());
    assert_eq!(lanes.take(), [Lane(0), Lane(7)]);
    assert!(!lanes.is_waiting());
}

#[test]
fn what_could_not_be_handed_over_is_not_under_way() {
    let lanes = Lanes::new(Arc::default());
    for message in 0..10 {
        assert_eq!(lanes.pass(Lane(0), Haste::Now, || Err(()), || message), Err(()));
    }
    let mut went = false;
    let now = || {
        went = true;
        Ok::<_, ()>(())
    };
    lanes.pass(Lane(0), Haste::Now, now, || 10).expect("it went");
    assert!(went);
}

/// As it is in the proxy: many threads record, another one serves reports.
#[test]
fn threads_that_pass_while_another_hands_over_lose_nothing_and_keep_the_order() {
    const EACH: usize = 20_000;
    let lanes = Lanes::new(Arc::default());
    let handed = Mutex::new(Vec::new());
    let under_way = Mutex::new(Vec::new());
    let take = |lane: Lane, message: (usize, usize)| {
        handed.lock().expect("no panic").push((lane, message));
        under_way.lock().expect("no panic").push(lane);
    };
    let report = || {
        let arrived = std::mem::take(&mut *under_way.lock().expect("no panic"));
        arrived.into_iter().for_each(|lane| lanes.arrived(lane));
        lanes.hand_over(false, |lane, message| {
            take(lane, message);
            true
        });
    };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (lanes, take, report, ended) = (&lanes, &take, &report, &ended);
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                scope.spawn(move || {
                    for turn in 0..EACH {
                        let (lane, message) = (Lane((turn % 2) as u8), (thread, turn));
                        let now = || {
                            take(lane, message);
                            Ok::<_, Infallible>(())
                        };
                        lanes.pass(lane, Haste::Now, now, || message).expect("it cannot fail");
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                report();
            }
        });
        let all: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        ended.store(true, Ordering::Relaxed);
        assert!(all.iter().all(Result::is_ok));
    });
    while !under_way.lock().expect("no panic").is_empty() {
        report();
    }
    assert!(lanes.take().is_empty(), "nothing waits where nothing is under way");
    let handed = handed.into_inner().expect("no panic");
    for (thread, lane) in (0..3).flat_map(|thread| [(thread, 0), (thread, 1)]) {
        let turns = handed
            .iter()
            .filter(|(of, message)| *of == Lane(lane) && message.0 == thread);
        let turns: Vec<usize> = turns.map(|(_, message)| message.1).collect();
        let expected: Vec<usize> = (0..EACH).filter(|turn| turn % 2 == usize::from(lane)).collect();
        assert_eq!(turns, expected);
    }
}
