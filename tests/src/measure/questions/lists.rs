//! Lists and counts by all that sessions can be found by, one question after the other.

use jiff::Timestamp;

use super::answered::{Person, Times, value};
use super::stage::{Drawn, Stage};
use crate::measure::parts::note;
use crate::measure::{Extent, Report};

/// Milliseconds for the questions of one page.
const LIST: f64 = 30.0;
/// Milliseconds for a count that is capped.
const COUNT: f64 = 20.0;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// What is asked before what counts: connections are opened, and files are in memory as they are where people work.
const WARMING_UP: usize = 5;

/// What is asked for, of a session and another one that has nothing to do with it.
struct Kind {
    name: &'static str,
    filter: fn(&Drawn, &Drawn) -> String,
}

const fn kind(name: &'static str, filter: fn(&Drawn, &Drawn) -> String) -> Kind {
    Kind { name, filter }
}

/// Each, and all their combinations.
const KINDS: [Kind; 16] = [
    kind("newest", |_, _| String::new()),
    kind("a day", |one, _| day(one)),
    kind("user", |one, _| user(one)),
    kind("target", |one, _| target(one)),
    kind("tool", |one, _| tool(one)),
    kind("user, target", |one, _| user(one) + &target(one)),
    kind("user, tool", |one, _| user(one) + &tool(one)),
    kind("target, tool", |one, _| target(one) + &tool(one)),
    kind("user, target, tool", |one, _| user(one) + &target(one) + &tool(one)),
    kind("user, a day", |one, _| user(one) + &day(one)),
    kind("target, a day", |one, _| target(one) + &day(one)),
    kind("tool, a day", |one, _| tool(one) + &day(one)),
    kind("user, target, a day", |one, _| user(one) + &target(one) + &day(one)),
    kind("user, tool, a day", |one, _| user(one) + &tool(one) + &day(one)),
    kind("target, tool, a day", |one, _| target(one) + &tool(one) + &day(one)),
    kind("user, target, tool, a day", |one, _| {
        user(one) + &target(one) + &tool(one) + &day(one)
    }),
];

/// What has nothing to do with each other mostly finds nothing, or little after a long look.
const APART: [Kind; 3] = [
    kind("user, tool, chosen apart", |one, other| user(one) + &tool(other)),
    kind("target, tool, chosen apart", |one, other| target(one) + &tool(other)),
    kind("user, target, chosen apart", |one, other| user(one) + &target(other)),
];

pub(super) async fn measure(stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let administrator = stage.administrator();
    for kind in &KINDS {
        note(&format!("lists: {}", kind.name));
        let times = ask(stage, administrator, kind, "/sessions?limit=50", extent).await?;
        times.report(&format!("list: {}", kind.name), Some(LIST), report)?;
    }
    for kind in &APART {
        let times = ask(stage, administrator, kind, "/sessions?limit=50", extent).await?;
        times.report(&format!("list: {}", kind.name), None, report)?;
    }
    for kind in KINDS.iter().take(9) {
        note(&format!("lists of an auditor: {}", kind.name));
        let times = ask(stage, stage.auditor(), kind, "/sessions?limit=50", extent).await?;
        times.report(&format!("list of one tenant: {}", kind.name), Some(LIST), report)?;
    }
    for kind in &KINDS {
        note(&format!("counts: {}", kind.name));
        let times = ask(stage, administrator, kind, "/sessions/count?", extent).await?;
        times.report(&format!("count: {}", kind.name), Some(COUNT), report)?;
    }
    Ok(())
}

async fn ask(stage: &Stage, person: &Person, kind: &Kind, path: &str, extent: Extent) -> anyhow::Result<Times> {
    let mut times = Times::default();
    let drawn = &stage.drawn;
    for number in 0..WARMING_UP + extent.questions {
        let (one, other) = (&drawn[number % drawn.len()], &drawn[(number * 7 + 3) % drawn.len()]);
        let answered = person.ask(&format!("{path}{}", (kind.filter)(one, other))).await?;
        if number >= WARMING_UP {
            times.add(answered.questions);
        }
    }
    Ok(times)
}

pub(super) fn user(drawn: &Drawn) -> String {
    format!("&user={}", value(&drawn.user))
}

pub(super) fn target(drawn: &Drawn) -> String {
    format!("&target={}", value(&drawn.target))
}

pub(super) fn tool(drawn: &Drawn) -> String {
    format!("&tool={}", value(&drawn.tool))
}

pub(super) fn day(drawn: &Drawn) -> String {
    between(drawn.day, drawn.day + DAY)
}

/// Sessions that began from one time until before another, milliseconds since 1970.
pub(super) fn between(from: i64, to: i64) -> String {
    let moment = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    format!("&from={}&to={}", moment(from), moment(to))
}
