//! Keys, strings and numbers: what has to go of each.

use super::{Level, Long, Pass, Spot, Stop, Walk, known::Found};
use crate::{
    edit::{Edit, splice},
    number::{integer_digits, is_number},
    path::Child,
    place::Place,
    redacted::DropReason,
    scan::{Classes, Span},
    text::Decoded,
    tokens::{Texts, check},
    triggers::Hit,
};
use std::{borrow::Cow, ops::Range};

/// Shorter than anything that a rule finds in digits alone is a number with fewer bytes.
const SHORTEST_NUMBER: usize = 6;

impl<'r> Pass<'r, '_> {
    /// A name; `is_odd` says that it has an escape or may hold a stand-in.
    pub(super) fn key(
        &mut self,
        src: &str,
        span: &Range<usize>,
        is_hit: bool,
        is_odd: bool,
        level: &mut Level,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        if source.len() > self.limits.string {
            return Err(DropReason::TooLarge);
        }
        let follows = !level.spot.states.is_empty();
        if !is_hit && !follows && !is_odd && level.names.is_none() {
            level.next.place = level.spot.place.member_of_envelope(source);
            return Ok(());
        }
        let first = edits.len();
        let decoded = Decoded::new(source);
        if is_hit {
            self.flat(&decoded.text, Classes::All, edits)?;
        }
        // As the next reader will see it, so that a name means the same before and after.
        let masked = (edits.len() > first).then(|| splice(&decoded.text, 0, &edits[first..]));
        let name = masked.as_deref().unwrap_or(&decoded.text);
        let (states, chosen) = self.active.rules.paths.enter(level.spot.states, Child::Name(name));
        level.next = Spot {
            place: level.spot.place.member(name, &self.active).chosen(chosen),
            states,
        };
        if masked.is_some() || is_odd || level.names.is_some() {
            let names = level.names.get_or_insert_default();
            names.note(&decoded, edits, first);
        }
        for edit in &mut edits[first..] {
            edit.move_to_source(&decoded, span.start);
        }
        Ok(())
    }

    /// A whole body of text.
    pub(crate) fn body_of_text(&mut self, text: &str, edits: &mut Vec<Edit<'r>>) -> Result<(), DropReason> {
        if text.len() > self.limits.string {
            return Long::of_text().go_on(self, text, 0, true, edits);
        }
        self.allow(text.len());
        let spot = self.root(Place::Body);
        self.text(text, spot, 0, None, edits)
    }

    /// A text as people read it: JSON if all of it is, else searched as it stands. Offsets of the edits are those of `text`;
    /// `hits` are those in it, if they are known.
    fn text(
        &mut self,
        text: &str,
        spot: Spot,
        nesting: usize,
        hits: Option<Vec<Hit>>,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let classes = spot.place.classes();
        let first = edits.len();
        let Some(texts) = nested_texts(text) else {
            self.flat(text, classes, edits)?;
            return match edits.len() == first {
                true => self.lone_number(text, spot.place, edits),
                false => Ok(()),
            };
        };
        let walked = if nesting < self.limits.nesting {
            // A path goes on into JSON as if it stood there itself.
            let root = Spot {
                place: Place::Body,
                states: spot.states,
            };
            self.nested(text, Walk::new(texts, root, nesting + 1), hits, edits)
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
                let whole = Span::whole(text, edit.rule);
                edits.truncate(first);
                edits.push(Edit::of(&self.active, &whole, text));
            }
        }
        Ok(())
    }

    /// A text searched as it stands. Offsets of the edits are those of `text`.
    pub(crate) fn flat(&mut self, text: &str, classes: Classes, edits: &mut Vec<Edit<'r>>) -> Result<(), DropReason> {
        // Where only some rules apply, a string hardly comes twice.
        let is_usual = classes == Classes::All;
        if is_usual && let Some(found) = self.known.find(text) {
            self.work.take(found.visits)?;
            edits.extend_from_slice(&found.edits);
            return Ok(());
        }
        let before = self.work.left();
        let found = self.active.settled(text, classes, &mut self.scratch, &mut self.work)?;
        edits.extend_from_slice(&found);
        if is_usual {
            let visits = before - self.work.left();
            self.known.note(text, Found { edits: found, visits });
        }
        Ok(())
    }

    /// A string value; `hits` are those in it, if they are known.
    pub(super) fn string(
        &mut self,
        src: &str,
        span: Range<usize>,
        spot: Spot,
        nesting: usize,
        hits: Option<&[Hit]>,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        if source.len() > self.limits.string {
            match spot.place.rule() {
                Some(rule) => edits.push(self.hide(rule, span)),
                None => Long::in_json(spot.place.classes()).go_on(self, source, span.start, true, edits)?,
            }
            return Ok(());
        }
        let decoded = Decoded::new(source);
        let first = edits.len();
        if let Some(rule) = spot.place.rule() {
            // An empty string holds nothing; that it is empty is worth knowing.
            if !source.is_empty() && !self.active.rules.is_stand_in(&decoded.text) {
                edits.push(Edit::of(&self.active, &Span::whole(&decoded.text, rule), &decoded.text));
            }
        } else {
            let hits = hits.filter(|_| !decoded.hides()).map(|hits| {
                let offsets = decoded.offsets(hits.iter().map(|hit| hit.at as usize - span.start));
                let moved = |(hit, at): (&Hit, usize)| Hit { at: at as u32, ..*hit };
                hits.iter().zip(offsets).map(moved).collect()
            });
            self.text(&decoded.text, spot, nesting, hits, edits)?;
        }
        edits[first..]
            .iter_mut()
            .for_each(|edit| edit.move_to_source(&decoded, span.start));
        Ok(())
    }

    /// A string that is too long for anything but a mask.
    pub(crate) fn hide(&self, rule: u16, span: Range<usize>) -> Edit<'r> {
        Edit {
            start: span.start,
            end: span.end,
            text: self.active.rules.all[usize::from(rule)].mask.as_str().into(),
            rule,
        }
    }

    /// A number goes as a whole, and a string comes in its place: any number there could be taken for a real value.
    pub(super) fn number(
        &mut self,
        src: &str,
        span: Range<usize>,
        place: Place,
        is_hit: bool,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        let as_written = match place.rule() {
            None if is_hit && source.len() >= SHORTEST_NUMBER => self.first_found(source, place)?,
            _ => None,
        };
        let stand_in = match place.rule() {
            Some(rule) => Some((rule, self.active.stand_in_for(rule, source))),
            None if source.len() < SHORTEST_NUMBER => None,
            None => match (as_written, integer_digits(source)) {
                (None, Some(digits)) => self.first_found(&digits, place)?,
                (found, _) => found,
            },
        };
        if let Some((rule, text)) = stand_in {
            edits.push(Edit {
                start: span.start,
                end: span.end,
                text: format!("\"{text}\"").into(),
                rule,
            });
        }
        Ok(())
    }

    /// A text that is all a JSON number, with a point or an exponent: searched as it stands, that hides its digits.
    fn lone_number(&mut self, text: &str, place: Place, edits: &mut Vec<Edit<'r>>) -> Result<(), DropReason> {
        let number = text.trim_ascii();
        if let Some(digits) = is_number(number).then(|| integer_digits(number)).flatten()
            && let Some((rule, stand_in)) = self.first_found(&digits, place)?
        {
            edits.push(Edit {
                start: 0,
                end: text.len(),
                text: stand_in,
                rule,
            });
        }
        Ok(())
    }

    /// What stands in for the first finding in a text, and its rule.
    fn first_found(&mut self, text: &str, place: Place) -> Result<Option<(u16, Cow<'r, str>)>, DropReason> {
        let found = self
            .active
            .settled(text, place.classes(), &mut self.scratch, &mut self.work)?;
        Ok(found.into_iter().next().map(|edit| (edit.rule, edit.text)))
    }

    /// `Broken` if a text is not JSON; JSON is too deep here.
    fn refuse_json(&mut self, text: &str, texts: Texts) -> Result<(), Stop> {
        self.work.spend(text.len())?;
        check(text, self.limits.depth, texts, |_| {})?;
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
