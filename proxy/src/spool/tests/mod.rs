//! What was told to be in the spool is there, whatever happens to the process.

mod crashes;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;

use proptest::prelude::*;

use super::entry::Torn;
use super::{Entry, OpenError, Spool, SpoolError, SpoolSettings, entries};
use crate::record::TopicRole;

pub(super) fn open(dir: &Path) -> (Spool, u64) {
    let settings = SpoolSettings {
        dir: dir.to_owned(),
        max_bytes: 1 << 30,
    };
    let (spool, cuts) = Spool::open(&settings).expect("a folder of our own");
    (spool, cuts.iter().map(|cut| cut.bytes).sum())
}

pub(super) fn entry(value: &[u8]) -> Entry<'_> {
    Entry {
        topic: TopicRole::Frames,
        key: b"key",
        value,
    }
}

/// Appends, and waits until it is told.
pub(super) fn put(spool: &Spool, value: &[u8]) -> Result<(), SpoolError> {
    let (tell, told) = mpsc::channel();
    let told_to = Box::new(move |outcome| tell.send(outcome).expect("the test waits"));
    spool.append(entry(value), told_to)?;
    told.recv().expect("it is told")
}

/// Every value in it, in order; they leave it.
pub(super) fn drain(spool: &Spool) -> Vec<Vec<u8>> {
    let newest = spool.wait_closed(spool.close_file()).unwrap_or(0);
    let mut values = Vec::new();
    while let Some((number, bytes)) = spool.oldest(newest) {
        let bytes = bytes.expect("it can be read");
        let (entries, rest) = entries(&bytes);
        assert!(rest.is_empty());
        values.extend(entries.iter().map(|entry| entry.value.to_vec()));
        spool.remove_through(number);
    }
    values
}

proptest! {
    #[test]
    fn an_entry_comes_back_as_it_was(control: bool, key: [u8; 32], value: Vec<u8>, after: Vec<u8>) {
        let topic = if control { TopicRole::Control } else { TopicRole::Frames };
        let entry = Entry { topic, key: &key, value: &value };
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), entry.size());
        bytes.extend_from_slice(&after);
        prop_assert_eq!(Entry::decode(&bytes), Ok((entry, after.as_slice())));
    }

    #[test]
    fn a_part_of_an_entry_is_none(value: Vec<u8>, cut: prop::sample::Index) {
        let mut bytes = Vec::new();
        entry(&value).encode(&mut bytes);
        prop_assert_eq!(Entry::decode(&bytes[..cut.index(bytes.len())]), Err(Torn));
    }

    #[test]
    fn an_entry_of_which_a_bit_flipped_is_none(value: Vec<u8>, at: prop::sample::Index, bit in 0_u32..8) {
        let mut bytes = Vec::new();
        entry(&value).encode(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert_eq!(Entry::decode(&bytes), Err(Torn));
    }

    #[test]
    fn bytes_of_any_kind_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = entries(&bytes);
    }
}

#[test]
fn what_was_appended_comes_out_in_order_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, _) = open(folder.path());
    for number in 0..100_u32 {
        put(&spool, &number.to_le_bytes()).expect("there is room");
    }
    assert!(spool.bytes() > 0);
    let numbers: Vec<Vec<u8>> = (0..100_u32).map(|number| number.to_le_bytes().to_vec()).collect();
    assert_eq!(drain(&spool), numbers);
    assert_eq!(spool.bytes(), 0);
    put(&spool, b"more").expect("there is room");
    assert_eq!(drain(&spool), [b"more"]);
    assert_eq!(drain(&spool), Vec::<Vec<u8>>::new());
}

#[test]
fn many_threads_are_told_of_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, _) = open(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let spool = &spool;
            scope.spawn(move || (0..50_u8).for_each(|number| put(spool, &[thread, number]).expect("there is room")));
        }
    });
    let values = drain(&spool);
    assert_eq!(values.len(), 200);
    for thread in 0..4 {
        let of_thread = values.iter().filter(|value| value[0] == thread).map(|value| value[1]);
        assert!(of_thread.eq(0..50), "in the order of its appends");
    }
}

#[test]
fn over_its_cap_it_refuses_until_something_has_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = SpoolSettings {
        dir: folder.path().to_owned(),
        max_bytes: 10_000,
    };
    let (spool, _) = Spool::open(&settings).expect("a folder of our own");
    let taken = (0..100).take_while(|_| put(&spool, &[0; 1_000]).is_ok()).count();
    assert_eq!(taken, 9, "heads and names take the place of the tenth");
    assert_eq!(put(&spool, &[0; 1_000]), Err(SpoolError::Full));
    assert!(!spool.has_room(1_000));
    let on_disk: u64 = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|file| file.expect("a file").metadata().expect("it is there").len())
        .sum();
    assert!(on_disk <= settings.max_bytes);
    assert_eq!(drain(&spool).len(), 9);
    put(&spool, &[0; 1_000]).expect("there is room again");
}

#[test]
fn nobody_else_can_read_it_or_use_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("spool");
    let (spool, _) = open(&dir);
    put(&spool, b"a secret").expect("there is room");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = std::fs::read_dir(&dir).expect("a folder").collect();
    assert_eq!(files.len(), 2, "the lock and a file");
    assert!(
        files
            .into_iter()
            .all(|file| mode(&file.expect("a file").path()) == 0o600)
    );
    let settings = SpoolSettings { dir, max_bytes: 1 };
    assert!(matches!(Spool::open(&settings), Err(OpenError::InUse { .. })));
}

#[test]
fn a_disk_that_does_not_take_a_record_is_said_so_and_the_next_may_be_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("spool");
    let (spool, _) = open(&dir);
    std::fs::remove_dir_all(&dir).expect("it is there");
    assert_eq!(put(&spool, b"lost"), Err(SpoolError::Failed));
    assert_eq!(spool.bytes(), 0);
    std::fs::create_dir(&dir).expect("it is not there");
    put(&spool, b"kept").expect("there is room");
    assert_eq!(drain(&spool), [b"kept"]);
}
