//! A body that comes in chunks, redacted as it comes.
//!
//! What the chunks become, joined, is what the whole body would have become, wherever it was cut. A chunk is given back as
//! soon as nothing that follows can change it: when the value that its last byte belongs to has been seen to its end, or
//! enough of a long string. Memory is bounded by [`Limits::string`](crate::Limits::string), not by the body.
//!
//! Where a body turns out to be broken, too deep or too much work, the chunks that are not given back yet are dropped, and
//! all that follow. What was given back before was looked at like everything else.

use crate::{
    Redactor,
    active::Active,
    context::{Content, Context},
    document::{Long, Pass, Stop, Walk},
    edit::{Edit, findings, tokens},
    keyring::TenantKey,
    place::Place,
    policy::Plan,
    redacted::{DropReason, Redacted},
    scan::Work,
    tokens::{Broken, Texts, stops, string_end},
};
use std::{collections::VecDeque, fmt, mem, ops::Range, sync::Arc};

/// What comes next of a body.
enum State {
    /// Structure and values of JSON.
    Json(Walk),
    /// The inside of a long string.
    Long(Walk, LongString),
    /// Text that may still prove short enough to be looked at whole.
    Text,
    /// Text that is too long for that.
    LongText(Long),
    /// Nothing is kept from here on.
    Dropped(DropReason),
    /// Everything is, unseen: redaction is off.
    Kept,
}

/// A long string of JSON.
struct LongString {
    /// Where its inside begins.
    start: usize,
    /// How far its end was looked for.
    seen: usize,
    way: Way,
}

/// What becomes of a long string.
enum Way {
    /// It is searched.
    Searched(Long),
    /// It goes as a whole, by this rule.
    Hidden(u16),
}

/// A body on its way through the rules. All offsets are those of the body.
pub struct Stream {
    redactor: Arc<Redactor>,
    plan: Arc<Plan>,
    key: Option<Arc<TenantKey>>,
    state: State,
    work: Work,
    /// The bytes of the chunks that were not given back, …
    held: Vec<u8>,
    /// … which begin here, …
    from: usize,
    /// … and end here.
    ends: VecDeque<usize>,
    /// How far they are known to be text.
    text: usize,
    /// How far they were walked.
    at: usize,
    /// Where what was not walked ended when no place to stop was found in it.
    tried: usize,
    edits: VecDeque<Edit<'static>>,
}

impl Redactor {
    /// A body that comes in chunks. Any number of them may be under way; each keeps the rules that it began with.
    pub fn stream(self: &Arc<Self>, context: &Context<'_>) -> Stream {
        let active = self.active(context);
        let pass = Pass::new(active.clone(), &self.limits);
        let state = match context.content {
            _ if !self.is_enabled() => State::Kept,
            Content::Json => State::Json(Walk::new(Texts::One, pass.root(Place::Message), 0)),
            Content::Text => State::Text,
        };
        Stream {
            redactor: Arc::clone(self),
            state,
            work: pass.into_work(),
            plan: active.plan,
            key: active.key,
            held: Vec::new(),
            from: 0,
            ends: VecDeque::new(),
            text: 0,
            at: 0,
            tried: 0,
            edits: VecDeque::new(),
        }
    }
}

impl Stream {
    /// Takes the next chunk, and gives back all that are settled, in order: each as bytes of the body that it had.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Redacted<'static>> {
        self.held.extend_from_slice(chunk);
        self.ends.push_back(self.end());
        self.go_on(false);
        self.give_back(false)
    }

    /// Gives back the chunks that are left.
    pub fn finish(mut self) -> Vec<Redacted<'static>> {
        // Nothing is in an empty body.
        if self.end() > 0 {
            self.go_on(true);
        }
        self.give_back(true)
    }

    /// Gives up what is left: its end will never come.
    pub fn give_up(mut self, reason: DropReason) -> Vec<Redacted<'static>> {
        self.state = State::Dropped(reason);
        self.give_back(true)
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn end(&self) -> usize {
        self.from + self.held.len()
    }

    fn go_on(&mut self, is_last: bool) {
        let undecodable = match self.state {
            State::Dropped(_) => return,
            State::Kept => {
                self.at = self.end();
                return;
            }
            State::Json(_) | State::Long(..) => DropReason::NotJson,
            State::Text | State::LongText(_) => DropReason::NotText,
        };
        let walked = self.read_text(is_last).and_then(|()| {
            let redactor = Arc::clone(&self.redactor);
            let active = Active {
                rules: &redactor.rules,
                plan: Arc::clone(&self.plan),
                key: self.key.clone(),
            };
            let work = mem::replace(&mut self.work, Work::new(0));
            let mut pass = Pass::resumed(active, &redactor.limits, work);
            let mut edits = Vec::new();
            let walked = self.walk(&mut pass, redactor.limits.string, is_last, &mut edits);
            self.work = pass.into_work();
            self.edits.extend(edits.into_iter().map(Edit::into_owned));
            walked
        });
        match walked {
            Ok(()) => {}
            Err(Stop::Broken) => self.state = State::Dropped(undecodable),
            Err(Stop::Drop(reason)) => self.state = State::Dropped(reason),
        }
    }

    /// Sees how far the bytes are text: a character may have been cut.
    fn read_text(&mut self, is_last: bool) -> Result<(), Stop> {
        match std::str::from_utf8(&self.held[self.text - self.from..]) {
            Ok(text) => self.text += text.len(),
            Err(error) if error.error_len().is_some() || is_last => return Err(Stop::Broken),
            Err(error) => self.text += error.valid_up_to(),
        }
        Ok(())
    }

    fn source(&self, range: Range<usize>) -> Result<&str, Stop> {
        let bytes = &self.held[range.start - self.from..range.end - self.from];
        std::str::from_utf8(bytes).map_err(|_| Stop::Broken)
    }

    fn walk<'r>(
        &mut self,
        pass: &mut Pass<'r, '_>,
        longest: usize,
        is_last: bool,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), Stop> {
        loop {
            // What an early return leaves: the body is dropped then.
            let state = mem::replace(&mut self.state, State::Dropped(DropReason::OverBudget));
            self.state = match state {
                State::Json(mut walk) => match self.walk_json(pass, &mut walk, longest, is_last, edits)? {
                    Some(long) => State::Long(walk, long),
                    None => {
                        self.state = State::Json(walk);
                        return Ok(());
                    }
                },
                State::Long(mut walk, long) => match self.walk_string(pass, long, edits)? {
                    None => {
                        walk.skip_text();
                        State::Json(walk)
                    }
                    Some(_) if is_last => return Err(Stop::Broken),
                    Some(long) => {
                        self.state = State::Long(walk, long);
                        return Ok(());
                    }
                },
                State::Text if self.text > longest => State::LongText(Long::of_text()),
                State::Text => {
                    if is_last {
                        let first = edits.len();
                        pass.body_of_text(self.source(0..self.text)?, edits)?;
                        debug_assert!(edits[first..].iter().all(|edit| edit.end <= self.text));
                        self.at = self.text;
                    }
                    self.state = State::Text;
                    return Ok(());
                }
                State::LongText(mut long) => {
                    let source = self.source(long.settled()..self.text)?;
                    long.go_on(pass, source, 0, is_last, edits)?;
                    self.at = long.settled();
                    self.state = State::LongText(long);
                    return Ok(());
                }
                State::Dropped(reason) => return Err(Stop::Drop(reason)),
                State::Kept => {
                    self.state = State::Kept;
                    return Ok(());
                }
            };
        }
    }

    /// Walks up to the last place to stop, or to the end. Gives back the string that it stands before if that is too long.
    fn walk_json<'r>(
        &mut self,
        pass: &mut Pass<'r, '_>,
        walk: &mut Walk,
        longest: usize,
        is_last: bool,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<Option<LongString>, Stop> {
        let pending = self.text - self.at;
        // Searched again only when there is half as much more: or many small chunks would make it slow.
        if !is_last && pending <= longest && 2 * pending < 3 * self.tried {
            return Ok(None);
        }
        let stops = stops(self.source(self.at..self.text)?);
        // The walk itself looks at the last long string, window by window, if all of it is here.
        let long = stops.quote.filter(|quote| pending - quote - 1 > longest && !is_last);
        let stop = match (long, is_last) {
            (Some(quote), _) => quote,
            (None, true) => pending,
            (None, false) => match stops.comma {
                Some(comma) => comma,
                None if pending > 2 * longest => return Err(Stop::Drop(DropReason::TooLarge)),
                None => {
                    self.tried = pending;
                    return Ok(None);
                }
            },
        };
        let first = edits.len();
        pass.go_on(walk, self.source(self.at..self.at + stop)?, is_last, edits)?;
        for edit in &mut edits[first..] {
            edit.start += self.at;
            edit.end += self.at;
        }
        self.at += stop;
        self.tried = pending - stop;
        if long.is_none() {
            return Ok(None);
        }
        if !walk.expects_text() {
            return Err(Stop::Drop(DropReason::TooLarge));
        }
        let place = pass.value(walk).place;
        self.at += 1;
        Ok(Some(LongString {
            start: self.at,
            seen: self.at,
            way: match place.rule() {
                Some(rule) => Way::Hidden(rule),
                None => Way::Searched(Long::in_json(place.classes())),
            },
        }))
    }

    /// Goes on with a long string; gives it back if its end has not come.
    fn walk_string<'r>(
        &mut self,
        pass: &mut Pass<'r, '_>,
        mut long: LongString,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<Option<LongString>, Stop> {
        let unseen = &self.held[long.seen - self.from..self.text - self.from];
        let (end, seen) = string_end(unseen).map_err(|broken: Broken| Stop::from(broken))?;
        let end = end.map(|end| long.seen + end);
        long.seen += seen;
        match &mut long.way {
            Way::Searched(searched) => {
                let source = self.source(long.start + searched.settled()..long.seen)?;
                searched.go_on(pass, source, long.start, end.is_some(), edits)?;
                self.at = long.start + searched.settled();
            }
            Way::Hidden(rule) => {
                let mut edit = pass.hide(*rule, self.at..long.seen);
                if self.at > long.start {
                    edit.text = "".into();
                }
                if edit.start < edit.end {
                    edits.push(edit);
                }
                self.at = long.seen;
            }
        }
        if let Some(end) = end {
            self.at = end + 1;
            self.tried = 0;
            return Ok(None);
        }
        Ok(Some(long))
    }

    fn give_back(&mut self, is_last: bool) -> Vec<Redacted<'static>> {
        let mut back = Vec::new();
        while let Some(end) = self.ends.front().copied() {
            if let State::Dropped(reason) = self.state {
                back.push(Redacted::withheld(reason, end - self.from));
            } else if is_last || end <= self.at {
                back.push(self.chunk(end));
            } else {
                break;
            }
            self.ends.pop_front();
            self.held.drain(..end - self.from);
            self.from = end;
            self.text = self.text.max(end);
        }
        back
    }

    /// The first chunk, which ends at `end`, with its edits written. An edit that goes on behind it takes away what it has to
    /// of the next.
    fn chunk(&mut self, end: usize) -> Redacted<'static> {
        let mut edits = Vec::new();
        while self.edits.front().is_some_and(|edit| edit.start < end) {
            edits.extend(self.edits.pop_front());
        }
        let bytes = &self.held[..end - self.from];
        if edits.is_empty() {
            return Redacted::unchanged(bytes).into_owned();
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = self.from;
        for edit in &edits {
            out.extend_from_slice(&bytes[at - self.from..edit.start - self.from]);
            out.extend_from_slice(edit.text.as_bytes());
            at = edit.end.min(end);
        }
        out.extend_from_slice(&bytes[at - self.from..]);
        let redacted = Redacted::masked(
            out,
            findings(&self.redactor.rules, &self.plan, &edits),
            tokens(&edits),
            bytes.len(),
        );
        if let Some(last) = edits.pop()
            && last.end > end
        {
            self.edits.push_front(Edit {
                start: end,
                end: last.end,
                text: "".into(),
                rule: last.rule,
            });
        }
        redacted
    }
}

/// Says how much is held, never what.
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
