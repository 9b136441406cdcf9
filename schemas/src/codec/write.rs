use std::collections::BTreeMap;

use uuid::Uuid;

/// Appends Avro binary (Avro 1.12 specification, "Binary Encoding").
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    /// Zigzag, then base 128, least significant group first.
    pub(super) fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(super) fn int(&mut self, value: i32) {
        self.long(i64::from(value));
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(super) fn fixed(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(super) fn id(&mut self, value: Uuid) {
        self.fixed(value.as_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.long(value.len() as i64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// The symbol's position in the schema.
    pub(super) fn symbol<T: PartialEq>(&mut self, all: &[T], value: &T) {
        let index = all
            .iter()
            .position(|one| one == value)
            .expect("ALL lists every variant");
        self.long(index as i64);
    }

    /// A union of null and one other branch.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.long(0),
            Some(value) => {
                self.long(1);
                write(self, value);
            }
        }
    }

    pub(super) fn optional_text(&mut self, value: Option<&str>) {
        self.optional(value, Self::text);
    }

    pub(super) fn optional_long(&mut self, value: Option<i64>) {
        self.optional(value, Self::long);
    }

    /// One block of items and the empty block that ends an array.
    pub(super) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            for item in items {
                write(self, item);
            }
        }
        self.long(0);
    }

    /// One block of entries, by their keys, and the empty block that ends a map.
    pub(super) fn map(&mut self, entries: &BTreeMap<String, String>) {
        if !entries.is_empty() {
            self.long(entries.len() as i64);
            for (key, value) in entries {
                self.text(key);
                self.text(value);
            }
        }
        self.long(0);
    }
}
