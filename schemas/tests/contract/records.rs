//! The topics that others subscribe to.

use std::collections::BTreeMap;

use tapedeck_schemas::wire::{Framing, decode_audit, decode_dead_letter, encode_audit, encode_dead_letter};
use tapedeck_schemas::{
    Actor, Api, AuditEvent, Authorization, DeadLetter, DstEndpoint, Fingerprint, Group, HttpRequest, Idp,
    MessageContext, Metadata, Policy, Product, Request, Resource, Response, Service, Session, SrcEndpoint, Token,
    Trace, Url, User,
};

fn event() -> AuditEvent {
    AuditEvent {
        activity_id: 99,
        activity_name: "tools/call".into(),
        category_uid: 6,
        class_uid: 6003,
        type_uid: 600_399,
        severity_id: 1,
        time: 2,
        start_time: Some(1),
        duration: Some(1),
        status_id: 1,
        status_code: Some("200".into()),
        action_id: 1,
        disposition_id: 1,
        authorizations: vec![Authorization {
            decision: "allow".into(),
            policy: Policy {
                name: "approved".into(),
                uid: Some("approval".into()),
            },
        }],
        metadata: Metadata {
            uid: "segment.1".into(),
            sequence: 1,
            correlation_uid: "session".into(),
            event_code: "call".into(),
            profiles: vec!["ai_operation".into(), "security_control".into(), "trace".into()],
            is_truncated: false,
            tenant_uid: Some("acme".into()),
            version: "1.8.0".into(),
            product: Product {
                name: "tapedeck".into(),
                vendor_name: "tapedeck".into(),
                version: "0".into(),
            },
        },
        actor: Actor {
            user: Some(User {
                uid: "alice".into(),
                name: Some("Alice".into()),
                email_addr: None,
                groups: vec![Group {
                    name: "engineers".into(),
                }],
            }),
            idp: Some(Idp {
                name: "https://id.example.test".into(),
            }),
            session: Session {
                uid: "session".into(),
                created_time: 1,
                expiration_reason: Some("idle".into()),
            },
            app_uid: None,
        },
        api: Api {
            operation: "tools/call echo".into(),
            service: Service {
                name: "everything".into(),
            },
            version: Some("2025-06-18".into()),
            request: Request { uid: "exchange".into() },
            response: Some(Response {
                code: Some(200),
                error: None,
            }),
            token: Some(Token {
                uid: "jti".into(),
                type_id: 6,
            }),
        },
        message_context: MessageContext {
            uid: "segment".into(),
            ai_role_id: 3,
            service: Service {
                name: "everything".into(),
            },
        },
        trace: Some(Trace { uid: "0af7".into() }),
        resources: vec![Resource {
            name: "echo".into(),
            kind: "mcp_tool".into(),
        }],
        src_endpoint: SrcEndpoint {
            ip: Some("192.0.2.1".into()),
            name: None,
        },
        dst_endpoint: DstEndpoint {
            name: "everything".into(),
        },
        http_request: HttpRequest {
            http_method: Some("POST".into()),
            url: Url {
                path: "/everything/mcp".into(),
            },
            user_agent: None,
        },
        raw_data_hash: Some(Fingerprint {
            algorithm_id: 3,
            value: "00".into(),
        }),
        unmapped: BTreeMap::from([("kind".to_owned(), "message".to_owned())]),
    }
}

#[test]
fn an_audit_event_survives_the_wire() {
    let event = event();
    assert_eq!(
        decode_audit(&encode_audit(&event, Framing::SingleObject)).unwrap(),
        event
    );
}

#[test]
fn an_audit_event_with_nothing_optional_survives_the_wire() {
    let mut event = event();
    event.start_time = None;
    event.duration = None;
    event.status_code = None;
    event.actor.user = None;
    event.actor.idp = None;
    event.api.response = None;
    event.api.token = None;
    event.raw_data_hash = None;
    event.trace = None;
    event.authorizations.clear();
    event.actor.session.expiration_reason = None;
    event.src_endpoint.ip = None;
    assert_eq!(
        decode_audit(&encode_audit(&event, Framing::SingleObject)).unwrap(),
        event
    );
}

#[test]
fn a_dead_letter_survives_the_wire() {
    let letter = DeadLetter {
        source: "main".into(),
        topic: "mcp.frames.v1".into(),
        partition: 3,
        offset: 42,
        time: 1,
        reason: "malformed".into(),
        detail: "the record ends inside a field".into(),
        size: 12,
        consumer_version: "0".into(),
    };
    assert_eq!(
        decode_dead_letter(&encode_dead_letter(&letter, Framing::SingleObject)).unwrap(),
        letter
    );
}
