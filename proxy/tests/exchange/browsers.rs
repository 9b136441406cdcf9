//! Clients that are web pages, and where they find their way.

use serde_json::json;
use tapedeck_schemas::Kind;

use crate::rig::{Reply, Request, Rig, Target, of_kind};
use crate::{RESULT, call};

const APP: &str = "https://app.example";

async fn rig() -> Rig {
    let target = Target::start(|_| async {
        Reply::json(RESULT)
            .header("access-control-allow-origin", "https://someone.example")
            .header("mcp-session-id", "s")
    });
    let top = format!("allowed_origins = [\"{APP}\"]\nallowed_hosts = [\"known.example\"]");
    Rig::like(target.await, "http://127.0.0.1:9", &top, "").await
}

fn preflight(rig: &Rig, path: &str, origin: &str) -> Request {
    Request::new(rig.address(), "OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,mcp-param-region")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_may_ask_and_read_and_another_may_not() {
    let rig = rig().await;
    let asked = preflight(&rig, "/demo/mcp", APP).send().await;
    assert_eq!(asked.status, 204);
    assert_eq!(asked.headers["access-control-allow-origin"], APP);
    assert_eq!(
        asked.headers["access-control-allow-headers"],
        "authorization,mcp-param-region"
    );
    assert_eq!(asked.headers["access-control-allow-methods"], "POST, GET, DELETE");
    assert!(!asked.headers.contains_key("access-control-allow-credentials"));
    let foreign = preflight(&rig, "/demo/mcp", "https://evil.example").send().await;
    assert_eq!(foreign.status, 403);
    assert!(!foreign.headers.contains_key("access-control-allow-origin"));
    assert!(rig.target.seen().is_empty());

    let answer = rig.post(call(1, "x")).header("origin", APP).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers["access-control-allow-origin"], APP,
        "not what the target says"
    );
    assert_eq!(answer.headers["vary"], "Origin");
    let exposed = answer.headers["access-control-expose-headers"].to_str().expect("text");
    assert!(exposed.contains("Mcp-Session-Id") && exposed.contains("WWW-Authenticate"));
    let stranger = rig
        .post(call(1, "x"))
        .header("origin", APP)
        .without("authorization")
        .send()
        .await;
    assert_eq!(stranger.status, 401);
    assert_eq!(
        stranger.headers["access-control-allow-origin"], APP,
        "it must see that it has to sign in"
    );
    for foreign in ["https://evil.example", "null", "https://app.example.evil"] {
        let refused = rig.post(call(1, "x")).header("origin", foreign).send().await;
        assert_eq!(refused.status, 403, "{foreign}");
        assert!(!refused.headers.contains_key("access-control-allow-origin"));
    }
    let no_page = rig.post(call(1, "x")).send().await;
    assert!(!no_page.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_led_here_by_a_name_of_somebody_elses_is_refused() {
    let rig = rig().await;
    for known in ["known.example", "KNOWN.example:8443", "127.0.0.1:1", "[::1]:1"] {
        assert_eq!(
            rig.post(call(1, "x")).header("host", known).send().await.status,
            200,
            "{known}"
        );
    }
    let reached = rig.target.seen().len();
    for foreign in [
        "evil.example",
        "127.0.0.1.evil.example",
        "known.example@evil.example",
        "",
    ] {
        let refused = rig.post(call(1, "x")).header("host", foreign).send().await;
        assert_eq!(refused.status, 403, "{foreign}");
    }
    let two = rig.post(call(1, "x")).and_header("host", "evil.example").send().await;
    assert_eq!(two.status, 403);
    assert_eq!(rig.target.seen().len(), reached);
    let frames = rig.stop_and_read().await;
    let refused = of_kind(&frames, Kind::Refused);
    assert_eq!(refused.len(), 5);
    assert!(refused.iter().all(|frame| {
        frame
            .decision
            .as_ref()
            .is_some_and(|one| one.rule == "host_not_allowed")
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_for_the_authorization_server_finds_it() {
    let rig = rig().await;
    let path = "/.well-known/oauth-authorization-server";
    let origin = Request::new(rig.address(), "GET", path).header("origin", "https://any.example");
    let answer = origin.send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let metadata = answer.json().await;
    assert_eq!(metadata["issuer"], json!(rig.issuer.url()));
    assert_eq!(metadata["token_endpoint"], json!(format!("{}/token", rig.issuer.url())));
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        json!(["S256"]),
        "whatever the issuer says passes"
    );
    assert_eq!(Request::new(rig.address(), "POST", path).send().await.status, 405);
    let resource = "/.well-known/oauth-protected-resource/demo/mcp";
    let asked = preflight(&rig, resource, "https://any.example").send().await;
    assert_eq!(
        (asked.status, &asked.headers["access-control-allow-origin"]),
        (204, &"*".parse().expect("a header"))
    );
}
