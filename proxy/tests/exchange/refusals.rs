//! What does not pass.

use serde_json::json;
use tapedeck_schemas::{End, Kind};

use crate::rig::{GROUP, Reply, Rig, Target, assert_at_most_one_end, of_kind};
use crate::{RESULT, call, simple};

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_on_record_and_reach_no_target() {
    let rig = simple().await;
    let stranger = rig.post(call(1, "secret-name")).without("authorization").send().await;
    assert_eq!(stranger.status, 401);
    assert!(
        stranger.headers["www-authenticate"]
            .to_str()
            .expect("text")
            .contains("resource_metadata=")
    );
    let outsider = format!("Bearer {}", rig.issuer.token("mallory", &["guests"]));
    assert_eq!(
        rig.post(call(2, "forbidden-tool"))
            .header("authorization", &outsider)
            .send()
            .await
            .status,
        403
    );
    let twice = r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","method":"tools/call"}"#;
    let answer = rig.post(twice).send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json().await["error"]["code"], -32600);
    assert_eq!(rig.post("{").send().await.json().await["error"]["code"], -32700);
    assert_eq!(
        rig.post(call(4, "x"))
            .header("mcp-session-id", "not-ours")
            .send()
            .await
            .status,
        404
    );
    assert_eq!(
        rig.post(call(5, "x"))
            .header("origin", "https://evil.example")
            .send()
            .await
            .status,
        403
    );
    assert_eq!(rig.request("PUT").send().await.status, 405);
    assert!(rig.target.seen().is_empty());

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let refused = of_kind(&frames, Kind::Refused);
    let rule = |rule: &str| {
        *refused
            .iter()
            .find(|frame| frame.decision.as_ref().is_some_and(|one| one.rule == rule))
            .expect(rule)
    };
    let stranger = rule("missing");
    assert!(stranger.principal.is_none() && stranger.payload.is_none() && stranger.rpc.is_none());
    let forbidden = rule("forbidden");
    assert_eq!(forbidden.principal.as_ref().expect("known").subject, "mallory");
    assert_eq!(
        forbidden.rpc.as_ref().expect("an envelope").name.as_deref(),
        Some("forbidden-tool")
    );
    assert_eq!(forbidden.http.status, Some(403));
    assert_eq!(rule("ambiguous_message").payload.as_ref().expect("evidence").0, twice);
    for name in [
        "malformed_message",
        "unknown_session",
        "origin_not_allowed",
        "method_not_allowed",
    ] {
        assert_eq!(rule(name).end, Some(End::Refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_belongs_to_who_opened_it_and_its_target_sees_its_own_id() {
    let target = Target::start(|seen| async move {
        if seen.method == "DELETE" {
            return Reply::accepted().status(200);
        }
        Reply::json(RESULT).header("mcp-session-id", "the-targets-id")
    });
    let rig = Rig::new(target.await).await;
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "claimed", "version": "1" } } });
    let opened = rig.post(initialize.to_string()).send().await;
    let tagged = opened.headers["mcp-session-id"].to_str().expect("text").to_owned();
    assert!(tagged.starts_with("the-targets-id."));
    let inside = rig
        .post(call(2, "inside"))
        .header("mcp-session-id", &tagged)
        .send()
        .await;
    assert_eq!(
        inside.headers["mcp-session-id"], tagged,
        "a target that repeats its id changes nothing"
    );
    assert_eq!(
        rig.request("DELETE")
            .header("mcp-session-id", &tagged)
            .send()
            .await
            .status,
        200
    );
    let other = format!("Bearer {}", rig.issuer.token("bob", &[GROUP]));
    let stolen = rig
        .post(call(3, "stolen"))
        .header("mcp-session-id", &tagged)
        .header("authorization", &other)
        .send()
        .await;
    assert_eq!(stolen.status, 404);
    let seen = rig.target.seen();
    assert_eq!(seen.len(), 3);
    assert!(
        seen[1..]
            .iter()
            .all(|seen| seen.headers["mcp-session-id"] == "the-targets-id")
    );

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let first = frames
        .iter()
        .find(|frame| frame.kind == Kind::Message)
        .expect("the initialize");
    assert_eq!(first.client.claimed_name.as_deref(), Some("claimed"));
    assert_eq!(first.protocol.revision.as_deref(), Some("2025-06-18"));
    let of_session = frames
        .iter()
        .filter(|frame| frame.session_id == Some(first.exchange_id))
        .count();
    assert_eq!(
        of_session, 5,
        "the initialize's answer, the call and its answer, the DELETE and its answer"
    );
    let rules: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame.decision.as_ref())
        .map(|one| one.rule.as_str())
        .collect();
    assert_eq!(rules, ["foreign_session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_could_read_as_another_call_does_not_reach_it() {
    let rig = simple().await;
    // In UTF-7 this calls another method.
    let two_faced = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_":"+ACIAfQAs-"}}"#;
    let in_utf7 = rig
        .post(two_faced)
        .header("content-type", "application/json; charset=utf-7");
    let answer = in_utf7.send().await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.json().await["error"]["data"]["reason"], "charset");
    let two_revisions = rig
        .post(call(2, "x"))
        .header("mcp-protocol-version", "2025-06-18")
        .and_header("mcp-protocol-version", "2026-07-28");
    let answer = two_revisions.send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json().await["error"]["data"]["reason"], "bad_revision");
    assert!(rig.target.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_leads_no_client_around_the_proxy() {
    let target = Target::start(|seen| async move {
        match seen.method.as_str() {
            "GET" => Reply::json("").status(101).header("upgrade", "websocket"),
            _ => Reply::json("")
                .status(307)
                .header("location", "http://target.internal/mcp/"),
        }
    });
    let rig = Rig::new(target.await).await;
    let redirected = rig.post(call(1, "x")).send().await;
    assert_eq!(redirected.status, 307);
    assert!(!redirected.headers.contains_key("location"));
    assert_eq!(redirected.whole().await.expect("whole"), "");
    assert_eq!(rig.target.seen().len(), 1, "the proxy does not follow it either");
    let switched = rig.request("GET").header("connection", "upgrade").send().await;
    assert_eq!(switched.status, 502);
    assert_eq!(switched.json().await["error"]["data"]["reason"], "upstream_lost");
    let frames = rig.stop_and_read().await;
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(ends, [End::Answered, End::UpstreamLost]);
}

/// A client that is still sending sees the refusal, not a connection that was reset under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let rig = simple().await;
    let large = vec![b' '; 12 * 1024 * 1024];
    for _ in 0..10 {
        assert_eq!(rig.post(large.clone()).send().await.status, 413);
        let stranger = rig.post(large.clone()).without("authorization");
        assert_eq!(stranger.send().await.status, 401);
    }
}
