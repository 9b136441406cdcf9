//! ClickHouse's Native format: one block, column after column. What ClickHouse would have to do for each value of each row it
//! does once for each column, and repeated texts come with their dictionary made.

mod packed;
mod words;

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;
use tapedeck_schemas::Digest;
use uuid::Uuid;

use super::columns::{COLUMNS, NEVER_LEFT_OUT};
use packed::{Packed, length, text};
use words::{OWN_DICTIONARY, Words};

/// What a block is written to.
pub trait Taker: Write {
    /// Takes bytes that are shared, without copying them where that is cheaper.
    ///
    /// # Errors
    /// As [`Write::write_all`].
    fn share(&mut self, bytes: &Bytes) -> io::Result<()> {
        self.write_all(bytes)
    }
}

impl Taker for Vec<u8> {}

/// The columns of one block, filled row after row, value after value. Debug shows no value.
pub struct Columns {
    columns: Vec<Values>,
    /// The column that the next value of the row belongs to.
    at: usize,
    rows: usize,
}

/// The values of one column.
enum Values {
    /// Numbers, ids and hashes, one after the other.
    Fixed(Packed),
    /// Texts, each behind its length.
    Texts(Packed),
    /// Payloads, which are large: they stay where they are until the block is written.
    Bodies(Vec<Bytes>),
    /// Texts that repeat.
    Words(Words),
    /// Lists.
    Lists(Box<Lists>),
}

struct Lists {
    /// The number of items up to the end of each list, little-endian.
    ends: Packed,
    count: u64,
    items: Values,
}

impl Columns {
    /// An empty block for so many rows.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        let columns = COLUMNS.iter().map(|(name, kind)| match *name {
            "payload" => Values::Bodies(Vec::with_capacity(rows)),
            _ => Values::of(kind, rows),
        });
        Self {
            columns: columns.collect(),
            at: 0,
            rows: 0,
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Which of [`COLUMNS`] the block has: those that have nothing but the default in any row are left out, which is about half
    /// of them nearly always.
    #[must_use]
    pub fn used(&self) -> Vec<usize> {
        let is_used =
            |index: &usize| NEVER_LEFT_OUT.contains(&COLUMNS[*index].0) || !self.columns[*index].are_defaults();
        (0..COLUMNS.len()).filter(is_used).collect()
    }

    /// Writes the block, with the columns that are [`used`](Self::used).
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Taker, used: &[usize]) -> io::Result<()> {
        let mut head = Vec::with_capacity(64);
        length(&mut head, used.len());
        length(&mut head, self.rows);
        out.write_all(&head)?;
        for &index in used {
            let ((name, kind), values) = (COLUMNS[index], &self.columns[index]);
            head.clear();
            text(&mut head, name.as_bytes());
            text(&mut head, kind.as_bytes());
            out.write_all(&head)?;
            values.write_state(out)?;
            values.write(out)?;
        }
        Ok(())
    }

    fn next(&mut self) -> &mut Values {
        let values = &mut self.columns[self.at];
        self.at += 1;
        values
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        match self.next() {
            Values::Fixed(values) => values.add(bytes),
            other => other.mismatch(),
        }
    }

    pub(super) fn body(&mut self, body: Option<&Bytes>) {
        match self.next() {
            Values::Bodies(bodies) => bodies.push(body.cloned().unwrap_or_default()),
            other => other.mismatch(),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.next().add_text(text.as_bytes());
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, texts: &[T]) {
        let lists = self.next().lists();
        lists.end(texts.len());
        texts
            .iter()
            .for_each(|text| lists.items.add_text(text.as_ref().as_bytes()));
    }

    pub(super) fn longs(&mut self, numbers: impl ExactSizeIterator<Item = i64>) {
        let lists = self.next().lists();
        lists.end(numbers.len());
        match &mut lists.items {
            Values::Fixed(values) => numbers.for_each(|number| values.add(&number.to_le_bytes())),
            other => other.mismatch(),
        }
    }

    pub(super) fn long(&mut self, number: i64) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn int(&mut self, number: i32) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn unsigned(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.raw(&[u8::from(value)]);
    }

    pub(super) fn digest(&mut self, digest: Option<Digest>) {
        self.raw(&digest.unwrap_or(Digest::ZERO).0);
    }

    /// ClickHouse keeps a UUID as two 64-bit halves, the more significant first.
    pub(super) fn id(&mut self, id: Uuid) {
        let (high, low) = id.as_u64_pair();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_le_bytes());
        bytes[8..].copy_from_slice(&low.to_le_bytes());
        self.raw(&bytes);
    }

    /// The row is complete.
    pub(super) fn end_row(&mut self) {
        assert_eq!(self.at, self.columns.len(), "a row has one value for each column");
        self.at = 0;
        self.rows += 1;
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Values {
    fn of(kind: &str, rows: usize) -> Self {
        let item = kind.strip_prefix("Array(").and_then(|rest| rest.strip_suffix(')'));
        match (item, kind) {
            (Some(item), _) => Self::Lists(Box::new(Lists {
                ends: Packed::expecting(rows * size_of::<u64>()),
                count: 0,
                items: Self::of(item, 0),
            })),
            (None, "String") => Self::Texts(Packed::expecting(rows)),
            (None, "LowCardinality(String)") => Self::Words(Words::expecting(rows)),
            (None, kind) => Self::Fixed(Packed::expecting(rows * width(kind))),
        }
    }

    /// Every value is its type's default.
    fn are_defaults(&self) -> bool {
        match self {
            Self::Fixed(values) | Self::Texts(values) => values.are_zeros(),
            Self::Bodies(bodies) => bodies.iter().all(Bytes::is_empty),
            Self::Words(words) => words.are_empty(),
            Self::Lists(lists) => lists.count == 0,
        }
    }

    /// Which values a row has, and in which order, is written down beside which columns there are.
    fn mismatch(&self) -> ! {
        panic!("a value does not fit its column")
    }

    fn lists(&mut self) -> &mut Lists {
        match self {
            Self::Lists(lists) => lists,
            other => other.mismatch(),
        }
    }

    fn add_text(&mut self, bytes: &[u8]) {
        match self {
            Self::Texts(values) => values.add_text(bytes),
            Self::Words(words) => words.add(bytes),
            other => other.mismatch(),
        }
    }

    /// What stands before the values of the column, those of its items included.
    fn write_state(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Words(_) => out.write_all(&OWN_DICTIONARY.to_le_bytes()),
            Self::Lists(lists) => lists.items.write_state(out),
            Self::Fixed(_) | Self::Texts(_) | Self::Bodies(_) => Ok(()),
        }
    }

    fn write(&self, out: &mut impl Taker) -> io::Result<()> {
        match self {
            Self::Fixed(values) | Self::Texts(values) => values.write(out),
            Self::Bodies(bodies) => {
                let mut head = Vec::with_capacity(8);
                bodies.iter().try_for_each(|body| {
                    head.clear();
                    length(&mut head, body.len());
                    out.write_all(&head)?;
                    out.share(body)
                })
            }
            Self::Words(words) => words.write(out),
            Self::Lists(lists) => {
                lists.ends.write(out)?;
                lists.items.write(out)
            }
        }
    }
}

impl Lists {
    fn end(&mut self, items: usize) {
        self.count += items as u64;
        self.ends.add(&self.count.to_le_bytes());
    }
}

/// Bytes of a value of a type of fixed size.
fn width(kind: &str) -> usize {
    match kind {
        "Bool" => 1,
        "Int32" => 4,
        "UUID" => 16,
        "FixedString(32)" => 32,
        // The only others are numbers and times of 64 bits.
        _ => 8,
    }
}
