//! A text, as people read it, searched by every rule that is worth trying, where it is worth trying.

mod merge;
mod views;
mod windows;

use crate::{
    action::Action,
    active::Active,
    edit::{Edit, splice},
    pack::Class,
    redacted::DropReason,
    triggers::{Cause, Hit},
};
use merge::{adopt, merge};
use regex_automata::util::primitives::NonMaxUsize;
use windows::Window;

/// Which rules apply in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Classes {
    All,
    /// Identity and correlation stay, what opens something goes.
    Credentials,
}

impl Classes {
    fn include(self, class: Class) -> bool {
        self == Self::All || class == Class::Credential
    }
}

/// A piece of a text that a rule masks: byte offsets on character boundaries, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: u16,
    /// What a rule found, where it is not what stands there: text that an encoding hides, or the longer of two findings
    /// that overlap.
    pub(crate) value: Option<Box<str>>,
}

impl Span {
    /// All of a text.
    pub(crate) fn whole(text: &str, rule: u16) -> Self {
        Self {
            start: 0,
            end: text.len(),
            rule,
            value: None,
        }
    }
}

/// What is left of a body's budget, in byte visits. The bound on time: searches after a rejected match start over one
/// byte later, which an attacker can make quadratic.
pub(crate) struct Work(u64);

impl Work {
    pub(crate) fn new(visits: u64) -> Self {
        Self(visits)
    }

    pub(crate) fn unlimited() -> Self {
        Self(u64::MAX)
    }

    /// Allows so many more visits.
    pub(crate) fn allow(&mut self, visits: u64) {
        self.0 = self.0.saturating_add(visits);
    }

    pub(crate) fn spend(&mut self, visits: usize) -> Result<(), DropReason> {
        self.take(visits as u64)
    }

    pub(crate) fn take(&mut self, visits: u64) -> Result<(), DropReason> {
        self.0 = self.0.checked_sub(visits).ok_or(DropReason::OverBudget)?;
        Ok(())
    }

    /// What is left.
    pub(crate) fn left(&self) -> u64 {
        self.0
    }
}

/// Memory that searches of one body share.
#[derive(Default)]
pub(crate) struct Scratch {
    hits: Vec<Hit>,
    windows: Vec<Window>,
    /// Where the groups of a match begin and end.
    slots: Vec<Option<NonMaxUsize>>,
}

/// Rounds of [`Active::settled`] before the text is masked whole.
const ROUNDS: usize = 4;

impl<'r> Active<'r> {
    /// What to write into `text` so that a search of the result finds nothing: ascending and apart.
    ///
    /// A mask changes the surroundings of its neighbours, so the result is searched again until it is quiet.
    pub(crate) fn settled(
        &self,
        text: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
    ) -> Result<Vec<Edit<'r>>, DropReason> {
        let mut spans = Vec::new();
        self.scan(text, classes, scratch, work, &mut spans)?;
        if spans.is_empty() {
            return Ok(Vec::new());
        }
        let whole = |rule: u16| Ok(vec![Edit::of(self, &Span::whole(text, rule), text)]);
        let drops = |span: &&Span| self.action(span.rule) == Some(Action::Drop);
        if let Some(span) = spans.iter().find(drops) {
            return whole(span.rule);
        }
        let mut more = Vec::new();
        for _ in 0..ROUNDS {
            let edits: Vec<Edit<'r>> = spans.iter().map(|span| Edit::of(self, span, text)).collect();
            let masked = splice(text, 0, &edits);
            self.scan(&masked, classes, scratch, work, &mut more)?;
            if more.is_empty() {
                return Ok(edits);
            }
            if let Some(span) = more.iter().find(drops) {
                return whole(span.rule);
            }
            adopt(text, &edits, &mut spans, &more);
            more.clear();
        }
        whole(spans[0].rule)
    }

    /// One search of a text; findings that touch each other's bytes are merged under the rule of the longer one.
    pub(crate) fn scan(
        &self,
        text: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        work.spend(2 * text.len())?;
        scratch.hits.clear();
        self.rules.triggers.text(text.as_bytes(), &mut scratch.hits);
        if scratch.hits.is_empty() {
            return Ok(());
        }
        self.search_windows(text, classes, scratch, work, spans)?;
        let other = |hit: &&Hit| matches!(hit.cause, Cause::Percent | Cause::Blob | Cause::Fold);
        let others: Vec<Hit> = scratch.hits.iter().filter(other).copied().collect();
        if !others.is_empty() {
            self.search_views(text, classes, &others, scratch, work, spans)?;
        }
        if spans.len() > 1 {
            merge(text, spans);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
