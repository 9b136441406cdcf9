//! Packs compiled: all rules of an engine, and what makes each of them worth trying.

mod compile;
mod lead;
mod split;

use crate::{
    action::Action,
    active::Active,
    canonical::Canonical,
    config::{Config, ConfigError, Problem},
    key_names::KeyNames,
    pack::{self, Class},
    path::Paths,
    policy::Policies,
    reach::Reach,
    scan::{Classes, Scratch, Work},
    triggers::{Keyword, Shape, Triggers},
    validate::Validator,
};
use compile::Compiled;
use regex_automata::meta::Regex;
use split::Split;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// Rules one engine can hold.
const MOST_RULES: usize = 4096;

/// A compiled rule.
pub(crate) struct Rule {
    /// Its place among all rules.
    pub(crate) number: u16,
    pub(crate) id: Arc<str>,
    pub(crate) description: String,
    /// What stands in the place of a finding.
    ///
    /// Invariant: `‹…›` without such brackets inside, nothing that JSON escapes, and no rule of the same engine fires on it.
    pub(crate) mask: String,
    pub(crate) class: Class,
    /// What becomes of a finding where no policy says otherwise.
    pub(crate) action: Action,
    /// The number of its kind: what tokens call a finding.
    pub(crate) kind: u16,
    /// How a value is written before a token is made of it.
    pub(crate) canonical: Canonical,
    /// Ends a finding that goes on to the end of what can be seen.
    pub(crate) until: Option<Regex>,
    /// `None` for a rule about keys only.
    pub(crate) find: Option<Regex>,
    /// The group of the pattern that is masked; `None` for the first that took part.
    pub(crate) group: Option<usize>,
    pub(crate) validator: Validator,
    /// Bits per byte that a finding has at least.
    pub(crate) entropy: f64,
    /// What is found is let be where this matches in it.
    pub(crate) except: Option<Regex>,
    /// How far from a keyword a finding may be; 0 where the keyword is a part of the match.
    pub(crate) context: usize,
    /// How far a match reaches from its keyword; `None` if the whole text has to be searched.
    pub(crate) reach: Option<Reach>,
    /// Whether every match begins with a keyword.
    pub(crate) leads: bool,
    /// Where the group of a match is, if that can be told without another search.
    pub(crate) split: Option<Split>,
}

/// All rules of an engine.
pub(crate) struct Rules {
    pub(crate) all: Vec<Rule>,
    pub(crate) keys: KeyNames,
    pub(crate) triggers: Triggers,
    /// The rules that wait for each shape.
    pub(crate) shape_rules: Vec<(Shape, Vec<u16>)>,
    pub(crate) paths: Paths,
    pub(crate) kinds: Vec<Arc<str>>,
    /// What stands between the marks of fixed masks.
    pub(crate) masks: HashSet<String>,
}

impl Rules {
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut all: Vec<Rule> = Vec::new();
        let mut keys = KeyNames::default();
        let mut keywords: BTreeMap<(String, bool), Keyword> = BTreeMap::new();
        let mut shape_rules: Vec<(Shape, Vec<u16>)> = Vec::new();
        let mut paths = Paths::default();
        let mut kinds: Vec<Arc<str>> = Vec::new();
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
                for path in &raw.paths {
                    if let Err(message) = paths.add(path.get_ref(), index, &mut keys) {
                        refuse(
                            pack::line(pack, path.span().start),
                            format!("rule {:?}: {message}", raw.id),
                        );
                    }
                }
                let kind = raw.kind.as_ref().unwrap_or(&raw.id);
                let known = kinds.iter().position(|other| **other == **kind);
                let kind_number = known.unwrap_or_else(|| {
                    kinds.push(kind.as_str().into());
                    kinds.len() - 1
                });
                let (words, exact) = (raw.keywords.clone(), raw.exact);
                // There are no more kinds than rules.
                match Rule::compile(pack, raw, index, kind_number as u16) {
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
            masks: all
                .iter()
                .flat_map(|rule| {
                    [
                        rule.mask.trim_matches(['‹', '›']).to_owned(),
                        format!("dropped:{}", rule.id),
                    ]
                })
                .collect(),
            paths,
            kinds,
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
        let active = Active {
            rules: self,
            plan: Arc::clone(Policies::new(Vec::new(), self, false, &mut Vec::new()).usual()),
            key: None,
        };
        for rule in &self.all {
            let mut spans = Vec::new();
            let work = &mut Work::unlimited();
            let scanned = active.scan(&rule.mask, Classes::All, &mut scratch, work, &mut spans);
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
}

#[cfg(test)]
mod tests;
