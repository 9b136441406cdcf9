//! Records of the dead-letter topic, as in `deadletter.avsc`.

use serde::{Deserialize, Serialize};

/// A record that could not be read: where it is and why, never what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field's doc is in deadletter.avsc")]
pub struct DeadLetter {
    pub source: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub time: i64,
    pub reason: String,
    pub detail: String,
    pub size: i64,
    pub consumer_version: String,
}
