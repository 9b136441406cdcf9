//! The texts of a frame, each masked by what the rules say of texts like it.

use std::sync::Arc;

use tapedeck_redact::{Content, Context, Finding, Outcome, Redactor};

use super::known::{Known, Place};

/// What becomes of the texts of one frame.
pub(super) struct Masks<'a> {
    redactor: &'a Redactor,
    known: &'a mut Place,
    context: Context<'a>,
    /// Rules that masked something, each once.
    pub(super) rules: Vec<Arc<str>>,
    /// Tokens that stand in the texts now, each once.
    pub(super) tokens: Vec<String>,
}

impl<'a> Masks<'a> {
    pub(super) fn new(redactor: &'a Redactor, known: &'a mut Known, tenant: &'a str, target: &'a str) -> Self {
        Self {
            redactor,
            known: known.of(tenant, target),
            context: Context {
                tenant,
                target,
                content: Content::Text,
                ..Context::default()
            },
            rules: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Masks what a client or target chose to say, by all rules, personal data too: a resource's URI may name a person.
    pub(super) fn mask_all(&mut self, text: &mut Option<String>) -> bool {
        let Some(original) = text.as_deref() else { return false };
        if self.known.all.contains(original) {
            return false;
        }
        let redacted = self.redactor.redact(original.as_bytes(), &self.context);
        if redacted.outcome() == Outcome::Unchanged {
            self.known.all.insert(original);
            return false;
        }
        note(&mut self.rules, redacted.findings());
        add(&mut self.tokens, redacted.tokens());
        // Nothing is left of what could not be redacted, and masks are text.
        let masked = String::from_utf8_lossy(redacted.body().unwrap_or_default()).into_owned();
        *text = Some(masked);
        true
    }

    /// Masks the credentials in a JSON-RPC id, which is JSON text and may be spelled in any way, as they are masked in a body.
    pub(super) fn mask_id(&mut self, id: &mut Option<String>) -> bool {
        const BEFORE: &str = "{\"id\":";
        let Some(original) = id.as_deref() else { return false };
        if original.len() < 8 || self.known.ids.contains(original) {
            return false;
        }
        let message = format!("{BEFORE}{original}}}");
        let context = Context {
            content: Content::Json,
            ..self.context
        };
        let redacted = self.redactor.redact(message.as_bytes(), &context);
        if redacted.outcome() == Outcome::Unchanged {
            self.known.ids.insert(original);
            return false;
        }
        note(&mut self.rules, redacted.findings());
        add(&mut self.tokens, redacted.tokens());
        let masked = String::from_utf8_lossy(redacted.body().unwrap_or_default()).into_owned();
        let masked = masked.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix('}'));
        *id = Some(masked.unwrap_or_default().to_owned());
        true
    }

    /// Masks the credentials in a text in place; true if it changed. Who the caller is stays, and so does what
    /// correlates. Fewer than eight bytes are left alone without a look.
    pub(super) fn mask(&mut self, text: &mut Option<String>) -> bool {
        let Some(original) = text.as_deref() else { return false };
        if original.len() < 8 || self.known.credentials.contains(original) {
            return false;
        }
        let redacted = self.redactor.redact_text(original, &self.context);
        if redacted.outcome() == Outcome::Unchanged {
            self.known.credentials.insert(original);
            return false;
        }
        note(&mut self.rules, redacted.findings());
        add(&mut self.tokens, redacted.tokens());
        let masked = redacted.text().unwrap_or_default().to_owned();
        *text = Some(masked);
        true
    }
}

pub(super) fn note(rules: &mut Vec<Arc<str>>, findings: &[Finding]) {
    for finding in findings {
        if !rules.contains(&finding.rule) {
            rules.push(Arc::clone(&finding.rule));
        }
    }
}

pub(super) fn add(tokens: &mut Vec<String>, more: &[String]) {
    for token in more {
        if !tokens.contains(token) {
            tokens.push(token.clone());
        }
    }
}
