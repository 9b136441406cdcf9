//! `tapedeck find`: text in what was said.

use std::io::Write as _;

use super::api::Api;
use super::arguments::Find;
use super::json;
use super::output::Output;
use crate::moment;
use crate::serve::Hit;
use crate::text::printable;

/// The longest page that the console gives.
const PAGE: u32 = 200;

pub(super) async fn find(api: &Api, what: &Find, out: &mut Output) -> anyhow::Result<()> {
    let mut query = vec![("text", what.text.clone())];
    query.extend(what.session.map(|session| ("session", session.to_string())));
    query.extend(what.target.clone().map(|target| ("target", target)));
    query.extend(what.tool.clone().map(|tool| ("tool", tool)));
    query.extend(what.since.map(|since| ("from", since.written())));
    query.extend(what.until.map(|until| ("to", until.written())));
    let mut hits = 0;
    let show = |hit: Hit| {
        hits += 1;
        match what.json {
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
    api.list("/api/v1/search", query, what.limit, PAGE, show).await?;
    if hits == 0 && !what.json {
        writeln!(out, "Nothing was found.")?;
    }
    Ok(())
}
