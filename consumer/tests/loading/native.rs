//! ClickHouse's Native format, read as its documentation has it: columns to rows.

/// A block's rows in RowBinary, which has the same values in the other order.
pub(crate) fn row_binary(block: &[u8]) -> Vec<u8> {
    let mut reader = Reader(block);
    let (columns, rows) = (reader.length(), reader.length());
    let columns: Vec<Vec<Vec<u8>>> = (0..columns)
        .map(|_| {
            reader.text();
            let kind = String::from_utf8(reader.text().to_vec()).expect("a type's name");
            reader.state(&kind);
            reader.values(&kind, rows)
        })
        .collect();
    assert!(reader.0.is_empty(), "nothing follows the block");
    let rows = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row].as_slice()));
    rows.collect::<Vec<_>>().concat()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn number(&mut self, width: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width));
        u64::from_le_bytes(bytes)
    }

    fn length(&mut self) -> usize {
        let mut length = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        length
    }

    fn text(&mut self) -> &'a [u8] {
        let length = self.length();
        self.take(length)
    }

    /// A text with its length, as RowBinary has it, too.
    fn whole_text(&mut self) -> Vec<u8> {
        let before = self.0;
        self.text();
        before[..before.len() - self.0.len()].to_vec()
    }

    fn state(&mut self, kind: &str) {
        if kind.contains("LowCardinality") {
            assert_eq!(self.number(8), 1, "the version of the dictionary");
        }
    }

    fn values(&mut self, kind: &str, count: usize) -> Vec<Vec<u8>> {
        if let Some(item) = kind.strip_prefix("Array(").and_then(|rest| rest.strip_suffix(')')) {
            let ends: Vec<usize> = (0..count).map(|_| self.number(8) as usize).collect();
            let items = self.values(item, ends.last().copied().unwrap_or(0));
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let lists = starts.zip(&ends).map(|(start, end)| {
                let mut list = Vec::new();
                let mut length = end - start;
                while length >= 0x80 {
                    list.push(length as u8 | 0x80);
                    length >>= 7;
                }
                list.push(length as u8);
                list.extend(items[start..*end].concat());
                list
            });
            return lists.collect();
        }
        if kind == "LowCardinality(String)" {
            return self.words(count);
        }
        let width = match kind {
            "String" => return (0..count).map(|_| self.whole_text()).collect(),
            "Bool" => 1,
            "Int32" => 4,
            "Int64" | "UInt64" => 8,
            "UUID" => 16,
            "FixedString(32)" => 32,
            kind if kind.starts_with("DateTime64(") => 8,
            other => panic!("{other} has no width here"),
        };
        (0..count).map(|_| self.take(width).to_vec()).collect()
    }

    fn words(&mut self, count: usize) -> Vec<Vec<u8>> {
        if count == 0 {
            return Vec::new();
        }
        let flags = self.number(8);
        assert_eq!(flags & !0xff, 0x600, "keys follow, for a dictionary of the block's own");
        let keys: Vec<Vec<u8>> = (0..self.number(8)).map(|_| self.whole_text()).collect();
        assert_eq!(self.number(8), count as u64);
        (0..count)
            .map(|_| keys[self.number(1 << (flags & 0xff)) as usize].clone())
            .collect()
    }
}
