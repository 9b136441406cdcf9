//! A JSON text walked from end to end; what has to go is noted as edits of its source.
//!
//! A walk can stop at any comma outside of strings and go on later: what it has to know then is which containers are open.

mod known;
mod long;
mod names;
mod values;

pub(crate) use long::Long;

use crate::{
    active::Active,
    config::Limits,
    edit::Edit,
    number::is_written_otherwise,
    path::{Child, States},
    place::Place,
    redacted::DropReason,
    scan::{Scratch, Work},
    tokens::{Broken, Progress, Texts, Token, Tokens, check},
    triggers::Hit,
};
use known::Known;
use memchr::memchr2;
use names::Names;
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

/// Byte visits that any body is allowed, whatever its size.
const VISITS: u64 = 1_000_000;

/// One body's way through the rules.
pub(crate) struct Pass<'r, 'l> {
    active: Active<'r>,
    limits: &'l Limits,
    work: Work,
    scratch: Scratch,
    known: Known<'r>,
    /// Looks at everything, hit or not: what tests compare with.
    every: bool,
}

/// The hits of a source, handed out token by token.
struct Hits<'s> {
    src: &'s [u8],
    all: Vec<Hit>,
    next: usize,
    every: bool,
    /// Where the next byte stands that makes a name odd, as far as it was looked for.
    odd: usize,
}

impl<'s> Hits<'s> {
    fn new(src: &'s str, all: Vec<Hit>, every: bool) -> Self {
        Self {
            src: src.as_bytes(),
            all,
            next: 0,
            every,
            odd: memchr2(0xE2, b'\\', src.as_bytes()).unwrap_or(src.len()),
        }
    }

    /// Whether a name has an escape, or may read like a stand-in, so that it has to be told apart from one; spans ascend.
    fn is_odd(&mut self, span: &Range<usize>) -> bool {
        if self.odd < span.start {
            let odd = memchr2(0xE2, b'\\', &self.src[span.start..]);
            self.odd = odd.map_or(self.src.len(), |at| span.start + at);
        }
        self.odd < span.end
    }

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

    /// Those in `span`, which was asked for last; `None` where they are not all that counts.
    fn of(&self, span: &Range<usize>) -> Option<&[Hit]> {
        let rest = &self.all[self.next..];
        let end = rest.partition_point(|hit| (hit.at as usize) < span.end);
        (!self.every).then_some(&rest[..end])
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

    /// Whether nothing was walked yet.
    fn is_new(&self) -> bool {
        self.progress.is_new()
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
            known: Known::default(),
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

    /// The same where the hits in `src` are known: where it is a text whose source was searched.
    fn nested(&mut self, src: &str, walk: Walk, hits: Option<Vec<Hit>>, edits: &mut Vec<Edit<'r>>) -> Result<(), Stop> {
        let mut walk = walk;
        let hits = hits.unwrap_or_else(|| self.hits(src));
        self.walk_on(&mut walk, src, true, hits, edits)
    }

    /// Walks on. `src` goes on where the walk stopped, and ends before a comma outside of strings, or with the text.
    pub(crate) fn go_on(
        &mut self,
        walk: &mut Walk,
        src: &str,
        is_last: bool,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), Stop> {
        let hits = self.hits(src);
        self.walk_on(walk, src, is_last, hits, edits)
    }

    /// What is worth a look in raw JSON, in order.
    fn hits(&self, src: &str) -> Vec<Hit> {
        let rules = self.active.rules;
        let mut all = Vec::new();
        rules.triggers.raw(src.as_bytes(), &rules.keys, &mut all);
        all
    }

    fn walk_on(
        &mut self,
        walk: &mut Walk,
        src: &str,
        is_last: bool,
        all: Vec<Hit>,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), Stop> {
        if walk.nesting > 0 {
            self.work.spend(2 * src.len())?;
        }
        let every = self.every || (self.active.plan.looks_at_all && !walk.root.states.is_empty());
        let is_short = src.len() <= self.limits.string;
        if all.is_empty() && !every && is_short && is_last && walk.is_new() {
            return self.quiet(src, walk, edits);
        }
        let mut hits = Hits::new(src, all, every);
        let progress = std::mem::replace(&mut walk.progress, Progress::new(Texts::One));
        let mut tokens = Tokens::resume(src, progress, self.limits.depth, is_last);
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
                        let (is_hit, is_odd) = (hits.within(&span), hits.is_odd(&span));
                        self.key(src, &span, is_hit, is_odd, level, edits)?;
                    }
                }
                Token::Text(span) => {
                    let spot = self.value(walk);
                    let is_long = span.len() > self.limits.string;
                    if hits.within(&span) || is_long || spot.place.rule().is_some() {
                        let known = hits.of(&span);
                        self.string(src, span, spot, walk.nesting, known, edits)?;
                    }
                }
                Token::Number(span) => {
                    let spot = self.value(walk);
                    let is_hit = hits.within(&span);
                    if is_hit || spot.place.rule().is_some() || is_written_otherwise(&src[span.clone()]) {
                        self.number(src, span, spot.place, is_hit, edits)?;
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

    /// A whole text without hits: whether it is JSON at all, and numbers that are not written digit by digit.
    fn quiet(&mut self, src: &str, walk: &Walk, edits: &mut Vec<Edit<'r>>) -> Result<(), Stop> {
        if walk.nesting == 0 {
            self.allow(src.len());
        }
        let mut dropped = Ok(());
        check(src, self.limits.depth, walk.progress.texts(), |span| {
            if dropped.is_ok() && is_written_otherwise(&src[span.clone()]) {
                dropped = self.number(src, span, Place::Body, false, edits);
            }
        })?;
        Ok(dropped?)
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

#[cfg(test)]
mod tests;
