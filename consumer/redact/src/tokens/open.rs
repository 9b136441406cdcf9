//! The open containers of a JSON text: a bit for each.

/// Bits in a word.
const BITS: usize = u128::BITS as usize;

/// Whether each open container is an object. Takes no memory beyond its own up to a depth of 128.
#[derive(Debug, Default)]
pub(super) struct Open {
    depth: usize,
    /// The innermost up to 128, the last one lowest.
    inner: u128,
    /// Those further out, 128 each.
    outer: Vec<u128>,
}

impl Open {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.depth
    }

    pub(super) fn is_empty(&self) -> bool {
        self.depth == 0
    }

    /// Whether the innermost is an object.
    pub(super) fn is_object(&self) -> bool {
        self.depth > 0 && self.inner & 1 == 1
    }

    pub(super) fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(BITS) {
            self.outer.push(self.inner);
        }
        self.depth += 1;
        self.inner = self.inner << 1 | u128::from(object);
    }

    /// Closes the innermost; says whether it was an object.
    pub(super) fn pop(&mut self) -> Option<bool> {
        self.depth = self.depth.checked_sub(1)?;
        let object = self.inner & 1 == 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(BITS) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::Open;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_closed_is_what_was_opened_last(steps in prop::collection::vec(prop::option::weighted(0.7, any::<bool>()), 0..900)) {
            let (mut open, mut plain) = (Open::default(), Vec::new());
            for step in steps {
                match step {
                    Some(object) => {
                        open.push(object);
                        plain.push(object);
                    }
                    None => prop_assert_eq!(open.pop(), plain.pop()),
                }
                prop_assert_eq!(open.len(), plain.len());
                prop_assert_eq!(open.is_object(), plain.last() == Some(&true));
            }
        }
    }
}
