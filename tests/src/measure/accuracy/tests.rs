use std::{fs, iter};

use super::judge::{Allowed, Counted, Example, Judge, Secret, Set};
use super::tables::{Section, kept_tables};
use super::tally::{Tally, at_least, at_most};

/// Of what has to go, at least this much does.
const RECALL: f64 = 0.98;
/// Of the texts that hold nothing, no more than this are changed.
const FALSE_POSITIVES: f64 = 0.01;
/// Of 10,000 clean frames, no more than this are changed.
const FALSE_MASKS: usize = 1;
/// Personal data with a structure.
const PERSONAL_RECALL: f64 = 0.995;
const PERSONAL_PRECISION: f64 = 0.99;

fn readme() -> String {
    fs::read_to_string(super::readme()).expect("the engine has a README")
}

#[test]
fn the_readme_says_how_the_sets_that_are_kept_are_told_apart() {
    let judge = Judge::new().expect("the built-in packs are sound");
    let scored = kept_tables(&judge).expect("the sets are kept");
    let reports = scored.reports.join("\n");
    let of_authors = &scored.tallies[..2];
    for (name, tally) in of_authors {
        assert!(tally.secrets > 300 && tally.harmless > 50, "{name}: {tally:?}");
        assert_eq!(tally.dropped, 0, "{name}");
        assert!(tally.recall() >= RECALL, "{name}: {tally:?}\n{reports}");
    }
    let sum = |of: fn(&Tally) -> usize| of_authors.iter().map(|(_, tally)| of(tally)).sum::<usize>() as f64;
    let (changed, harmless) = (sum(|tally| tally.changed_by_converted), sum(|tally| tally.harmless));
    assert!(
        changed <= FALSE_POSITIVES * harmless,
        "{changed} of {harmless}\n{reports}"
    );
    let (frames, changed) = scored.frames;
    assert!(
        frames >= 10_000 && changed <= FALSE_MASKS * frames / 10_000,
        "{changed}\n{reports}"
    );
    let readme = readme();
    let written = Section::Kept.read(&readme).expect("the README has the tables");
    assert_eq!(
        written, scored.markdown,
        "cargo measure accuracy --kept --write\n{reports}"
    );
}

/// What is fetched is measured by people; what they have written down is held against the goals.
#[test]
fn the_readme_says_that_structured_personal_data_is_told_apart() {
    let readme = readme();
    let table = Section::Fetched.read(&readme).expect("the README has the tables");
    let rows: Vec<_> = table
        .lines()
        .filter(|row| row.starts_with("| presidio-evaluator's"))
        .collect();
    assert_eq!(rows.len(), 2, "{table}");
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let share = |at: usize| cells[at].parse::<f64>().expect("a share");
        assert!(share(3) >= PERSONAL_RECALL && share(6) >= PERSONAL_PRECISION, "{row}");
    }
}

/// A card that has to go, a mail address that may, and a social security number that nobody labelled.
fn example() -> Example {
    let text = "pay 4111111111111111, bob@example.com or 219-09-9999".to_owned();
    Example {
        secrets: vec![Secret {
            kind: "card".to_owned(),
            places: iter::once(4..20).collect(),
        }],
        also: vec![Allowed {
            place: 22..37,
            rules: &["email"],
        }],
        text,
    }
}

fn tried(example: Example, counted: Counted) -> (Tally, Vec<String>) {
    let set = Set {
        name: "mine".to_owned(),
        counted,
        examples: vec![example],
    };
    let mut reports = Vec::new();
    let judge = Judge::new().expect("the built-in packs are sound");
    let tally = judge.score(&set, |report| reports.push(report));
    (tally, reports)
}

#[test]
fn what_was_found_and_what_went_without_need_is_counted() {
    let (tally, reports) = tried(example(), Counted::All);
    let expected = Tally {
        secrets: 1,
        found: 1,
        whole: 1,
        marks: 2,
        beside: 1,
        ..Tally::default()
    };
    assert_eq!(tally, expected);
    assert_eq!(reports.len(), 1);
    assert!(reports[0].starts_with("false: us-ssn: \"219-09-9999\""), "{reports:?}");
}

#[test]
fn what_is_allowed_to_one_rule_is_false_for_another() {
    let mut example = example();
    example.also[0].rules = &["birth-date"];
    assert_eq!(tried(example, Counted::All).0.beside, 2);
}

#[test]
fn where_credentials_are_labelled_other_rules_cannot_be_wrong() {
    let (tally, _) = tried(example(), Counted::Credentials);
    assert_eq!((tally.found, tally.marks, tally.beside), (1, 0, 0));
}

#[test]
fn what_is_left_in_part_is_found_but_not_whole() {
    let mut example = example();
    example.secrets[0].places = iter::once(0..20).collect();
    let (tally, reports) = tried(example, Counted::All);
    assert_eq!((tally.found, tally.whole), (1, 0));
    assert!(reports[0].starts_with("partly left"), "{reports:?}");
}

#[test]
fn what_is_left_is_neither_found_nor_whole() {
    let mut example = example();
    example.secrets[0].places.push(0..3);
    let (tally, _) = tried(example, Counted::All);
    assert_eq!((tally.secrets, tally.found, tally.whole), (1, 0, 0));
}

#[test]
fn harmless_texts_that_are_changed_are_counted_once() {
    let mut example = example();
    example.secrets.clear();
    let (tally, _) = tried(example, Counted::All);
    assert_eq!((tally.harmless, tally.changed, tally.beside), (1, 1, 2));
}

#[test]
fn shares_are_never_rounded_to_something_better() {
    assert_eq!(at_least(9_999, 10_000), "0.999");
    assert_eq!(at_least(3, 3), "1.000");
    assert_eq!(at_most(1, 10_000), "0.001");
    assert_eq!(at_most(0, 3), "0.000");
    assert_eq!((at_least(0, 0), at_most(0, 0)), ("–".to_owned(), "–".to_owned()));
}

#[test]
fn only_what_stands_between_the_comments_is_written() {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    let text = "a\n<!-- accuracy: kept -->\nold\n<!-- /accuracy: kept -->\nb\n";
    fs::write(file.path(), text).expect("a file can be written");
    Section::Kept
        .write(file.path(), "| new |\n")
        .expect("the comments are there");
    let written = fs::read_to_string(file.path()).expect("a file can be read");
    assert_eq!(
        written,
        "a\n<!-- accuracy: kept -->\n| new |\n<!-- /accuracy: kept -->\nb\n"
    );
    assert!(Section::Fetched.write(file.path(), "").is_err());
}
