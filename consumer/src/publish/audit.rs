//! From a recorded frame to the event that a SIEM sees.

use std::collections::BTreeMap;

use tapedeck_schemas::{
    Actor, Api, AuditEvent, Direction, DstEndpoint, End, Fingerprint, Frame, Group, HttpRequest, Idp, Kind, Metadata,
    Product, Request, Resource, Response, RpcKind, Service, Session, SrcEndpoint, Token, User,
};
use uuid::Uuid;

/// Metadata of a frame after redaction: what may leave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Masked<'a> {
    /// Tool, prompt or resource.
    pub name: Option<&'a str>,
    /// User-Agent.
    pub user_agent: Option<&'a str>,
    /// clientInfo.name.
    pub claimed_name: Option<&'a str>,
    /// clientInfo.version.
    pub claimed_version: Option<&'a str>,
}

/// OCSF `category_uid` of application activity and `class_uid` of API activity.
const CATEGORY: i32 = 6;
const CLASS: i32 = 6003;
/// Bytes of a text that a client or a target chose.
const LONGEST: usize = 4096;

/// The event that a frame stands for, if it is one that ends something: the answer to a call, an accepted
/// notification, a refusal, an exchange that ended badly, a gap. Every call gives exactly one of these frames, and an
/// answer's frame names the request it answers, so no state is needed and a replay gives the same events.
#[must_use]
pub fn audit_event(frame: &Frame, masked: Masked<'_>, session: Uuid) -> Option<AuditEvent> {
    let outcome = Outcome::of(frame)?;
    Some(event(frame, masked, session, outcome))
}

/// The event of a call that its writer left open when it went away: what happened to it nobody knows. `frame` is its
/// request as the table has it, masked, with the time until which it is known to have been under way.
#[must_use]
pub fn unknown_event(frame: &Frame, session: Uuid) -> AuditEvent {
    let rpc = frame.rpc.as_ref();
    let masked = Masked {
        name: rpc.and_then(|rpc| rpc.name.as_deref()),
        user_agent: frame.client.user_agent.as_deref(),
        claimed_name: frame.client.claimed_name.as_deref(),
        claimed_version: frame.client.claimed_version.as_deref(),
    };
    let outcome = Outcome {
        status: Outcome::UNKNOWN,
        severity: 4,
        blocked: false,
        code: Some(End::Unknown.as_str().to_owned()),
        error: None,
    };
    let mut event = event(frame, masked, session, outcome);
    // Of the request's place, and apart from whatever event that frame itself may be.
    event.metadata.uid.push_str(".unknown");
    event
}

fn event(frame: &Frame, masked: Masked<'_>, session: Uuid, outcome: Outcome) -> AuditEvent {
    let masked = Masked {
        name: masked.name.map(clip),
        user_agent: masked.user_agent.map(clip),
        claimed_name: masked.claimed_name.map(clip),
        claimed_version: masked.claimed_version.map(clip),
    };
    let rpc = frame.rpc.as_ref();
    let method = rpc.and_then(|rpc| rpc.method.as_deref()).map(clip);
    let activity_name = match frame.kind {
        Kind::Gap => "gap",
        _ => method.or(frame.http.method.as_deref()).unwrap_or("request"),
    };
    let activity_id = if method == Some("resources/read") { 2 } else { 99 };
    let time = frame.time / 1000;
    let start_time = started(frame.exchange_id).filter(|start| *start <= time);
    AuditEvent {
        activity_id,
        activity_name: activity_name.to_owned(),
        category_uid: CATEGORY,
        class_uid: CLASS,
        type_uid: i64::from(CLASS) * 100 + i64::from(activity_id),
        severity_id: outcome.severity,
        time,
        start_time,
        duration: start_time.map(|start| time - start),
        status_id: outcome.status,
        status_code: outcome.code,
        disposition_id: if outcome.blocked { 2 } else { 1 },
        metadata: Metadata {
            uid: format!("{}.{}", frame.segment_id, frame.seq),
            sequence: frame.seq,
            correlation_uid: session.to_string(),
            tenant_uid: Some(frame.tenant.clone()).filter(|tenant| !tenant.is_empty()),
            version: "1.8.0".to_owned(),
            product: Product {
                name: "tapedeck".to_owned(),
                vendor_name: "tapedeck".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        },
        actor: actor(frame, session),
        api: Api {
            operation: [Some(activity_name), masked.name]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
            service: Service {
                name: frame.target.clone(),
            },
            version: frame.protocol.revision.clone(),
            request: Request {
                uid: frame.exchange_id.to_string(),
            },
            response: Some(Response {
                code: frame.http.status,
                error: outcome.error,
            }),
            token: frame
                .principal
                .as_ref()
                .and_then(|principal| principal.token_id.clone())
                .map(|uid| Token { uid, type_id: 6 }),
        },
        resources: masked
            .name
            .zip(method)
            .map(|(name, method)| resource(name, method))
            .into_iter()
            .collect(),
        src_endpoint: SrcEndpoint {
            ip: frame.client.address.clone(),
        },
        dst_endpoint: DstEndpoint {
            name: frame.target.clone(),
        },
        http_request: HttpRequest {
            http_method: frame.http.method.clone(),
            user_agent: masked.user_agent.map(str::to_owned),
        },
        raw_data_hash: frame.commitments.payload.map(|commitment| Fingerprint {
            algorithm_id: 3,
            value: commitment.to_string(),
        }),
        unmapped: unmapped(frame, masked),
    }
}

/// How what the frame ends has ended.
struct Outcome {
    status: i32,
    severity: i32,
    blocked: bool,
    code: Option<String>,
    error: Option<String>,
}

impl Outcome {
    const UNKNOWN: i32 = 0;
    const SUCCESS: i32 = 1;
    const FAILURE: i32 = 2;

    fn of(frame: &Frame) -> Option<Self> {
        let failure = |severity, code: &str| Self {
            status: Self::FAILURE,
            severity,
            blocked: false,
            code: Some(code.to_owned()),
            error: None,
        };
        match (frame.kind, frame.direction, frame.end) {
            (Kind::Refused, ..) => {
                let rule = frame
                    .decision
                    .as_ref()
                    .map_or("refused", |decision| decision.rule.as_str());
                Some(Self {
                    blocked: true,
                    ..failure(3, rule)
                })
            }
            (Kind::Gap, ..) => Some(failure(4, "gap")),
            // The answer had its own frame, or there was none to be had.
            (Kind::ExchangeEnd, _, Some(End::Answered | End::Accepted) | None) => None,
            (Kind::ExchangeEnd, _, Some(end @ End::Aborted)) => Some(failure(4, end.as_str())),
            (Kind::ExchangeEnd, _, Some(end)) => Some(failure(2, end.as_str())),
            (Kind::Message, Direction::ToClient, end) if frame.part.last => Self::of_answer(frame, end),
            _ => None,
        }
    }

    fn of_answer(frame: &Frame, end: Option<End>) -> Option<Self> {
        let rpc = frame.rpc.as_ref();
        let status = frame.http.status.unwrap_or(200);
        let mut outcome = Self {
            status: Self::SUCCESS,
            severity: 1,
            blocked: false,
            code: Some(status.to_string()),
            error: None,
        };
        match rpc.map(|rpc| (rpc.kind, rpc)) {
            // Only an answer to a request of the client: its method was filled in from the request.
            Some((RpcKind::Response | RpcKind::Error, rpc)) if rpc.method.is_some() => {
                let error = match (rpc.error_code, rpc.is_error) {
                    (Some(code), _) => Some(code.to_string()),
                    (None, Some(true)) => Some("tool_error".to_owned()),
                    _ => None,
                };
                if let Some(error) = error {
                    outcome.code = Some(if rpc.error_code.is_some() {
                        error.clone()
                    } else {
                        "isError".to_owned()
                    });
                    outcome.error = Some(error);
                }
            }
            // A body that is no answer, or none at all, still ends the exchange.
            _ => {
                end?;
            }
        }
        if outcome.error.is_some() || status >= 400 {
            outcome.status = Self::FAILURE;
            outcome.severity = 2;
        }
        Some(outcome)
    }
}

/// A text of a client's or target's choice, cut where it is longer than anybody needs in an event: an event that no broker
/// takes, for its size, would hold up its partition for ever. The row has all of it.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

fn actor(frame: &Frame, session: Uuid) -> Actor {
    let principal = frame.principal.as_deref();
    Actor {
        user: principal.map(|principal| User {
            uid: principal.subject.clone(),
            name: principal.name.clone(),
            email_addr: principal.email.clone(),
            groups: principal
                .groups
                .iter()
                .map(|name| Group { name: name.clone() })
                .collect(),
        }),
        idp: principal.map(|principal| Idp {
            name: principal.issuer.clone(),
        }),
        session: Session {
            uid: session.to_string(),
            created_time: started(session).unwrap_or(frame.time / 1000),
        },
        app_uid: principal.and_then(|principal| principal.client_id.clone()),
    }
}

fn resource(name: &str, method: &str) -> Resource {
    let kind = match method.split('/').next() {
        Some("tools") => "mcp_tool",
        Some("prompts") => "mcp_prompt",
        _ => "mcp_resource",
    };
    Resource {
        name: name.to_owned(),
        kind: kind.to_owned(),
    }
}

fn unmapped(frame: &Frame, masked: Masked<'_>) -> BTreeMap<String, String> {
    let fields = [
        ("segment_id", Some(frame.segment_id.to_string())),
        ("frame_hash", Some(frame.frame_hash.to_string())),
        ("kind", Some(frame.kind.to_string())),
        ("end", frame.end.map(|end| end.to_string())),
        ("rule", frame.decision.as_ref().map(|decision| decision.rule.clone())),
        ("claimed_client_name", masked.claimed_name.map(str::to_owned)),
        ("claimed_client_version", masked.claimed_version.map(str::to_owned)),
    ];
    fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// Milliseconds since 1970 that a UUIDv7 carries (RFC 9562, 5.7).
fn started(id: Uuid) -> Option<i64> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds)
        .ok()?
        .checked_mul(1000)?
        .checked_add(i64::from(nanoseconds) / 1_000_000)
}

#[cfg(test)]
mod tests;
