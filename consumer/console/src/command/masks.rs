//! Values that were masked: they are not in the recording, so whoever runs it again says what to put in their place.

use std::collections::BTreeSet;

use super::arguments::Fill;
use super::failure::Failure;
use crate::serve::Frame;
use crate::text::printable;

/// What is left of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// All of it, perhaps with values that were filled in.
    Whole(String),
    /// Not enough, and the user wants to go on without it.
    Skipped,
}

impl Fill {
    /// A message's text with values where masks were.
    ///
    /// # Errors
    /// It holds masks for which there is no value, or was not kept whole.
    pub(super) fn message(&self, frame: &Frame, text: &str) -> Result<Message, Failure> {
        let missing = match frame.redaction.as_str() {
            _ if frame.truncated => Err("was cut off".to_owned()),
            "dropped" => Err(format!("was not kept: {}", printable(&frame.redaction_reason))),
            "erased" => Err("was erased".to_owned()),
            "masked" | "joined" => self.filled(text),
            _ => Ok(text.to_owned()),
        };
        match missing {
            Ok(text) => Ok(Message::Whole(text)),
            Err(_) if self.skip_masked => Ok(Message::Skipped),
            Err(why) => Err(Failure::Usage(format!(
                "frame {}, {} {}, {why}; say --fill RULE=VALUE, or --skip-masked to leave such messages out",
                frame.session_seq,
                printable(&frame.rpc_method),
                printable(&frame.rpc_name)
            ))),
        }
    }

    /// The text with values in place of `‹redacted:RULE›` and `‹redacted:RULE~2›`; else which rules have none.
    fn filled(&self, text: &str) -> Result<String, String> {
        let (mut filled, mut missing, mut rest) = (String::new(), BTreeSet::new(), text);
        while let Some((before, after)) = rest.split_once('‹') {
            filled.push_str(before);
            let Some((mask, after)) = after.split_once('›') else {
                filled.push('‹');
                rest = after;
                continue;
            };
            let rule = mask.strip_prefix("redacted:").unwrap_or(mask);
            let rule = rule.split_once('~').map_or(rule, |(rule, _)| rule);
            match self.values.iter().find(|(name, _)| name == rule) {
                Some((_, value)) => filled.push_str(&inside_json(value)),
                None => {
                    missing.insert(rule.to_owned());
                }
            }
            rest = after;
        }
        filled.push_str(rest);
        match missing.is_empty() {
            true => Ok(filled),
            false => Err(format!(
                "holds values that were masked by {}",
                missing
                    .into_iter()
                    .map(|rule| printable(&rule))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
}

/// A text as it stands between the quotes of a JSON string: masks stand only there.
fn inside_json(text: &str) -> String {
    let json = serde_json::to_string(text).expect("text is JSON");
    json[1..json.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(values: &[(&str, &str)]) -> Fill {
        let values = values
            .iter()
            .map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned()));
        Fill {
            values: values.collect(),
            skip_masked: false,
        }
    }

    #[test]
    fn every_mask_needs_a_value_and_gets_it_as_json() {
        let text = r#"{"to":"‹redacted:email›","cc":"‹redacted:email~2›","key":"‹redacted:api-key›","a":"‹"}"#;
        let error = fill(&[("email", "a@b.example")])
            .filled(text)
            .expect_err("a value is missing");
        assert_eq!(error, "holds values that were masked by api-key");
        let filled = fill(&[("email", "a\"b"), ("api-key", "k")])
            .filled(text)
            .expect("all are there");
        assert_eq!(filled, r#"{"to":"a\"b","cc":"a\"b","key":"k","a":"‹"}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&filled).is_ok());
    }

    #[test]
    fn a_bracket_that_begins_no_mask_stays() {
        assert_eq!(fill(&[]).filled("a ‹ b").as_deref(), Ok("a ‹ b"));
    }
}
