//! The fields of an event: `audit.avsc` says what each is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tapedeck_schemas::{
    Actor, Api, AuditEvent, Authorization, DstEndpoint, Fingerprint, Frame, Group, HttpRequest, Idp, MessageContext,
    Metadata, Policy, Product, Request, Resource, Response, Service, Session, SrcEndpoint, Token, Trace, Url, User,
};
use uuid::Uuid;

use super::Told;
use super::outcome::Outcome;

/// OCSF `category_uid` of application activity and `class_uid` of API activity.
const CATEGORY: i32 = 6;
const CLASS: i32 = 6003;
/// The version of the schema.
pub(super) const OCSF: &str = "1.8.0";
/// Bytes of a text that a client or a target chose.
const LONGEST: usize = 4096;

/// What an event is about: `metadata.event_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Call,
    Notification,
    Exchange,
    Refusal,
    Gap,
    SessionOpened,
    SessionClosed,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Notification => "notification",
            Self::Exchange => "exchange",
            Self::Refusal => "refusal",
            Self::Gap => "gap",
            Self::SessionOpened => "session_opened",
            Self::SessionClosed => "session_closed",
        }
    }

    /// What was done, where that is not what the client asked for.
    fn activity(self) -> Option<&'static str> {
        match self {
            Self::Gap => Some("gap"),
            Self::SessionOpened => Some("session opened"),
            Self::SessionClosed => Some("session closed"),
            Self::Call | Self::Notification | Self::Exchange | Self::Refusal => None,
        }
    }
}

/// The texts of a frame that a client or a target chose, cut where they are longer than anybody needs in an event: an event
/// that no broker takes, for its size, would hold up its partition for ever. The row has all of it.
struct Texts<'a> {
    method: Option<&'a str>,
    name: Option<&'a str>,
    user_agent: Option<&'a str>,
    claimed_name: Option<&'a str>,
    claimed_version: Option<&'a str>,
    cut: bool,
}

impl<'a> Texts<'a> {
    fn of(frame: &'a Frame) -> Self {
        let mut cut = false;
        let mut clip = |text: Option<&'a str>| {
            let text = text?;
            cut |= text.len() > LONGEST;
            Some(&text[..text.floor_char_boundary(LONGEST)])
        };
        let rpc = frame.rpc.as_ref();
        Self {
            method: clip(rpc.and_then(|rpc| rpc.method.as_deref())),
            name: clip(rpc.and_then(|rpc| rpc.name.as_deref())),
            user_agent: clip(frame.client.user_agent.as_deref()),
            claimed_name: clip(frame.client.claimed_name.as_deref()),
            claimed_version: clip(frame.client.claimed_version.as_deref()),
            cut,
        }
    }
}

pub(super) fn event(told: Told<'_>, session: Uuid, code: Code, outcome: Outcome) -> AuditEvent {
    let Told { frame, truncated, .. } = told;
    let texts = Texts::of(frame);
    let own = code.activity();
    let (method, name) = match own {
        Some(_) => (None, None),
        None => (texts.method, texts.name),
    };
    let activity_name = own.or(method).or(frame.http.method.as_deref()).unwrap_or("request");
    let activity_id = if method == Some("resources/read") { 2 } else { 99 };
    let time = frame.time / 1000;
    let start_time = started(frame.exchange_id).filter(|start| *start <= time);
    let service = || Service {
        name: frame.target.clone(),
    };
    let trace = trace(frame);
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
        action_id: if outcome.blocked { 2 } else { 1 },
        disposition_id: if outcome.blocked { 2 } else { 1 },
        authorizations: authorization(frame).into_iter().collect(),
        metadata: Metadata {
            uid: format!("{}.{}", frame.segment_id, frame.seq),
            sequence: frame.seq,
            correlation_uid: session.to_string(),
            event_code: code.as_str().to_owned(),
            profiles: ["ai_operation", "security_control"]
                .into_iter()
                .chain(trace.is_some().then_some("trace"))
                .map(str::to_owned)
                .collect(),
            is_truncated: truncated || texts.cut,
            tenant_uid: Some(frame.tenant.clone()).filter(|tenant| !tenant.is_empty()),
            version: OCSF.to_owned(),
            product: Product {
                name: "tapedeck".to_owned(),
                vendor_name: "tapedeck".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        },
        actor: actor(frame, session),
        api: Api {
            operation: [Some(activity_name), name]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
            service: service(),
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
        message_context: MessageContext {
            uid: frame.segment_id.to_string(),
            ai_role_id: match method {
                Some("tools/call") => 3,
                Some("resources/read") => 6,
                _ => 0,
            },
            service: service(),
        },
        trace,
        resources: name
            .zip(method)
            .map(|(name, method)| resource(name, method))
            .into_iter()
            .collect(),
        src_endpoint: source(frame),
        dst_endpoint: DstEndpoint {
            name: frame.target.clone(),
        },
        http_request: HttpRequest {
            http_method: frame.http.method.clone(),
            url: Url {
                path: format!("/{}/mcp", frame.target),
            },
            user_agent: texts.user_agent.map(str::to_owned),
        },
        raw_data_hash: frame.commitments.payload.map(|commitment| Fingerprint {
            algorithm_id: 3,
            value: commitment.to_string(),
        }),
        unmapped: unmapped(frame, &texts),
    }
}

fn actor(frame: &Frame, session: Uuid) -> Actor {
    // Who has shown a certificate and no token is nobody.
    let principal = frame
        .principal
        .as_deref()
        .filter(|principal| !principal.subject.is_empty());
    Actor {
        user: principal.map(|principal| User {
            uid: principal.subject.clone(),
            name: principal.name.clone(),
            email_addr: principal.email.clone().filter(|email| is_address(email)),
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
            expiration_reason: None,
        },
        app_uid: principal.and_then(|principal| principal.client_id.clone()),
    }
}

fn authorization(frame: &Frame) -> Option<Authorization> {
    let decision = frame.decision.as_ref()?;
    Some(Authorization {
        decision: decision.action.clone(),
        policy: Policy {
            name: decision.rule.clone(),
            uid: decision.approval_id.clone(),
        },
    })
}

/// The trace-id of `VERSION-TRACE-PARENT-FLAGS` (W3C Trace Context, 3.2).
fn trace(frame: &Frame) -> Option<Trace> {
    let id = frame.traceparent.as_deref()?.split('-').nth(1)?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| Trace { uid: id.to_owned() })
}

fn source(frame: &Frame) -> SrcEndpoint {
    let address = &frame.client.address;
    match address.parse::<IpAddr>() {
        Ok(_) => SrcEndpoint {
            ip: Some(address.clone()),
            name: None,
        },
        Err(_) => SrcEndpoint {
            ip: None,
            name: Some(match address.is_empty() {
                true => "tapedeck".to_owned(),
                false => address.clone(),
            }),
        },
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

fn unmapped(frame: &Frame, texts: &Texts<'_>) -> BTreeMap<String, String> {
    let email = frame.principal.as_deref().and_then(|principal| principal.email.clone());
    let fields = [
        ("segment_id", Some(frame.segment_id.to_string())),
        ("frame_hash", Some(frame.frame_hash.to_string())),
        ("kind", Some(frame.kind.to_string())),
        ("end", frame.end.map(|end| end.to_string())),
        ("rule", frame.decision.as_ref().map(|decision| decision.rule.clone())),
        ("traceparent", frame.traceparent.clone()),
        ("email", email.filter(|email| !is_address(email))),
        ("claimed_client_name", texts.claimed_name.map(str::to_owned)),
        ("claimed_client_version", texts.claimed_version.map(str::to_owned)),
    ];
    fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// What OCSF's type `email_t` takes, and a little less.
fn is_address(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    text.split_once('@').is_some_and(|(local, domain)| {
        let is_local = !local.is_empty()
            && local
                .bytes()
                .all(|byte| fits(byte) || matches!(byte, b'_' | b'+' | b'\''));
        let is_domain = domain
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
        is_local && is_domain && domain.bytes().all(fits)
    })
}

/// Milliseconds since 1970 that a UUIDv7 carries (RFC 9562, 5.7).
fn started(id: Uuid) -> Option<i64> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds)
        .ok()?
        .checked_mul(1000)?
        .checked_add(i64::from(nanoseconds) / 1_000_000)
}
