//! One search of a text for everything that makes a rule worth trying: keywords, and shapes such as rows of digits.
//!
//! The same search serves two ends. Over the raw bytes of a body it says which strings have to be looked at: what has
//! no hit is never decoded, at whatever depth of JSON in strings it stands, so escapes that could hide something and
//! keys that rules know are hits as well. Over a decoded text it says which rules to try, and where.

mod confirm;
mod grams;
mod keywords;
mod left;
mod raw;
mod seen;
mod shapes;

pub(crate) use keywords::{Keyword, is_token};
pub(crate) use shapes::Shape;

use crate::{
    block::{self, Block, Lanes, WIDTH, Work},
    key_names::KeyNames,
};
use keywords::Keywords;
use seen::Seen;
use shapes::Shapes;

/// A place that makes something worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Offset in bytes, inside of what was hit.
    pub(crate) at: u32,
    pub(crate) cause: Cause,
}

/// What was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The keyword of this number.
    Keyword(u16),
    /// Bytes of this shape.
    Shape(Shape),
    /// Means something in raw bytes only: an escape that may hide something, a key that rules know, a number with an exponent.
    Look,
    /// An octet in percent-encoding (RFC 3986 section 2.1).
    Percent,
    /// A run of base64 or hexadecimal that begins like text.
    Blob,
    /// A character that stands for an ASCII one, or for nothing.
    Fold,
}

/// Compiled keywords and shapes.
pub(crate) struct Triggers {
    keywords: Keywords,
    shapes: Shapes,
}

impl Triggers {
    /// `shapes` are those that a rule of the engine has.
    pub(crate) fn new(keywords: Vec<Keyword>, shapes: &[Shape]) -> Self {
        Self {
            keywords: Keywords::new(keywords),
            shapes: Shapes::new(shapes),
        }
    }

    /// The rules that have this keyword.
    pub(crate) fn keyword(&self, number: u16) -> &Keyword {
        self.keywords.get(number)
    }

    /// Searches a decoded text. Hits come in no order.
    pub(crate) fn text(&self, text: &[u8], hits: &mut Vec<Hit>) {
        block::run(TextSearch {
            triggers: self,
            text,
            hits,
        });
    }

    /// Searches the raw bytes of a JSON text. Hits ascend.
    pub(crate) fn raw(&self, src: &[u8], keys: &KeyNames, hits: &mut Vec<Hit>) {
        block::run(RawSearch {
            triggers: self,
            src,
            keys,
            hits,
        });
        hits.sort_unstable_by_key(|hit| hit.at);
    }
}

struct TextSearch<'s, 'h> {
    triggers: &'s Triggers,
    text: &'s [u8],
    hits: &'h mut Vec<Hit>,
}

impl Work for TextSearch<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mut shapes = self.triggers.shapes.search(self.text);
        for start in (0..self.text.len()).step_by(WIDTH) {
            let block = Block::<L>::at(self.text, start);
            let seen = Seen::of(&block);
            self.triggers.keywords.block::<L>(self.text, start, false, self.hits);
            shapes.block(start, &block, &seen, self.hits);
        }
    }
}

struct RawSearch<'s, 'h> {
    triggers: &'s Triggers,
    src: &'s [u8],
    keys: &'s KeyNames,
    hits: &'h mut Vec<Hit>,
}

impl Work for RawSearch<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mut shapes = self.triggers.shapes.search(self.src);
        let mut raw = raw::Raw::new(self.src, self.keys);
        for start in (0..self.src.len()).step_by(WIDTH) {
            let block = Block::<L>::at(self.src, start);
            let seen = Seen::of(&block);
            self.triggers.keywords.block::<L>(self.src, start, true, self.hits);
            shapes.block(start, &block, &seen, self.hits);
            raw.block(start, &block, &seen, self.hits);
        }
    }
}
