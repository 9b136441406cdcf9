use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;

const MIB: usize = 1024 * 1024;

fn budget(bytes: usize) -> (Budget, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    (Budget::new(bytes as u64, Arc::clone(&metrics)), metrics)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_partitions_with_large_records_stay_within_it_and_none_starves() {
    const PARTITIONS: usize = 64;
    const BATCHES: usize = 40;
    let (budget, metrics) = budget(8 * MIB);
    let mut partitions = JoinSet::new();
    for number in 0..PARTITIONS {
        let budget = budget.clone();
        partitions.spawn(async move {
            for batch in 0..BATCHES {
                let mut reserved = budget.nothing();
                // From small ones to such as are larger than all that one batch may have.
                let size = 1000 << ((number + batch) % 13);
                reserved.wait(cost(size)).await;
                while reserved.take(cost(size)) {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let all = async { while partitions.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("every partition gets its turn, again and again");
    let peak = metrics.memory_peak.get();
    assert!(peak > 4 * MIB as i64 && peak <= 8 * MIB as i64, "{peak}");
    assert_eq!((budget.drawn(), metrics.memory.get()), (0, 0), "all is given back");
}

#[tokio::test]
async fn who_waits_is_served_before_who_would_take_more() {
    let (budget, _) = budget(4 * MIB);
    let (mut first, mut second) = (budget.nothing(), budget.nothing());
    first.wait(2 * MIB).await;
    second.wait(2 * MIB).await;
    let mut third = budget.nothing();
    let mut waiting = Box::pin(third.wait(MIB));
    assert!(futures_util::poll!(&mut waiting).is_pending(), "nothing is left");
    drop(first);
    let mut fourth = budget.nothing();
    assert!(
        fourth.take(MIB) && !fourth.take(MIB / 2),
        "the third has its own already"
    );
    assert!(futures_util::poll!(&mut waiting).is_ready());
}

#[test]
fn one_batch_leaves_half_for_the_next() {
    let (budget, _) = budget(4 * MIB);
    let mut batch = budget.nothing();
    while batch.take(100_000) {}
    assert!(budget.drawn() <= 2 * MIB, "{}", budget.drawn());
    assert!(budget.drawn() > 2 * MIB - 100_000 - PORTION, "{}", budget.drawn());
}

#[test]
fn what_waits_in_one_partition_takes_nothing_from_the_share_of_another() {
    let (budget, _) = budget(16 * MIB);
    let mut rooms: Vec<Room> = (0..4).map(|_| budget.room()).collect();
    let mut greedy = 0;
    while rooms[0].resize(greedy + 1000) {
        greedy += 1000;
    }
    // Half of the half is common, and a quarter of the rest its own.
    assert!(greedy > 4 * MIB && greedy <= 5 * MIB, "{greedy}");
    for room in &mut rooms[1..] {
        assert!(room.resize(MIB), "its own share");
        assert!(!room.resize(2 * MIB), "what is common is taken");
    }
    drop(rooms.swap_remove(0));
    assert!(rooms[0].resize(2 * MIB), "until it is given back");
}

proptest! {
    #[test]
    fn what_waits_is_never_more_than_half(
        steps in prop::collection::vec((0_usize..6, 0_usize..9 * MIB, any::<bool>()), 1..200),
    ) {
        let (budget, _) = budget(8 * MIB);
        let mut rooms: Vec<Room> = Vec::new();
        for (number, bytes, comes) in steps {
            if number >= rooms.len() {
                rooms.push(budget.room());
            } else if comes && rooms.len() > 3 {
                drop(rooms.swap_remove(number));
            } else {
                let room = &mut rooms[number];
                let before = room.held;
                let grown = room.resize(bytes);
                prop_assert!(grown || bytes > before, "shrinking always succeeds");
                prop_assert_eq!(room.held, if grown { bytes } else { before });
            }
            let held: usize = rooms.iter().map(|room| room.held).sum();
            prop_assert!(held <= 4 * MIB, "{}", held);
            prop_assert_eq!(budget.waiting().bytes, held);
        }
        drop(rooms);
        let waiting = budget.waiting();
        prop_assert_eq!((waiting.rooms, waiting.bytes, waiting.excess), (0, 0, 0));
    }

    #[test]
    fn what_waits_keeps_its_part_of_the_budget_beyond_its_batch(sizes in prop::collection::vec(0_usize..400_000, 1..40)) {
        let (budget, _) = budget(4 * MIB);
        let mut room = budget.room();
        for size in sizes {
            let mut reserved = budget.nothing();
            prop_assert!(reserved.take(cost(400_000)));
            prop_assert!(room.resize(size));
            room.keep_of(&mut reserved);
            drop(reserved);
            prop_assert_eq!(budget.drawn(), size);
        }
        drop(room);
        prop_assert_eq!(budget.drawn(), 0);
    }
}
