//! presidio-evaluator's sentences: those that it ships, filled in by its authors, and its templates filled in anew with values of
//! Faker and its own lists.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tapedeck_dev::fetch;
use tapedeck_dev::folder::Folder;

use super::judge::{Allowed, Counted, Example, Secret, Set};
use super::pinned;
use crate::measure::parts::Errors;

/// Where Faker is pinned, in `deploy/dev`.
const RECIPE: &str = "accuracy";
const SOURCE: &str = "presidio_evaluator==0.3.2";
const TREES: [&str; 4] = ["LICENSE", "NOTICE", "data", "presidio_evaluator/data_generator"];
const SENTENCES: &str = "data/synth_dataset_v2.json";
/// What `templates.py` reads.
const TEMPLATES: [&str; 4] = [
    "presidio_evaluator/data_generator/raw_data/templates.txt",
    "presidio_evaluator/data_generator/raw_data/FakeNameGenerator.com_3000.csv",
    "presidio_evaluator/data_generator/faker_extensions/providers.py",
    "presidio_evaluator/data_generator/presidio_sentence_faker.py",
];
/// Of all that is read.
const SHA256: &str = "a8566de3993cdbf76c132d658153f2ebf5f81b5a55fc606b4bafa2f147b699c9";
/// What has a structure: names, places and organizations are for rules about keys and paths.
const STRUCTURED: [&str; 6] = [
    "CREDIT_CARD",
    "PHONE_NUMBER",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "US_SSN",
    "IP_ADDRESS",
];

#[derive(Deserialize)]
struct Sentence {
    full_text: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    entity_type: String,
    entity_value: String,
    /// In characters.
    start_position: usize,
}

/// Its sentences, its templates filled in anew, and each structured kind of both.
///
/// # Errors
/// When the package cannot be fetched or is not the one that is meant, or the templates cannot be filled in.
pub(super) async fn sets(folder: &Folder) -> anyhow::Result<Vec<Set>> {
    let root = fetch::python(folder, RECIPE, SOURCE, &TREES, &Errors).await?;
    let names: Vec<String> = [SENTENCES]
        .iter()
        .chain(&TEMPLATES)
        .map(|&name| name.to_owned())
        .collect();
    let files = pinned(&root, &names, SHA256)?;
    let shipped: Vec<Sentence> = serde_json::from_slice(&files[0]).context(SENTENCES)?;
    let anew = fill_in(&root)?;
    let set = |name: &str, sentences: &[Sentence], kind: Option<&str>| Set {
        name: name.to_owned(),
        counted: Counted::All,
        examples: sentences.iter().map(|sentence| sentence.example(kind)).collect(),
    };
    let mut sets = vec![
        set("presidio-evaluator's sentences", &shipped, None),
        set("presidio-evaluator's templates, filled in anew", &anew, None),
    ];
    for kind in STRUCTURED {
        let both = shipped.iter().chain(&anew);
        let examples = both.map(|sentence| sentence.example(Some(kind)));
        sets.push(Set {
            name: format!("of both: {kind}"),
            counted: Counted::All,
            examples: examples.filter(|example| !example.secrets.is_empty()).collect(),
        });
    }
    Ok(sets)
}

/// Runs the script that stands beside the kept sets.
fn fill_in(root: &Path) -> anyhow::Result<Vec<Sentence>> {
    let output = Command::new("python3")
        .arg(super::redact().join("accuracy/templates.py"))
        .arg(root)
        .env("PYTHONPATH", root.join("lib"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONHASHSEED", "0")
        .stderr(Stdio::inherit())
        .output()
        .context("python3 does not run")?;
    ensure!(output.status.success(), "templates.py failed: {}", output.status);
    let lines = std::str::from_utf8(&output.stdout)?.lines();
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

impl Sentence {
    /// What has to go is of a structured kind, or of that one kind.
    fn example(&self, kind: Option<&str>) -> Example {
        let mut example = Example {
            text: self.full_text.clone(),
            ..Example::default()
        };
        for span in &self.spans {
            let skipped = self.full_text.chars().take(span.start_position);
            let start = skipped.map(char::len_utf8).sum::<usize>();
            let place = start..start + span.entity_value.len();
            let name = span.entity_type.as_str();
            if kind.map_or(STRUCTURED.contains(&name), |kind| kind == name) {
                example.secrets.push(Secret {
                    kind: name.to_owned(),
                    places: vec![place],
                });
                continue;
            }
            let rules: &[&str] = match name {
                "DATE_TIME" => &["birth-date"],
                "US_DRIVER_LICENSE" => &["drivers-licence"],
                // Right, and counted in a row of its own.
                _ if STRUCTURED.contains(&name) => &[],
                // What is found there was taken for something else.
                _ => continue,
            };
            example.also.push(Allowed { place, rules });
        }
        example
    }
}
