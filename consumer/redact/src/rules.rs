//! Packs compiled: all rules of an engine, and what makes each of them worth trying.

mod compile;

use crate::{
    config::{Config, ConfigError, Problem},
    key_names::KeyNames,
    pack::{self, Class},
    reach::Reach,
    scan::{Classes, Scratch, Work},
    triggers::{Keyword, Shape, Triggers},
    validate::Validator,
};
use compile::Compiled;
use regex_automata::meta::Regex;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
    sync::Arc,
};

/// Rules one engine can hold.
const MOST_RULES: usize = 4096;

/// A compiled rule.
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) description: String,
    /// What stands in the place of a finding.
    ///
    /// Invariant: `‹…›` without such brackets inside, nothing that JSON escapes, and no rule of the same engine fires on it.
    pub(crate) mask: String,
    pub(crate) class: Class,
    /// `None` for a rule about keys only.
    pub(crate) find: Option<Regex>,
    /// The group of the pattern that is masked; `None` for the first that took part.
    pub(crate) group: Option<usize>,
    pub(crate) validator: Validator,
    /// Bits per byte that a finding has at least.
    pub(crate) entropy: f64,
    /// How far from a keyword a finding may be; 0 where the keyword is a part of the match.
    pub(crate) context: usize,
    /// How far a match reaches from its keyword; `None` if the whole text has to be searched.
    pub(crate) reach: Option<Reach>,
}

/// All rules of an engine.
pub(crate) struct Rules {
    pub(crate) all: Vec<Rule>,
    pub(crate) keys: KeyNames,
    pub(crate) triggers: Triggers,
    /// The rules that wait for each shape.
    pub(crate) shape_rules: Vec<(Shape, Vec<u16>)>,
    masks: HashSet<String>,
}

impl Rules {
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut all: Vec<Rule> = Vec::new();
        let mut keys = KeyNames::default();
        let mut keywords: BTreeMap<(String, bool), Keyword> = BTreeMap::new();
        let mut shape_rules: Vec<(Shape, Vec<u16>)> = Vec::new();
        let mut ids = BTreeSet::new();
        for pack in &config.packs {
            for (line, raw) in pack::parse(pack, &mut problems) {
                let mut refuse = |line, message| {
                    problems.push(Problem {
                        pack: pack.name.clone(),
                        line,
                        message,
                    })
                };
                if !ids.insert(raw.id.clone()) {
                    refuse(line, format!("rule {:?} is defined twice", raw.id));
                    continue;
                }
                if config.disabled.contains(&raw.id) || raw.confidence < config.confidence {
                    continue;
                }
                let index = match u16::try_from(all.len()) {
                    Ok(index) if all.len() < MOST_RULES => index,
                    _ => {
                        refuse(line, format!("more than {MOST_RULES} rules"));
                        break;
                    }
                };
                for key in &raw.keys {
                    if let Err(message) = keys.add(key, index) {
                        refuse(line, format!("rule {:?}: {message}", raw.id));
                    }
                }
                let (words, exact) = (raw.keywords.clone(), raw.exact);
                match Rule::compile(pack, raw) {
                    Ok(Compiled { rule, shapes, run }) => {
                        for word in words {
                            let word = if exact { word } else { word.to_ascii_lowercase() };
                            keywords
                                .entry((word.clone(), exact))
                                .or_insert_with(|| Keyword::new(&word, exact))
                                .add(index, run, rule.reach.map(|reach| reach.bytes + rule.context));
                        }
                        for shape in shapes {
                            match shape_rules.iter_mut().find(|(other, _)| *other == shape) {
                                Some((_, rules)) => rules.push(index),
                                None => shape_rules.push((shape, vec![index])),
                            }
                        }
                        all.push(rule);
                    }
                    Err(found) => found
                        .into_iter()
                        .for_each(|(at, message)| refuse(at.unwrap_or(line), message)),
                }
            }
        }
        problems.extend(config.disabled.difference(&ids).map(|id| Problem {
            pack: "disabled".to_owned(),
            line: 1,
            message: format!("no rule is called {id:?}"),
        }));
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let shapes: Vec<Shape> = shape_rules.iter().map(|(shape, _)| *shape).collect();
        let rules = Self {
            masks: all.iter().map(|rule| rule.mask.clone()).collect(),
            all,
            keys,
            triggers: Triggers::new(keywords.into_values().collect(), &shapes),
            shape_rules,
        };
        rules.refuse_matching_masks()?;
        Ok(rules)
    }

    /// A mask that a rule fires on would be masked again and again.
    fn refuse_matching_masks(&self) -> Result<(), ConfigError> {
        let mut scratch = Scratch::default();
        for rule in &self.all {
            let mut spans = Vec::new();
            let work = &mut Work::unlimited();
            let scanned = self.scan(&rule.mask, Classes::All, &mut scratch, work, &mut spans);
            if scanned.is_err() || !spans.is_empty() {
                return Err(ConfigError {
                    problems: vec![Problem {
                        pack: "packs".to_owned(),
                        line: 1,
                        message: format!("rule {:?}: a rule fires on its replacement", rule.id),
                    }],
                });
            }
        }
        Ok(())
    }

    /// Whether a text is a mask of this engine and nothing else, so that it holds nothing to mask.
    pub(crate) fn is_mask(&self, text: &str) -> bool {
        let numbered = || {
            let (name, number) = text.strip_suffix('›')?.rsplit_once('~')?;
            number
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| self.masks.contains(&format!("{name}›")))
        };
        text.starts_with('‹') && (self.masks.contains(text) || numbered().unwrap_or(false))
    }

    /// Whether a piece of a text lies in a mask of this engine: the name of a rule may look like what a rule looks for.
    pub(crate) fn is_in_mask(&self, text: &str, piece: &Range<usize>) -> bool {
        // A mask has at most 64 bytes between its marks, and a number.
        let from = text.floor_char_boundary(piece.start.saturating_sub(96));
        let to = text.ceil_char_boundary((piece.end + 96).min(text.len()));
        let Some(start) = text[from..piece.end].rfind('‹') else {
            return false;
        };
        let Some(end) = text[piece.start..to].find('›') else {
            return false;
        };
        let mask = from + start..piece.start + end + '›'.len_utf8();
        mask.start <= piece.start && piece.end <= mask.end && self.is_mask(&text[mask])
    }
}

#[cfg(test)]
mod tests;
