//! Exports: of a session or of many, and what an export was.

mod manifest;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use clickhouse::Row;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::frames::{COLUMNS, Frame, PAYLOAD_WHOLE};
use super::parameters::{Number, Parameters, Place, SessionId};
use super::session_filter::SessionFilter;
use super::sessions::{Session, look, visible};
use crate::serve::Console;
use crate::serve::access::{Accounted, Action, Entry, Look, Recorded};
use crate::serve::export::{Cast, Export, Har, Page, Rendering, Source};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::time::{Asked, Time};

pub(super) use manifest::{__path_manifest, manifest};

/// Until when or which frame an export goes, so that it can be asked for again.
const BOUND: HeaderName = HeaderName::from_static("x-tapedeck-bound");
/// How many frames it will be.
const FRAMES: HeaderName = HeaderName::from_static("x-tapedeck-frames");

/// The columns of lines and Parquet: what a frame says, and what proves it.
const WRITTEN: &str = "t.session_id AS session_id, t.session_seq AS session_seq, t.segment_id AS segment_id, t.seq AS seq, \
    t.time AS time, t.writer_id AS writer_id, t.writer_seq AS writer_seq, t.exchange_id AS exchange_id, \
    toString(t.tenant) AS tenant, toString(t.target) AS target, toString(t.kind) AS kind, \
    toString(t.direction) AS direction, toString(t.ended) AS ended, toString(t.issuer) AS issuer, \
    toString(t.subject) AS subject, toString(t.principal_name) AS principal_name, \
    toString(t.principal_email) AS principal_email, toString(t.client_id) AS client_id, \
    toString(t.client_address) AS client_address, toString(t.user_agent) AS user_agent, \
    toString(t.claimed_name) AS claimed_name, toString(t.claimed_version) AS claimed_version, \
    toString(t.revision) AS revision, toString(t.rpc_kind) AS rpc_kind, toString(t.rpc_method) AS rpc_method, \
    t.rpc_id AS rpc_id, toString(t.rpc_name) AS rpc_name, t.rpc_error_code AS rpc_error_code, \
    t.rpc_is_error AS rpc_is_error, toString(t.http_method) AS http_method, t.http_status AS http_status, \
    toString(t.content_type) AS content_type, toString(t.sse_event) AS sse_event, t.sse_id AS sse_id, \
    t.traceparent AS traceparent, toString(t.decision_rule) AS decision_rule, t.part_index AS part_index, \
    t.part_last AS part_last, t.payload_size AS payload_size, toValidUTF8(t.payload) AS payload, \
    toString(t.redaction) AS redaction, toString(t.redaction_reason) AS redaction_reason, \
    arrayMap(rule -> toString(rule), t.redaction_rules) AS redaction_rules, t.truncated AS truncated, \
    toString(t.verdict) AS verdict, lower(hex(t.payload_salt)) AS payload_salt, \
    lower(hex(t.payload_commitment)) AS payload_commitment, lower(hex(t.metadata_salt)) AS metadata_salt, \
    lower(hex(t.metadata_commitment)) AS metadata_commitment, lower(hex(t.frame_hash)) AS frame_hash, \
    toString(t.kafka_topic) AS kafka_topic, t.kafka_partition AS kafka_partition, t.kafka_offset AS kafka_offset";

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// A JSON object a frame, a line each.
    #[default]
    Jsonl,
    /// HTTP archive 1.2: an entry an exchange.
    Har,
    /// asciinema cast, version 2: the replay in a terminal.
    Cast,
    /// A page that plays the session, in one file.
    Html,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Har => "har",
            Self::Cast => "cast",
            Self::Html => "html",
            Self::Parquet => "parquet",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Har => "application/json",
            Self::Cast => "application/x-asciicast",
            Self::Html => "text/html; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// What of a session, and as what.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfSession {
    /// The form; default jsonl.
    #[param(inline, value_type = Option<Format>)]
    #[serde(default)]
    format: Format,
    /// The number of the last frame; default: the last that there is now. An answer says which in `X-Tapedeck-Bound`.
    #[param(value_type = Option<u64>, maximum = 9223372036854775807u64)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Number>,
    /// Bytes to leave out at the beginning, to go on where an answer broke off. The manifest is of the whole.
    #[param(value_type = Option<u64>, maximum = 9223372036854775807u64)]
    #[serde(default)]
    offset: Number,
}

/// What of many sessions, and as what.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfSessions {
    /// The form: jsonl, har or parquet; default jsonl.
    #[param(inline, value_type = Option<Format>)]
    #[serde(default)]
    format: Format,
    /// Frames up to then; default: now. An answer says when in `X-Tapedeck-Bound`.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Asked>,
    /// Bytes to leave out at the beginning, to go on where an answer broke off. The manifest is of the whole.
    #[param(value_type = Option<u64>, maximum = 9223372036854775807u64)]
    #[serde(default)]
    offset: Number,
}

#[derive(Clone, Debug, Row, Deserialize)]
struct Count {
    frames: u64,
}

/// A session as a file. An answer that ends as it should is on the access log with its hash, which is its manifest.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/export", tag = "sessions", operation_id = "export_session",
    params(("session" = Uuid, Path, description = "Its id"), OfSession),
    responses((status = 200, description = "The file", content_type = "application/octet-stream", body = String),
        (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn of_session(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place(id): Place<SessionId>,
    Parameters(mut which): Parameters<OfSession>,
) -> Result<Response, Problem> {
    let session = visible(&console, caller.scope(), id).await?;
    let total = session.measure(|session| session.frames);
    let last = which.last.map_or(total, |Number(last)| last.min(total));
    which.last = Some(Number(last));
    let look = look(Action::Export, which.format.name(), &which, &session);
    let select = |columns| {
        Select::new(caller.scope(), Relation::FramesOfSession, columns)
            .bind("session_start", id.start())
            .bind("session", id.0)
            .when("t.session_seq <= {last:UInt64}")
            .bind("last", last)
            .rest("ORDER BY t.session_seq, t.segment_id, t.seq")
    };
    let name = format!("{}.{}", id.0, which.format.name());
    let headers = headers(which.format, &name, &last.to_string(), last)?;
    let question = Question {
        format: which.format,
        written: select(WRITTEN),
        rendered: select(COLUMNS).bind("payload_bytes", PAYLOAD_WHOLE),
        frames: last,
        skip: which.offset.0,
    };
    export(console, caller, look, question, Some(session), headers).await
}

/// The frames of all sessions that fit a filter as a file, in the order of the sessions.
#[utoipa::path(get, path = "/api/v1/export", tag = "search", operation_id = "export_sessions", params(SessionFilter, OfSessions),
    responses((status = 200, description = "The file", content_type = "application/octet-stream", body = String),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn of_sessions(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(filter): Parameters<SessionFilter>,
    Parameters(mut which): Parameters<OfSessions>,
) -> Result<Response, Problem> {
    if matches!(which.format, Format::Cast | Format::Html) {
        let detail = "a cast and a page are of one session: /api/v1/sessions/{session}/export".to_owned();
        return Err(Problem::BadRequest(detail));
    }
    let at = which.at.map_or_else(Time::now, |Asked(at)| at);
    which.at = Some(Asked(at));
    let look = Look::at(Action::Export, which.format.name(), &(&filter, &which));
    let select = |columns, rest| {
        let sessions = Select::new(caller.scope(), Relation::Sessions, "t.session_id");
        let frames = Select::frames_of(filter.of_whole(caller.scope(), sessions), columns);
        filter
            .times_of_frames(frames)
            .when("t.session_start <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')")
            .when("t.time <= fromUnixTimestamp64Micro({at:Int64}, 'UTC')")
            .bind("at", at.microseconds())
            .rest(rest)
    };
    // The order of the table: ClickHouse need not sort.
    let order = "ORDER BY t.tenant, t.session_start, t.session_id, t.segment_id, t.seq";
    let count = console.store.rows::<Count>(&select("count() AS frames", "")).await?;
    let frames = count.measure(|rows| rows.first().map_or(0, |count| count.frames));
    let name = format!("sessions.{}", which.format.name());
    let headers = headers(which.format, &name, &at.to_string(), frames)?;
    let question = Question {
        format: which.format,
        written: select(WRITTEN, order),
        rendered: select(COLUMNS, order).bind("payload_bytes", PAYLOAD_WHOLE),
        frames,
        skip: which.offset.0,
    };
    export(console, caller, look, question, None, headers).await
}

/// What is read for an export.
struct Question {
    format: Format,
    /// For what ClickHouse writes.
    written: Select,
    /// For what is rendered here.
    rendered: Select,
    frames: u64,
    skip: u64,
}

async fn export(
    console: Arc<Console>,
    caller: Caller,
    look: Look,
    question: Question,
    session: Option<Recorded<Session>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let pass = console.store.exporting(&caller.scope().user().key())?;
    let logged = console
        .access
        .write(&Entry::allowed(caller.scope(), caller.asker(), &look, 0, 0))
        .await?;
    let session = session.map(|session| session.release(&logged));
    let rendering: Option<Box<dyn Rendering>> = match (question.format, &session) {
        (Format::Har, Some(session)) => Some(Box::new(Har::new(&session.target))),
        (Format::Har, None) => Some(Box::new(Har::new(""))),
        (Format::Cast, Some(session)) => Some(Box::new(Cast::new(session))),
        (Format::Html, Some(session)) => Some(Box::new(Page::new(session))),
        _ => None,
    };
    let store = &console.store;
    let source = match (question.format, rendering) {
        (_, Some(rendering)) => {
            let rows = store.row_by_row::<Frame>(&question.rendered)?;
            Source::Frames(rows.release(&logged), rendering)
        }
        (Format::Parquet, None) => {
            let bytes = store.bytes(&question.written, "Parquet")?;
            Source::Blob(bytes.release(&logged), question.frames)
        }
        (_, None) => Source::Lines(store.bytes(&question.written, "JSONEachRow")?.release(&logged)),
    };
    let export = Export::new(console, caller, look, source, question.skip, pass);
    let mut response = export.body().into_response();
    response.headers_mut().extend(headers);
    response.extensions_mut().insert(Accounted::Logged);
    Ok(response)
}

fn headers(format: Format, name: &str, bound: &str, frames: u64) -> Result<HeaderMap, Problem> {
    let field = |text: &str| HeaderValue::from_str(text).map_err(|_| Problem::Internal);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, field(format.media_type())?),
        (CONTENT_DISPOSITION, field(&format!("attachment; filename=\"{name}\""))?),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (BOUND, field(bound)?),
        (FRAMES, frames.into()),
    ]))
}
