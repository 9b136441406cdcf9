//! Rules that name a place: JSONPath (RFC 9535), followed while a body is walked, without a tree.
//!
//! A place is known by the names and indices that lead to it, so each path is a row of steps, and where a walk stands is
//! the set of steps that come next. Selectors that depend on other values (filters, and indices counted from an array's
//! end) are refused: a walk has not seen these values yet.

mod parse;

use crate::key_names::KeyNames;
use parse::parse;
use std::ops::ControlFlow;

/// A step of a path (RFC 9535 section 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether the step may be taken any number of levels down.
    descends: bool,
    /// Any of them.
    selectors: Vec<Selector>,
}

/// What a step goes on with (RFC 9535 section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Name(String),
    Any,
    Index(u64),
    /// From, up to but without, and every how many.
    Slice(u64, u64, u64),
}

/// A name or an index on the way to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Child<'n> {
    Name(&'n str),
    Index(u64),
}

impl Selector {
    fn selects(&self, child: Child<'_>) -> bool {
        match (self, child) {
            (Self::Any, _) => true,
            (Self::Name(name), Child::Name(child)) => name == child,
            (Self::Index(index), Child::Index(child)) => *index == child,
            (Self::Slice(from, to, every), Child::Index(child)) => {
                (*from..*to).contains(&child) && (child - from).is_multiple_of(*every)
            }
            _ => false,
        }
    }
}

/// Most steps that the paths of an engine have together.
const MOST_STEPS: usize = 256;

/// Steps that come next: a bit for each step of each path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct States([u64; MOST_STEPS / 64]);

impl States {
    fn add(&mut self, step: usize) {
        self.0[step / 64] |= 1 << (step % 64);
    }

    /// Whether no path goes on.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; MOST_STEPS / 64]
    }

    fn each(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    64 * word + bit
                })
            })
        })
    }
}

/// A step in its path.
struct Numbered {
    step: Step,
    rule: u16,
    is_last: bool,
}

/// The paths of all rules of an engine.
#[derive(Default)]
pub(crate) struct Paths {
    steps: Vec<Numbered>,
    /// The first step of each path.
    firsts: Vec<usize>,
}

impl Paths {
    /// Adds a path. Keys that it ends with are looked at wherever they stand, so that its walk is not passed over.
    pub(crate) fn add(&mut self, path: &str, rule: u16, keys: &mut KeyNames) -> Result<(), String> {
        let steps = parse(path).map_err(|message| format!("path {path:?}: {message}"))?;
        let Some(last) = steps.last() else {
            return Err(format!("path {path:?}: it selects the whole body"));
        };
        if self.steps.len() + steps.len() > MOST_STEPS {
            return Err(format!("path {path:?}: all paths have more than {MOST_STEPS} steps"));
        }
        for selector in &last.selectors {
            if let Selector::Name(name) = selector {
                keys.look_at(name);
            }
        }
        self.firsts.push(self.steps.len());
        let count = steps.len();
        self.steps
            .extend(steps.into_iter().enumerate().map(|(number, step)| Numbered {
                step,
                rule,
                is_last: number + 1 == count,
            }));
        Ok(())
    }

    /// Where the paths begin whose rules are on.
    pub(crate) fn starts(&self, is_on: impl Fn(u16) -> bool) -> States {
        let mut states = States::default();
        for first in &self.firsts {
            if is_on(self.steps[*first].rule) {
                states.add(*first);
            }
        }
        states
    }

    /// Whether a path whose rule is on ends with something else than names that have ASCII letters or digits: where its end
    /// stands, no search of raw bytes tells.
    pub(crate) fn looks_at_all(&self, is_on: impl Fn(u16) -> bool) -> bool {
        let told = |selector: &Selector| match selector {
            Selector::Name(name) => name.is_ascii() && name.bytes().any(|byte| byte.is_ascii_alphanumeric()),
            _ => false,
        };
        let mut steps = self.steps.iter().filter(|step| step.is_last && is_on(step.rule));
        steps.any(|last| !last.step.selectors.iter().all(told))
    }

    /// Goes on to a child: the steps that come next there, and the rule whose path ends there.
    #[inline]
    pub(crate) fn enter(&self, states: States, child: Child<'_>) -> (States, Option<u16>) {
        if states.is_empty() {
            return (states, None);
        }
        let mut next = States::default();
        let mut chosen = None;
        let _ = states.each().try_for_each(|number| {
            let Some(Numbered { step, rule, is_last }) = self.steps.get(number) else {
                return ControlFlow::Break(());
            };
            if step.descends {
                next.add(number);
            }
            if step.selectors.iter().any(|selector| selector.selects(child)) {
                if *is_last {
                    chosen.get_or_insert(*rule);
                } else {
                    next.add(number + 1);
                }
            }
            ControlFlow::Continue(())
        });
        (next, chosen)
    }
}

#[cfg(test)]
mod tests;
