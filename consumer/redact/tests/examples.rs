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
    /// Texts and what becomes of them.
    #[serde(default)]
    masks: Vec<(String, String)>,
    /// Texts and the secret in them.
    #[serde(default)]
    finds: Vec<(String, String)>,
    keeps: Vec<String>,
}

impl Rule {
    /// Whether its examples were made for it alone: other rules may find as much in them, and more.
    fn is_converted(&self) -> bool {
        !self.finds.is_empty()
    }
}

/// The packs that were converted.
const CONVERTED: [&str; 2] = ["secrets.toml", "issuers.toml"];

/// The rules of the packs that were converted, each as a pack of its own.
fn converted() -> Vec<(Rule, Pack)> {
    let packs = Pack::built_in();
    let converted = packs.iter().filter(|pack| CONVERTED.contains(&pack.name.as_str()));
    let rules = converted.map(|pack| pack.toml.split_once("\n[[rule]]\n").expect("it has rules").1);
    rules
        .flat_map(|rules| rules.split("\n[[rule]]\n"))
        .map(|rule| format!("[[rule]]\n{rule}\n"))
        .map(|toml| {
            let examples: Examples = toml::from_str(&toml).expect("a pack is TOML");
            let rule = examples.rule.into_iter().next().expect("it has one rule");
            let name = rule.id.clone();
            (rule, Pack { name, toml })
        })
        .collect()
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

/// The packs that are written by hand: the rules of issuers may find more in their examples, or find it first.
fn written() -> Vec<Pack> {
    Pack::built_in()
        .into_iter()
        .filter(|pack| !CONVERTED.contains(&pack.name.as_str()))
        .collect()
}

/// What stands between the beginning and the end that two texts share.
fn replaced<'t>(input: &'t str, output: &str) -> &'t str {
    let same = |(a, b): &(char, char)| a == b;
    let before: usize = input
        .chars()
        .zip(output.chars())
        .take_while(same)
        .map(|(c, _)| c.len_utf8())
        .sum();
    let rest = &input[before..];
    let after: usize = rest
        .chars()
        .rev()
        .zip(output.chars().rev())
        .take_while(same)
        .map(|(c, _)| c.len_utf8())
        .sum();
    &rest[..rest.len() - after]
}

#[test]
fn what_a_rule_has_to_mask_is_gone_under_all_packs() {
    let redactor = redactor();
    for rule in rules().into_iter().filter(|rule| rule.pattern.is_some()) {
        for (input, output) in &rule.masks {
            let (kept, ..) = redact(&redactor, &json(input), Content::Json);
            let secret = replaced(input, output);
            assert!(
                !kept.contains(json(secret).trim_matches('"')),
                "{}: {secret} in {kept}",
                rule.id
            );
        }
    }
}

#[test]
fn what_a_rule_has_to_mask_is_masked_by_it_in_every_form() {
    let redactor = Redactor::new(Config {
        packs: written(),
        ..Config::default()
    })
    .expect("the built-in packs are sound");
    for rule in rules() {
        assert!(
            !rule.masks.is_empty() || rule.is_converted(),
            "{} has no example",
            rule.id
        );
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
        for input in rule.keeps.iter().filter(|_| !rule.is_converted()) {
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
fn what_a_rule_has_to_find_is_gone_in_every_form() {
    let redactor = redactor();
    let mut left = Vec::new();
    for rule in rules() {
        for (text, secret) in &rule.finds {
            for (body, _, content) in forms(text, text) {
                let (kept, ..) = redact(&redactor, &body, content);
                if kept.contains(secret) || kept.contains(json(secret).trim_matches('"')) {
                    left.push(format!("{}: {body} became {kept}", rule.id));
                }
            }
        }
    }
    assert!(left.is_empty(), "{} are left:\n{}", left.len(), left.join("\n"));
}

/// So that disabling any one of them makes this fail.
#[test]
fn each_rule_finds_its_secret_by_itself_and_nothing_where_there_is_none() {
    let mut wrong = Vec::new();
    for (rule, pack) in converted() {
        let alone = Redactor::new(Config {
            packs: vec![pack],
            ..Config::default()
        })
        .expect("the built-in packs are sound");
        for (text, secret) in &rule.finds {
            let (kept, _, fired) = redact(&alone, text, Content::Text);
            if kept.contains(secret) || fired != [rule.id.clone()] {
                wrong.push(format!("{}: {text} became {kept}", rule.id));
            }
        }
        for text in &rule.keeps {
            let (kept, outcome, _) = redact(&alone, text, Content::Text);
            if outcome != Outcome::Unchanged {
                wrong.push(format!("{}: {text} became {kept}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn without_any_one_rule_an_example_leaks() {
    let packs = written();
    for rule in rules().into_iter().filter(|rule| !rule.is_converted()) {
        let config = Config {
            packs: packs.clone(),
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

#[test]
fn as_many_formats_are_known_as_is_said() {
    let rules = rules();
    let packs = Pack::built_in();
    let credentials = packs
        .iter()
        .map(|pack| pack.toml.matches("class = \"credential\"").count());
    assert!(credentials.sum::<usize>() >= 470);
    let personal = packs
        .iter()
        .map(|pack| pack.toml.matches("class = \"personal\"").count());
    assert!(personal.sum::<usize>() >= 40);
    assert_eq!(redactor().rule_ids().count(), rules.len());
}
