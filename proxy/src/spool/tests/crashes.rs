//! Crashes, and what they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::{drain, entry, open, put};
use crate::spool::folder::MAGIC;

/// The spool's files, the oldest first.
fn files(dir: &Path) -> Vec<PathBuf> {
    let of_spool = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "spool");
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("a folder")
        .map(|file| file.expect("a file").path())
        .filter(of_spool)
        .collect();
    files.sort_unstable();
    files
}

/// Bytes that were set aside.
fn kept_aside(dir: &Path) -> u64 {
    let cut = fs::read_dir(dir).expect("a folder").filter_map(|file| {
        let file = file.expect("a file");
        let is_cut = file.path().extension().is_some_and(|extension| extension == "cut");
        is_cut.then(|| file.metadata().expect("it is there").len())
    });
    cut.sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn wherever_a_file_is_torn_what_is_whole_before_is_kept_and_the_rest_is_cut_and_reported(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20),
        torn: prop::sample::Index,
        garbage in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bytes = MAGIC.to_vec();
        let mut ends = vec![bytes.len()];
        for value in &values {
            entry(value).encode(&mut bytes);
            ends.push(bytes.len());
        }
        let torn = torn.index(bytes.len() + 1);
        bytes.truncate(torn);
        let whole = ends.iter().skip(1).filter(|end| **end <= torn).count();
        // Bytes that a disk may show behind what it has.
        bytes.extend_from_slice(&garbage);
        fs::write(folder.path().join("00000000000000000007.spool"), &bytes).expect("written");

        let (spool, cut) = open(folder.path());
        let kept = if torn < MAGIC.len() { 0 } else { ends[whole] };
        prop_assert_eq!(cut, (bytes.len() - kept) as u64);
        prop_assert_eq!(kept_aside(folder.path()), cut, "nothing is thrown away");
        put(&spool, b"after").expect("there is room");
        let mut expected = values[..whole].to_vec();
        expected.push(b"after".to_vec());
        prop_assert_eq!(drain(&spool), expected);
    }

    #[test]
    fn restarts_and_drains_in_any_order_lose_nothing_and_repeat_nothing(
        steps in proptest::collection::vec(0_u8..10, 1..40),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = open(folder.path()).0;
        let (mut next, mut expected, mut drained) = (0_u32, 0_u32, Vec::new());
        for step in steps {
            match step {
                0 => drained.extend(drain(&spool)),
                1 => {
                    // Its thread may still hold the folder for a moment.
                    drop(spool);
                    spool = reopen(folder.path());
                }
                2 => drop(spool.wait_closed(spool.close_file())),
                _ => {
                    put(&spool, &next.to_le_bytes()).expect("there is room");
                    next += 1;
                }
            }
        }
        drained.extend(drain(&spool));
        for value in drained {
            prop_assert_eq!(value, expected.to_le_bytes());
            expected += 1;
        }
        prop_assert_eq!(expected, next);
    }
}

/// As soon as the thread of the spool before has ended.
fn reopen(dir: &Path) -> crate::spool::Spool {
    let settings = crate::spool::SpoolSettings {
        dir: dir.to_owned(),
        max_bytes: 1 << 30,
    };
    loop {
        match crate::spool::Spool::open(&settings) {
            Ok((spool, cuts)) => {
                assert!(cuts.is_empty(), "{cuts:?}");
                return spool;
            }
            Err(crate::spool::OpenError::InUse { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn whenever_the_machine_stops_everything_that_was_told_of_is_on_its_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, _) = open(folder.path());
    let told = Arc::new(AtomicUsize::new(0));
    const COUNT: u32 = 2_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..COUNT {
                let told = Arc::clone(&told);
                let tell = Box::new(move |outcome: Result<(), _>| {
                    outcome.expect("the disk has room");
                    told.fetch_add(1, Ordering::SeqCst);
                });
                let value = number.to_le_bytes();
                spool.append(entry(&value), tell).expect("there is room");
            }
        });
        let mut seen = 0;
        while seen < COUNT as usize {
            // Told before the look: what a look finds may be more, torn at its end, but never less.
            seen = told.load(Ordering::SeqCst);
            let stopped = tempfile::tempdir().expect("a folder");
            for file in files(folder.path()) {
                let name = file.file_name().expect("it has a name");
                fs::copy(&file, stopped.path().join(name)).expect("copied");
            }
            let values = drain(&open(stopped.path()).0);
            assert!(values.len() >= seen, "{} of {seen}", values.len());
            for (number, value) in (0_u32..).zip(values) {
                assert_eq!(value, number.to_le_bytes());
            }
        }
    });
}
