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
