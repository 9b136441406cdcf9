//! The schemas document themselves.

use serde_json::Value;
use tapedeck_schemas::schema;

/// Calls `check` for every named type and every field.
fn walk(value: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, check)),
        Value::Object(map) => {
            let path = match map.get("name").and_then(Value::as_str) {
                Some(name) => format!("{path}/{name}"),
                None => path.to_owned(),
            };
            if map.contains_key("name") {
                check(&path, value);
            }
            for key in ["type", "fields", "items"] {
                if let Some(inner) = map.get(key).filter(|inner| !inner.is_string()) {
                    walk(inner, &path, check);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_and_type_has_a_doc() {
    for (name, text) in schema::ALL {
        let mut seen = 0;
        walk(&serde_json::from_str(text).unwrap(), name, &mut |path, value| {
            seen += 1;
            let doc = value["doc"].as_str().unwrap_or_default();
            assert!(doc.len() > 3, "{path} has no doc");
        });
        assert!(seen > 5, "{name}: only {seen} named things were looked at");
    }
}
