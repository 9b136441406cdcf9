use std::sync::Arc;

use tapedeck_schemas::{Decision, Direction, End, Frame, Kind, Part, Principal, Rpc, RpcKind};
use uuid::Uuid;

use super::{Masked, audit_event};

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
            ..Rpc::default()
        }),
        ..Frame::default()
    }
}

fn masked() -> Masked<'static> {
    Masked {
        name: Some("echo"),
        ..Masked::default()
    }
}

#[test]
fn an_answered_call_is_one_event_about_caller_and_tool() {
    let session = Uuid::now_v7();
    let event = audit_event(&answer(), masked(), session).unwrap();
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
    frame.rpc.as_mut().unwrap().method = Some(long.clone());
    let masked = Masked {
        name: Some(&long),
        user_agent: Some(&long),
        claimed_name: Some(&long),
        claimed_version: Some(&long),
    };
    let event = audit_event(&frame, masked, Uuid::now_v7()).unwrap();
    assert!(tapedeck_schemas::wire::encode_audit(&event, Default::default()).len() < 64 * 1024);
}

#[test]
fn a_replay_gives_the_same_event() {
    let (frame, session) = (answer(), Uuid::now_v7());
    assert_eq!(
        audit_event(&frame, masked(), session),
        audit_event(&frame, masked(), session)
    );
}

#[test]
fn only_the_last_part_of_an_answer_is_an_event() {
    let frame = Frame {
        part: Part { index: 0, last: false },
        end: None,
        ..answer()
    };
    assert_eq!(audit_event(&frame, masked(), Uuid::now_v7()), None);
}

#[test]
fn a_tools_own_error_and_a_json_rpc_error_are_failures_that_are_told_apart() {
    let mut frame = answer();
    frame.rpc.as_mut().unwrap().is_error = Some(true);
    let event = audit_event(&frame, masked(), Uuid::now_v7()).unwrap();
    assert_eq!((event.status_id, event.status_code.as_deref()), (2, Some("isError")));
    let rpc = frame.rpc.as_mut().unwrap();
    (rpc.kind, rpc.is_error, rpc.error_code) = (RpcKind::Error, None, Some(-32602));
    let event = audit_event(&frame, masked(), Uuid::now_v7()).unwrap();
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
    let event = audit_event(&frame, Masked::default(), Uuid::now_v7()).unwrap();
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
    assert_eq!(audit_event(&request, masked(), Uuid::now_v7()), None);
    let end = Frame {
        kind: Kind::ExchangeEnd,
        direction: Direction::None,
        ..answer()
    };
    assert_eq!(audit_event(&end, masked(), Uuid::now_v7()), None);
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
        let event = audit_event(&frame, masked(), Uuid::now_v7()).unwrap();
        assert_eq!((event.status_id, event.status_code.as_deref()), (2, Some(end.as_str())));
    }
}

#[test]
fn a_server_initiated_request_in_a_stream_is_no_call_of_the_client() {
    let mut frame = answer();
    frame.end = None;
    frame.rpc.as_mut().unwrap().kind = RpcKind::Request;
    assert_eq!(audit_event(&frame, masked(), Uuid::now_v7()), None);
}
