//! No rule is there for nothing: without any one of them, some example of its own comes out otherwise, and a test says so.

use std::collections::BTreeMap;

use serde::Deserialize;
use tapedeck_redact::{Config, Content, Context, Pack, Policy, Redactor};

#[derive(Deserialize)]
struct Examples {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    pattern: Option<String>,
    #[serde(default)]
    masks: Vec<(String, String)>,
    #[serde(default)]
    finds: Vec<(String, String)>,
}

fn rules(pack: &Pack) -> Vec<Rule> {
    toml::from_str::<Examples>(&pack.toml).expect("a pack is TOML").rule
}

/// A pack, and for each of its rules a target for which it is off: one engine stands for as many as there are rules.
fn redactor(pack: &Pack) -> Redactor {
    let without = |id: &str| Policy {
        targets: vec![id.to_owned()],
        disable: vec![id.to_owned()],
        ..Policy::default()
    };
    Redactor::new(Config {
        packs: vec![pack.clone()],
        policies: rules(pack).iter().map(|rule| without(&rule.id)).collect(),
        ..Config::default()
    })
    .expect("the built-in packs are sound")
}

/// What becomes of an example, and the rules that did it.
fn redact(redactor: &Redactor, rule: &Rule, text: &str, target: &str) -> (String, Vec<String>) {
    let content = match rule.pattern {
        Some(_) => Content::Text,
        None => Content::Json,
    };
    let context = Context {
        target,
        content,
        ..Context::default()
    };
    let redacted = redactor.redact(text.as_bytes(), &context);
    let body = redacted.body().expect("an example is not dropped").to_vec();
    let fired = redacted.findings().iter().map(|finding| finding.rule.to_string());
    (String::from_utf8(body).expect("output is UTF-8"), fired.collect())
}

#[test]
fn in_its_pack_each_rule_finds_an_example_of_its_own_that_comes_out_otherwise_without_it() {
    let mut needless = Vec::new();
    for pack in Pack::built_in() {
        let redactor = redactor(&pack);
        for rule in rules(&pack) {
            let examples = rule.masks.iter().chain(&rule.finds).map(|(text, _)| text);
            let is_needed = examples.into_iter().any(|text| {
                let (with, fired) = redact(&redactor, &rule, text, "");
                let (without, still) = redact(&redactor, &rule, text, &rule.id);
                assert!(!still.contains(&rule.id), "{} is off", rule.id);
                fired.contains(&rule.id) && with != without
            });
            if !is_needed {
                needless.push(format!("{}: {}", pack.name, rule.id));
            }
        }
    }
    assert!(
        needless.is_empty(),
        "{} rules:\n{}",
        needless.len(),
        needless.join("\n")
    );
}

/// A rule that is taken out of its pack takes its examples along; the number that is said of the pack stays.
#[test]
fn each_pack_has_as_many_rules_as_is_said_of_it() {
    let said: BTreeMap<&str, usize> = include_str!("../README.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name, cells.next()?.parse().ok()?))
        })
        .filter(|(name, _)| name.ends_with(".toml"))
        .collect();
    let packs = Pack::built_in();
    assert_eq!(said.len(), packs.len());
    for pack in packs {
        assert_eq!(said.get(pack.name.as_str()), Some(&rules(&pack).len()), "{}", pack.name);
    }
}
