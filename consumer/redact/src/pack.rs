//! The pack format: TOML with one table per rule.

use crate::{
    action::Action,
    canonical::Canonical,
    config::{Pack, Problem},
};
use serde::Deserialize;
use toml::Spanned;

/// What a rule protects, which decides where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// Opens something. Masked everywhere, in the JSON-RPC envelope and in metadata too.
    Credential,
    /// Tells about a person. Not masked in the envelope; in metadata only if configured.
    Personal,
}

/// How sure a rule is of what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Often something else.
    Low,
    /// Mostly right.
    Medium,
    /// A prefix, a checksum or a name leaves little doubt.
    #[default]
    High,
}

/// A rule as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRule {
    pub(crate) id: String,
    pub(crate) class: Class,
    /// One sentence for people; required, so that no pack has a rule that nobody can explain.
    pub(crate) description: String,
    /// The pattern is only tried around these, in any case; three bytes at least.
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    /// Case counts in keywords.
    #[serde(default)]
    pub(crate) exact: bool,
    /// The pattern is only tried on a text that has one of these shapes.
    #[serde(default)]
    pub(crate) shapes: Vec<Spanned<String>>,
    /// Byte regex, ASCII classes. The first group that took part is masked, else all of the match.
    pub(crate) pattern: Option<String>,
    /// The group that is masked, where it is not the first.
    pub(crate) group: Option<usize>,
    pub(crate) validator: Option<Spanned<String>>,
    /// Ends what the pattern found, where that goes on to the end of what can be seen: an open block.
    pub(crate) until: Option<String>,
    /// What is found has at least so many bits of entropy for each byte.
    pub(crate) entropy: Option<f64>,
    /// What is found is let be where one of these matches in it: values that documentation is full of.
    #[serde(default)]
    pub(crate) except: Vec<String>,
    /// The keywords stand beside what is found, not in the match: at most so many bytes away.
    pub(crate) context: Option<usize>,
    /// How sure a finding is.
    #[serde(default)]
    pub(crate) confidence: Confidence,
    /// Names of members whose values are masked whole. Letters and digits count, case does not; `*` in front matches
    /// any beginning.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// Places whose values are masked whole, with all that is under them: JSONPath (RFC 9535).
    #[serde(default)]
    pub(crate) paths: Vec<Spanned<String>>,
    /// What becomes of a finding, where no policy says otherwise: of personal data a token, of credentials a mask.
    pub(crate) action: Option<Action>,
    /// What tokens call a finding, so that those of several rules are the same; the id if it is missing.
    pub(crate) kind: Option<String>,
    /// How a value is written before a token is made of it; what fits the validator if it is missing.
    pub(crate) canonical: Option<Canonical>,
    /// Instead of `‹redacted:ID›`.
    pub(crate) replacement: Option<String>,
    /// Inputs and what becomes of them.
    #[serde(default)]
    pub(crate) masks: Vec<(String, String)>,
    /// Texts, each with a secret in it that has to go.
    #[serde(default)]
    pub(crate) finds: Vec<(String, String)>,
    /// Inputs that stay as they are; of a rule with `finds`, inputs in which it finds nothing.
    #[serde(default)]
    pub(crate) keeps: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    rule: Vec<Spanned<RawRule>>,
}

/// The rules of a pack with their lines. What is wrong goes to `problems`.
pub(crate) fn parse(pack: &Pack, problems: &mut Vec<Problem>) -> Vec<(usize, RawRule)> {
    match toml::from_str::<RawPack>(&pack.toml) {
        Ok(raw) => raw
            .rule
            .into_iter()
            .map(|rule| (line(pack, rule.span().start), rule.into_inner()))
            .collect(),
        Err(error) => {
            let line = line(pack, error.span().map_or(0, |span| span.start));
            problems.push(Problem {
                pack: pack.name.clone(),
                line,
                message: error.message().to_owned(),
            });
            Vec::new()
        }
    }
}

/// The line, from 1, of a byte offset.
pub(crate) fn line(pack: &Pack, offset: usize) -> usize {
    1 + pack.toml.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
