//! The shape of a whole session: when each frame was, and in a letter what it is. With it a player can draw, seek and filter
//! a session of any length before it has read what was said.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{Limit, Number, Parameters, Place, SessionId};
use super::sessions::replayed;
use crate::serve::Console;
use crate::serve::access::answer;
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};

/// Frames in one answer, at most.
const MOST: u32 = 100_000;

/// One frame, as far as the outline has it.
#[derive(Clone, Debug, Row, Deserialize)]
struct Mark {
    session_seq: u64,
    time: i64,
    mark: String,
}

/// What a frame is, the first that fits. `web/src/pages/session/marks.ts` does the same for frames that it tails.
const COLUMNS: &str = "t.session_seq AS session_seq, toUnixTimestamp64Micro(t.time) AS time, multiIf(\
    toString(t.verdict) NOT IN ('intact', ''), 't', \
    toString(t.kind) = 'gap', 'g', \
    toString(t.kind) = 'refused' OR toString(t.ended) NOT IN ('', 'answered', 'accepted'), 'x', \
    NOT t.part_last, 'c', \
    toString(t.rpc_kind) = 'request', if(toString(t.direction) = 'to_target', 'q', 'Q'), \
    toString(t.rpc_kind) = 'error' OR t.rpc_is_error, 'e', \
    toString(t.rpc_kind) = 'response', 'r', \
    toString(t.rpc_kind) = 'notification', if(toString(t.rpc_method) = 'notifications/progress', 'p', 'n'), \
    toString(t.rpc_kind) = 'batch', 'b', '-') AS mark";

/// Frames in their order, as columns of equal length.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outline {
    /// Time of the first frame here, microseconds since 1970; 0 where there is none.
    start: i64,
    /// Each frame's number in the session, less that of the one before it; the first counts from 0.
    numbers: Vec<u64>,
    /// Each frame's time in microseconds, less that of the one before it, or `start`. Proxies' clocks may go back.
    times: Vec<i64>,
    /// A letter for each frame: q request to the target, Q request to the client, r answer, e answer with an error,
    /// p progress, n other notification, b batch, c part of a message that goes on, x refused or badly ended, g gap,
    /// t not intact, - anything else.
    marks: String,
    /// What to ask for as `after` to go on; none at the end of what there is now.
    next: Option<u64>,
}

impl Outline {
    fn of(marks: Vec<Mark>, limit: usize) -> Self {
        let (start, mut number, mut time) = (marks.first().map_or(0, |mark| mark.time), 0, 0);
        let mut outline = Self {
            start,
            numbers: Vec::with_capacity(marks.len()),
            times: Vec::with_capacity(marks.len()),
            marks: String::with_capacity(marks.len()),
            next: (marks.len() >= limit).then(|| marks.last().map_or(0, |mark| mark.session_seq)),
        };
        for mark in &marks {
            let offset = mark.time.saturating_sub(start);
            outline.numbers.push(mark.session_seq.saturating_sub(number));
            outline.times.push(offset.saturating_sub(time));
            outline.marks.push_str(&mark.mark);
            (number, time) = (mark.session_seq, offset);
        }
        outline
    }
}

/// Which part of the outline.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The number of the frame before the first: 0 for the beginning.
    #[param(value_type = Option<u64>, maximum = 9223372036854775807u64)]
    #[serde(default)]
    after: Number,
    /// Frames in the answer; default and most 100,000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
}

/// When each frame of a session was, and what it is.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/outline", tag = "sessions", operation_id = "get_outline",
    params(("session" = Uuid, Path, description = "Its id"), Which),
    responses((status = 200, body = Outline), (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn outline(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place(id): Place<SessionId>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let (_, look) = replayed(&console, &caller, id, "outline", &which).await?;
    let limit = Limit::or(which.limit, MOST);
    let select = Select::new(caller.scope(), Relation::FramesOfSession, COLUMNS)
        .bind("session_start", id.start())
        .bind("session", id.0)
        .when("t.session_seq > {after:UInt64}")
        .bind("after", which.after.0)
        // The order of the frames' pages.
        .rest("ORDER BY t.session_seq, t.segment_id, t.seq LIMIT {limit:UInt32}")
        .bind("limit", limit);
    let marks = console.store.rows::<Mark>(&select).await?;
    let outline = marks.map(|marks| Outline::of(marks, limit as usize));
    answer(&console.access, &caller, &look, outline).await
}

#[cfg(test)]
mod tests {
    use super::{Mark, Outline};

    #[test]
    fn columns_add_up_to_the_frames_again() {
        let frames = [
            (1, 1_000_000, "q"),
            (2, 1_000_250, "r"),
            (2, 999_000, "x"),
            (5, 4_000_000, "-"),
        ];
        let marks = frames.map(|(session_seq, time, mark)| Mark {
            session_seq,
            time,
            mark: mark.to_owned(),
        });
        let outline = Outline::of(marks.to_vec(), 100);
        let (mut number, mut time) = (0, outline.start);
        let steps = outline.numbers.iter().zip(&outline.times).zip(outline.marks.chars());
        let again: Vec<_> = steps
            .map(|((step, passed), mark)| {
                number += step;
                time += passed;
                (number, time, mark.to_string())
            })
            .collect();
        assert_eq!(
            again,
            frames.map(|(number, time, mark)| (number, time, mark.to_owned()))
        );
        assert_eq!(outline.next, None);
        assert_eq!(Outline::of(marks.to_vec(), 4).next, Some(5), "there may be more");
        assert_eq!(Outline::of(Vec::new(), 4).next, None);
    }
}
