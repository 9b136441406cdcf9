//! What comes out: proof, in a type, that the engine has seen the bytes.

use crate::action::Action;
use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

/// Why a body was dropped. The caller keeps its commitment and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// More bytes than [`Limits::body`](crate::Limits::body).
    TooLarge,
    /// Not one JSON text, and not known to be plain text.
    NotJson,
    /// Known as text, but not UTF-8.
    NotText,
    /// Containers or JSON texts inside each other beyond the limits.
    TooDeep,
    /// More work than the limits allow for its size.
    OverBudget,
    /// Parts of the body never arrived, so there is nothing whole to look at.
    Incomplete,
}

impl DropReason {
    /// The name for rows, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::NotText => "not_text",
            Self::TooDeep => "too_deep",
            Self::OverBudget => "over_budget",
            Self::Incomplete => "incomplete",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No rule fired: the very same bytes. Only here may the salt of their commitment be stored.
    Unchanged,
    /// Something was masked.
    Masked,
    /// Nothing of the body is left.
    Dropped(DropReason),
}

/// A rule that fired, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: Arc<str>,
    /// What it did.
    pub action: Action,
    /// Findings, at least 1; one that goes on in the next chunk of a stream counts in both.
    pub count: u32,
}

/// One piece of a body that would be masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark<'r> {
    /// Bytes of the body.
    pub range: Range<usize>,
    /// The id of the rule.
    pub rule: &'r str,
    /// What the rule is about.
    pub description: &'r str,
    /// What would stand in its place, as it would be written there.
    pub replacement: String,
}

/// A body that may be stored and published. Only the engine makes one that holds bytes.
///
/// `'a` is the life of the original bytes, which are borrowed where nothing changed; [`into_owned`](Self::into_owned)
/// cuts the tie.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted<'a> {
    body: Option<Cow<'a, [u8]>>,
    outcome: Outcome,
    findings: Vec<Finding>,
    tokens: Vec<String>,
    original_size: usize,
}

impl<'a> Redacted<'a> {
    /// A body that could not even be offered to the engine; `original_size` in bytes.
    pub fn withheld(reason: DropReason, original_size: usize) -> Redacted<'static> {
        Redacted {
            body: None,
            outcome: Outcome::Dropped(reason),
            findings: Vec::new(),
            tokens: Vec::new(),
            original_size,
        }
    }

    pub(crate) fn unchanged(bytes: &'a [u8]) -> Self {
        Self {
            body: Some(Cow::Borrowed(bytes)),
            outcome: Outcome::Unchanged,
            findings: Vec::new(),
            tokens: Vec::new(),
            original_size: bytes.len(),
        }
    }

    pub(crate) fn masked(body: Vec<u8>, findings: Vec<Finding>, tokens: Vec<String>, original_size: usize) -> Self {
        Self {
            body: Some(Cow::Owned(body)),
            outcome: Outcome::Masked,
            findings,
            tokens,
            original_size,
        }
    }

    /// The bytes to keep; `None` if the body was dropped.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// What became of the body.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The rules that fired, by id in ascending order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The tokens that stand in the body, ascending, without their marks: `card:k1:…`.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Bytes that came in.
    pub fn original_size(&self) -> usize {
        self.original_size
    }

    /// The same without a tie to the original bytes; copies them if they are unchanged.
    pub fn into_owned(self) -> Redacted<'static> {
        Redacted {
            body: self.body.map(|body| Cow::Owned(body.into_owned())),
            outcome: self.outcome,
            findings: self.findings,
            tokens: self.tokens,
            original_size: self.original_size,
        }
    }
}

/// Says what happened, never what was in it.
impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacted")
            .field("outcome", &self.outcome)
            .field("findings", &self.findings)
            .field("original_size", &self.original_size)
            .finish_non_exhaustive()
    }
}

/// A single value beside the body (user agent, resource URI, tool name, …) that may be stored and published.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedText<'a>(Redacted<'a>);

impl<'a> RedactedText<'a> {
    /// Invariant: the body, where there is one, is UTF-8; it came from a `&str` or a `String`.
    pub(crate) fn new(redacted: Redacted<'a>) -> Self {
        Self(redacted)
    }

    /// The text to keep; `None` if it was dropped.
    pub fn text(&self) -> Option<&str> {
        self.0.body().and_then(|body| std::str::from_utf8(body).ok())
    }

    /// What became of the text.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome()
    }

    /// The rules that fired, by id in ascending order.
    pub fn findings(&self) -> &[Finding] {
        self.0.findings()
    }

    /// The tokens that stand in the text, ascending, without their marks.
    pub fn tokens(&self) -> &[String] {
        self.0.tokens()
    }

    /// Bytes that came in.
    pub fn original_size(&self) -> usize {
        self.0.original_size()
    }

    /// The same without a tie to the original text; copies it if it is unchanged.
    pub fn into_owned(self) -> RedactedText<'static> {
        RedactedText(self.0.into_owned())
    }
}

impl fmt::Debug for RedactedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedactedText").field(&self.0).finish()
    }
}
