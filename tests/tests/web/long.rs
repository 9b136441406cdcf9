//! A session of 100,000 frames: as long as any that people look at, put straight into the database.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::json;
use tapedeck_tests::run;
use uuid::{NoContext, Timestamp, Uuid};

use crate::browser::play_with;
use crate::stage::Stage;

const FRAMES: u64 = 100_000;

/// A request, its answer 50 ms later, and so on; every hundredth answer is an error.
const INSERT: &str = "INSERT INTO frames (tenant, session_start, session_id, segment_id, seq, time, writer_id, writer_seq, \
    exchange_id, kind, direction, ended, target, issuer, subject, principal_email, client_id, client_address, rpc_kind, \
    rpc_method, rpc_id, rpc_name, http_method, http_status, payload, payload_size, part_last, redaction, verdict, \
    session_seq, session_calls, session_bytes, kafka_source, kafka_offset) \
    WITH intDiv(number, 2) AS call, number % 2 = 0 AS asks, \
        if(asks, concat('{\"jsonrpc\":\"2.0\",\"id\":', toString(call), ',\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\
\"arguments\":{\"text\":\"word ', toString(call), '\"}}}'), concat('{\"jsonrpc\":\"2.0\",\"id\":', toString(call), \
            ',\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"answer ', toString(call), '\"}]}}')) AS said \
    SELECT 'default', fromUnixTimestamp64Milli(toInt64(?), 'UTC'), toUUID(?), toUUID(?), number, \
        fromUnixTimestamp64Micro(toInt64(?) * 1000 + toInt64(number) * 50000, 'UTC'), toUUID(?), number + 1, \
        toUUID(concat(?, '-7000-8000-', leftPad(lower(hex(call)), 12, '0'))), 'message', \
        if(asks, 'to_target', 'to_client'), if(asks, '', 'answered'), 'probe', ?, 'alice', 'alice@example.com', 'test', \
        '192.0.2.1', if(asks, 'request', if(call % 100 = 99, 'error', 'response')), 'tools/call', toString(call), 'echo', \
        'POST', if(asks, 0, 200), said, length(said), true, 'unchanged', 'intact', number + 1, call + 1, 100 * number, \
        'long', 1000000 + number FROM numbers(?)";

async fn record(stage: &Stage) -> Result<Uuid> {
    // Long enough ago to be over by now.
    let begun = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() - 3 * 3600;
    let session = Uuid::new_v7(Timestamp::from_unix(NoContext, begun, 0));
    let id = session.to_string();
    let client = stage.deck.database.client();
    let insert = client
        .query(INSERT)
        .bind(begun * 1000)
        .bind(&id)
        .bind(&id)
        .bind(begun * 1000)
        .bind(&id);
    let insert = insert.bind(&id[..13]).bind(stage.parts.identity.issuer()).bind(FRAMES);
    insert.execute().await?;
    Ok(session)
}

#[test]
fn a_session_of_a_hundred_thousand_frames_is_sought_in_without_being_read_whole() -> Result<()> {
    run(async {
        let session = record(Stage::get().await?).await?;
        play_with("long", json!({ "session": session })).await
    })
}
