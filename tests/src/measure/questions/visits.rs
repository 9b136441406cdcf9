//! Twenty people who look around in lists of sessions, each with a second to think.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::answered::{Person, Times};
use super::lists::{between, day, target, tool, user};
use super::stage::{Drawn, Stage};
use crate::measure::{Extent, Report};

/// Milliseconds for a page, its row of the access log included.
const PAGE: f64 = 60.0;
/// Milliseconds for that row.
const ACCESS: f64 = 20.0;
/// How long people think before they ask again.
const THINK: Duration = Duration::from_secs(1);
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Times that what the page shows beside the list is asked for.
const CHARTS: usize = 10;

/// Times of one person's pages.
#[derive(Default)]
struct Visit {
    pages: Times,
    access: Times,
}

pub(super) async fn measure(stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let last = stage.archive.first_day + i64::from(stage.archive.days) * DAY;
    let mut visits = JoinSet::new();
    let people = stage.people.len();
    let begun = Instant::now() + THINK;
    for (number, person) in stage.people.iter().enumerate() {
        // Not all at once.
        let first = begun + THINK * u32::try_from(number)? / u32::try_from(people)?;
        let (person, drawn) = (person.clone(), stage.drawn.clone());
        visits.spawn(visit(person, number, drawn, last, first, begun + extent.visit));
    }
    let (mut pages, mut access) = (Times::default(), Times::default());
    while let Some(visit) = visits.join_next().await {
        let visit = visit??;
        pages.append(visit.pages);
        access.append(visit.access);
    }
    pages.report("page of sessions, 20 people", Some(PAGE), report)?;
    access.report("row of the access log, 20 people", Some(ACCESS), report)?;
    charts(stage, last, report).await
}

/// Opens the page of the last day, goes on to its next, narrows it; and so on, until it is time.
async fn visit(
    person: Person,
    number: usize,
    drawn: Vec<Drawn>,
    last: i64,
    first: Instant,
    until: Instant,
) -> anyhow::Result<Visit> {
    let mut visit = Visit::default();
    let mut cursor = None;
    let mut next = first;
    for step in 0.. {
        if next >= until {
            break;
        }
        sleep_until(next).await;
        let one = &drawn[(number * 131 + step * 17) % drawn.len()];
        let filter = match (step % 8, cursor.take()) {
            (1, Some(cursor)) => between(last - DAY, last) + &format!("&cursor={cursor}"),
            (0 | 1, _) => between(last - DAY, last),
            (2, _) => user(one),
            (3, _) => tool(one),
            (4, _) => target(one) + &tool(one),
            (5, _) => day(one) + "&outcome=error",
            (6, _) => user(one) + &tool(one),
            _ => String::new(),
        };
        let answered = person.ask(&format!("/sessions?limit=100{filter}")).await?;
        cursor = answered.body["next"].as_str().map(str::to_owned);
        visit.pages.add(answered.whole);
        visit.access.add(answered.access);
        next = Instant::now() + THINK;
    }
    Ok(visit)
}

/// What stands above the list, of the day that is shown unless another is asked for.
async fn charts(stage: &Stage, last: i64, report: &mut Report) -> anyhow::Result<()> {
    for (path, name) in [
        ("/facets?", "values to filter by, of a day"),
        ("/statistics?", "volume of a day"),
    ] {
        let mut times = Times::default();
        for _ in 0..CHARTS {
            let asked = format!("{path}{}", between(last - DAY, last));
            times.add(stage.administrator().ask(&asked).await?.whole);
        }
        times.report(name, None, report)?;
    }
    Ok(())
}
