//! A JSON text walked from end to end; what has to go is noted as edits of its source.
//!
//! A walk can stop at any comma outside of strings and go on later: what it has to know then is which containers are open.

mod long;
mod names;

pub(crate) use long::Long;

use crate::{
    active::Active,
    config::Limits,
    edit::{Edit, splice},
    number::{integer_digits, is_written_otherwise},
    path::{Child, States},
    place::Place,
    redacted::DropReason,
    scan::{Classes, Scratch, Span, Work},
    text::Decoded,
    tokens::{Broken, Progress, Texts, Token, Tokens},
    triggers::Hit,
};
use memchr::memchr2;
use names::Names;
use std::{borrow::Cow, ops::Range};

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

/// Byte visits that any body is allowed, whatever its size.
const VISITS: u64 = 1_000_000;

/// One body's way through the rules.
pub(crate) struct Pass<'r, 'l> {
    active: Active<'r>,
    limits: &'l Limits,
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

/// Where a value stands: what the names above it make of it, and where paths go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) states: States,
}

/// An open object or array.
#[derive(Debug)]
struct Level {
    /// Where the container stands.
    spot: Spot,
    is_array: bool,
    /// Elements so far.
    index: u64,
    /// Where the value of the member stands whose name was read last.
    next: Spot,
    names: Option<Box<Names>>,
}

/// How far a text was walked.
#[derive(Debug)]
pub(crate) struct Walk {
    progress: Progress,
    root: Spot,
    levels: Vec<Level>,
    nesting: usize,
}

impl Walk {
    /// A walk of a text with so many strings around it.
    pub(crate) fn new(texts: Texts, root: Spot, nesting: usize) -> Self {
        Self {
            progress: Progress::new(texts),
            root,
            levels: Vec::new(),
            nesting,
        }
    }

    /// Whether a string can stand here that is no name.
    pub(crate) fn expects_text(&self) -> bool {
        self.progress.expects_text()
    }

    /// A string value was read by somebody else.
    pub(crate) fn skip_text(&mut self) {
        self.progress.after_value();
    }
}

impl<'r, 'l> Pass<'r, 'l> {
    pub(crate) fn new(active: Active<'r>, limits: &'l Limits) -> Self {
        Self {
            active,
            limits,
            work: Work::new(VISITS),
            scratch: Scratch::default(),
            every: false,
        }
    }

    /// A pass that goes on where another of the same body was, with what was left of its budget.
    pub(crate) fn resumed(active: Active<'r>, limits: &'l Limits, work: Work) -> Self {
        Self {
            work,
            ..Self::new(active, limits)
        }
    }

    /// What is left of the budget.
    pub(crate) fn into_work(self) -> Work {
        self.work
    }

    /// Where a whole body stands.
    pub(crate) fn root(&self, place: Place) -> Spot {
        let states = self.active.plan.paths;
        Spot { place, states }
    }

    /// More of the body has been seen: its size is what its budget depends on.
    pub(crate) fn allow(&mut self, bytes: usize) {
        self.work
            .allow((bytes as u64).saturating_mul(self.limits.work_per_byte));
    }

    /// Walks the JSON in `src`, the whole of a text; offsets of the edits are those of `src`.
    pub(crate) fn document(&mut self, src: &str, walk: Walk, edits: &mut Vec<Edit<'r>>) -> Result<(), Stop> {
        let mut walk = walk;
        self.go_on(&mut walk, src, true, edits)
    }

    /// Walks on. `src` goes on where the walk stopped, and ends before a comma outside of strings, or with the text.
    pub(crate) fn go_on(
        &mut self,
        walk: &mut Walk,
        src: &str,
        is_last: bool,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), Stop> {
        if walk.nesting > 0 {
            self.work.spend(2 * src.len())?;
        }
        let rules = self.active.rules;
        let mut all = Vec::new();
        rules.triggers.raw(src.as_bytes(), &rules.keys, &mut all);
        let mut hits = Hits {
            all,
            next: 0,
            every: self.every || (self.active.plan.looks_at_all && !walk.root.states.is_empty()),
        };
        let progress = std::mem::replace(&mut walk.progress, Progress::new(Texts::One));
        let mut tokens = Tokens::resume(src, progress, self.limits.depth, is_last);
        let is_short = src.len() <= self.limits.string;
        if hits.all.is_empty() && !hits.every && is_short && is_last && walk.levels.is_empty() {
            return self.quiet(src, tokens, walk, edits);
        }
        let mut seen = 0;
        while let Some(token) = tokens.next()? {
            if walk.nesting == 0
                && let Token::Key(span) | Token::Text(span) | Token::Number(span) = &token
            {
                // A long string is allowed window by window.
                let is_long = matches!(token, Token::Text(_)) && span.len() > self.limits.string;
                self.allow(if is_long { span.start } else { span.end } - seen);
                seen = span.end;
            }
            match token {
                Token::OpenObject => {
                    let mut spot = self.value(walk);
                    // A name speaks for values and lists of values. An object has names of its own, and under
                    // "password" it is mostly a schema.
                    if matches!(spot.place, Place::Named(_)) {
                        spot.place = Place::Body;
                    }
                    walk.levels.push(Level::new(spot, false));
                }
                Token::OpenArray => {
                    let spot = self.value(walk);
                    walk.levels.push(Level::new(spot, true));
                }
                Token::CloseArray | Token::CloseObject => drop(walk.levels.pop()),
                Token::Key(span) => {
                    if let Some(level) = walk.levels.last_mut() {
                        let is_hit = hits.within(&span);
                        self.key(src, &span, is_hit, level, edits)?;
                    }
                }
                Token::Text(span) => {
                    let spot = self.value(walk);
                    let is_long = span.len() > self.limits.string;
                    if hits.within(&span) || is_long || spot.place.rule().is_some() {
                        self.string(src, span, spot, walk.nesting, edits)?;
                    }
                }
                Token::Number(span) => {
                    let spot = self.value(walk);
                    if hits.within(&span) || spot.place.rule().is_some() || is_written_otherwise(&src[span.clone()]) {
                        self.number(src, span, spot.place, edits)?;
                    }
                }
                Token::Literal => drop(self.value(walk)),
            }
        }
        if walk.nesting == 0 {
            self.allow(src.len() - seen);
        }
        walk.progress = tokens.pause();
        Ok(())
    }

    /// Where the value stands that comes now.
    pub(crate) fn value(&self, walk: &mut Walk) -> Spot {
        let Some(level) = walk.levels.last_mut() else {
            return walk.root;
        };
        if !level.is_array {
            return level.next;
        }
        let Spot { place, states } = level.spot;
        // Each message of a batch is what paths begin at.
        let (states, chosen) = match place {
            Place::Message => (states, None),
            _ => self.active.rules.paths.enter(states, Child::Index(level.index)),
        };
        level.index += 1;
        level.next = Spot {
            place: place.element().chosen(chosen),
            states,
        };
        level.next
    }

    /// A source without hits: whether it is JSON at all, and numbers that are not written digit by digit.
    fn quiet(
        &mut self,
        src: &str,
        mut tokens: Tokens<'_>,
        walk: &mut Walk,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), Stop> {
        if walk.nesting == 0 {
            self.allow(src.len());
        }
        while let Some(token) = tokens.next()? {
            if let Token::Number(span) = token
                && is_written_otherwise(&src[span.clone()])
            {
                self.number(src, span, Place::Body, edits)?;
            }
        }
        walk.progress = tokens.pause();
        Ok(())
    }

    fn key(
        &mut self,
        src: &str,
        span: &Range<usize>,
        is_hit: bool,
        level: &mut Level,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        if source.len() > self.limits.string {
            return Err(DropReason::TooLarge);
        }
        let follows = !level.spot.states.is_empty();
        // What may read like a stand-in has to be told apart from one.
        let is_odd = memchr2(0xE2, b'\\', source.as_bytes()).is_some();
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
        self.text(text, spot, 0, edits)
    }

    /// A text as people read it: JSON if all of it is, else searched as it stands. Offsets of the edits are those of `text`.
    pub(crate) fn text(
        &mut self,
        text: &str,
        spot: Spot,
        nesting: usize,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let classes = spot.place.classes();
        let Some(texts) = nested_texts(text) else {
            return self.flat(text, classes, edits);
        };
        let first = edits.len();
        let walked = if nesting < self.limits.nesting {
            // A path goes on into JSON as if it stood there itself.
            let root = Spot {
                place: Place::Body,
                states: spot.states,
            };
            self.document(text, Walk::new(texts, root, nesting + 1), edits)
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
        let spans = self.active.settled(text, classes, &mut self.scratch, &mut self.work)?;
        edits.extend(spans.iter().map(|span| Edit::of(&self.active, span, text)));
        Ok(())
    }

    fn string(
        &mut self,
        src: &str,
        span: Range<usize>,
        spot: Spot,
        nesting: usize,
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
            self.text(&decoded.text, spot, nesting, edits)?;
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
    fn number(
        &mut self,
        src: &str,
        span: Range<usize>,
        place: Place,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let source = &src[span.clone()];
        let stand_in = match place.rule() {
            Some(rule) => Some((rule, self.active.stand_in_for(rule, source))),
            // Shorter than anything that a rule finds in digits alone.
            None if source.len() < 6 => None,
            None => match (self.first_found(source, place)?, integer_digits(source)) {
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

    /// What stands in for the first finding in a text, and its rule.
    fn first_found(&mut self, text: &str, place: Place) -> Result<Option<(u16, Cow<'r, str>)>, DropReason> {
        let spans = self
            .active
            .settled(text, place.classes(), &mut self.scratch, &mut self.work)?;
        Ok(spans.first().map(|span| (span.rule, self.active.stand_in(span, text))))
    }

    /// `Broken` if a text is not JSON; JSON is too deep here.
    fn refuse_json(&mut self, text: &str, texts: Texts) -> Result<(), Stop> {
        self.work.spend(text.len())?;
        Tokens::new(text, self.limits.depth, texts).check()?;
        Err(Stop::Drop(DropReason::TooDeep))
    }
}

impl Level {
    fn new(spot: Spot, is_array: bool) -> Self {
        Self {
            spot,
            is_array,
            index: 0,
            next: spot,
            names: None,
        }
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
