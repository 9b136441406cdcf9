//! What is recorded: three sessions of three people in two tenants, each with a word that nobody else says.

use clickhouse::Client;
use serde_json::json;
use uuid::{NoContext, Timestamp, Uuid};

/// The sessions.
pub(crate) struct Recordings {
    /// Vera's, of tenant a.
    pub(crate) vera: Uuid,
    /// Audrey's, of tenant a.
    pub(crate) audrey: Uuid,
    /// Bob's, of tenant b.
    pub(crate) bob: Uuid,
}

impl Recordings {
    pub(crate) fn all(&self) -> [Uuid; 3] {
        [self.vera, self.audrey, self.bob]
    }
}

/// Calls in each session.
pub(crate) const CALLS: u64 = 5;

/// Seconds since 1970, a while ago.
pub(crate) fn then(minutes: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a clock that is set").as_secs() - minutes * 60
}

pub(crate) async fn record(client: &Client, issuer: &str) -> Recordings {
    let recordings = Recordings {
        vera: session(client, issuer, "vera", "a", then(30)).await,
        audrey: session(client, issuer, "audrey", "a", then(20)).await,
        bob: session(client, issuer, "bob", "b", then(10)).await,
    };
    insert(client, &[json!({
        "session_start": format!("{}.000", then(5)), "kind": "undecodable", "redaction_reason": "not_avro", "payload_size": 7,
        "kafka_source": "main", "kafka_topic": "mcp.frames.v1", "kafka_offset": 42,
    })])
    .await;
    recordings
}

pub(crate) fn id(seconds: u64) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0))
}

async fn session(client: &Client, issuer: &str, subject: &str, tenant: &str, begun: u64) -> Uuid {
    let (session, segment) = (id(begun), id(begun));
    let mut rows = Vec::new();
    for call in 0..CALLS {
        let exchange = match call {
            0 => session,
            _ => id(begun + call),
        };
        for (half, kind) in ["request", "response"].into_iter().enumerate() {
            let seq = call * 2 + half as u64;
            let payload =
                json!({ "jsonrpc": "2.0", "id": call, "said": format!("canary-{subject} it's \\ 100% {seq}") });
            rows.push(json!({
                "tenant": tenant, "session_start": format!("{begun}.000"), "session_id": session, "segment_id": segment, "seq": seq,
                "time": format!("{}.{seq:06}", begun + call), "writer_id": segment, "writer_seq": seq + 1,
                "exchange_id": exchange, "kind": "message",
                "direction": if half == 0 { "to_target" } else { "to_client" },
                "ended": if half == 0 { "" } else { "answered" }, "target": format!("target-{tenant}"),
                "issuer": issuer, "subject": subject, "principal_name": subject,
                "principal_email": format!("{subject}@example.com"), "client_id": "test", "client_address": "192.0.2.1",
                "rpc_kind": kind, "rpc_method": "tools/call", "rpc_id": call.to_string(),
                "rpc_name": format!("tool-{subject}"), "http_method": "POST", "http_status": if half == 0 { 0 } else { 200 },
                "payload": payload.to_string(), "payload_size": payload.to_string().len(), "part_last": true,
                "redaction": "unchanged", "verdict": "intact", "session_seq": seq + 1, "session_calls": call + 1,
                "session_bytes": 100 * (seq + 1), "kafka_source": "main", "kafka_offset": begun + seq,
            }));
        }
    }
    insert(client, &rows).await;
    session
}

/// One more frame in a session.
pub(crate) async fn add_frame(client: &Client, issuer: &str, session: Uuid, number: u64) {
    let (seconds, _) = session.get_timestamp().expect("a UUIDv7").to_unix();
    insert(client, &[json!({
        "tenant": "a", "session_start": format!("{seconds}.000"), "session_id": session, "segment_id": session, "seq": 0,
        "time": format!("{}.0", seconds + 60), "exchange_id": id(seconds + 60), "kind": "message", "direction": "to_target",
        "target": "target-a", "issuer": issuer, "subject": "vera", "rpc_kind": "notification",
        "rpc_method": "notifications/new", "payload": "{\"said\":\"canary-vera and more\"}", "part_last": true,
        "redaction": "unchanged", "verdict": "intact", "session_seq": number, "kafka_source": "main", "kafka_offset": 1,
    })])
    .await;
}

pub(crate) async fn insert(client: &Client, rows: &[serde_json::Value]) {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let mut insert = client
        .insert_formatted_with("INSERT INTO frames FORMAT JSONEachRow")
        .with_setting("async_insert", "0");
    insert.send(lines.into()).await.expect("sent");
    insert.end().await.expect("inserted");
}
