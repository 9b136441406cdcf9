//! How two answers differ, place by place.

use serde_json::Value;

use crate::text::shortened;

/// Characters of a value that are shown.
const SHOWN: usize = 100;
/// Differences that are told of one answer.
const MOST: usize = 20;

/// Where they differ, as lines; `ignored` are JSON pointers (RFC 6901) into the result or error.
pub(super) fn differences(recorded: &Value, now: &Value, ignored: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for part in ["result", "error"] {
        compare(&recorded[part], &now[part], String::new(), ignored, &mut found);
    }
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn compare(recorded: &Value, now: &Value, at: String, ignored: &[String], found: &mut Vec<String>) {
    if recorded == now || ignored.contains(&at) {
        return;
    }
    match (recorded, now) {
        (Value::Object(before), Value::Object(after)) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                let missing = Value::Null;
                let (before, after) = (before.get(key).unwrap_or(&missing), after.get(key).unwrap_or(&missing));
                compare(before, after, place, ignored, found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(before, after, format!("{at}/{index}"), ignored, found);
            }
        }
        // What was masked is unknown, not different.
        (Value::String(text), Value::String(_)) if text.contains('‹') && text.contains('›') => {}
        _ => {
            let (before, after) = (recorded.to_string(), now.to_string());
            let at = if at.is_empty() { "the whole" } else { &at };
            found.push(format!(
                "{at}: {} → {}",
                shortened(&before, SHOWN),
                shortened(&after, SHOWN)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn differences_are_told_by_their_place() {
        let recorded = json!({ "id": 1, "result": { "content": [{ "text": "3" }], "a/b": 1, "old": 1 } });
        let now = json!({ "id": 2, "result": { "content": [{ "text": "4" }], "a/b": 2, "new": 1 } });
        let found = differences(&recorded, &now, &["/new".to_owned()]);
        assert_eq!(
            found,
            ["/a~1b: 1 → 2", "/content/0/text: \"3\" → \"4\"", "/old: 1 → null"]
        );
        assert!(differences(&recorded, &recorded, &[]).is_empty());
    }

    #[test]
    fn what_was_masked_does_not_differ() {
        let recorded = json!({ "result": "to ‹redacted:email›" });
        assert!(differences(&recorded, &json!({ "result": "to a@b.example" }), &[]).is_empty());
        assert!(!differences(&recorded, &json!({ "error": { "code": 1 } }), &[]).is_empty());
    }
}
