//! A pack tried on its own examples, as its author runs it before it goes anywhere.

use crate::{
    Redactor,
    config::{Config, ConfigError, Pack},
    context::{Content, Context},
    pack::{self, RawRule},
};
use std::fmt;

/// An example of a pack that does not come out as the pack says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the rule in the pack, from 1.
    pub line: usize,
    /// The id of the rule.
    pub rule: String,
    /// What was tried.
    pub input: String,
    /// What became of it; `None` if it was dropped.
    pub output: Option<String>,
    /// What the pack says about it.
    pub expected: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = self.output.as_deref().unwrap_or("nothing: it was dropped");
        write!(
            f,
            "{}: rule {:?}: {} became {output}, not {}",
            self.line, self.rule, self.input, self.expected
        )
    }
}

impl Pack {
    /// Runs every example of the pack through an engine that has the pack alone: `masks` become what they say, the
    /// secrets of `finds` are gone, `keeps` stay as they are. A rule that has none of the former fails as well.
    ///
    /// # Errors
    /// Everything that is wrong with the pack itself.
    pub fn trial(&self) -> Result<Vec<Failure>, ConfigError> {
        let redactor = Redactor::new(Config {
            packs: vec![self.clone()],
            ..Config::default()
        })?;
        let mut failures = Vec::new();
        for (line, rule) in pack::parse(self, &mut Vec::new()) {
            let mut fail = |input: &str, output: Option<String>, expected: String| {
                failures.push(Failure {
                    line,
                    rule: rule.id.clone(),
                    input: input.to_owned(),
                    output,
                    expected,
                });
            };
            if rule.masks.is_empty() && rule.finds.is_empty() {
                fail(
                    "no example",
                    Some("no proof".to_owned()),
                    "`masks` or `finds`".to_owned(),
                );
            }
            for (input, expected) in &rule.masks {
                let output = output(&redactor, &rule, input);
                if output.as_ref() != Some(expected) {
                    fail(input, output, expected.clone());
                }
            }
            for (input, secret) in &rule.finds {
                let output = output(&redactor, &rule, input);
                if output.as_ref().is_some_and(|output| output.contains(secret)) {
                    fail(input, output, format!("something without {secret}"));
                }
            }
            for input in &rule.keeps {
                let output = output(&redactor, &rule, input);
                if output.as_ref() != Some(input) {
                    fail(input, output, "the same".to_owned());
                }
            }
        }
        Ok(failures)
    }
}

fn output(redactor: &Redactor, rule: &RawRule, input: &str) -> Option<String> {
    // Examples of rules about keys are JSON.
    let content = match rule.pattern {
        Some(_) => Content::Text,
        None => Content::Json,
    };
    let context = Context {
        content,
        ..Context::default()
    };
    let redacted = redactor.redact(input.as_bytes(), &context);
    redacted.body().map(|body| String::from_utf8_lossy(body).into_owned())
}

#[cfg(test)]
mod tests {
    use crate::Pack;

    #[test]
    fn examples_that_come_out_otherwise_are_named_with_their_line() {
        let pack = Pack {
            name: "mine".to_owned(),
            toml: r#"
[[rule]]
id = "badge"
class = "personal"
description = "A badge number."
keywords = ["badge"]
context = 20
pattern = '\b[0-9]{5}\b'
masks = [["badge 12345", "badge ‹redacted:badge›"], ["badge 123456", "badge ‹redacted:badge›"]]
keeps = ["12345", "badge 54321"]
"#
            .to_owned(),
        };
        let failures = pack.trial().expect("the pack is sound");
        let inputs: Vec<_> = failures
            .iter()
            .map(|failure| (failure.line, failure.input.as_str()))
            .collect();
        assert_eq!(inputs, [(2, "badge 123456"), (2, "badge 54321")]);
    }

    #[test]
    fn packs_written_by_hand_hold_what_they_say_by_themselves() {
        for pack in Pack::built_in()
            .iter()
            .filter(|pack| pack.name == "national.toml" || pack.name == "keys.toml")
        {
            assert_eq!(pack.trial(), Ok(Vec::new()), "{}", pack.name);
        }
    }
}
