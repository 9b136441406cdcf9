//! Configurations that are refused, and what is said of each mistake.

use super::{actions, with_pack};
use tapedeck_redact::{Action, Config, ConfigError, Policy, Redactor};

/// Every mistake that is named.
pub(super) fn messages(config: Config) -> Vec<String> {
    let error: ConfigError = Redactor::new(config).expect_err("it is refused");
    error.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn policies_that_name_no_rule_or_need_a_key_are_all_refused() {
    let policy = Policy {
        enable: vec!["no-such-rule".to_owned()],
        actions: actions(&[("card", Action::Token)]),
        ..Policy::default()
    };
    let config = Config {
        policies: vec![Policy::default(), policy],
        ..Config::default()
    };
    let messages = messages(config);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages.iter().all(|message| message.starts_with("policies:2: ")),
        "{messages:?}"
    );
}

#[test]
fn bad_packs_are_refused_with_every_error_and_its_line() {
    let messages = messages(with_pack(
        "[[rule]]\nid = \"a\"\nclass = \"credential\"\ndescription = \"\"\npaths = [\n  \"$.a[?@.b]\",\n  \"a\",\n]\n\
         [[rule]]\nid = \"b\"\nclass = \"credential\"\ndescription = \"\"\nkeys = [\"x\"]\naction = \"partial\"\nkind = \"B\"\n",
    ));
    let lines: Vec<&str> = messages
        .iter()
        .map(|message| message.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(
        lines,
        ["mine.toml:6:", "mine.toml:7:", "mine.toml:9:", "mine.toml:9:"],
        "{messages:?}"
    );
}
