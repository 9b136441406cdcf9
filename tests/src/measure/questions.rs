//! Questions over a large archive: how long they take, asked as people and their pages ask them, of `tapedeck serve`.

mod answered;
mod exports;
mod lists;
mod player;
mod stage;
mod visits;
mod weight;

use super::parts::note;
use super::{Extent, Report};
use stage::{PEOPLE_ASKING, Stage};

/// What the console's API asks of ClickHouse, one question after the other: lists by all that they can be filtered by, counts,
/// and the first page of a long session.
pub(super) async fn query(extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    // An administrator, and the auditor of the largest tenant.
    let stage = Stage::set(extent, 2).await?;
    stage.describe(report);
    lists::measure(&stage, extent, report).await?;
    player::first_page(&stage, extent, report).await
}

/// What people wait for: pages of sessions while twenty of them look around, long sessions in the player, exports.
pub(super) async fn console(extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::set(extent, PEOPLE_ASKING).await?;
    stage.describe(report);
    note("twenty people look around");
    visits::measure(&stage, extent, report).await?;
    player::measure(&stage, extent, report).await?;
    weight::measure(&stage, report).await?;
    exports::measure(&stage, extent, report).await
}
