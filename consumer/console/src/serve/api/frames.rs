//! The frames of one session.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::parameters::{Limit, Number, Parameters, Place, SessionId};
use super::sessions::replayed;
use crate::serve::Console;
use crate::serve::access::{Recorded, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::rights::Scope;
use crate::serve::time::Time;
use crate::show::View;

/// Frames on a page, at most.
const MOST: u32 = 2000;
/// Payload bytes on a page: it ends with the frame that reaches them.
const PAGE_BYTES: u64 = 8 << 20;
/// Bytes of one payload on a page, unless the client says otherwise.
const PAYLOAD_SHOWN: u64 = 64 << 10;
/// Nothing that was recorded is longer: 16 MiB are the most that is kept of a message.
pub(super) const PAYLOAD_WHOLE: u64 = 16 << 20;

/// One JSON-RPC message in one direction, or one event of the recorder.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(crate) struct Frame {
    /// Number in the session, from 1.
    pub(crate) session_seq: u64,
    /// The proxy's wall clock.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) time: Time,
    /// message, exchange_start, exchange_end, refused, gap, undecodable, …
    pub(crate) kind: String,
    /// to_target, to_client, none.
    pub(crate) direction: String,
    /// How the exchange ended, where this frame says it.
    pub(crate) ended: String,
    /// One HTTP request and all that comes back on it.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    pub(crate) exchange_id: Uuid,
    /// Segment of the frame.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    pub(crate) segment_id: Uuid,
    /// Number in the segment.
    pub(crate) seq: i64,
    /// request, response, error, notification, batch, none.
    pub(crate) rpc_kind: String,
    /// JSON-RPC method; in an answer, that of its request.
    pub(crate) rpc_method: String,
    /// JSON-RPC id as sent, as JSON text.
    pub(crate) rpc_id: String,
    /// Tool, prompt or resource URI.
    pub(crate) rpc_name: String,
    /// `error.code`; 0 for none.
    pub(crate) rpc_error_code: i64,
    /// `result.isError`.
    pub(crate) rpc_is_error: bool,
    /// Method of the exchange.
    pub(crate) http_method: String,
    /// Status of the answer; 0 for none.
    pub(crate) http_status: i32,
    /// Content-Type of this message.
    pub(crate) content_type: String,
    /// `event` of the server-sent event.
    pub(crate) sse_event: String,
    /// `id` of the server-sent event.
    pub(crate) sse_id: String,
    /// The proxy's rule or reason, where it decided something.
    pub(crate) decision_rule: String,
    /// Position in a message that was split, from 0.
    pub(crate) part_index: i32,
    /// The last part of its message, or the only one.
    pub(crate) part_last: bool,
    /// Bytes of the payload as sent.
    pub(crate) payload_size: i64,
    /// The redacted body, or event data; cut where it is longer than was asked for.
    pub(crate) payload: String,
    /// Bytes of the redacted payload; more than `payload` has where it was cut.
    pub(crate) payload_stored: u64,
    /// none, unchanged, masked, dropped, joined, erased.
    pub(crate) redaction: String,
    /// Why a payload was dropped.
    pub(crate) redaction_reason: String,
    /// Rules that masked something.
    pub(crate) redaction_rules: Vec<String>,
    /// A part of a message whose rest never came.
    pub(crate) truncated: bool,
    /// intact, tampered, fork, undecodable.
    pub(crate) verdict: String,
    /// Frames that a gap stands for.
    pub(crate) gap_frames: i64,
    /// Hash over the frame as recorded, chained over its segment; hexadecimal.
    pub(crate) frame_hash: String,
}

impl Frame {
    /// As far as it is shown in a terminal.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            number: self.session_seq,
            time: self.time.microseconds(),
            kind: &self.kind,
            direction: &self.direction,
            ended: &self.ended,
            rpc_kind: &self.rpc_kind,
            rpc_method: &self.rpc_method,
            rpc_id: &self.rpc_id,
            rpc_name: &self.rpc_name,
            rpc_error_code: self.rpc_error_code,
            rpc_is_error: self.rpc_is_error,
            http_method: &self.http_method,
            http_status: self.http_status,
            content_type: &self.content_type,
            decision_rule: &self.decision_rule,
            part_index: self.part_index,
            part_last: self.part_last,
            payload: &self.payload,
            payload_size: self.payload_size,
            redaction: &self.redaction,
            redaction_reason: &self.redaction_reason,
            redaction_rules: &self.redaction_rules,
            truncated: self.truncated,
            verdict: &self.verdict,
        }
    }
}

/// Of `frames` under the alias `t`, for [`Frame`]; payloads are cut at the parameter `payload_bytes`.
pub(crate) const COLUMNS: &str = "t.session_seq AS session_seq, toUnixTimestamp64Micro(t.time) AS time, toString(t.kind) AS kind, \
    toString(t.direction) AS direction, toString(t.ended) AS ended, t.exchange_id AS exchange_id, \
    t.segment_id AS segment_id, t.seq AS seq, toString(t.rpc_kind) AS rpc_kind, toString(t.rpc_method) AS rpc_method, \
    t.rpc_id AS rpc_id, toString(t.rpc_name) AS rpc_name, t.rpc_error_code AS rpc_error_code, \
    t.rpc_is_error AS rpc_is_error, toString(t.http_method) AS http_method, t.http_status AS http_status, \
    toString(t.content_type) AS content_type, toString(t.sse_event) AS sse_event, t.sse_id AS sse_id, \
    toString(t.decision_rule) AS decision_rule, t.part_index AS part_index, t.part_last AS part_last, \
    t.payload_size AS payload_size, toValidUTF8(substring(t.payload, 1, {payload_bytes:UInt64})) AS payload, \
    length(t.payload) AS payload_stored, toString(t.redaction) AS redaction, \
    toString(t.redaction_reason) AS redaction_reason, arrayMap(rule -> toString(rule), t.redaction_rules) AS redaction_rules, \
    t.truncated AS truncated, toString(t.verdict) AS verdict, t.gap_frames AS gap_frames, \
    lower(hex(t.frame_hash)) AS frame_hash";

/// Frames of a session in their order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FramePage {
    pub(crate) items: Vec<Frame>,
    /// What to ask for as `after` to go on; none at the end of what there is now.
    pub(crate) next: Option<u64>,
    /// Frames of the session so far.
    pub(crate) total: u64,
}

/// Which frames of a session.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The number of the frame before the first: 0 for the beginning, or any other place to jump to.
    #[param(value_type = Option<u64>, maximum = 9223372036854775807u64)]
    #[serde(default)]
    after: Number,
    /// Frames on the page; default 200. A page ends earlier where payloads come to 8 MiB.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 2000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// Bytes of each payload; default 65536, at most 16 MiB.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 16777216)]
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<Limit<{ PAYLOAD_WHOLE as u32 }>>,
}

/// A run of frames, by their numbers in the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) after: u64,
    pub(super) count: u64,
    pub(super) payload_bytes: u64,
}

impl Run {
    /// The numbers are dense, so that a run is found without reading what comes before it.
    pub(super) async fn read(
        self,
        console: &Console,
        scope: &Scope,
        id: SessionId,
    ) -> Result<Recorded<Vec<Frame>>, Problem> {
        let select = Select::new(scope, Relation::FramesOfSession, COLUMNS)
            .bind("session_start", id.start())
            .bind("session", id.0)
            .when("t.session_seq > {after:UInt64} AND t.session_seq <= {last:UInt64}")
            .bind("after", self.after)
            .bind("last", self.after.saturating_add(self.count))
            .bind("payload_bytes", self.payload_bytes)
            // A session that two client ids share counts for each of them.
            .rest("ORDER BY t.session_seq, t.segment_id, t.seq LIMIT {count:UInt64}")
            .bind("count", self.count.saturating_mul(2));
        let weight = |frame: &Frame| frame.payload.len() as u64;
        console.store.rows_up_to(&select, PAGE_BYTES, weight).await
    }
}

/// Frames of a session, in their order.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/frames", tag = "sessions", operation_id = "list_frames",
    params(("session" = Uuid, Path, description = "Its id"), Which),
    responses((status = 200, body = FramePage), (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place(id): Place<SessionId>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let (session, look) = replayed(&console, &caller, id, "frames", &which).await?;
    let run = Run {
        after: which.after.0,
        count: Limit::or(which.limit, 200).into(),
        payload_bytes: Limit::or(which.payload_bytes, PAYLOAD_SHOWN as u32).into(),
    };
    let frames = run.read(&console, caller.scope(), id).await?;
    let total = session.measure(|session| session.frames);
    let found = frames.map(|items| {
        let size: u64 = items.iter().map(|frame| frame.payload.len() as u64).sum();
        let last = match size < PAGE_BYTES {
            true => run.after.saturating_add(run.count),
            false => items.last().map_or(run.after, |frame| frame.session_seq),
        };
        FramePage {
            items,
            next: (last < total).then_some(last),
            total,
        }
    });
    answer(&console.access, &caller, &look, found).await
}

/// One frame, whole.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/frames/{number}", tag = "sessions", operation_id = "get_frame",
    params(("session" = Uuid, Path, description = "Its id"), ("number" = u64, Path, description = "Its number in the session", maximum = 9223372036854775807u64)),
    responses((status = 200, body = Frame), (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn one(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place((id, number)): Place<(SessionId, Number)>,
) -> Result<Response, Problem> {
    let (_, look) = replayed(&console, &caller, id, "frame", &number).await?;
    let missing = || Problem::NotFound("the session has no such frame");
    let run = Run {
        after: number.0.checked_sub(1).ok_or_else(missing)?,
        count: 1,
        payload_bytes: PAYLOAD_WHOLE,
    };
    let frame = run
        .read(&console, caller.scope(), id)
        .await?
        .first()
        .ok_or_else(missing)?;
    answer(&console.access, &caller, &look, frame).await
}
