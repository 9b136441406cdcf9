//! A JSON text walked from end to end; what has to go is noted as edits of its source.

mod keys;

use crate::{
    config::Limits,
    edit::{Edit, splice},
    number::{integer_digits, is_written_otherwise},
    place::Place,
    redacted::DropReason,
    rules::Rules,
    scan::{Classes, Scratch, Span, Work},
    text::Decoded,
    tokens::{Broken, Texts, Token, Tokens},
    triggers::Hit,
};
use keys::{Key, keep_apart};
use std::ops::Range;

/// Why a walk ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The text is not JSON after all.
    Broken,
    /// The body has to be dropped.
    Drop(DropReason),
}

impl From<DropReason> for Stop {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Syntax => Self::Broken,
            Broken::TooDeep => Self::Drop(DropReason::TooDeep),
        }
    }
}

/// One body's way through the rules.
pub(crate) struct Pass<'r> {
    rules: &'r Rules,
    limits: &'r Limits,
    work: Work,
    scratch: Scratch,
    /// Looks at everything, hit or not: what tests compare with.
    every: bool,
}

/// The hits of a source, handed out token by token.
struct Hits {
    all: Vec<Hit>,
    next: usize,
    every: bool,
}

impl Hits {
    /// Whether there is one in `span`; spans ascend.
    fn within(&mut self, span: &Range<usize>) -> bool {
        while self
            .all
            .get(self.next)
            .is_some_and(|hit| (hit.at as usize) < span.start)
        {
            self.next += 1;
        }
        self.every || self.all.get(self.next).is_some_and(|hit| (hit.at as usize) < span.end)
    }
}

/// An open object or array.
struct Level {
    /// Where the container stands.
    place: Place,
    /// Where its next value stands.
    next: Place,
    /// The first of its keys among all keys noted.
    first_key: usize,
    /// Whether one of its keys has been edited.
    edited_key: bool,
}

impl<'r> Pass<'r> {
    pub(crate) fn new(rules: &'r Rules, limits: &'r Limits, size: usize) -> Self {
        let visits = (size as u64)
            .saturating_mul(limits.work_per_byte)
            .saturating_add(1_000_000);
        Self {
            rules,
            limits,
            work: Work::new(visits),
            scratch: Scratch::default(),
            every: false,
        }
    }

    /// Walks the JSON in `src`; offsets of the edits are those of `src`. `nesting` is the number of strings around it.
    pub(crate) fn document(
        &mut self,
        src: &str,
        texts: Texts,
        root: Place,
        nesting: usize,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), Stop> {
        self.work.spend(2 * src.len())?;
        let mut all = Vec::new();
        self.rules.triggers.raw(src.as_bytes(), &self.rules.keys, &mut all);
        let mut hits = Hits {
            all,
            next: 0,
            every: self.every,
        };
        let mut tokens = Tokens::new(src, self.limits.depth, texts);
        if hits.all.is_empty() && !self.every {
            return self.quiet(src, tokens, root, edits);
        }
        let mut levels: Vec<Level> = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        while let Some(token) = tokens.next()? {
            let place = levels.last().map_or(root, |level| level.next);
            match token {
                Token::OpenObject => {
                    // A name speaks for values and lists of values. An object has names of its own, and under
                    // "password" it is mostly a schema.
                    let place = if matches!(place, Place::Named(_)) {
                        Place::Body
                    } else {
                        place
                    };
                    levels.push(Level {
                        place,
                        next: place,
                        first_key: keys.len(),
                        edited_key: false,
                    });
                }
                Token::OpenArray => {
                    levels.push(Level {
                        place,
                        next: place.element(),
                        first_key: keys.len(),
                        edited_key: false,
                    });
                }
                Token::CloseArray => drop(levels.pop()),
                Token::CloseObject => {
                    if let Some(level) = levels.pop() {
                        if level.edited_key {
                            keep_apart(src, &keys[level.first_key..], edits);
                        }
                        keys.truncate(level.first_key);
                    }
                }
                Token::Key(span) => {
                    let first = edits.len();
                    if let Some(level) = levels.last_mut() {
                        if hits.within(&span) {
                            self.key(src, &span, level, edits)?;
                        } else {
                            level.next = level.place.member_of_envelope(&src[span.clone()]);
                        }
                    }
                    keys.push(Key {
                        span,
                        edits: first..edits.len(),
                    });
                }
                Token::Text(span) => {
                    if hits.within(&span) || matches!(place, Place::Named(_)) {
                        self.string(src, span, place, nesting, edits)?;
                    }
                }
                Token::Number(span) => {
                    if hits.within(&span)
                        || matches!(place, Place::Named(_))
                        || is_written_otherwise(&src[span.clone()])
                    {
                        self.number(src, span, place, edits)?;
                    }
                }
                Token::Literal => {}
            }
        }
        Ok(())
    }

    /// A source without hits: whether it is JSON at all, and numbers that are not written digit by digit.
    fn quiet(&mut self, src: &str, mut tokens: Tokens<'_>, root: Place, edits: &mut Vec<Edit<'r>>) -> Result<(), Stop> {
        if matches!(root, Place::Named(_)) {
            return Ok(tokens.check()?);
        }
        while let Some(token) = tokens.next()? {
            if let Token::Number(span) = token
                && is_written_otherwise(&src[span.clone()])
            {
                self.number(src, span, Place::Body, edits)?;
            }
        }
        Ok(())
    }

    fn key(
        &mut self,
        src: &str,
        span: &Range<usize>,
        level: &mut Level,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let first = edits.len();
        let decoded = Decoded::new(&src[span.clone()]);
        self.flat(&decoded.text, Classes::All, edits)?;
        let edited = edits.len() > first;
        // As the next reader will see it, so that a name means the same before and after.
        let masked = edited.then(|| splice(&decoded.text, 0, &edits[first..]));
        let name = masked.as_deref().unwrap_or(&decoded.text);
        level.next = level.place.member(name, &self.rules.keys);
        level.edited_key |= edited;
        for edit in &mut edits[first..] {
            edit.move_to_source(&decoded, span.start);
        }
        Ok(())
    }

    /// A text as people read it: JSON if all of it is, else searched as it stands. Offsets of the edits are those of `text`.
    pub(crate) fn text(
        &mut self,
        text: &str,
        classes: Classes,
        nesting: usize,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let Some(texts) = nested_texts(text) else {
            return self.flat(text, classes, edits);
        };
        let first = edits.len();
        let walked = if nesting < self.limits.nesting {
            self.document(text, texts, Place::Body, nesting + 1, edits)
        } else {
            self.refuse_json(text, texts)
        };
        match walked {
            Ok(()) => return Ok(()),
            Err(Stop::Drop(reason)) => return Err(reason),
            Err(Stop::Broken) => edits.truncate(first),
        }
        self.flat(text, classes, edits)?;
        // Masks may have taken away what broke the JSON. Then its strings would read differently the next time.
        if let Some(edit) = edits.get(first) {
            let masked = splice(text, 0, &edits[first..]);
            if nested_texts(&masked).is_some_and(|texts| !matches!(self.refuse_json(&masked, texts), Err(Stop::Broken)))
            {
                let whole = Span {
                    start: 0,
                    end: text.len(),
                    rule: edit.rule,
                };
                edits.truncate(first);
                edits.push(Edit::mask(self.rules, &whole));
            }
        }
        Ok(())
    }

    /// A text searched as it stands. Offsets of the edits are those of `text`.
    pub(crate) fn flat(&mut self, text: &str, classes: Classes, edits: &mut Vec<Edit<'r>>) -> Result<(), DropReason> {
        let spans = self.rules.settled(text, classes, &mut self.scratch, &mut self.work)?;
        edits.extend(spans.iter().map(|span| Edit::mask(self.rules, span)));
        Ok(())
    }

    fn string(
        &mut self,
        src: &str,
        span: Range<usize>,
        place: Place,
        nesting: usize,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        let decoded = Decoded::new(source);
        let first = edits.len();
        if let Place::Named(rule) = place {
            // An empty string holds nothing; that it is empty is worth knowing.
            if !source.is_empty() && !self.rules.is_mask(&decoded.text) {
                edits.push(Edit::mask(
                    self.rules,
                    &Span {
                        start: 0,
                        end: decoded.text.len(),
                        rule,
                    },
                ));
            }
        } else {
            self.text(&decoded.text, place.classes(), nesting, edits)?;
        }
        edits[first..]
            .iter_mut()
            .for_each(|edit| edit.move_to_source(&decoded, span.start));
        Ok(())
    }

    /// A number goes as a whole, and a string comes in its place: any number there could be taken for a real value.
    fn number(
        &mut self,
        src: &str,
        span: Range<usize>,
        place: Place,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        let rule = match place {
            Place::Named(rule) => Some(rule),
            // Shorter than anything that a rule finds in digits alone.
            _ if source.len() < 6 => None,
            _ => match (self.first_rule(source, place)?, integer_digits(source)) {
                (None, Some(digits)) => self.first_rule(&digits, place)?,
                (found, _) => found,
            },
        };
        if let Some(rule) = rule {
            let text = format!("\"{}\"", self.rules.all[usize::from(rule)].mask).into();
            edits.push(Edit {
                start: span.start,
                end: span.end,
                text,
                rule,
            });
        }
        Ok(())
    }

    fn first_rule(&mut self, text: &str, place: Place) -> Result<Option<u16>, DropReason> {
        let spans = self
            .rules
            .settled(text, place.classes(), &mut self.scratch, &mut self.work)?;
        Ok(spans.first().map(|span| span.rule))
    }

    /// `Broken` if a text is not JSON; JSON is too deep here.
    fn refuse_json(&mut self, text: &str, texts: Texts) -> Result<(), Stop> {
        self.work.spend(text.len())?;
        Tokens::new(text, self.limits.depth, texts).check()?;
        Err(Stop::Drop(DropReason::TooDeep))
    }
}

/// How to read a text as JSON, if it begins and ends like an array, an object or a string.
fn nested_texts(text: &str) -> Option<Texts> {
    let trimmed = text.trim_ascii().as_bytes();
    match (trimmed.first()?, trimmed.last()?) {
        (b'{' | b'[', b'}' | b']') => Some(Texts::Lines),
        (b'"', b'"') if trimmed.len() > 1 => Some(Texts::One),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
