//! Packs compiled: one automaton over all keywords says which rules are worth trying on a text.

use crate::{
    config::{Config, ConfigError, Pack, Problem},
    key_names::KeyNames,
    pack::{self, Class, RawRule},
    redacted::DropReason,
    scan::{Classes, Work},
    validate::Validator,
};
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use regex_automata::{
    meta::{Config as RegexConfig, Regex},
    util::syntax,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Rules one engine can hold; the width of [`RuleSet`].
const MOST_RULES: usize = 1024;

/// A compiled rule.
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    /// What stands in the place of a finding.
    ///
    /// Invariant: `‹…›` without such brackets inside, nothing that JSON escapes, and no rule of the same engine fires on it.
    pub(crate) mask: String,
    pub(crate) class: Class,
    /// `None` for a rule about keys only.
    pub(crate) find: Option<Regex>,
    pub(crate) validator: Validator,
}

/// All rules of an engine.
pub(crate) struct Rules {
    pub(crate) all: Vec<Rule>,
    pub(crate) keys: KeyNames,
    keywords: AhoCorasick,
    /// For each keyword, the rules that have it.
    keyword_rules: Vec<Vec<u16>>,
    /// Digits needed, rule.
    digit_rules: Vec<(usize, u16)>,
    masks: HashSet<String>,
}

/// A set of rule indices.
#[derive(Clone, Default)]
pub(crate) struct RuleSet([u64; MOST_RULES / 64]);

impl RuleSet {
    fn add(&mut self, rule: u16) {
        self.0[usize::from(rule) / 64] |= 1 << (rule % 64);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                (bits != 0).then(|| {
                    bits &= bits - 1;
                    word * 64 + bit
                })
            })
        })
    }
}

impl Rules {
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut all: Vec<Rule> = Vec::new();
        let mut keys = KeyNames::default();
        let mut keyword_index: HashMap<String, Vec<u16>> = HashMap::new();
        let mut digit_rules = Vec::new();
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
                if config.disabled.contains(&raw.id) {
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
                for keyword in &raw.keywords {
                    keyword_index
                        .entry(keyword.to_ascii_lowercase())
                        .or_default()
                        .push(index);
                }
                digit_rules.extend(raw.digits.map(|digits| (digits, index)));
                match Rule::compile(pack, raw) {
                    Ok(rule) => all.push(rule),
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
        let (words, keyword_rules): (Vec<_>, Vec<_>) = keyword_index.into_iter().unzip();
        let keywords = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&words)
            .map_err(|error| problem(format!("keywords do not compile: {error}")));
        match keywords {
            Ok(keywords) if problems.is_empty() => {
                let masks = all.iter().map(|rule| rule.mask.clone()).collect();
                let rules = Self {
                    all,
                    keys,
                    keywords,
                    keyword_rules,
                    digit_rules,
                    masks,
                };
                rules.refuse_matching_masks()?;
                Ok(rules)
            }
            Ok(_) => Err(ConfigError { problems }),
            Err(error) => Err(error),
        }
    }

    /// A mask that a rule fires on would be masked again and again.
    fn refuse_matching_masks(&self) -> Result<(), ConfigError> {
        for rule in &self.all {
            let mut spans = Vec::new();
            let scanned = self.scan(&rule.mask, Classes::All, &mut Work::unlimited(), &mut spans);
            if scanned.is_err() || !spans.is_empty() {
                return Err(problem(format!("rule {:?}: a rule fires on its replacement", rule.id)));
            }
        }
        Ok(())
    }

    /// The rules worth trying on a text.
    pub(crate) fn candidates(&self, text: &str, work: &mut Work) -> Result<RuleSet, DropReason> {
        work.spend(2 * text.len())?;
        let mut rules = RuleSet::default();
        for hit in self.keywords.find_overlapping_iter(text) {
            self.keyword_rules[hit.pattern().as_usize()]
                .iter()
                .for_each(|rule| rules.add(*rule));
        }
        let digits = longest_digits(text.as_bytes());
        self.digit_rules
            .iter()
            .filter(|(needed, _)| digits >= *needed)
            .for_each(|(_, rule)| rules.add(*rule));
        Ok(rules)
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
}

impl Rule {
    fn compile(pack: &Pack, raw: RawRule) -> Result<Self, Vec<(Option<usize>, String)>> {
        let mut problems = Vec::new();
        let mut refuse = |line, message| problems.push((line, format!("rule {:?}: {message}", raw.id)));
        let sound_id = raw
            .id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if raw.id.is_empty() || raw.id.len() > 48 || !sound_id {
            refuse(None, "an id is 1 to 48 of a-z, 0-9 and -".to_owned());
        }
        if raw.pattern.is_none() && raw.keys.is_empty() {
            refuse(None, "needs a pattern or keys".to_owned());
        }
        if raw.pattern.is_some() && raw.keywords.is_empty() && raw.digits.is_none() {
            refuse(
                None,
                "a pattern needs keywords or digits, or it would be tried on every text".to_owned(),
            );
        }
        if raw.keywords.iter().any(String::is_empty) {
            refuse(None, "a keyword is empty".to_owned());
        }
        let find = raw.pattern.as_deref().and_then(|pattern| match regex(pattern) {
            Ok(regex) => Some(regex),
            Err(message) => {
                refuse(None, message);
                None
            }
        });
        let validator = match &raw.validator {
            None => Validator::Any,
            Some(name) => Validator::named(name.get_ref()).unwrap_or_else(|| {
                refuse(
                    Some(pack::line(pack, name.span().start)),
                    format!("no validator is called {:?}", name.get_ref()),
                );
                Validator::Any
            }),
        };
        let mask = raw.replacement.unwrap_or_else(|| format!("‹redacted:{}›", raw.id));
        let inner = mask.strip_prefix('‹').and_then(|rest| rest.strip_suffix('›'));
        let sound = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '_');
        if !inner.is_some_and(|inner| !inner.is_empty() && inner.len() <= 64 && inner.chars().all(sound)) {
            refuse(
                None,
                "a replacement is ‹…› around 1 to 64 bytes of letters, digits, ':', '-' and '_'".to_owned(),
            );
        }
        if problems.is_empty() {
            Ok(Self {
                id: raw.id.into(),
                mask,
                class: raw.class,
                find,
                validator,
            })
        } else {
            Err(problems)
        }
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    // Bytes, not Unicode: half the size and no slow path on non-ASCII text. A pattern can ask for (?u:…) where it
    // has to know letters beyond ASCII.
    let regex = Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(RegexConfig::new().utf8_empty(false).nfa_size_limit(Some(4 << 20)))
        .build(pattern)
        .map_err(|error| format!("the pattern does not compile: {error}"))?;
    if regex.is_match("") {
        Err("the pattern matches nothing at all".to_owned())
    } else {
        Ok(regex)
    }
}

fn problem(message: String) -> ConfigError {
    ConfigError {
        problems: vec![Problem {
            pack: "packs".to_owned(),
            line: 1,
            message,
        }],
    }
}

/// The most digits in a row, where a single space or dash between two does not end the row.
fn longest_digits(text: &[u8]) -> usize {
    let (mut longest, mut row, mut separated) = (0, 0, true);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                row += 1;
                separated = false;
            }
            b' ' | b'-' if !separated => separated = true,
            _ => {
                longest = longest.max(row);
                row = 0;
                separated = true;
            }
        }
    }
    longest.max(row)
}

#[cfg(test)]
mod tests;
