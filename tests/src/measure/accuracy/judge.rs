//! Labelled texts, and the engine that is tried on them.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::Context as _;
use serde::Deserialize;
use tapedeck_redact::{Config, Content, Context, Mark, Pack, Redactor};

use super::Tally;

/// Texts of one origin.
#[derive(Debug)]
pub(super) struct Set {
    /// What it is called in a table.
    pub(super) name: String,
    /// Whose marks can be wrong here.
    pub(super) counted: Counted,
    pub(super) examples: Vec<Example>,
}

/// Whose marks can be wrong in a set: its labels say nothing about the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Credentials,
    All,
}

/// A text, and what of it has to go.
#[derive(Debug, Default)]
pub(super) struct Example {
    pub(super) text: String,
    pub(super) secrets: Vec<Secret>,
    /// What may go as well.
    pub(super) also: Vec<Allowed>,
}

/// What has to go, and why.
#[derive(Debug)]
pub(super) struct Secret {
    /// What its set calls it.
    pub(super) kind: String,
    /// Where it stands, in bytes. All of them have to go.
    pub(super) places: Vec<Range<usize>>,
}

/// What may go.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) place: Range<usize>,
    /// The rules that may take it, all if there are none.
    pub(super) rules: &'static [&'static str],
}

/// The packs that were made of others'.
const CONVERTED: [&str; 2] = ["secrets.toml", "issuers.toml"];

/// The engine as it is by default, and with the packs alone whose authors' examples it is tried on.
pub(super) struct Judge {
    redactor: Redactor,
    converted: Redactor,
    /// Ids of the rules about credentials.
    credentials: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Rules {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    class: String,
}

/// What a mark is, by the labels of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Right,
    Allowed,
    False,
}

const TEXT: Context<'static> = Context {
    tenant: "",
    target: "",
    method: None,
    name: None,
    direction: None,
    content: Content::Text,
};

impl Example {
    fn judge(&self, mark: &Mark<'_>) -> Judgement {
        let touches = |place: &Range<usize>| overlap(&mark.range, place);
        let may = |allowed: &Allowed| {
            touches(&allowed.place) && (allowed.rules.is_empty() || allowed.rules.contains(&mark.rule))
        };
        if self.secrets.iter().flat_map(|secret| &secret.places).any(touches) {
            Judgement::Right
        } else if self.also.iter().any(may) {
            Judgement::Allowed
        } else {
            Judgement::False
        }
    }
}

impl Judge {
    /// # Errors
    /// When the built-in packs are broken.
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut credentials = BTreeSet::new();
        for pack in Pack::built_in() {
            let rules: Rules = toml::from_str(&pack.toml).with_context(|| pack.name.clone())?;
            let found = rules.rule.into_iter().filter(|rule| rule.class == "credential");
            credentials.extend(found.map(|rule| rule.id));
        }
        let mut packs = Pack::built_in();
        packs.retain(|pack| CONVERTED.contains(&pack.name.as_str()));
        Ok(Self {
            redactor: Redactor::new(Config::default())?,
            converted: Redactor::new(Config {
                packs,
                ..Config::default()
            })?,
            credentials,
        })
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Tries every text of a set, as a text. `report` hears of what was left and of what went without need.
    pub(super) fn score(&self, set: &Set, mut report: impl FnMut(String)) -> Tally {
        let mut tally = Tally::default();
        for example in &set.examples {
            self.score_one(example, set.counted, &mut tally, &mut report);
        }
        tally
    }

    fn score_one(&self, example: &Example, counted: Counted, tally: &mut Tally, report: &mut impl FnMut(String)) {
        let text = example.text.as_str();
        let Ok(marks) = self.redactor.marks(text.as_bytes(), &TEXT) else {
            // Dropped: nothing is left of it, but nothing was told apart.
            report(format!("dropped: {text:?}"));
            tally.dropped += 1;
            return;
        };
        for secret in &example.secrets {
            tally.secrets += 1;
            let touched = |place: &Range<usize>| marks.iter().any(|mark| overlap(&mark.range, place));
            let found = secret.places.iter().all(touched);
            let whole = secret.places.iter().all(|place| is_covered(text, place, &marks));
            tally.found += usize::from(found);
            tally.whole += usize::from(whole);
            if !whole {
                let what = if found { "partly left" } else { "left" };
                let pieces: Vec<_> = secret.places.iter().map(|place| &text[place.clone()]).collect();
                report(format!(
                    "{what}: {}: {pieces:?} in {:?}",
                    secret.kind,
                    around(text, &secret.places[0])
                ));
            }
        }
        let is_counted = |mark: &&Mark<'_>| counted == Counted::All || self.credentials.contains(mark.rule);
        let mut changed = false;
        for mark in marks.iter().filter(is_counted) {
            match example.judge(mark) {
                Judgement::Right => tally.marks += 1,
                Judgement::Allowed => {}
                Judgement::False => {
                    tally.marks += 1;
                    tally.beside += 1;
                    changed = true;
                    let piece = &text[mark.range.clone()];
                    report(format!(
                        "false: {}: {piece:?} in {:?}",
                        mark.rule,
                        around(text, &mark.range)
                    ));
                }
            }
        }
        if example.secrets.is_empty() {
            let converted = self.converted.marks(text.as_bytes(), &TEXT).unwrap_or_default();
            tally.harmless += 1;
            tally.changed += usize::from(changed);
            let is_false = |mark: &Mark<'_>| example.judge(mark) == Judgement::False;
            if let Some(mark) = converted.iter().find(|mark| is_false(mark)) {
                tally.changed_by_converted += 1;
                report(format!("false, of a converted pack: {} in {text:?}", mark.rule));
            }
        }
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Whether marks hide every letter and digit of a place.
fn is_covered(text: &str, place: &Range<usize>, marks: &[Mark<'_>]) -> bool {
    text[place.clone()]
        .char_indices()
        .filter(|(_, letter)| letter.is_alphanumeric())
        .all(|(at, _)| marks.iter().any(|mark| mark.range.contains(&(place.start + at))))
}

/// The place with a little of what stands around it.
fn around<'t>(text: &'t str, place: &Range<usize>) -> &'t str {
    let start = text.floor_char_boundary(place.start.saturating_sub(60));
    let end = text.ceil_char_boundary((place.end + 20).min(text.len()));
    &text[start..end]
}
