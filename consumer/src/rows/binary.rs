use tapedeck_schemas::Digest;
use uuid::Uuid;

/// Appends values in RowBinary: little-endian numbers, lengths as LEB128.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.0.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, texts: &[T]) {
        self.length(texts.len());
        texts.iter().for_each(|text| self.text(text.as_ref()));
    }

    pub(super) fn long(&mut self, number: i64) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn longs(&mut self, numbers: impl ExactSizeIterator<Item = i64>) {
        self.length(numbers.len());
        numbers.for_each(|number| self.long(number));
    }

    pub(super) fn int(&mut self, number: i32) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn unsigned(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(super) fn digest(&mut self, digest: Option<Digest>) {
        self.raw(&digest.unwrap_or(Digest::ZERO).0);
    }

    /// ClickHouse keeps a UUID as two 64-bit halves, the more significant first.
    pub(super) fn id(&mut self, id: Uuid) {
        let (high, low) = id.as_u64_pair();
        self.unsigned(high);
        self.unsigned(low);
    }
}
