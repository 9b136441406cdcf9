//! Asking the API, and what it says of its own time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use tapedeck_dev::identity::AccessToken;

use crate::measure::Report;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Somebody who has signed in, with connections of their own.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// `http://127.0.0.1:PORT` of the console.
    url: String,
    token: AccessToken,
    client: reqwest::Client,
}

/// An answer, and what was waited for, in milliseconds.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) body: Value,
    /// From the first byte that was asked to the last that was answered.
    pub(super) whole: f64,
    /// What ClickHouse took, as the console has it.
    pub(super) questions: f64,
    /// What the row of the access log took.
    pub(super) access: f64,
}

impl Person {
    pub(super) fn new(url: &str, token: AccessToken) -> anyhow::Result<Self> {
        Ok(Self {
            url: url.to_owned(),
            token,
            client: reqwest::Client::builder().timeout(PATIENCE).build()?,
        })
    }

    /// The answer to `GET /api/v1…`, which has to be a good one.
    pub(super) async fn ask(&self, path: &str) -> anyhow::Result<Answered> {
        let begun = Instant::now();
        let answer = self.begin(path).await?;
        let headers = answer.headers().clone();
        let body = answer.bytes().await?;
        let whole = begun.elapsed().as_secs_f64() * 1e3;
        Ok(Answered {
            body: serde_json::from_slice(&body).with_context(|| path.to_owned())?,
            whole,
            questions: spent(&headers, "questions")?,
            access: spent(&headers, "access")?,
        })
    }

    /// An answer whose body is still to come.
    pub(super) async fn begin(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = self.client.get(format!("{}/api/v1{path}", self.url));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token.as_str()));
        let answer = request.send().await?;
        let status = answer.status();
        if !status.is_success() {
            let said = answer.text().await.unwrap_or_default();
            anyhow::bail!("{path} is answered {status}: {said}");
        }
        Ok(answer)
    }
}

/// The milliseconds that `Server-Timing` has under a name.
fn spent(headers: &HeaderMap, name: &str) -> anyhow::Result<f64> {
    let field = headers.get("server-timing").and_then(|field| field.to_str().ok());
    let field = field.context("an answer does not say what it waited for")?;
    let mut entries = field.split(", ").filter_map(|entry| entry.split_once(";dur="));
    let (_, spent) = entries.find(|(of, _)| *of == name).context(name.to_owned())?;
    Ok(spent.parse()?)
}

/// Times in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn add(&mut self, milliseconds: f64) {
        self.0.push(milliseconds);
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Puts half and 95 of 100 of them into the report; the latter should be no more than `goal`.
    pub(super) fn report(mut self, measure: &str, goal: Option<f64>, report: &mut Report) -> anyhow::Result<()> {
        ensure!(!self.0.is_empty(), "{measure}: nothing was asked");
        self.0.sort_by(f64::total_cmp);
        let at = |share: f64| self.0[((self.0.len() as f64 * share) as usize).min(self.0.len() - 1)];
        report.add(measure, "p50", at(0.5), "ms");
        report.add_bounded(measure, "p95", at(0.95), "ms", goal);
        Ok(())
    }
}

/// A text as the value of a query parameter (RFC 3986, section 2.1).
pub(super) fn value(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_of_a_hundred_counts() {
        let times = Times((1..=100).rev().map(f64::from).collect());
        let mut report = Report::default();
        times.report("list", Some(95.0), &mut report).expect("there are times");
        let values: Vec<_> = report.rows.iter().map(|row| (row.value, row.met)).collect();
        assert_eq!(values, [(51.0, None), (96.0, Some(false))]);
        assert!(Times::default().report("list", None, &mut report).is_err());
    }

    #[test]
    fn an_answer_says_what_it_waited_for() {
        let mut headers = HeaderMap::new();
        assert!(spent(&headers, "access").is_err());
        headers.insert(
            "server-timing",
            "questions;dur=12.345, access;dur=3.000".parse().expect("a field"),
        );
        assert_eq!(spent(&headers, "questions").expect("it is there"), 12.345);
        assert_eq!(spent(&headers, "access").expect("it is there"), 3.0);
        assert!(spent(&headers, "else").is_err());
    }
}
