//! Exchanges through the proxy, with a real broker, issuer and target: what passes, and what is on record.

mod bridged;
mod browsers;
mod devices;
mod ends;
mod http2;
mod kafka_away;
mod limits;
mod malformed;
mod outcomes;
mod passing;
mod proxied;
mod refusals;
mod reload;
mod revisions;
mod revoked;
mod rig;
mod spool;
mod stopping;
mod telemetry;
mod tls;
mod watching;
mod withheld;

use rig::{Reply, Rig, Target};
use serde_json::json;

fn call(id: u32, tool: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": {} } })
        .to_string()
}

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

async fn simple() -> Rig {
    Rig::new(Target::start(|_| async { Reply::json(RESULT) }).await).await
}
