//! Any bytes are redacted without a panic; JSON stays JSON of the same shape, in which leaves without a finding keep
//! their bytes; a second time changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;
use tapedeck_redact::{Config, Content, Context, Outcome, Redactor};

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(Config::default()).expect("the built-in packs are sound"));

fuzz_target!(|data: &[u8]| {
    for content in [Content::Json, Content::Text] {
        let context = Context {
            content,
            ..Context::default()
        };
        let once = REDACTOR.redact(data, &context);
        let Some(body) = once.body() else { continue };
        assert_eq!(once.outcome() == Outcome::Unchanged, body == data);
        let twice = REDACTOR.redact(body, &context);
        assert_eq!(twice.outcome(), Outcome::Unchanged, "a second time");
        // Maps merge keys that were equal before; what they hold is compared where none were.
        if content == Content::Json
            && let Ok(before) = serde_json::from_slice::<Value>(data)
        {
            let after = serde_json::from_slice(body).expect("JSON stays JSON");
            assert!(same_shape(&before, &after), "another shape");
        }
    }
});

fn same_shape(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|(before, after)| same_shape(before, after))
        }
        (Value::Object(before), Value::Object(after)) => {
            before.len() <= after.len()
                && before
                    .iter()
                    .all(|(key, before)| after.get(key).is_none_or(|after| same_shape(before, after)))
        }
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        (Value::Null, after) => after.is_null(),
        (Value::Bool(before), after) => after.as_bool() == Some(*before),
        (before, after) => before == after || after.as_str().is_some_and(|text| text.contains('‹')),
    }
}
