//! Every example of every pack, through the whole engine, in every place a text can stand.

use serde::Deserialize;
use tapedeck_redact::{Config, Content, Context, Outcome, Pack, Redactor};

#[derive(Deserialize)]
struct Examples {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    pattern: Option<String>,
    masks: Vec<(String, String)>,
    keeps: Vec<String>,
}

fn rules() -> Vec<Rule> {
    Pack::built_in()
        .iter()
        .flat_map(|pack| toml::from_str::<Examples>(&pack.toml).expect("a pack is TOML").rule)
        .collect()
}

fn redactor() -> Redactor {
    Redactor::new(Config::default()).expect("the built-in packs are sound")
}

fn redact(redactor: &Redactor, body: &str, content: Content) -> (String, Outcome, Vec<String>) {
    let redacted = redactor.redact(
        body.as_bytes(),
        &Context {
            content,
            ..Context::default()
        },
    );
    let kept =
        String::from_utf8(redacted.body().expect("an example is not dropped").to_vec()).expect("output is UTF-8");
    (
        kept,
        redacted.outcome(),
        redacted
            .findings()
            .iter()
            .map(|finding| finding.rule.to_string())
            .collect(),
    )
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string can be written")
}

/// Every character as `\uXXXX`.
fn spelled_out(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

/// The forms in which a text can come: body and expected body.
fn forms(input: &str, output: &str) -> Vec<(String, String, Content)> {
    let twice = |text: &str| json(&format!("{{\"b\":{}}}", json(&format!("[{}]", json(text)))));
    let object = |key: &str, value: &str| format!("{{\"params\":{{{key}:{value}}}}}");
    vec![
        (input.to_owned(), output.to_owned(), Content::Text),
        (json(input), json(output), Content::Json),
        (
            object("\"v\"", &json(input)),
            object("\"v\"", &json(output)),
            Content::Json,
        ),
        (
            object(&json(input), "true"),
            object(&json(output), "true"),
            Content::Json,
        ),
        (
            object("\"v\"", &twice(input)),
            object("\"v\"", &twice(output)),
            Content::Json,
        ),
    ]
}

#[test]
fn what_a_rule_has_to_mask_is_masked_by_it_in_every_form() {
    let redactor = redactor();
    for rule in rules() {
        assert!(!rule.masks.is_empty(), "{} has no example", rule.id);
        for (input, output) in &rule.masks {
            let forms = match rule.pattern {
                Some(_) => forms(input, output),
                None => vec![(input.clone(), output.clone(), Content::Json)],
            };
            for (body, expected, content) in forms {
                let (kept, outcome, fired) = redact(&redactor, &body, content);
                assert_eq!(kept, expected, "{}: {body}", rule.id);
                assert_eq!(outcome, Outcome::Masked, "{}: {body}", rule.id);
                assert!(fired.contains(&rule.id), "{}: {body} fired {fired:?}", rule.id);
            }
            if rule.pattern.is_some() {
                let (kept, _, fired) = redact(&redactor, &spelled_out(input), Content::Json);
                assert_eq!(
                    serde_json::from_str::<String>(&kept).expect("output is JSON"),
                    *output,
                    "{}",
                    rule.id
                );
                assert!(fired.contains(&rule.id), "{}: spelled out fired {fired:?}", rule.id);
            }
        }
    }
}

#[test]
fn what_a_rule_has_to_keep_is_kept_in_every_form() {
    let redactor = redactor();
    for rule in rules() {
        assert!(!rule.keeps.is_empty(), "{} has no counterexample", rule.id);
        for input in &rule.keeps {
            let forms = match rule.pattern {
                Some(_) => forms(input, input),
                None => vec![(input.clone(), input.clone(), Content::Json)],
            };
            for (body, _, content) in forms {
                let (kept, outcome, fired) = redact(&redactor, &body, content);
                assert_eq!(
                    (kept, outcome),
                    (body, Outcome::Unchanged),
                    "{} fired {fired:?}",
                    rule.id
                );
            }
        }
    }
}

#[test]
fn without_any_one_rule_an_example_leaks() {
    for rule in rules() {
        let config = Config {
            disabled: [rule.id.clone()].into(),
            ..Config::default()
        };
        let without = Redactor::new(config).expect("the built-in packs are sound");
        let content = if rule.pattern.is_some() {
            Content::Text
        } else {
            Content::Json
        };
        let differs = rule
            .masks
            .iter()
            .any(|(input, output)| redact(&without, input, content).0 != *output);
        assert!(differs, "{} is not needed", rule.id);
    }
}
