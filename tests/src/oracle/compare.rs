//! ClickHouse against the raw topic: exactly once, equal where nothing was redacted, and provable from ClickHouse alone.

use std::collections::{BTreeMap, BTreeSet};

use tapedeck_schemas::Digest;
use uuid::Uuid;

use super::Wrong;
use super::table::Row;
use super::topic::{Record, Recorded};

/// Each frame of the topic is one row, each row one frame; the same for records that are no frames.
///
/// # Errors
/// Names everything that is missing, twice or different.
pub fn exactly_once(recorded: &[Recorded], undecodable: &[Record], rows: &[Row]) -> anyhow::Result<()> {
    let mut wrong = Wrong::default();
    let mut by_place: BTreeMap<(i32, i64), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_place.entry(row.place()).or_default().push(row);
    }
    let mut seen = BTreeSet::new();
    for entry in recorded {
        let found = by_place.remove(&entry.place).unwrap_or_default();
        // A frame that the log has twice is one row, at its first place.
        let expected = usize::from(seen.insert(entry.identity()));
        wrong.unless(found.len() == expected, || {
            format!("the frame at {:?} is {} rows, not {expected}", entry.place, found.len())
        });
        for row in found {
            compare(entry, row, &mut wrong);
        }
    }
    for record in undecodable {
        let found = by_place.remove(&record.place).unwrap_or_default();
        wrong.unless(found.len() == 1, || {
            format!("the record at {:?} is {} rows, not 1", record.place, found.len())
        });
        for row in found {
            wrong.unless(row.verdict == "undecodable" && row.payload.0.is_empty(), || {
                format!("the record at {:?} is a row of verdict {}", record.place, row.verdict)
            });
        }
    }
    for place in by_place.keys() {
        wrong.add(format!("there is a row for {place:?}, where the topic has nothing"));
    }
    wrong.verdict("ClickHouse against the topic")
}

fn compare(entry: &Recorded, row: &Row, wrong: &mut Wrong) {
    let (frame, place) = (&entry.frame, entry.place);
    wrong.unless(row.verdict == "intact", || {
        format!("the row of {place:?} is {}", row.verdict)
    });
    wrong.unless((row.segment_id, row.seq, row.hash()) == entry.identity(), || {
        format!("the row of {place:?} is of another frame")
    });
    let sent = frame.payload.as_ref().map(|payload| payload.0.as_ref());
    match row.redaction.as_str() {
        "none" => wrong.unless(sent.is_none() && row.payload.0.is_empty(), || {
            format!("{place:?} lost its payload")
        }),
        "unchanged" => wrong.unless(sent == Some(row.payload.0.as_slice()), || {
            format!("the payload of {place:?} is not what was sent")
        }),
        "masked" | "joined" | "dropped" => wrong.unless(sent.is_some(), || format!("{place:?} has no payload to mask")),
        other => wrong.add(format!("{place:?}: redaction is `{other}`")),
    }
    if row.is_unchanged() {
        match row.frame(frame.previous_hash) {
            Ok(kept) => wrong.unless(kept == *frame, || {
                format!("the row of {place:?} differs from its frame")
            }),
            Err(error) => wrong.add(format!("the row of {place:?}: {error:#}")),
        }
    }
}

/// Recomputes every hash of every segment from rows alone: `previous_hash` is the hash of the row before. Rows whose
/// directly hashed fields were masked keep the chain, but cannot be recomputed themselves. Returns how many were.
///
/// # Errors
/// Names every row that does not fit.
pub fn chains(rows: &[Row]) -> anyhow::Result<usize> {
    let mut wrong = Wrong::default();
    let mut recomputed = 0;
    let mut segments: BTreeMap<Uuid, BTreeMap<i64, &Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.verdict != "undecodable") {
        let twice = segments.entry(row.segment_id).or_default().insert(row.seq, row);
        wrong.unless(twice.is_none(), || {
            format!("segment {} has row {} twice", row.segment_id, row.seq)
        });
    }
    for (segment, rows) in segments {
        let mut before: Option<(i64, Digest)> = None;
        for (&seq, row) in &rows {
            let previous = match before {
                None => (seq == 0).then_some(Digest::ZERO),
                Some((at, hash)) => (at + 1 == seq).then_some(hash),
            };
            before = Some((seq, row.hash()));
            // After a hole, which the topic's oracle judges, there is nothing to recompute with.
            let Some(previous) = previous.filter(|_| row.has_all_direct_fields()) else {
                continue;
            };
            let verified = row.frame(previous).and_then(|frame| match row.is_unchanged() {
                true => Ok(frame.verify_hash()?),
                false => Ok(frame.verify_redacted_hash()?),
            });
            match verified {
                Ok(()) => recomputed += 1,
                Err(error) => wrong.add(format!("segment {segment}, row {seq}: {error:#}")),
            }
        }
    }
    wrong.verdict("the chains in ClickHouse")?;
    Ok(recomputed)
}
