//! `tapedeck replay SESSION --against URL`: the recorded requests once more, and how the answers differ.

mod client;
mod difference;

use std::io::{self, Write as _};
use std::process::ExitCode;

use url::Url;

use super::api::Api;
use super::arguments::Replay;
use super::failure::Failure;
use super::masks::Message;
use super::messages::{Exchange, exchanges};
use crate::text::{printable, shortened};
use client::Client;
use difference::differences;

/// Characters of a value that are shown.
const SHOWN: usize = 120;

pub(super) async fn run(api: &Api, what: &Replay, url: &Url) -> anyhow::Result<ExitCode> {
    let token = match &what.token_env {
        None => None,
        Some(name) => match std::env::var(name) {
            Ok(token) => Some(token),
            Err(_) => return Err(Failure::Usage(format!("the environment variable {name} is not set")).into()),
        },
    };
    let frames = api.all_frames(what.session).await?;
    let exchanges = exchanges(&frames);
    // All masks are looked at before anything is sent: half a session would leave the server in a state of its own.
    let mut requests = Vec::new();
    for exchange in &exchanges {
        match what.fill.message(exchange.request, &exchange.text)? {
            Message::Whole(text) => requests.push((exchange, Some(text))),
            Message::Skipped => requests.push((exchange, None)),
        }
    }
    let mut client = Client::new(url.clone(), token)?;
    let (mut same, mut different, mut skipped) = (0, 0, 0);
    let mut out = io::stdout().lock();
    for (exchange, text) in requests {
        let Some(text) = text else {
            skipped += 1;
            writeln!(out, "- {} is left out: it holds masked values", title(exchange))?;
            continue;
        };
        let answers = client.send(&text).await?;
        let Some(id) = exchange.id() else { continue };
        let recorded = exchange.answer();
        let now = answers.into_iter().find(|message| message["id"] == id);
        let found = match (recorded, &now) {
            (Some(recorded), Some(now)) => differences(&recorded, now, &what.ignore),
            (None, None) => Vec::new(),
            (Some(_), None) => vec!["it was answered, and is not any more".to_owned()],
            (None, Some(_)) => vec!["no answer is on record, and there is one now".to_owned()],
        };
        match found.is_empty() {
            true => {
                same += 1;
                writeln!(out, "= {}", title(exchange))?;
            }
            false => {
                different += 1;
                writeln!(out, "≠ {}", title(exchange))?;
                for line in found {
                    writeln!(out, "    {}", shortened(&printable(&line), 2 * SHOWN))?;
                }
            }
        }
        out.flush()?;
    }
    writeln!(
        out,
        "\n{same} answers are the same, {different} differ, {skipped} requests were left out."
    )?;
    match different {
        0 => Ok(ExitCode::SUCCESS),
        _ => Err(Failure::Differs(format!("{different} answers differ from the recording")).into()),
    }
}

fn title(exchange: &Exchange<'_>) -> String {
    let request = exchange.request;
    format!(
        "{:>4} {} {} {}",
        request.session_seq,
        printable(&request.rpc_method),
        printable(&request.rpc_name),
        printable(&request.rpc_id)
    )
}
