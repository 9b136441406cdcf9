//! CredSweeper's samples: files with made-up secrets, and what CredSweeper's own tests say is to be found in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use tapedeck_dev::checkout::Checkout;
use tapedeck_dev::folder::Folder;

use super::judge::{Allowed, Counted, Example, Secret, Set};
use super::pinned;
use crate::measure::parts::Errors;

const SAMPLES: Checkout<'_> = Checkout {
    name: "credsweeper",
    address: "https://github.com/Samsung/CredSweeper",
    commit: "1ed2ca5cdd480667b938024464a37589b9af8564",
    trees: &["LICENSE", "tests/samples", "tests/data"],
};
/// Of all that is read.
const SHA256: &str = "c8030453eda9ebbfa5da14bab55c4f72eb1ca29a23aed297a1074840e09419af";
/// What has to be found.
const LABELS: &str = "tests/data/output.json";
/// What less strict settings of CredSweeper find, too: it may be found.
const CANDIDATES: [&str; 3] = [
    "tests/data/no_ml.json",
    "tests/data/no_filters_no_ml.json",
    "tests/data/doc.json",
];
/// What CredSweeper reports that opens nothing: ids, addresses and values that are no secrets.
const OPENS_NOTHING: [&str; 6] = [
    "UUID",
    "AWS S3 Bucket",
    "Firebase Domain",
    "Tencent WeChat API App ID",
    "Nonce",
    "Salt",
];

#[derive(Deserialize)]
struct Finding {
    rule: String,
    line_data_list: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    line: String,
    /// From 1.
    line_num: usize,
    /// As in `./tests/samples/docker`.
    path: String,
    variable: Option<String>,
    value: String,
    /// In characters.
    value_start: i64,
}

/// What its default settings find, and apart from that what opens nothing.
///
/// # Errors
/// When the repository cannot be reached, or its files are not those that are meant.
pub(super) async fn sets(folder: &Folder) -> anyhow::Result<Vec<Set>> {
    let root = SAMPLES.open(folder, &Errors).await?;
    let names: Vec<String> = [LABELS]
        .iter()
        .chain(&CANDIDATES)
        .map(|&name| name.to_owned())
        .collect();
    let mut all = names.clone();
    let mut samples = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("tests/samples"))? {
        samples.insert(format!("tests/samples/{}", entry?.file_name().to_string_lossy()));
    }
    all.extend(samples.iter().cloned());
    let files = pinned(&root, &all, SHA256)?;
    let labels = files
        .iter()
        .take(names.len())
        .map(|bytes| serde_json::from_slice(bytes));
    let mut labels = labels.collect::<Result<Vec<Vec<Finding>>, _>>()?.into_iter();
    let (required, candidates) = (labels.next().unwrap_or_default(), labels.flatten().collect::<Vec<_>>());
    // What is no UTF-8 text is in no frame.
    let texts: BTreeMap<String, String> = all
        .into_iter()
        .zip(files)
        .skip(names.len())
        .filter_map(|(name, bytes)| Some((format!("./{name}"), String::from_utf8(bytes).ok()?)))
        .filter(|(_, text)| !text.contains('\0'))
        .collect();
    Ok(vec![
        set("CredSweeper's samples", &texts, &required, &candidates, false),
        set(
            "CredSweeper's samples: ids, addresses, salts, nonces",
            &texts,
            &required,
            &candidates,
            true,
        ),
    ])
}

fn set(
    name: &str,
    texts: &BTreeMap<String, String>,
    required: &[Finding],
    candidates: &[Finding],
    opens_nothing: bool,
) -> Set {
    let mut examples: BTreeMap<&str, Example> = BTreeMap::new();
    for (path, text) in texts {
        examples.entry(path).or_default().text.clone_from(text);
    }
    for finding in required {
        let places: Vec<_> = finding
            .line_data_list
            .iter()
            .filter_map(|label| label.place(texts))
            .collect();
        let path = finding.line_data_list.first().map(|label| label.path.as_str());
        let (Some(example), false) = (path.and_then(|path| examples.get_mut(path)), places.is_empty()) else {
            continue;
        };
        if OPENS_NOTHING.contains(&finding.rule.as_str()) == opens_nothing {
            example.secrets.push(Secret {
                kind: finding.rule.clone(),
                places,
            });
        } else {
            example
                .also
                .extend(places.into_iter().map(|place| Allowed { place, rules: &[] }));
        }
    }
    for label in candidates.iter().flat_map(|finding| &finding.line_data_list) {
        if let (Some(example), Some(place)) = (examples.get_mut(label.path.as_str()), label.place(texts)) {
            example.also.push(Allowed { place, rules: &[] });
        }
    }
    let mut examples: Vec<_> = examples.into_values().collect();
    if opens_nothing {
        examples.retain(|example| !example.secrets.is_empty());
    }
    Set {
        name: name.to_owned(),
        counted: Counted::Credentials,
        examples,
    }
}

impl Label {
    /// Where its value stands in its file; nowhere, if it is in no text, or came to light only when the file was decoded.
    fn place(&self, texts: &BTreeMap<String, String>) -> Option<Range<usize>> {
        // The kind of a JSON Web Key is no secret.
        if self.value.trim().is_empty() || self.variable.as_deref() == Some("kty") {
            return None;
        }
        let text = texts.get(&self.path)?;
        let (start, line) = line(text, self.line_num)?;
        if line != self.line {
            let found = text.find(&self.value)?;
            return Some(found..found + self.value.len());
        }
        let skipped = line.chars().take(usize::try_from(self.value_start).ok()?);
        let start = start + skipped.map(char::len_utf8).sum::<usize>();
        let place = start..start + self.value.len();
        (text.get(place.clone())? == self.value).then_some(place)
    }
}

/// The line of that number, from 1, and where it begins.
fn line(text: &str, number: usize) -> Option<(usize, &str)> {
    let mut start = 0;
    for (at, line) in text.split('\n').enumerate() {
        if at + 1 == number {
            return Some((start, line.strip_suffix('\r').unwrap_or(line)));
        }
        start += line.len() + 1;
    }
    None
}
