//! Secrets of the issuers that the converted packs know: each made from a rule's own example, other characters in the
//! places where the rule's pattern lets any character stand. The pattern alone says what is a secret here; that the engine
//! finds it is what the test is about.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::Context as _;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use tapedeck_redact::Pack;

use super::dice::Dice;
use super::secret::Secret;

/// The packs whose rules come from elsewhere.
const PACKS: [&str; 2] = ["secrets.toml", "issuers.toml"];
/// Other characters that are tried in each place of an example.
const TRIES: usize = 3;
/// Places that may change, at least: fewer could not tell many secrets apart.
const FREE: usize = 6;
/// Attempts at a secret that the pattern, and the entropy that the rule asks for, still fit.
const ATTEMPTS: usize = 200;

/// Rules whose examples are as short as their patterns allow, or shorter than any secret: texts as they are to find.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "gcp-application-default-credentials",
        r#"{"client_id":"1.apps.googleusercontent.com","client_secret":"GO7kQ2vXw9ZpLm3Tn8Rb","refresh_token":"1x0gK8dQ2vXw9ZpLm3Tn8RbYc","type":"authorized_user"}"#,
        r#"1x0gK8dQ2vXw9ZpLm3Tn8RbYc"#,
    ),
    (
        "gcp-service-account",
        r#"{"type":"x","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQ7kQ2vXw9ZpLm3Tn8RbYc","auth_provider_x509_cert_url":"y"}"#,
        "MIIEvQ7kQ2vXw9ZpLm3Tn8RbYc",
    ),
    (
        "np-aws-2",
        "aws_secret_access_key: k9Qm2vXw9ZpLm3Tn8RbYcF4sJ6hGd1KaWu5Ex7Bo",
        "k9Qm2vXw9ZpLm3Tn8RbYcF4sJ6hGd1KaWu5Ex7Bo",
    ),
    (
        "slack-app-token",
        "xapp-1-A4B1C7D3E9F-1284567930127-9c3f1e8a7d5b2046f1a8",
        "xapp-1-A4B1C7D3E9F-1284567930127-9c3f1e8a7d5b2046f1a8",
    ),
    (
        "slack-legacy-token",
        "xoxs-170294836157-3928471605-82940173652-9c3f1e8a7d5b2046",
        "xoxs-170294836157-3928471605-82940173652-9c3f1e8a7d5b2046",
    ),
];

#[derive(Deserialize)]
struct RawPack {
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
struct RawRule {
    id: String,
    pattern: String,
    group: Option<usize>,
    #[serde(default)]
    entropy: f64,
    finds: Vec<(String, String)>,
}

/// A rule, its example, and what may change in it.
#[derive(Debug)]
pub(super) struct Issuer {
    rule: String,
    pattern: Regex,
    group: Option<usize>,
    entropy: f64,
    example: String,
    secret: Range<usize>,
    /// Places of the example, each with the characters that may stand there.
    free: Vec<(usize, Vec<u8>)>,
}

impl Issuer {
    /// One for each rule.
    ///
    /// # Errors
    /// A pack cannot be read, or a rule's example is none, or can hardly be changed.
    pub(super) fn all() -> anyhow::Result<Vec<Self>> {
        let (mut issuers, mut wrong) = (Vec::new(), Vec::new());
        for pack in Pack::built_in()
            .iter()
            .filter(|pack| PACKS.contains(&pack.name.as_str()))
        {
            let raw: RawPack = toml::from_str(&pack.toml).with_context(|| pack.name.clone())?;
            for rule in raw.rule {
                let id = rule.id.clone();
                match Self::of(rule) {
                    Ok(issuer) => issuers.push(issuer),
                    Err(error) => wrong.push(format!("{}: {id}: {error:#}", pack.name)),
                }
            }
        }
        anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(issuers)
    }

    fn of(raw: RawRule) -> anyhow::Result<Self> {
        let ours = EXAMPLES.iter().find(|(rule, ..)| *rule == raw.id);
        let ours = ours.map(|(_, text, secret)| ((*text).to_owned(), (*secret).to_owned()));
        let (example, secret) = ours.or(raw.finds.into_iter().next()).context("it has no example")?;
        let at = example.find(&secret).context("the example does not hold its secret")?;
        let pattern = RegexBuilder::new(&raw.pattern)
            .unicode(false)
            .size_limit(64 << 20)
            .build()?;
        let mut issuer = Self {
            rule: raw.id,
            pattern,
            group: raw.group,
            entropy: raw.entropy,
            secret: at..at + secret.len(),
            example,
            free: Vec::new(),
        };
        anyhow::ensure!(
            issuer.finds(issuer.example.as_bytes()),
            "the pattern does not fit the example"
        );
        issuer.free = issuer.places();
        anyhow::ensure!(
            issuer.free.len() >= FREE,
            "only {} places may change",
            issuer.free.len()
        );
        Ok(issuer)
    }

    /// The rule that finds it.
    pub(super) fn rule(&self) -> &str {
        &self.rule
    }

    /// A new secret.
    pub(super) fn make(&self, dice: &mut Dice) -> Secret {
        for _ in 0..ATTEMPTS {
            let mut bytes = self.example.clone().into_bytes();
            for (place, characters) in &self.free {
                bytes[*place] = *dice.one(characters);
            }
            if self.finds(&bytes)
                && self.is_random(&bytes)
                && let Ok(text) = String::from_utf8(bytes)
            {
                return Secret::Text {
                    text,
                    core: self.secret.clone(),
                };
            }
        }
        panic!("{}: no other secret fits its pattern", self.rule)
    }

    /// Places in which another character of the secret's own, of the same class, may stand: hexadecimal stays that.
    fn places(&self) -> Vec<(usize, Vec<u8>)> {
        let own: BTreeSet<u8> = self.example.as_bytes()[self.secret.clone()].iter().copied().collect();
        let class = |byte: u8| {
            let same = move |other: &&u8| {
                byte.is_ascii_digit() && other.is_ascii_digit()
                    || byte.is_ascii_lowercase() && other.is_ascii_lowercase()
                    || byte.is_ascii_uppercase() && other.is_ascii_uppercase()
            };
            own.iter().filter(same).copied().collect::<Vec<u8>>()
        };
        let mut places = Vec::new();
        for place in self.secret.clone() {
            let byte = self.example.as_bytes()[place];
            let characters = class(byte);
            let others: Vec<u8> = characters.iter().filter(|other| **other != byte).copied().collect();
            let may = |other: &u8| {
                let mut bytes = self.example.clone().into_bytes();
                bytes[place] = *other;
                self.finds(&bytes)
            };
            // From both ends: alphabets that end early show there.
            let tried = others.iter().take(TRIES).chain(others.iter().rev().take(TRIES));
            if !others.is_empty() && tried.into_iter().all(may) {
                places.push((place, characters));
            }
        }
        places
    }

    /// Whether the pattern finds all of the secret where it stands.
    fn finds(&self, text: &[u8]) -> bool {
        self.found(text).is_some()
    }

    fn found(&self, text: &[u8]) -> Option<Range<usize>> {
        let spans = self.pattern.captures_iter(text).filter_map(|captures| {
            let group = match self.group {
                Some(group) => captures.get(group),
                None => captures.iter().skip(1).flatten().next(),
            };
            Some(group.or(captures.get(0))?.range())
        });
        spans
            .into_iter()
            .find(|span| span.start <= self.secret.start && span.end >= self.secret.end)
    }

    /// Whether what the pattern finds has the entropy that the rule asks for.
    fn is_random(&self, text: &[u8]) -> bool {
        self.found(text).is_some_and(|span| bits(&text[span]) >= self.entropy)
    }
}

/// Shannon's entropy, in bits for each byte.
fn bits(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let share = |count: u32| f64::from(count) / bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| -share(*count) * share(*count).log2())
        .sum()
}
