//! A recording with something of everything that a call can be.

use std::sync::Arc;

use tapedeck_schemas::{Decision, Direction, End, Frame, Gap, Http, Kind, Rpc, RpcKind};
use uuid::Uuid;

use crate::frames::Proxy;

/// A message's envelope.
pub(crate) fn rpc(kind: RpcKind, method: Option<&str>, id: Option<&str>, name: Option<&str>) -> Rpc {
    Rpc {
        kind,
        method: method.map(str::to_owned),
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        ..Rpc::default()
    }
}

/// A message on an exchange.
pub(crate) fn message(proxy: &Proxy, exchange: Uuid, direction: Direction, rpc: Rpc) -> Frame {
    let status = (direction == Direction::ToClient).then_some(200);
    Frame {
        kind: Kind::Message,
        direction,
        rpc: Some(rpc),
        http: Http {
            method: Some("POST".to_owned()),
            status,
            content_type: Some("application/json".to_owned()),
        },
        ..proxy.frame(exchange)
    }
}

fn end(proxy: &Proxy, exchange: Uuid, end: End, rpc: Option<Rpc>) -> Frame {
    Frame {
        kind: Kind::ExchangeEnd,
        end: Some(end),
        rpc,
        ..proxy.frame(exchange)
    }
}

/// The calls of a recording, by what became of them: outcome and how many. `unknown` only once its writer is settled.
pub(crate) const OUTCOMES: &[(&str, i64)] = &[
    ("aborted", 4),
    ("answered", 8),
    ("error", 5),
    ("open", 1),
    ("refused", 1),
    ("unanswered", 1),
];

/// Records one call of each kind, and returns the session. The last call is left open.
pub(crate) fn record(proxy: &mut Proxy) -> Uuid {
    let session = Uuid::now_v7();
    proxy.request(session, "initialize", r#"{"method":"initialize"}"#);
    proxy.answer(session, "initialize", r#"{"result":{}}"#);
    refused(proxy);
    proxy.call("write to alice.cooper@example.com please");
    failures(proxy);
    batches(proxy);
    answers_elsewhere(proxy);
    withheld(proxy);
    withheld_in_a_stream(proxy);
    large(proxy);
    one_token_in_two_places(proxy);
    let gap = Frame {
        kind: Kind::Gap,
        gap: Some(Gap {
            reason: "kafka_away".to_owned(),
            frames: 3,
            bytes: 4000,
        }),
        ..proxy.frame(Uuid::now_v7())
    };
    proxy.seal(gap, None);
    proxy.request(Uuid::now_v7(), "tools/call", "{}");
    session
}

/// The tool that is allowed right afterwards.
fn refused(proxy: &mut Proxy) {
    let asked = rpc(RpcKind::Request, Some("tools/call"), Some("1"), Some("echo"));
    let frame = Frame {
        kind: Kind::Refused,
        end: Some(End::Refused),
        decision: Some(Decision {
            rule: "not_allowed".to_owned(),
            action: "refuse".to_owned(),
            approval_id: None,
        }),
        ..message(proxy, Uuid::now_v7(), Direction::ToTarget, asked)
    };
    let frame = Frame {
        http: Http {
            status: Some(403),
            ..frame.http.clone()
        },
        ..frame
    };
    proxy.seal(frame, Some(b"{}"));
}

/// An error of the protocol, a tool's failure, a server's failure without JSON, and an error about the whole message.
fn failures(proxy: &mut Proxy) {
    let ask = |proxy: &mut Proxy| {
        let exchange = Uuid::now_v7();
        proxy.request(exchange, "tools/call", "{}");
        exchange
    };
    let answers: [fn(&mut Rpc); 4] = [
        |rpc| {
            rpc.kind = RpcKind::Error;
            rpc.error_code = Some(-32601);
        },
        |rpc| rpc.is_error = Some(true),
        |rpc| {
            rpc.kind = RpcKind::None;
            rpc.id = None;
        },
        |rpc| {
            rpc.kind = RpcKind::Error;
            rpc.id = None;
            rpc.error_code = Some(-32700);
        },
    ];
    for (number, change) in answers.into_iter().enumerate() {
        let exchange = ask(proxy);
        let mut answer = rpc(RpcKind::Response, Some("tools/call"), Some("1"), Some("echo"));
        change(&mut answer);
        let mut frame = message(proxy, exchange, Direction::ToClient, answer);
        frame.end = Some(End::Answered);
        if number == 2 {
            frame.http.status = Some(500);
        }
        proxy.seal(frame, Some(b"{}"));
    }
    // 202 and nothing more.
    let exchange = ask(proxy);
    let accepted = rpc(RpcKind::None, Some("tools/call"), Some("1"), Some("echo"));
    let accepted = end(proxy, exchange, End::Accepted, Some(accepted));
    proxy.seal(accepted, None);
}

/// Two calls in one body that are answered in one body, and two of which only one was.
fn batches(proxy: &mut Proxy) {
    for cut in [false, true] {
        let exchange = Uuid::now_v7();
        let batch = message(
            proxy,
            exchange,
            Direction::ToTarget,
            rpc(RpcKind::Batch, None, None, None),
        );
        proxy.seal(batch, Some(b"[{},{}]"));
        for (id, name) in [("1", "echo"), ("2", "add")] {
            let member = rpc(RpcKind::Request, Some("tools/call"), Some(id), Some(name));
            let member = message(proxy, exchange, Direction::ToTarget, member);
            proxy.seal(member, None);
        }
        if cut {
            let answer = rpc(RpcKind::Response, Some("tools/call"), Some("2"), Some("add"));
            let answer = message(proxy, exchange, Direction::ToClient, answer);
            proxy.seal(answer, Some(b"{}"));
            let aborted = end(
                proxy,
                exchange,
                End::Aborted,
                Some(rpc(RpcKind::None, None, None, None)),
            );
            proxy.seal(aborted, None);
            continue;
        }
        let answers = message(
            proxy,
            exchange,
            Direction::ToClient,
            rpc(RpcKind::Batch, None, None, None),
        );
        proxy.seal(answers, Some(b"[{},{}]"));
        let mut failed = rpc(RpcKind::Response, Some("tools/call"), Some("1"), Some("echo"));
        failed.is_error = Some(true);
        let failed = message(proxy, exchange, Direction::ToClient, failed);
        proxy.seal(failed, None);
        let last = rpc(RpcKind::Response, Some("tools/call"), Some("2"), Some("add"));
        let mut last = message(proxy, exchange, Direction::ToClient, last);
        last.end = Some(End::Answered);
        proxy.seal(last, None);
    }
}

/// A question of the target's within a call, which the client answers on an exchange of its own; and a stream that breaks
/// and is resumed.
fn answers_elsewhere(proxy: &mut Proxy) {
    let (call, answers) = (Uuid::now_v7(), Uuid::now_v7());
    proxy.request(call, "tools/call", "{}");
    let asked = rpc(RpcKind::Request, Some("elicitation/create"), Some("77"), None);
    let asked = message(proxy, call, Direction::ToClient, asked);
    proxy.seal(asked, Some(br#"{"method":"elicitation/create"}"#));
    let answer = message(
        proxy,
        answers,
        Direction::ToTarget,
        rpc(RpcKind::Response, None, Some("77"), None),
    );
    proxy.seal(answer, Some(br#"{"result":{}}"#));
    let accepted = rpc(RpcKind::None, None, Some("77"), None);
    let accepted = end(proxy, answers, End::Accepted, Some(accepted));
    proxy.seal(accepted, None);
    proxy.answer(call, "tools/call", "{}");

    let (call, stream) = (Uuid::now_v7(), Uuid::now_v7());
    let asked = rpc(RpcKind::Request, Some("tools/call"), Some("78"), Some("slow"));
    let asked = message(proxy, call, Direction::ToTarget, asked);
    proxy.seal(asked, Some(b"{}"));
    let broken = rpc(RpcKind::None, Some("tools/call"), Some("78"), Some("slow"));
    let broken = end(proxy, call, End::UpstreamLost, Some(broken));
    proxy.seal(broken, None);
    let resumed = Frame {
        kind: Kind::ExchangeStart,
        direction: Direction::ToTarget,
        ..proxy.frame(stream)
    };
    proxy.seal(resumed, None);
    let answer = rpc(RpcKind::Response, None, Some("78"), None);
    let answer = message(proxy, stream, Direction::ToClient, answer);
    proxy.seal(answer, Some(b"{}"));
    let answered = end(proxy, stream, End::Answered, None);
    proxy.seal(answered, None);
}

/// Answers whose last frame was not confirmed, so that their clients never saw them; of one call, and of a batch's one.
fn withheld(proxy: &mut Proxy) {
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    proxy.answer(exchange, "tools/call", "{}");
    let aborted = rpc(RpcKind::None, Some("tools/call"), Some("1"), Some("echo"));
    let aborted = end(proxy, exchange, End::Aborted, Some(aborted));
    proxy.seal(aborted, None);
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    let aborted = rpc(RpcKind::None, Some("tools/call"), Some("1"), Some("echo"));
    let aborted = end(proxy, exchange, End::Aborted, Some(aborted));
    proxy.seal(aborted, None);
}

/// An answer in a stream, whose frame ends nothing, that was on record by the time its client was refused it.
fn withheld_in_a_stream(proxy: &mut Proxy) {
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    let answer = rpc(RpcKind::Response, Some("tools/call"), Some("1"), Some("echo"));
    let answer = message(proxy, exchange, Direction::ToClient, answer);
    proxy.seal(answer, Some(b"{}"));
    let asked = rpc(RpcKind::None, Some("tools/call"), Some("1"), Some("echo"));
    let aborted = Frame {
        decision: Some(Decision {
            rule: "answer_withheld".to_owned(),
            action: "end".to_owned(),
            approval_id: None,
        }),
        ..end(proxy, exchange, End::Aborted, Some(asked))
    };
    proxy.seal(aborted, None);
}

/// An answer in three parts.
fn large(proxy: &mut Proxy) {
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    proxy.answer(
        exchange,
        "tools/call",
        &format!(r#"{{"result":"{}"}}"#, "lorem ipsum ".repeat(100_000)),
    );
}

/// Streams that are asked for with one token, from two addresses.
fn one_token_in_two_places(proxy: &mut Proxy) {
    for address in ["192.0.2.1", "198.51.100.9"] {
        let mut frame = Frame {
            kind: Kind::ExchangeStart,
            direction: Direction::ToTarget,
            ..proxy.frame(Uuid::now_v7())
        };
        address.clone_into(&mut frame.client.address);
        if let Some(principal) = &mut frame.principal {
            Arc::make_mut(principal).token_id = Some("jti-1".to_owned());
        }
        proxy.seal(frame, None);
    }
}
