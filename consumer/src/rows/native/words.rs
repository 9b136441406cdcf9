use std::io::{self, Write};

use foldhash::HashMap;

use super::packed::text;

/// Version of the serialization of a `LowCardinality`: a dictionary of its own with each block.
pub(super) const OWN_DICTIONARY: u64 = 1;
/// Its flags: keys follow, and the dictionary is to be built from them.
const KEYS_FOLLOW: u64 = 1 << 9 | 1 << 10;

/// A column of `LowCardinality(String)`.
pub(super) struct Words {
    /// The distinct texts, each behind its length. The first is the empty one.
    keys: Vec<u8>,
    /// Number of a text among the keys.
    numbers: HashMap<Box<[u8]>, u32>,
    /// The text before, and its number: nearly always it is the next one, too.
    last: (Vec<u8>, u32),
    /// By row.
    indexes: Vec<u32>,
}

impl Words {
    pub(super) fn expecting(rows: usize) -> Self {
        Self {
            keys: vec![0],
            numbers: HashMap::default(),
            last: (Vec::new(), 0),
            indexes: Vec::with_capacity(rows),
        }
    }

    /// Nothing but empty texts.
    pub(super) fn are_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
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

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
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
