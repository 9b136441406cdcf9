//! A value that redaction has replaced can be searched for by who audits the tenant, and the search is on record without it.

use std::process::Stdio;

use clickhouse::Client;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use tapedeck_consumer::migrate::migrate_database;
use tapedeck_redact::{Config, Context, Redactor, TokenKey};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::recordings::{id, insert, then};
use crate::stack::{Answer, Stack, TOKEN_KEYS, answer, http};

const CARD: &str = "4111 1111 1111 1111";
const MAIL: &str = "Ada.Lovelace@Example.com";

static ROOM: OnceCell<Room> = OnceCell::const_new();

/// A console over recordings in which values were replaced by tokens.
struct Room {
    stack: &'static Stack,
    url: String,
    client: Client,
    /// Of tenant a, under the present key.
    card_of_a: Uuid,
    /// Of tenant a, under the key before it.
    mail_of_a: Uuid,
    /// Of tenant b.
    card_of_b: Uuid,
}

impl Room {
    async fn get() -> &'static Self {
        ROOM.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let stack = Stack::get().await;
        let client = Client::default().with_url(stack.clickhouse.url());
        migrate_database(&client, "values")
            .await
            .expect("the database is migrated");
        let client = client.with_database("values");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        stack.serve_database(listener, "values");
        let issuer = stack.identity.issuer();
        Self {
            stack,
            url,
            card_of_a: session(&client, issuer, "a", TOKEN_KEYS[0], &format!("pays with {CARD}"), 30).await,
            mail_of_a: session(&client, issuer, "a", TOKEN_KEYS[1], &format!("write to {MAIL}"), 20).await,
            card_of_b: session(&client, issuer, "b", TOKEN_KEYS[0], &format!("pays with {CARD}"), 10).await,
            client,
        }
    }

    async fn ask(&self, user: Option<&str>, question: &Value) -> Answer {
        let mut request = http()
            .post(format!("{}/api/v1/values", self.url))
            .body(question.to_string());
        if let Some(user) = user {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.stack.token(user)));
        }
        answer(request).await
    }

    /// The sessions that are found, the latest first.
    async fn found(&self, user: &str, question: Value) -> Vec<String> {
        let answer = self.ask(Some(user), &question).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let items = answer.json()["items"].clone();
        let items = items.as_array().expect("items").clone();
        items
            .iter()
            .map(|item| item["session_id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// `tapedeck find` as somebody.
    async fn program(&self, user: &str, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
            .args(arguments)
            .env("TAPEDECK_SERVER", &self.url)
            .env("TAPEDECK_TOKEN", self.stack.token(user))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = program.stdin.take().expect("it has an input");
        stdin.write_all(input.as_bytes()).await.expect("it reads");
        drop(stdin);
        let output = program.wait_with_output().await.expect("it ends");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    }
}

/// A session of two frames in which the text was said, as a consumer with that key leaves them.
async fn session(
    client: &Client,
    issuer: &str,
    tenant: &str,
    (key, secret): (&str, &str),
    text: &str,
    minutes: u64,
) -> Uuid {
    let redactor = Redactor::new(Config {
        keys: vec![TokenKey::new(key, secret.as_bytes(), Vec::new()).expect("it is long enough")],
        ..Config::default()
    })
    .expect("the built-in packs are sound");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "said": text }).to_string();
    let context = Context {
        tenant,
        ..Context::default()
    };
    let redacted = redactor.redact(body.as_bytes(), &context);
    let payload = String::from_utf8(redacted.body().expect("it is kept").to_vec()).expect("text");
    assert!(!payload.contains("4111") && !payload.contains("Lovelace"), "{payload}");
    let begun = then(minutes);
    let session = id(begun);
    let rows = [0, 1].map(|seq| {
        json!({
            "tenant": tenant, "session_start": format!("{begun}.000"), "session_id": session, "segment_id": session, "seq": seq,
            "time": format!("{begun}.{seq:06}"), "exchange_id": session, "kind": "message", "direction": "to_target",
            "target": format!("target-{tenant}"), "issuer": issuer, "subject": "vera", "rpc_kind": "notification",
            "rpc_method": "notifications/said", "payload": payload, "part_last": true, "redaction": "masked",
            "verdict": "intact", "session_seq": seq + 1, "kafka_source": "main", "kafka_offset": begun + seq,
            "tokens": redacted.tokens(),
        })
    });
    insert(client, &rows).await;
    session
}

#[tokio::test]
async fn a_value_is_found_by_whoever_audits_the_tenant_however_it_is_spelled() {
    let room = Room::get().await;
    let [card_of_a, mail_of_a, card_of_b] =
        [room.card_of_a, room.mail_of_a, room.card_of_b].map(|session| session.to_string());
    for spelling in [CARD, "4111111111111111", "4111-1111-1111-1111", "４１１１1111 11111111"] {
        assert_eq!(
            room.found("audrey", json!({ "value": spelling })).await,
            std::slice::from_ref(&card_of_a),
            "{spelling}"
        );
    }
    let all = room.found("ada", json!({ "value": CARD })).await;
    assert_eq!(all, [card_of_b.clone(), card_of_a], "the latest first");
    let of_b = room.found("ada", json!({ "value": CARD, "tenant": "b" })).await;
    assert_eq!(of_b, [card_of_b]);
    let former = room
        .found("audrey", json!({ "value": "Ada.Lovelace@EXAMPLE.com" }))
        .await;
    assert_eq!(
        former,
        [mail_of_a],
        "a key that makes no tokens any more still finds them"
    );
    for nowhere in [
        json!({ "value": "4012888888881881" }),
        json!({ "value": CARD, "target": "target-b" }),
        json!({ "value": CARD, "from": "2099-01-01T00:00:00Z" }),
        json!({ "value": CARD, "to": "2001-01-01T00:00:00Z" }),
    ] {
        assert!(room.found("audrey", nowhere.clone()).await.is_empty(), "{nowhere}");
    }
    let answer = room.ask(Some("audrey"), &json!({ "value": CARD })).await.json();
    let holder = &answer["items"][0];
    assert_eq!(
        (
            &holder["kinds"],
            &holder["frames"],
            &holder["session_seq"],
            &holder["target"]
        ),
        (&json!(["card"]), &json!(2), &json!(1), &json!("target-a"))
    );
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let room = Room::get().await;
    let first = room
        .ask(Some("ada"), &json!({ "value": CARD, "limit": 1 }))
        .await
        .json();
    assert_eq!(first["items"][0]["session_id"], json!(room.card_of_b));
    let rest = json!({ "value": CARD, "limit": 1, "cursor": first["next"] });
    let second = room.ask(Some("ada"), &rest).await.json();
    assert_eq!(
        (&second["items"][0]["session_id"], &second["next"]),
        (&json!(room.card_of_a), &Value::Null)
    );
}

#[tokio::test]
async fn nobody_else_may_try_values_out_and_no_search_leaves_its_value_behind() {
    let room = Room::get().await;
    let question = json!({ "value": CARD });
    let asked = [
        (None, question.clone(), 401),
        (Some("nora"), question.clone(), 403),
        (Some("vera"), question.clone(), 403),
        (Some("audrey"), json!({ "value": CARD, "tenant": "b" }), 403),
        (Some("audrey"), json!({ "value": CARD, "limit": 0 }), 400),
        (Some("audrey"), json!({ "value": CARD, "text": 1 }), 400),
        (Some("audrey"), json!({ "value": 4_111_111_111_111_111_u64 }), 400),
        (Some("audrey"), json!({ "value": "" }), 400),
        (Some("audrey"), question, 200),
    ];
    for (user, question, status) in asked {
        let answer = room.ask(user, &question).await;
        assert_eq!(answer.status.as_u16(), status, "{user:?} {question}: {}", answer.body);
        assert!(!answer.body.contains("4111"), "{}", answer.body);
    }
    let count = async |condition: &str| {
        let sql = format!("SELECT count() FROM access_log WHERE {condition}");
        room.client.query(&sql).fetch_one::<u64>().await.expect("a number")
    };
    let looks = "action = 'search' AND object = 'values' AND subject = 'audrey' AND role = 'auditor' AND rows = 1";
    assert!(count(looks).await >= 1, "a search is a row");
    assert!(
        count("outcome = 'refused' AND subject = 'vera'").await >= 1,
        "a refusal is one, too"
    );
    let columns = "concat(object, filter, reason, user_agent, name, email, tenant)";
    for part in ["4111", "1111111111", "Lovelace"] {
        assert_eq!(
            count(&format!("positionCaseInsensitive({columns}, '{part}') > 0")).await,
            0,
            "{part}"
        );
    }
}

#[tokio::test]
async fn the_program_finds_the_sessions_of_a_value() {
    let room = Room::get().await;
    let session = room.card_of_a.to_string();
    let (code, said) = room.program("audrey", &["find", "--value", CARD], "").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with(&session) && said.contains("card in 2 frames"),
        "{said}"
    );
    let arguments = ["find", "--value", "-", "--tenant", "a", "--json"];
    let (code, said) = room.program("audrey", &arguments, &format!("{CARD}\n")).await;
    assert_eq!(code, Some(0), "{said}");
    let holder: Value = serde_json::from_str(said.trim()).expect("one line of JSON");
    assert_eq!(holder["session_id"], json!(session));
    let (code, said) = room
        .program("audrey", &["find", "--value", "4012888888881881"], "")
        .await;
    assert_eq!((code, said.trim()), (Some(0), "Nothing was found."));
    let (code, said) = room.program("vera", &["find", "--value", CARD], "").await;
    assert_eq!(code, Some(4), "{said}");
}
