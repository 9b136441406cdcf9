use uuid::Uuid;

/// Bytes that are no record of this schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a field.
    #[error("the record ends inside a field")]
    Truncated,
    /// Bytes follow the record.
    #[error("{0} bytes follow the record")]
    Trailing(usize),
    /// A number needs more bits than its type has.
    #[error("a number is out of its type's range")]
    Range,
    /// A length is negative, or longer than the bytes that are left.
    #[error("a length does not fit the record")]
    Length,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A boolean, a union's branch or an enum's symbol that the schema does not have.
    #[error("a branch or symbol is not in the schema")]
    Branch,
}

/// Takes Avro binary apart. Every length is checked against what is left before anything is allocated.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            // The tenth byte holds the one bit that is left.
            if shift == 63 && group > 1 {
                return Err(Malformed::Range);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Malformed::Range)
    }

    pub(super) fn int(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.long()?).map_err(|_| Malformed::Range)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Branch),
        }
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take returns as many bytes as it was asked for"))
    }

    pub(super) fn id(&mut self) -> Result<Uuid, Malformed> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.long()?).map_err(|_| Malformed::Length)?;
        if length > self.0.len() {
            return Err(Malformed::Length);
        }
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        std::str::from_utf8(self.bytes()?)
            .map(str::to_owned)
            .map_err(|_| Malformed::Utf8)
    }

    pub(super) fn symbol<T: Copy>(&mut self, all: &[T]) -> Result<T, Malformed> {
        let index = usize::try_from(self.long()?).map_err(|_| Malformed::Branch)?;
        all.get(index).copied().ok_or(Malformed::Branch)
    }

    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.long()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed::Branch),
        }
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, Malformed> {
        self.optional(Self::text)
    }

    /// All blocks of an array. A negative count is followed by the block's size in bytes.
    pub(super) fn array<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let mut items = Vec::new();
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                self.long()?;
                count = count.checked_neg().ok_or(Malformed::Range)?;
            }
            // No item of ours is empty, so a count above what is left is a lie, and nothing is allocated for it.
            if usize::try_from(count).map_err(|_| Malformed::Length)? > self.0.len() {
                return Err(Malformed::Length);
            }
            for _ in 0..count {
                items.push(read(self)?);
            }
        }
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing(self.0.len()))
        }
    }
}
