use crate::{Config, Context, Pack, Redactor};

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
        "[[rule]]\nid = \"a\"\nclass = \"credential\"\ndescription = \"\"\npattern = '('\nkeywords = [\"xyz\"]\n\
         [[rule]]\nid = \"b\"\nclass = \"personal\"\ndescription = \"\"\npattern = 'x'\nvalidator = \"none\"\n\
         [[rule]]\nid = \"b\"\nclass = \"personal\"\ndescription = \"\"\n",
    );
    let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 7, 12, 13], "{problems:?}");
}

#[test]
fn a_rule_that_would_fire_on_a_mask_leaves_it_alone() {
    let pack = Pack {
        name: "mine".to_owned(),
        toml: "[[rule]]\nid = \"a\"\nclass = \"personal\"\ndescription = \"\"\nkeywords = [\"red\"]\npattern = 'red[a-z]*'\n"
            .to_owned(),
    };
    let redactor = Redactor::new(Config {
        packs: vec![pack],
        ..Config::default()
    })
    .expect("the pack is sound");
    let redacted = redactor.redact(
        "[\"reddish ‹redacted:a› ‹redacted:b›\"]".as_bytes(),
        &Context::default(),
    );
    assert_eq!(
        redacted.body(),
        Some("[\"‹redacted:a› ‹redacted:a› ‹‹redacted:a›:b›\"]".as_bytes())
    );
}

#[test]
fn patterns_that_match_nothing_at_all_and_unknown_fields_are_refused() {
    assert_eq!(
        refused(
            "[[rule]]\nid = \"a\"\nclass = \"personal\"\ndescription = \"\"\nkeywords = [\"xyz\"]\npattern = 'x*'\n"
        )
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
