//! ClickHouse's Native format: one block, column after column. What ClickHouse would have to do for each value of each row it
//! does once for each column, and repeated texts come with their dictionary made.

use std::io::{self, Write};

use foldhash::HashMap;
use tapedeck_schemas::Digest;
use uuid::Uuid;

use super::columns::COLUMNS;

/// Version of the serialization of a `LowCardinality`: a dictionary of its own with each block.
const OWN_DICTIONARY: u64 = 1;
/// Its flags: keys follow, and the dictionary is to be built from them.
const KEYS_FOLLOW: u64 = 1 << 9 | 1 << 10;

/// The columns of one block, filled row after row, value after value.
#[derive(Debug)]
pub struct Columns {
    columns: Vec<Values>,
    /// The column that the next value of the row belongs to.
    at: usize,
    rows: usize,
}

/// The values of one column.
#[derive(Debug)]
enum Values {
    /// Numbers, ids and hashes, one after the other.
    Fixed(Vec<u8>),
    /// Texts, each behind its length.
    Texts(Vec<u8>),
    /// Texts that repeat.
    Words(Words),
    /// Lists.
    Lists(Box<Lists>),
}

#[derive(Debug)]
struct Lists {
    /// The number of items up to the end of each list, little-endian.
    ends: Vec<u8>,
    count: u64,
    items: Values,
}

/// A column of `LowCardinality(String)`.
#[derive(Debug)]
struct Words {
    /// The distinct texts, each behind its length. The first is the empty one.
    keys: Vec<u8>,
    /// Number of a text among the keys.
    numbers: HashMap<Box<[u8]>, u32>,
    /// The text before, and its number: nearly always it is the next one, too.
    last: (Vec<u8>, u32),
    /// By row.
    indexes: Vec<u32>,
}

impl Columns {
    /// An empty block for so many rows whose bodies have so many bytes in all.
    #[must_use]
    pub fn with_capacity(rows: usize, bodies: usize) -> Self {
        let columns = COLUMNS.iter().map(|(name, kind)| {
            let mut values = Values::of(kind);
            if let Values::Texts(bytes) = &mut values
                && *name == "payload"
            {
                bytes.reserve(bodies + 3 * rows);
            }
            values
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

    /// Writes the block.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut head = Vec::with_capacity(64);
        length(&mut head, self.columns.len());
        length(&mut head, self.rows);
        out.write_all(&head)?;
        for ((name, kind), values) in COLUMNS.iter().zip(&self.columns) {
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
            Values::Fixed(values) => values.extend_from_slice(bytes),
            other => other.mismatch(),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.next().add_text(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
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
            Values::Fixed(values) => numbers.for_each(|number| values.extend_from_slice(&number.to_le_bytes())),
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

impl Values {
    fn of(kind: &str) -> Self {
        let item = kind.strip_prefix("Array(").and_then(|rest| rest.strip_suffix(')'));
        match (item, kind) {
            (Some(item), _) => Self::Lists(Box::new(Lists {
                ends: Vec::new(),
                count: 0,
                items: Self::of(item),
            })),
            (None, "String") => Self::Texts(Vec::new()),
            (None, "LowCardinality(String)") => Self::Words(Words::default()),
            _ => Self::Fixed(Vec::new()),
        }
    }

    /// Which values a row has, and in which order, is written down beside which columns there are.
    fn mismatch(&self) -> ! {
        panic!("a value does not fit its column: {self:?}")
    }

    fn lists(&mut self) -> &mut Lists {
        match self {
            Self::Lists(lists) => lists,
            other => other.mismatch(),
        }
    }

    fn add_text(&mut self, bytes: &[u8]) {
        match self {
            Self::Texts(values) => text(values, bytes),
            Self::Words(words) => words.add(bytes),
            other => other.mismatch(),
        }
    }

    /// What stands before the values of the column, those of its items included.
    fn write_state(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Words(_) => out.write_all(&OWN_DICTIONARY.to_le_bytes()),
            Self::Lists(lists) => lists.items.write_state(out),
            Self::Fixed(_) | Self::Texts(_) => Ok(()),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Fixed(values) | Self::Texts(values) => out.write_all(values),
            Self::Words(words) => words.write(out),
            Self::Lists(lists) => {
                out.write_all(&lists.ends)?;
                lists.items.write(out)
            }
        }
    }
}

impl Lists {
    fn end(&mut self, items: usize) {
        self.count += items as u64;
        self.ends.extend_from_slice(&self.count.to_le_bytes());
    }
}

impl Default for Words {
    fn default() -> Self {
        Self {
            keys: vec![0],
            numbers: HashMap::default(),
            last: (Vec::new(), 0),
            indexes: Vec::new(),
        }
    }
}

impl Words {
    fn add(&mut self, bytes: &[u8]) {
        if bytes != self.last.0 {
            self.last.1 = self.number(bytes);
            self.last.0.clear();
            self.last.0.extend_from_slice(bytes);
        }
        self.indexes.push(self.last.1);
    }

    fn number(&mut self, bytes: &[u8]) -> u32 {
        if bytes.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(bytes) {
            return *number;
        }
        text(&mut self.keys, bytes);
        let number = u32::try_from(self.numbers.len() + 1).expect("a block has far fewer rows than 4 milliards");
        self.numbers.insert(bytes.into(), number);
        number
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        // Without values nothing stands for them, not even the lack of keys.
        if self.indexes.is_empty() {
            return Ok(());
        }
        let keys = self.numbers.len() as u64 + 1;
        // Bytes of an index: 1, 2 or 4.
        let width = match self.numbers.len() {
            0..=0xff => 0,
            0x100..=0xffff => 1,
            _ => 2,
        };
        out.write_all(&(KEYS_FOLLOW | width).to_le_bytes())?;
        out.write_all(&keys.to_le_bytes())?;
        out.write_all(&self.keys)?;
        out.write_all(&(self.indexes.len() as u64).to_le_bytes())?;
        let mut indexes = Vec::with_capacity(self.indexes.len() << width);
        for index in &self.indexes {
            indexes.extend_from_slice(&index.to_le_bytes()[..1 << width]);
        }
        out.write_all(&indexes)
    }
}

/// A text behind its length.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// LEB128.
fn length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}
