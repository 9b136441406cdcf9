use std::sync::Arc;

use tapedeck_schemas::{Decision, Direction, End, Frame, Gap, Http, Kind, Part, Principal, Rpc, RpcKind};
use uuid::Uuid;

use super::*;
use crate::sessions::Closed;

fn answer() -> Frame {
    Frame {
        exchange_id: Uuid::now_v7(),
        time: i64::MAX / 2,
        kind: Kind::Message,
        direction: Direction::ToClient,
        end: Some(End::Answered),
        target: "everything".into(),
        principal: Some(Arc::new(Principal {
            subject: "alice".into(),
            ..Principal::default()
        })),
        rpc: Some(Rpc {
            kind: RpcKind::Response,
            method: Some("tools/call".into()),
            name: Some("echo".into()),
            ..Rpc::default()
        }),
        ..Frame::default()
    }
}

/// The event of a frame in the middle of a session.
fn audit_event(frame: &Frame, session: Uuid) -> Option<AuditEvent> {
    let place = Place {
        session,
        ..Place::default()
    };
    let mut events = placed(frame, &place);
    assert!(events.len() <= 1, "nothing but what the frame ends");
    events.pop()
}

/// The events of a frame, each of them valid.
fn placed(frame: &Frame, place: &Place) -> Vec<AuditEvent> {
    let events = audit_events(Told {
        frame,
        place,
        truncated: false,
    });
    for event in &events {
        ocsf::assert_valid(event);
    }
    events
}

#[test]
fn an_answered_call_is_one_event_about_caller_and_tool() {
    let session = Uuid::now_v7();
    let event = audit_event(&answer(), session).unwrap();
    assert_eq!(
        (event.class_uid, event.type_uid, event.status_id, event.disposition_id),
        (6003, 600_399, 1, 1)
    );
    assert_eq!(event.api.operation, "tools/call echo");
    assert_eq!(event.resources[0].kind, "mcp_tool");
    assert_eq!(event.actor.user.unwrap().uid, "alice");
    assert_eq!(event.metadata.correlation_uid, session.to_string());
    assert!(event.duration.unwrap() >= 0);
}

#[test]
fn an_event_stays_small_whatever_a_client_names() {
    let long = "ä".repeat(400_000);
    let mut frame = answer();
    let rpc = frame.rpc.as_mut().unwrap();
    (rpc.method, rpc.name) = (Some(long.clone()), Some(long.clone()));
    frame.client.user_agent = Some(long.clone());
    (frame.client.claimed_name, frame.client.claimed_version) = (Some(long.clone()), Some(long));
    let event = audit_event(&frame, Uuid::now_v7()).unwrap();
    assert!(event.metadata.is_truncated);
    assert!(tapedeck_schemas::wire::encode_audit(&event, Default::default()).len() < 64 * 1024);
}

#[test]
fn a_replay_gives_the_same_event() {
    let (frame, session) = (answer(), Uuid::now_v7());
    assert_eq!(audit_event(&frame, session), audit_event(&frame, session));
}

#[test]
fn only_the_last_part_of_an_answer_is_an_event() {
    let frame = Frame {
        part: Part { index: 0, last: false },
        end: None,
        ..answer()
    };
    assert_eq!(audit_event(&frame, Uuid::now_v7()), None);
}

#[test]
fn a_tools_own_error_and_a_json_rpc_error_are_failures_that_are_told_apart() {
    let mut frame = answer();
    frame.rpc.as_mut().unwrap().is_error = Some(true);
    let event = audit_event(&frame, Uuid::now_v7()).unwrap();
    assert_eq!((event.status_id, event.status_code.as_deref()), (2, Some("isError")));
    let rpc = frame.rpc.as_mut().unwrap();
    (rpc.kind, rpc.is_error, rpc.error_code) = (RpcKind::Error, None, Some(-32602));
    let event = audit_event(&frame, Uuid::now_v7()).unwrap();
    assert_eq!((event.status_id, event.status_code.as_deref()), (2, Some("-32602")));
}

#[test]
fn a_refusal_is_blocked_and_names_its_rule() {
    let frame = Frame {
        kind: Kind::Refused,
        direction: Direction::ToTarget,
        end: Some(End::Refused),
        principal: None,
        decision: Some(Decision {
            rule: "wrong_audience".into(),
            action: "refuse".into(),
            approval_id: None,
        }),
        ..answer()
    };
    let event = audit_event(&frame, Uuid::now_v7()).unwrap();
    assert_eq!(
        (event.disposition_id, event.status_code.as_deref()),
        (2, Some("wrong_audience"))
    );
    assert_eq!(event.actor.user, None);
}

#[test]
fn a_request_and_a_streams_regular_end_are_no_events_of_their_own() {
    let request = Frame {
        direction: Direction::ToTarget,
        end: None,
        ..answer()
    };
    assert_eq!(audit_event(&request, Uuid::now_v7()), None);
    let end = Frame {
        kind: Kind::ExchangeEnd,
        direction: Direction::None,
        ..answer()
    };
    assert_eq!(audit_event(&end, Uuid::now_v7()), None);
}

#[test]
fn an_exchange_that_ended_badly_is_an_event() {
    for end in [End::NotForwarded, End::Cancelled, End::UpstreamLost, End::Aborted] {
        let frame = Frame {
            kind: Kind::ExchangeEnd,
            direction: Direction::None,
            end: Some(end),
            ..answer()
        };
        let event = audit_event(&frame, Uuid::now_v7()).unwrap();
        assert_eq!((event.status_id, event.status_code.as_deref()), (2, Some(end.as_str())));
    }
}

#[test]
fn a_server_initiated_request_in_a_stream_is_no_call_of_the_client() {
    let mut frame = answer();
    frame.end = None;
    frame.rpc.as_mut().unwrap().kind = RpcKind::Request;
    assert_eq!(audit_event(&frame, Uuid::now_v7()), None);
}

#[test]
fn a_session_is_opened_and_closed_by_frames_and_each_has_an_id_of_its_own() {
    let (session, before) = (Uuid::now_v7(), Uuid::now_v7());
    let place = Place {
        session,
        starts: true,
        closes: Some(Closed {
            session: before,
            last: 5_000_000,
        }),
        ..Place::default()
    };
    let events = placed(&answer(), &place);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.metadata.event_code.as_str(),
                event.metadata.correlation_uid.as_str(),
            )
        })
        .collect();
    let (session, before) = (session.to_string(), before.to_string());
    assert_eq!(
        told,
        [
            ("session_closed", before.as_str()),
            ("session_opened", session.as_str()),
            ("call", session.as_str())
        ]
    );
    assert_eq!(events[0].time, 5000);
    assert_eq!(events[0].actor.session.expiration_reason.as_deref(), Some("idle"));
    let ids: std::collections::HashSet<&str> = events.iter().map(|event| event.metadata.uid.as_str()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_session_that_its_client_deletes_is_closed_and_one_that_the_target_keeps_is_not() {
    let closed = |status| {
        let frame = Frame {
            session_id: Some(Uuid::now_v7()),
            rpc: None,
            http: Http {
                method: Some("DELETE".into()),
                status: Some(status),
                content_type: None,
            },
            ..answer()
        };
        let place = Place {
            session: frame.session_id.unwrap(),
            ..Place::default()
        };
        let events = placed(&frame, &place);
        let reasons = events.iter().map(|event| event.actor.session.expiration_reason.clone());
        reasons.flatten().collect::<Vec<_>>()
    };
    assert_eq!(closed(200), ["ended"]);
    assert_eq!(closed(405), Vec::<String>::new());
}

#[test]
fn a_gap_and_an_unknown_end_are_valid_without_a_client() {
    let gap = Frame {
        kind: Kind::Gap,
        direction: Direction::None,
        end: None,
        rpc: None,
        principal: None,
        gap: Some(Gap {
            reason: "kafka_away".into(),
            frames: 3,
            bytes: 9,
        }),
        ..answer()
    };
    let event = audit_event(&gap, Uuid::nil()).unwrap();
    assert_eq!((event.metadata.event_code.as_str(), event.severity_id), ("gap", 4));
    assert_eq!(event.src_endpoint.name.as_deref(), Some("tapedeck"));
    let unknown = unknown_event(&answer(), Uuid::now_v7());
    ocsf::assert_valid(&unknown);
    assert_eq!((unknown.status_id, unknown.metadata.event_code.as_str()), (0, "call"));
}

#[test]
fn what_has_not_the_form_that_ocsf_wants_is_kept_beside_it() {
    let mut frame = answer();
    frame.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    frame.principal = Some(Arc::new(Principal {
        subject: "alice".into(),
        email: Some("alice at home".into()),
        ..Principal::default()
    }));
    frame.client.address = "unix".into();
    let event = audit_event(&frame, Uuid::now_v7()).unwrap();
    assert_eq!(event.trace.unwrap().uid, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(event.unmapped["email"], "alice at home");
    assert_eq!(event.src_endpoint.name.as_deref(), Some("unix"));
}
