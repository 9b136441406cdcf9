//! A second console over a database of its own: recordings that the lists of the other tests must not hold.

use clickhouse::Client;
use serde_json::{Value, json};
use tapedeck_consumer::migrate::migrate_database;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::recordings::{id, insert, then};
use crate::stack::{Answer, Stack};

static ARCHIVE: OnceCell<Archive> = OnceCell::const_new();

/// What stands in every long payload.
pub(crate) const NASTY: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";

pub(crate) struct Archive {
    pub(crate) stack: &'static Stack,
    /// `http://127.0.0.1:PORT` of its console.
    pub(crate) url: String,
    /// A client that talked to an MCP server.
    pub(crate) talk: Uuid,
    /// The same, with a value that was masked.
    pub(crate) masked: Uuid,
    /// Payloads that mean something to a page.
    pub(crate) nasty: Uuid,
    /// More than fits into the buffers between the database and a client.
    pub(crate) long: Uuid,
}

impl Archive {
    pub(crate) async fn get() -> &'static Self {
        ARCHIVE.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let stack = Stack::get().await;
        let database = "archive";
        let client = Client::default().with_url(stack.clickhouse.url());
        migrate_database(&client, database)
            .await
            .expect("the database is migrated");
        let client = client.with_database(database);
        let issuer = stack.identity.issuer();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        stack.serve_database(listener, database);
        let long = "lorem ipsum ".repeat(4000);
        Self {
            stack,
            url,
            talk: conversation(&client, issuer, 50, &["hello"], "unchanged").await,
            masked: conversation(&client, issuer, 40, &["‹redacted:email›"], "masked").await,
            nasty: conversation(&client, issuer, 35, &[NASTY], "unchanged").await,
            long: conversation(&client, issuer, 33, &vec![long.as_str(); 1500], "unchanged").await,
        }
    }

    pub(crate) async fn ask(&self, user: &str, path: &str) -> Answer {
        self.stack.ask_at(&self.url, Some(user), path, &[]).await
    }
}

/// A session of vera's: initialize, and calls of `echo` with texts as they are recorded.
async fn conversation(client: &Client, issuer: &str, minutes: u64, texts: &[&str], redaction: &str) -> Uuid {
    let begun = then(minutes);
    let session = id(begun);
    let mut messages = vec![(
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
            "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }),
        Some(
            json!({ "jsonrpc": "2.0", "id": 0, "result": { "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} }, "serverInfo": { "name": "echo", "version": "1" } } }),
        ),
        "unchanged",
    )];
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    messages.push((initialized, None, "unchanged"));
    for (number, text) in texts.iter().enumerate() {
        let call = json!({ "jsonrpc": "2.0", "id": number + 1, "method": "tools/call",
            "params": { "name": "echo", "arguments": { "text": text } } });
        let answer = json!({ "jsonrpc": "2.0", "id": number + 1,
            "result": { "content": [{ "type": "text", "text": format!("echo: {text}") }] } });
        messages.push((call, Some(answer), redaction));
    }
    let (mut rows, mut seq) = (Vec::new(), 0_u64);
    for (place, (request, answer, redaction)) in messages.iter().enumerate() {
        let exchange = if place == 0 {
            session
        } else {
            id(begun + place as u64 % 1000)
        };
        for (direction, message) in [("to_target", Some(request)), ("to_client", answer.as_ref())] {
            let Some(message) = message else { continue };
            rows.push(row(
                issuer, begun, session, exchange, direction, message, request, redaction, seq,
            ));
            seq += 1;
        }
    }
    for rows in rows.chunks(200) {
        insert(client, rows).await;
    }
    session
}

#[expect(clippy::too_many_arguments, reason = "a row has as many columns")]
fn row(
    issuer: &str,
    begun: u64,
    session: Uuid,
    exchange: Uuid,
    direction: &str,
    message: &Value,
    request: &Value,
    redaction: &str,
    seq: u64,
) -> Value {
    let payload = message.to_string();
    let kind = match (direction, request.get("id")) {
        ("to_client", _) => "response",
        (_, None) => "notification",
        (_, Some(_)) => "request",
    };
    let rules: &[&str] = if redaction == "masked" { &["email"] } else { &[] };
    json!({
        "tenant": "a", "session_start": format!("{begun}.000"), "session_id": session, "segment_id": session, "seq": seq,
        "time": format!("{}.{:06}", begun + seq / 10, seq % 10 * 1000), "writer_id": session, "writer_seq": seq + 1,
        "exchange_id": exchange, "kind": "message", "direction": direction,
        "ended": if direction == "to_client" { "answered" } else { "" }, "target": "echo", "issuer": issuer,
        "subject": "vera", "principal_name": "Vera", "principal_email": "vera@example.com", "client_id": "test",
        "client_address": "192.0.2.1", "rpc_kind": kind, "rpc_method": request["method"],
        "rpc_id": request.get("id").map_or_else(String::new, Value::to_string),
        "rpc_name": if request["method"] == "tools/call" { "echo" } else { "" }, "http_method": "POST",
        "http_status": if direction == "to_client" { 200 } else { 0 }, "content_type": "application/json",
        "payload_size": payload.len(), "payload": payload, "part_last": true, "redaction": redaction,
        "redaction_rules": rules, "verdict": "intact", "session_seq": seq + 1, "session_calls": seq / 2,
        "session_bytes": 100 * (seq + 1), "kafka_source": "main", "kafka_offset": begun + seq,
    })
}
