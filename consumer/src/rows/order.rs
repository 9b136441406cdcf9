//! The order of rows in the table.

use uuid::Uuid;

use super::Row;

/// Where a row is among others, as `ORDER BY` of the table has it: ClickHouse then finds a block sorted, and neither sorts it nor
/// copies every column of it into that order. A block in another order would be right, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order<'a> {
    tenant: &'a str,
    session_start: i64,
    session: u128,
    segment: u128,
    seq: i64,
    /// Not of the table's key: it makes the order of rows of one place the same each time.
    offset: i64,
}

impl<'a> Order<'a> {
    /// Of a row.
    #[must_use]
    pub fn of(row: &'a Row) -> Self {
        let frame = row.frame.frame();
        Self {
            tenant: &frame.tenant,
            session_start: row.session_start(),
            session: comparable(row.place.session),
            segment: comparable(frame.segment_id),
            seq: frame.seq,
            offset: row.offset,
        }
    }
}

/// ClickHouse compares the second half of a UUID first.
fn comparable(id: Uuid) -> u128 {
    id.as_u128().rotate_left(64)
}
