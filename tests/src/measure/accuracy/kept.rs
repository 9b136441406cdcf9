//! The sets that are kept in `consumer/redact/accuracy`: what the authors of packs say of their own rules. `collect.py` there
//! writes them.

use std::{fs, iter};

use anyhow::Context as _;
use serde::Deserialize;

use super::judge::{Allowed, Counted, Example, Secret, Set};

/// Files and what they are called.
const SETS: [(&str, &str); 2] = [
    ("betterleaks.jsonl", "Betterleaks' own examples"),
    ("noseyparker.jsonl", "Nosey Parker's own examples"),
];

/// A line of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Whose example it is.
    rule: String,
    text: String,
    /// What the rule finds in it, each as it stands in the text.
    #[serde(default)]
    secrets: Vec<String>,
    /// Where the secret begins, in bytes, if there is one and it may stand elsewhere as well.
    start: Option<usize>,
    /// What other rules of the same authors find in it.
    #[serde(default)]
    also: Vec<String>,
    /// The rule finds names, ids and addresses, which open nothing by themselves.
    #[serde(default)]
    opens_nothing: bool,
    /// The rule finds whatever looks like a secret, not those of one issuer or format.
    #[serde(default)]
    generic: bool,
}

/// The sets of rules about one issuer or format each, and last those of rules for anything, and what opens nothing.
///
/// # Errors
/// When a file cannot be read, or a line is no example.
pub(super) fn sets() -> anyhow::Result<Vec<Set>> {
    let mut sets = Vec::new();
    let (mut generic, mut names) = (Vec::new(), Vec::new());
    for (file, name) in SETS {
        let path = super::redact().join("accuracy").join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut examples = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let line: Line = serde_json::from_str(line).with_context(|| format!("{file}: {line}"))?;
            let into = match (line.opens_nothing, line.generic) {
                (true, _) => &mut names,
                (_, true) => &mut generic,
                _ => &mut examples,
            };
            into.push(line.example());
        }
        sets.push(Set {
            name: name.to_owned(),
            counted: Counted::Credentials,
            examples,
        });
    }
    for (name, examples) in [
        ("both: of rules for anything", generic),
        ("both: names, ids and addresses, which open nothing", names),
    ] {
        sets.push(Set {
            name: name.to_owned(),
            counted: Counted::Credentials,
            examples,
        });
    }
    Ok(sets)
}

impl Line {
    fn example(self) -> Example {
        let places = |value: &String| {
            let found = self.text.match_indices(value.as_str());
            found.map(|(at, value)| at..at + value.len()).collect::<Vec<_>>()
        };
        let secrets = self.secrets.iter().map(|secret| Secret {
            kind: self.rule.clone(),
            places: match self.start {
                Some(start) => iter::once(start..start + secret.len()).collect(),
                None => places(secret),
            },
        });
        let also = self
            .also
            .iter()
            .flat_map(places)
            .map(|place| Allowed { place, rules: &[] });
        Example {
            secrets: secrets.collect(),
            also: also.collect(),
            text: self.text,
        }
    }
}
