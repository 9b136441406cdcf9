//! The parts that run on Node, without the recorder between them: what they do directly is what they must do through it.

use serde_json::{Value, json};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::identity::{AccessToken, Identity, Machine, Options, Unsigned};
use tapedeck_dev::mcp::{self, Call, Caller, Line, Probe, ProbeOptions, Server, Transcript, Visit};
use tapedeck_dev::node::Node;
use tapedeck_dev::progress::Quiet;
use tokio::sync::OnceCell;

const AUDIENCE: &str = "http://127.0.0.1:9/everything/mcp";

/// One install and one set of scripts for all tests of this binary.
struct Shared {
    folder: Folder,
    run: Run,
    node: Node,
}

async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    let open = || async {
        let folder = Folder::open().expect("a workspace");
        let run = folder.run("test-mcp").expect("a run");
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let node = Node::open(site).await.expect("Node and its packages");
        Shared { folder, run, node }
    };
    SHARED.get_or_init(open).await
}

impl Shared {
    fn site(&self) -> Site<'_> {
        Site {
            folder: &self.folder,
            run: &self.run,
            progress: &Quiet,
        }
    }
}

async fn identity() -> Identity {
    let shared = shared().await;
    Identity::start(&shared.node, Options::default(), shared.site())
        .await
        .expect("an identity provider")
}

async fn everything() -> Server {
    let shared = shared().await;
    mcp::everything(&shared.node, None, shared.site())
        .await
        .expect("a server")
}

async fn probe(options: ProbeOptions) -> Probe {
    let shared = shared().await;
    Probe::start(&shared.node, options, shared.site())
        .await
        .expect("a probe")
}

async fn visit(url: &str, calls: Vec<Call>) -> Transcript {
    let visit = Visit {
        bodies: true,
        ..Visit::calls(url, Caller::Anonymous, calls)
    };
    let transcript = visit.run(&shared().await.node).await.expect("a visit");
    assert!(transcript.completed(), "{:?}", transcript.lines);
    transcript
}

/// Header and claims of a compact JWS (RFC 7515), unverified: what is tested is what the provider says.
fn open(token: &AccessToken) -> (Value, Value) {
    let mut parts = token.as_str().split('.').map(|part| {
        let decoded = base64_url(part);
        serde_json::from_slice(&decoded).unwrap_or(Value::Null)
    });
    (parts.next().expect("a header"), parts.next().expect("claims"))
}

fn base64_url(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .expect("base64url")
}

#[tokio::test]
async fn a_user_who_signs_in_gets_a_jwt_access_token_for_the_resource() {
    let identity = identity().await;
    let token = identity.user_token("alice", AUDIENCE).await.expect("a token");
    let (header, claims) = open(&token);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("RS256")));
    assert_eq!(claims["iss"], identity.issuer());
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["groups"], json!(["engineers"]));
    assert_eq!(
        (&claims["name"], &claims["email"]),
        (&json!("Alice"), &json!("alice@example.com"))
    );
    assert!(claims["client_id"].is_string() && claims["jti"].is_string());
    assert_eq!(
        claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat"),
        3600
    );
}

#[tokio::test]
async fn a_machine_gets_its_token_and_a_stranger_none() {
    let identity = identity().await;
    let (_, claims) = open(
        &identity
            .machine_token(&identity.machines()[0], AUDIENCE)
            .await
            .expect("a token"),
    );
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("robot"), &json!(AUDIENCE)));
    assert_eq!(claims["groups"], json!(["engineers"]));
    let stranger = Machine {
        secret: "a guess".to_owned(),
        ..identity.machines()[0].clone()
    };
    let refused = identity
        .machine_token(&stranger, AUDIENCE)
        .await
        .expect_err("a wrong secret");
    assert!(refused.to_string().contains("invalid_client"), "{refused}");
}

#[tokio::test]
async fn a_restarted_provider_has_its_issuer_and_keys_again() {
    let identity = identity().await;
    let (issuer, keys) = (identity.issuer().to_owned(), identity.private_keys().expect("keys"));
    let before = identity
        .machine_token(&identity.machines()[0], AUDIENCE)
        .await
        .expect("a token");
    identity.restart().await.expect("restarted");
    assert_eq!(identity.issuer(), issuer);
    assert_eq!(identity.private_keys().expect("keys"), keys);
    let after = identity
        .machine_token(&identity.machines()[0], AUDIENCE)
        .await
        .expect("a token");
    assert_eq!(open(&before).0["kid"], open(&after).0["kid"]);
}

#[tokio::test]
async fn tests_sign_what_they_like_with_the_providers_key_or_a_strange_one() {
    let identity = identity().await;
    let genuine = identity
        .machine_token(&identity.machines()[0], AUDIENCE)
        .await
        .expect("a token");
    let (header, claims) = open(&genuine);
    let kid = identity.key_id("RS256").expect("keys");
    assert_eq!(header["kid"], json!(kid));
    let with = |kid: &Option<String>| Unsigned {
        header: header.clone(),
        claims: claims.clone(),
        kid: kid.clone(),
    };
    let signed = identity.sign(&[with(&kid), with(&None)]).await.expect("signed");
    assert_eq!(open(&signed[0]), (header.clone(), claims.clone()));
    // RSA signatures by PKCS #1 v1.5 (RFC 8017) are deterministic: the same key and claims give the provider's own token.
    let resigned = identity.sign(&[with(&kid)]).await.expect("signed again");
    assert_eq!(resigned[0], signed[0]);
    assert_ne!(signed[0], signed[1]);
}

#[tokio::test]
async fn the_reference_server_answers_the_whole_scenario() {
    let server = everything().await;
    let visit = Visit {
        bodies: true,
        ..Visit::scenario(server.url(), Caller::Anonymous)
    };
    let transcript = visit.run(&shared().await.node).await.expect("a visit");
    assert!(
        transcript.completed() && transcript.session().is_some(),
        "{:?}",
        transcript.lines
    );

    let received = transcript.received();
    let result = |id: u64| {
        let answer = received.iter().find(|message| message["id"] == id);
        &answer.unwrap_or_else(|| panic!("no answer to request {id}"))["result"]
    };
    assert!(
        result(1)["tools"]
            .as_array()
            .expect("tools")
            .iter()
            .any(|tool| tool["name"] == "echo")
    );
    assert_eq!(result(2)["content"][0]["text"], "Echo: hello, tape");
    assert_eq!(
        received
            .iter()
            .filter(|message| message["method"] == "notifications/progress")
            .count(),
        4
    );
    assert!(
        result(3)["content"][0]["text"]
            .as_str()
            .expect("a text")
            .starts_with("Long running operation completed")
    );
    assert_eq!(result(4)["isError"], true);
    assert_eq!(result(5)["isError"], true);
    assert_eq!(result(6)["content"][1]["mimeType"], "image/png");
    assert_eq!(result(7)["contents"][0]["mimeType"], "text/markdown");
    assert_eq!(result(8)["messages"][0]["content"]["text"], "What's weather in Lisbon?");
    assert!(transcript.answers().contains(&("DELETE", 200)));
}

#[tokio::test]
async fn two_visits_hold_the_same_conversation() {
    let server = everything().await;
    let scenario = Visit::scenario(server.url(), Caller::Anonymous);
    let (one, two) = (
        scenario.run(&shared().await.node).await,
        scenario.run(&shared().await.node).await,
    );
    let (one, two) = (one.expect("a visit"), two.expect("a visit"));
    assert!(one.conversation().len() > 20);
    assert_eq!(one.conversation(), two.conversation());
    assert_eq!(one.answers(), two.answers());
    assert_ne!(one.session(), two.session());
}

#[tokio::test]
async fn the_probe_says_what_reached_it() {
    let probe = probe(ProbeOptions::default()).await;
    let calls = vec![
        Call::tool("echo", json!({ "text": "exactly \u{1f4fc} \"this\"\n" })),
        Call::streaming("progress", json!({ "steps": 3 })),
        Call::tool("fail", json!({ "text": "out of tape" })),
        Call::tool("refuse", json!({ "code": -32050 })),
        Call::tool("big", json!({ "megabytes": 3 })),
        Call::tool("image", json!({ "bytes": 100_000 })),
    ];
    let transcript = visit(probe.url(), calls).await;
    let received = transcript.received();
    let answer = |id: u64| *received.iter().find(|message| message["id"] == id).expect("an answer");
    assert_eq!(
        answer(1)["result"]["content"][0]["text"],
        "exactly \u{1f4fc} \"this\"\n"
    );
    assert_eq!(
        received
            .iter()
            .filter(|message| message["method"] == "notifications/progress")
            .count(),
        3
    );
    assert_eq!(answer(3)["result"]["isError"], true);
    assert_eq!(answer(4)["error"]["code"], -32050);
    assert_eq!(
        answer(5)["result"]["content"][0]["text"].as_str().map(str::len),
        Some(3 << 20)
    );
    assert_eq!(
        answer(6)["result"]["content"][0]["data"].as_str().map(str::len),
        Some(100_000_usize.div_ceil(3) * 4)
    );
    assert_eq!(transcript.errors().len(), 1);

    let accounts = probe.accounts().await.expect("accounts");
    // initialize, initialized, six calls; beside them GET and DELETE.
    assert_eq!((accounts.total, accounts.messages), (10, 8));
    let echo = accounts
        .calls
        .iter()
        .find(|call| call.rpc.as_ref().is_some_and(|rpc| rpc["name"] == "echo"));
    assert_eq!(
        echo.expect("the echo").header("MCP-Session-Id"),
        [transcript.session().expect("a session")]
    );
    assert_eq!(probe.echoes().await.expect("echoes").len(), 1);
    probe.forget().await.expect("forgotten");
    assert_eq!(probe.accounts().await.expect("accounts").total, 0);
}

#[tokio::test]
async fn a_held_call_waits_for_its_release() {
    let probe = probe(ProbeOptions::default()).await;
    let held = visit(probe.url(), vec![Call::tool("hold", json!({ "text": "at last" }))]);
    let release = async {
        let is_held = |call: &mcp::Received| call.rpc.as_ref().is_some_and(|rpc| rpc["name"] == "hold");
        while !probe.accounts().await.expect("accounts").calls.iter().any(is_held) {
            tokio::task::yield_now().await;
        }
        probe.release().await.expect("released");
    };
    let (transcript, ()) = tokio::join!(held, release);
    assert!(
        transcript
            .received()
            .iter()
            .any(|message| message["result"]["content"][0]["text"] == "at last")
    );
}

#[tokio::test]
async fn a_stateless_probe_opens_no_session_and_a_json_probe_streams_nothing() {
    let stateless = probe(ProbeOptions {
        stateless: true,
        json: true,
        ..ProbeOptions::default()
    })
    .await;
    let transcript = visit(stateless.url(), vec![Call::tool("echo", json!({ "text": "x" }))]).await;
    assert_eq!(transcript.session(), None);
    let streams =
        |line: &Line| matches!(line, Line::Http { media_type: Some(kind), .. } if kind == "text/event-stream");
    assert!(!transcript.lines.iter().any(streams));
    assert!(transcript.answers().contains(&("GET", 405)));
}
