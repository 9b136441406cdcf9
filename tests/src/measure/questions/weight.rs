//! What a browser has to fetch before the first page is there.

use anyhow::ensure;
use reqwest::header::ACCEPT_ENCODING;

use super::stage::Stage;
use crate::measure::Report;

/// KiB.
const PAGE: f64 = 200.0;

pub(super) async fn measure(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let fetch = async |path: &str, coding: &'static str| -> anyhow::Result<Vec<u8>> {
        let request = client.get(format!("{}{path}", stage.url));
        let answer = request.header(ACCEPT_ENCODING, coding).send().await?;
        ensure!(
            answer.status().is_success(),
            "{path} is answered {}: are the pages built?",
            answer.status()
        );
        Ok(answer.bytes().await?.to_vec())
    };
    let page = String::from_utf8(fetch("/", "identity").await?)?;
    let mut weight = fetch("/", "br").await?.len();
    let links = page
        .split('"')
        .filter(|text| text.starts_with("/assets/") || text.ends_with(".svg"));
    let mut files = 0;
    for link in links {
        weight += fetch(link, "br").await?.len();
        files += 1;
    }
    ensure!(files > 1, "the page names no script and no style: {page}");
    let weight = weight as f64 / 1024.0;
    report.add_bounded("first page, compressed", "all files", weight, "KiB", Some(PAGE));
    Ok(())
}
