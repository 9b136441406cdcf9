//! Other ways to find out which rules are worth a look, over the same rules and bytes.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;
use std::error::Error;
use tapedeck_redact::Pack;

#[derive(Deserialize)]
struct Rules {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    pattern: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    shapes: Vec<String>,
}

fn rules() -> Result<Vec<Rule>, Box<dyn Error>> {
    let mut all = Vec::new();
    for pack in Pack::built_in() {
        all.extend(toml::from_str::<Rules>(&pack.toml)?.rule);
    }
    Ok(all)
}

/// All patterns.
pub(crate) fn patterns() -> Result<Vec<String>, Box<dyn Error>> {
    Ok(rules()?.into_iter().filter_map(|rule| rule.pattern).collect())
}

/// All patterns in one automaton.
pub(crate) fn regex_set() -> Result<RegexSet, Box<dyn Error>> {
    let set = RegexSetBuilder::new(patterns()?)
        .unicode(false)
        .size_limit(1 << 30)
        .dfa_size_limit(1 << 27)
        .build()?;
    Ok(set)
}

/// All keywords in one automaton, then the patterns that they call for; patterns without keywords always.
pub(crate) struct Triggered {
    keywords: AhoCorasick,
    of_keyword: Vec<usize>,
    always: Vec<usize>,
    regexes: Vec<Option<Regex>>,
}

impl Triggered {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let rules = rules()?;
        let (mut words, mut of_keyword, mut always, mut regexes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, rule) in rules.iter().enumerate() {
            for word in &rule.keywords {
                words.push(word.clone());
                of_keyword.push(index);
            }
            if !rule.shapes.is_empty() {
                always.push(index);
            }
            let regex = rule
                .pattern
                .as_ref()
                .map(|pattern| RegexBuilder::new(pattern).unicode(false).size_limit(1 << 26).build());
            regexes.push(regex.transpose()?);
        }
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&words)?;
        Ok(Self {
            keywords,
            of_keyword,
            always,
            regexes,
        })
    }

    /// How many rules match.
    pub(crate) fn count(&self, text: &[u8]) -> usize {
        let mut wanted = vec![false; self.regexes.len()];
        for hit in self.keywords.find_overlapping_iter(text) {
            wanted[self.of_keyword[hit.pattern().as_usize()]] = true;
        }
        for index in &self.always {
            wanted[*index] = true;
        }
        let matches = |(index, wanted): (usize, &bool)| {
            *wanted && self.regexes[index].as_ref().is_some_and(|regex| regex.is_match(text))
        };
        wanted.iter().enumerate().filter(|each| matches(*each)).count()
    }
}
