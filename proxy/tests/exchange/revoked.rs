//! Tokens that their issuer does not stand by any more.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tapedeck_schemas::{End, Kind};
use tokio::sync::mpsc;

use crate::call;
use crate::rig::{Broken, GROUP, Reply, Rig, Target, assert_at_most_one_end, of_kind};

/// A proxy that asks about each JWT every second.
async fn asking() -> (Rig, mpsc::UnboundedReceiver<mpsc::Sender<Result<Bytes, Broken>>>) {
    let (give, given) = mpsc::unbounded_channel();
    let target = Target::start(move |_| {
        let (sender, reply) = Reply::events();
        give.send(sender).expect("the test holds it");
        async { reply }
    });
    let settings = "[limits]\ncall_grace = \"2s\"\n[issuer.introspection]\nclient_id = \"proxy\"\n\
                    client_secret = { env = \"TARGET_SECRET\" }\ntokens = \"jwt\"\nkeep = \"1s\"";
    (Rig::with(target.await, "http://127.0.0.1:9", settings).await, given)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_listening_streams_and_a_call_after_its_grace() {
    let (rig, mut given) = asking().await;
    let (revoked, kept) = (rig.issuer.token("alice", &[GROUP]), rig.issuer.token("bob", &[GROUP]));
    let listen = json!({ "jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    let listen = rig
        .post(listen.to_string())
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen");
    let mut open = Vec::new();
    for (request, token) in [
        (rig.request("GET"), &revoked),
        (listen, &revoked),
        (rig.post(call(1, "slow")), &revoked),
        (rig.request("GET"), &kept),
    ] {
        let request = request.header("authorization", &format!("Bearer {token}"));
        open.push((request.send().await, given.recv().await.expect("the target was asked")));
    }
    let (mut others, others_sender) = open.pop().expect("four");
    let (mut calling, calls_sender) = open.pop().expect("three");
    rig.issuer.revoke(&revoked);
    for (listening, sender) in open {
        assert_eq!(listening.whole().await.expect_err("a cut, not a clean end"), "");
        sender.closed().await;
    }
    let event = Bytes::from_static(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
    calls_sender.send(Ok(event.clone())).await.expect("the call may go on");
    assert_eq!(calling.next().await.expect("open"), event);
    calls_sender.closed().await;
    calling.whole().await.expect_err("cut");
    others_sender
        .send(Ok(event.clone()))
        .await
        .expect("another's stream is open");
    assert_eq!(others.next().await.expect("open"), event);

    // New requests are refused within the second that an answer counts.
    let asked = async {
        loop {
            let answer = rig
                .post(call(2, "x"))
                .header("authorization", &format!("Bearer {revoked}"))
                .send()
                .await;
            if answer.status == 401 {
                break answer;
            }
            drop(given.try_recv());
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .expect("it is noticed");
    assert_eq!(refused.json().await["error"]["data"]["reason"], "inactive");

    others.vanish().await;
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let cut = of_kind(&frames, Kind::ExchangeEnd)
        .into_iter()
        .filter(|end| end.decision.as_ref().is_some_and(|why| why.rule == "token_revoked"));
    let ends: Vec<_> = cut.map(|end| end.end).collect();
    assert_eq!(ends, [Some(End::Aborted); 3]);
}
