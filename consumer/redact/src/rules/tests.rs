use super::longest_digits;
use crate::{Config, Pack, Redactor};

fn refused(toml: &str) -> Vec<(usize, String)> {
    let pack = Pack {
        name: "mine".to_owned(),
        toml: toml.to_owned(),
    };
    let error = Redactor::new(Config {
        packs: vec![pack],
        ..Config::default()
    })
    .expect_err("the pack is bad");
    error
        .problems
        .into_iter()
        .map(|problem| (problem.line, problem.message))
        .collect()
}

#[test]
fn the_built_in_packs_compile() {
    let redactor = Redactor::new(Config::default()).expect("the built-in packs are sound");
    assert!(redactor.rule_ids().count() > 20);
}

#[test]
fn every_problem_of_a_pack_is_reported_with_its_line() {
    let problems = refused(
        "[[rule]]\nid = \"a\"\nclass = \"credential\"\ndescription = \"\"\npattern = '('\nkeywords = [\"x\"]\n\
         [[rule]]\nid = \"b\"\nclass = \"personal\"\ndescription = \"\"\npattern = 'x'\nvalidator = \"none\"\n\
         [[rule]]\nid = \"b\"\nclass = \"personal\"\ndescription = \"\"\n",
    );
    let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 7, 12, 13], "{problems:?}");
}

#[test]
fn a_rule_that_fires_on_a_mask_is_refused() {
    let problems = refused(
        "[[rule]]\nid = \"a\"\nclass = \"personal\"\ndescription = \"\"\nkeywords = [\"red\"]\npattern = 'redacted'\n",
    );
    assert!(problems[0].1.contains("replacement"), "{problems:?}");
}

#[test]
fn patterns_that_match_nothing_at_all_and_unknown_fields_are_refused() {
    assert_eq!(
        refused("[[rule]]\nid = \"a\"\nclass = \"personal\"\ndescription = \"\"\nkeywords = [\"x\"]\npattern = 'x*'\n")
            .len(),
        1
    );
    assert_eq!(
        refused("[[rule]]\nid = \"a\"\nclass = \"personal\"\ndescription = \"\"\ncolour = \"red\"\n").len(),
        1
    );
    assert_eq!(refused("rule = 3").len(), 1);
}

#[test]
fn a_disabled_rule_that_does_not_exist_is_refused() {
    let config = Config {
        disabled: ["no-such-rule".to_owned()].into(),
        ..Config::default()
    };
    assert!(Redactor::new(config).is_err());
}

#[test]
fn rows_of_digits_end_at_anything_but_one_separator() {
    for (text, digits) in [
        ("", 0),
        ("12", 2),
        ("1 2-3", 3),
        ("1  2", 1),
        ("12x345", 3),
        ("-12-", 2),
    ] {
        assert_eq!(longest_digits(text.as_bytes()), digits, "{text}");
    }
}
