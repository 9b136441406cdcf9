use std::fs;

use tapedeck_redact::{Content, Context, Redactor};

use super::*;

const BADGE: &str = "[[rule]]\nid = \"badge\"\nclass = \"personal\"\ndescription = \"A badge.\"\nkeywords = [\"badge\"]\n\
                     pattern = 'badge ([0-9]{5})'\n";

fn masks(redactor: &Redactor, text: &str) -> bool {
    let context = Context {
        content: Content::Text,
        ..Context::default()
    };
    redactor.redact(text.as_bytes(), &context).body() != Some(text.as_bytes())
}

#[test]
fn a_sound_change_is_taken_over_and_a_wrong_one_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    fs::write(&path, BADGE).expect("written");
    let settings = Redaction {
        packs: vec![path.clone()],
        ..Redaction::default()
    };
    let (rules, mut reload) = load(settings).expect("the pack is sound");
    let metrics = Metrics::default();
    assert!(masks(&rules.current().redactor, "badge 12345") && !masks(&rules.current().redactor, "seal 12345"));
    assert!(!reload.look(&metrics), "nothing has changed");

    fs::write(&path, BADGE.replace("pattern = 'badge", "pattern = 'badge(")).expect("written");
    assert!(!reload.look(&metrics));
    assert!(
        masks(&rules.current().redactor, "badge 12345"),
        "the rules before stay in use"
    );
    assert_eq!((metrics.rules_refused.get(), metrics.rules_changed.get()), (1, 0));

    fs::write(&path, BADGE.replace("badge", "seal")).expect("written");
    assert!(reload.look(&metrics));
    assert!(!masks(&rules.current().redactor, "badge 12345") && masks(&rules.current().redactor, "seal 12345"));

    fs::remove_file(&path).expect("removed");
    assert!(!reload.look(&metrics));
    assert!(masks(&rules.current().redactor, "seal 12345"));
    assert_eq!((metrics.rules_refused.get(), metrics.rules_changed.get()), (2, 1));
}

#[test]
fn wrong_packs_are_refused_at_the_start_with_their_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    fs::write(&path, format!("{BADGE}{BADGE}")).expect("written");
    let error = load(Redaction {
        packs: vec![path.clone()],
        ..Redaction::default()
    })
    .expect_err("a rule is there twice");
    assert!(
        error
            .to_string()
            .contains(&format!("{}:7: rule \"badge\" is defined twice", path.display())),
        "{error}"
    );
}

#[test]
fn packs_that_are_tried_mask_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    fs::write(&path, BADGE).expect("written");
    let (rules, _) = load(Redaction {
        tried: vec![path],
        ..Redaction::default()
    })
    .expect("the pack is sound");
    let live = rules.current();
    assert!(!masks(&live.redactor, "badge 12345"));
    assert!(masks(&live.tried.expect("there is one"), "badge 12345"));
}
