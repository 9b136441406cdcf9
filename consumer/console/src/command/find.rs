//! `tapedeck find`: text in what was said, and values that are no longer there.

use std::io::{BufRead as _, Write as _};

use serde_json::{Map, Value};

use super::api::Api;
use super::arguments::Find;
use super::json;
use super::output::Output;
use crate::moment;
use crate::serve::{Hit, Holder};
use crate::text::printable;

/// The longest page that the console gives.
const PAGE: u32 = 200;

pub(super) async fn find(api: &Api, what: &Find, out: &mut Output) -> anyhow::Result<()> {
    if let Some(value) = &what.value {
        return find_value(api, what, value, out).await;
    }
    let mut query = vec![("text", what.text.clone().unwrap_or_default())];
    query.extend(what.session.map(|session| ("session", session.to_string())));
    query.extend(what.narrow.query());
    let mut hits = 0;
    let show = |hit: Hit| {
        hits += 1;
        match what.shown.json {
            true => json::line(&hit, out),
            false => Ok(writeln!(
                out,
                "{}  {:>5}  {}  {} {} {}\n    {}",
                hit.session_id,
                hit.session_seq,
                moment::display(hit.time.microseconds()),
                printable(&hit.target),
                printable(&hit.method),
                printable(&hit.name),
                printable(&hit.excerpt),
            )?),
        }
    };
    api.list("/api/v1/search", query, what.shown.limit, PAGE, show).await?;
    if hits == 0 && !what.shown.json {
        writeln!(out, "Nothing was found.")?;
    }
    Ok(())
}

/// Sessions that held a value, the latest first. It is sent in the body of a question, so that no address holds it.
async fn find_value(api: &Api, what: &Find, value: &str, out: &mut Output) -> anyhow::Result<()> {
    let mut question = Map::new();
    question.insert("value".to_owned(), given(value)?.into());
    let texts = [
        ("tenant", what.tenant.clone()),
        ("target", what.narrow.target.clone()),
        ("from", what.narrow.since.map(|since| since.written())),
        ("to", what.narrow.until.map(|until| until.written())),
    ];
    for (name, text) in texts {
        question.extend(text.map(|text| (name.to_owned(), Value::from(text))));
    }
    let mut sessions = 0;
    let show = |holder: Holder| {
        sessions += 1;
        match what.shown.json {
            true => json::line(&holder, out),
            false => Ok(writeln!(
                out,
                "{}  {}  {} {} {}  {} in {}",
                holder.session_id,
                moment::display(holder.latest.microseconds()),
                printable(&holder.tenant),
                printable(&holder.target),
                printable(&holder.subject),
                printable(&holder.kinds.join(", ")),
                match holder.frames {
                    1 => "1 frame".to_owned(),
                    frames => format!("{frames} frames"),
                },
            )?),
        }
    };
    api.list_asked("/api/v1/values", question, what.shown.limit, PAGE, show)
        .await?;
    if sessions == 0 && !what.shown.json {
        writeln!(out, "Nothing was found.")?;
    }
    Ok(())
}

/// The value itself, or a line of standard input.
fn given(value: &str) -> anyhow::Result<String> {
    if value != "-" {
        return Ok(value.to_owned());
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
