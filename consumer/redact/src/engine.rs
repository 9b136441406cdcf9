//! The engine: from bytes to what may be kept of them.

use crate::{
    active::Active,
    config::{Config, ConfigError, Limits},
    context::{Content, Context},
    document::{Pass, Stop, Walk},
    edit::{Edit, findings, splice, tokens},
    keyring::Keyring,
    place::Place,
    policy::Policies,
    redacted::{DropReason, Mark, Redacted, RedactedText},
    rules::Rules,
    scan::Classes,
    tokens::Texts,
};
use std::{collections::BTreeSet, fmt};

/// Compiled rules. Cheap to share, useless to clone: make one per process.
pub struct Redactor {
    enabled: bool,
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    policies: Policies,
    keyring: Keyring,
    metadata: Classes,
}

impl Redactor {
    /// Compiles the packs.
    ///
    /// # Errors
    /// Everything that is wrong with the packs, each with its line, and with the policies, each with its number.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let rules = Rules::compile(&config)?;
        let metadata = if config.personal_in_metadata {
            Classes::All
        } else {
            Classes::Credentials
        };
        let keyring = Keyring::new(config.keys, rules.kinds.len());
        let mut problems = Vec::new();
        let policies = Policies::new(config.policies, &rules, !keyring.is_empty(), &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        Ok(Self {
            enabled: config.enabled,
            rules,
            limits: config.limits,
            policies,
            keyring,
            metadata,
        })
    }

    /// Whether anything is redacted at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Masks what the rules find in a body, or drops it. Never panics; time and memory are bounded by its size.
    ///
    /// An empty body is unchanged: there is nothing in it.
    pub fn redact<'b>(&self, bytes: &'b [u8], context: &Context<'_>) -> Redacted<'b> {
        if bytes.is_empty() || !self.enabled {
            return Redacted::unchanged(bytes);
        }
        match self.edits(bytes, context) {
            Ok((text, edits)) => self.finish(text, &edits, context),
            Err(reason) => Redacted::withheld(reason, bytes.len()),
        }
    }

    /// What [`redact`](Self::redact) would mask, and why, in the order of the bytes.
    ///
    /// # Errors
    /// Why it would drop the body.
    pub fn marks(&self, bytes: &[u8], context: &Context<'_>) -> Result<Vec<Mark<'_>>, DropReason> {
        if !self.enabled {
            return Ok(Vec::new());
        }
        let (_, edits) = self.edits(bytes, context)?;
        let mark = |edit: Edit<'_>| {
            let rule = &self.rules.all[usize::from(edit.rule)];
            Mark {
                range: edit.start..edit.end,
                rule: &rule.id,
                description: &rule.description,
                replacement: edit.text.into_owned(),
            }
        };
        Ok(edits.into_iter().map(mark).collect())
    }

    fn edits<'b, 's>(&'s self, bytes: &'b [u8], context: &Context<'_>) -> Result<(&'b str, Vec<Edit<'s>>), DropReason> {
        if bytes.len() > self.limits.body {
            return Err(DropReason::TooLarge);
        }
        let undecodable = match context.content {
            Content::Json => DropReason::NotJson,
            Content::Text => DropReason::NotText,
        };
        let text = std::str::from_utf8(bytes).map_err(|_| undecodable)?;
        let mut pass = Pass::new(self.active(context), &self.limits);
        let mut edits = Vec::new();
        let walked = match context.content {
            Content::Json => {
                let walk = Walk::new(Texts::One, pass.root(Place::Message), 0);
                pass.document(text, walk, &mut edits)
            }
            Content::Text => pass.body_of_text(text, &mut edits).map_err(Stop::Drop),
        };
        match walked {
            Ok(()) => Ok((text, edits)),
            Err(Stop::Broken) => Err(DropReason::NotJson),
            Err(Stop::Drop(reason)) => Err(reason),
        }
    }

    /// The rules as they apply to a body from there.
    pub(crate) fn active(&self, context: &Context<'_>) -> Active<'_> {
        Active {
            rules: &self.rules,
            plan: self.policies.plan(&self.rules, context),
            key: self.keyring.current(context.tenant),
        }
    }

    /// Masks credentials in a single value that stands beside the body: a user agent, a resource URI, a tool name.
    /// Who and what stays: mail addresses and the like are masked only with
    /// [`personal_in_metadata`](Config::personal_in_metadata).
    pub fn redact_text<'b>(&self, text: &'b str, context: &Context<'_>) -> RedactedText<'b> {
        if !self.enabled {
            return RedactedText::new(Redacted::unchanged(text.as_bytes()));
        }
        if text.len() > self.limits.body {
            return RedactedText::new(Redacted::withheld(DropReason::TooLarge, text.len()));
        }
        let mut pass = Pass::new(self.active(context), &self.limits);
        pass.allow(text.len());
        let mut edits = Vec::new();
        RedactedText::new(match pass.flat(text, self.metadata, &mut edits) {
            Ok(()) => self.finish(text, &edits, context),
            Err(reason) => Redacted::withheld(reason, text.len()),
        })
    }

    /// The ids of the rules in use, in the order of the packs.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.all.iter().map(|rule| &*rule.id)
    }

    /// The tokens that a value of a tenant has wherever it was found, whatever rule found it, for each key that may have
    /// made them. Whoever may call this can try values out: it is for searches that are written down.
    pub fn tokens_of(&self, tenant: &str, value: &str) -> Vec<String> {
        let kinds = self.rules.all.iter().map(|rule| (rule.kind, rule.canonical));
        let kinds: BTreeSet<_> = kinds.collect();
        let mut tokens = BTreeSet::new();
        for key in self.keyring.live(tenant) {
            for (number, canonical) in &kinds {
                let kind = &*self.rules.kinds[usize::from(*number)];
                let letters = key.letters((*number, kind), &canonical.write(value));
                tokens.insert(format!("{kind}:{}:{}", key.id, letters.as_str()));
            }
        }
        tokens.into_iter().collect()
    }

    fn finish<'b>(&self, text: &'b str, edits: &[Edit<'_>], context: &Context<'_>) -> Redacted<'b> {
        if edits.is_empty() {
            return Redacted::unchanged(text.as_bytes());
        }
        let masked = splice(text, 0, edits).into_bytes();
        let plan = self.policies.plan(&self.rules, context);
        Redacted::masked(masked, findings(&self.rules, &plan, edits), tokens(edits), text.len())
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("rules", &self.rules.all.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
