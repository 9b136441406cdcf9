//! One question in SQL, as ClickHouse has written it down, and the entry of the access log that it becomes.

use std::net::Ipv6Addr;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::serve::access::Outcome;

/// ACCESS_DENIED, and READONLY: a user whose profile lets them read only wanted to write.
const REFUSED: [i32; 2] = [497, 164];

/// Questions of people about the database, from a time on: all that mention it, and all that were asked within it or refused
/// about it, since a question that failed before it began names no table.
///
/// Literals do not leave ClickHouse: `normalizeQuery` puts `?` in their place, and leaves comments and generated names out.
/// Of a question that could not even be understood nothing leaves it: what stands there as a name may be a secret.
///
/// People choose ids, programs' names and names in statements, byte by byte: what is no UTF-8 must not stop the reading.
pub(super) const SELECT: &str = "SELECT toValidUTF8(toString(q.hostname)) AS hostname, toValidUTF8(q.query_id) AS query_id, \
    toUnixTimestamp64Micro(q.event_time_microseconds) AS time, toInt8(q.type) AS ended, toValidUTF8(toString(q.initial_user)) AS user, \
    q.initial_address AS address, q.initial_port AS port, toValidUTF8(toString(q.http_user_agent)) AS http_user_agent, \
    toValidUTF8(toString(q.client_name)) AS client_name, q.exception_code AS exception_code, \
    if(q.exception_code = 0, '', toString(errorCodeToName(q.exception_code))) AS error, \
    arraySort(arrayMap(one -> toValidUTF8(toString(one)), q.tables)) AS tables, q.read_rows AS read_rows, q.result_rows AS result_rows, \
    q.result_bytes AS result_bytes, \
    if(q.type != 'ExceptionBeforeStart' OR q.exception_code IN (497, 164), toValidUTF8(normalizeQuery(q.query)), '') AS shape \
    FROM system.query_log AS q \
    WHERE q.event_date >= toDate(fromUnixTimestamp64Micro({from:Int64}) - INTERVAL 1 DAY) \
    AND q.event_time_microseconds >= fromUnixTimestamp64Micro({from:Int64}) \
    AND q.type != 'QueryStart' AND q.is_initial_query AND NOT has({services:Array(String)}, toString(q.initial_user)) \
    AND (has(q.databases, {database:String}) OR q.current_database = {database:String} \
        OR position(q.exception, {grants:String}) > 0) \
    ORDER BY q.event_time_microseconds, q.query_id LIMIT {limit:UInt64}";

/// The access log's columns that are written.
pub(super) const COLUMNS: &str = "time, id, subject, role, action, outcome, reason, object, filter, rows, bytes, \
    client_address, user_agent, request_id";

/// A row of the query log about a question that has ended.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct Look {
    hostname: String,
    query_id: String,
    /// When it ended, microseconds since 1970.
    time: i64,
    /// 2: it was answered; 3: it failed before it began; 4: it failed under way.
    ended: i8,
    user: String,
    address: Ipv6Addr,
    port: u16,
    http_user_agent: String,
    client_name: String,
    exception_code: i32,
    /// The exception's stable name; empty for none.
    error: String,
    tables: Vec<String>,
    read_rows: u64,
    result_rows: u64,
    result_bytes: u64,
    /// The statement without literals; empty where it was none.
    shape: String,
}

/// What is written of it.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    time: String,
    id: Uuid,
    subject: &'a str,
    role: &'static str,
    action: &'static str,
    outcome: Outcome,
    reason: &'a str,
    object: String,
    filter: String,
    rows: u64,
    bytes: u64,
    client_address: String,
    user_agent: &'a str,
    request_id: Uuid,
}

impl Look {
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    /// The same for the same row of the query log, whoever reads it. People may choose a query's id, so that alone will not do.
    pub(super) fn id(&self) -> Uuid {
        let mut hash = Sha256::new();
        for text in [&self.hostname, &self.query_id, &self.user] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update(self.time.to_be_bytes());
        hash.update([self.ended as u8]);
        hash.update(self.address.octets());
        hash.update(self.port.to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let (bytes, _) = digest.split_first_chunk::<16>().expect("a digest is longer");
        Builder::from_custom_bytes(*bytes).into_uuid()
    }

    /// `server`: whose log it stands in.
    pub(super) fn entry(&self, server: &str) -> Entry<'_> {
        let outcome = match self.exception_code {
            0 => Outcome::Allowed,
            code if REFUSED.contains(&code) => Outcome::Refused,
            _ => Outcome::Failed,
        };
        let user_agent = match self.http_user_agent.is_empty() {
            true => &self.client_name,
            false => &self.http_user_agent,
        };
        Entry {
            time: format!(
                "{}.{:06}",
                self.time.div_euclid(1_000_000),
                self.time.rem_euclid(1_000_000)
            ),
            id: self.id(),
            subject: &self.user,
            role: "sql",
            action: "sql",
            outcome,
            reason: &self.error,
            object: self.tables.join(", "),
            filter: json!({ "sql": self.shape, "rows_read": self.read_rows, "server": server }).to_string(),
            rows: self.result_rows,
            bytes: self.result_bytes,
            client_address: self.address.to_canonical().to_string(),
            user_agent,
            request_id: self.query_id.parse().unwrap_or(Uuid::nil()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            hostname: "db-1".to_owned(),
            query_id: "0198c0de-0000-7000-8000-000000000000".to_owned(),
            time: 1_700_000_000_000_042,
            ended: 2,
            user: "carol".to_owned(),
            address: "::ffff:192.0.2.7".parse().expect("an address"),
            port: 4711,
            http_user_agent: String::new(),
            client_name: "ClickHouse client".to_owned(),
            exception_code: 0,
            error: String::new(),
            tables: vec!["tapedeck.frames".to_owned(), "tapedeck.messages_v".to_owned()],
            read_rows: 1000,
            result_rows: 3,
            result_bytes: 120,
            shape: "SELECT payload FROM messages_v WHERE subject = ?".to_owned(),
        }
    }

    #[test]
    fn a_look_has_one_id_and_another_look_another() {
        let id = look().id();
        assert_eq!(id, look().id());
        assert_eq!(id.get_version_num(), 8);
        let others = [
            Look {
                time: 1_700_000_000_000_043,
                ..look()
            },
            Look {
                user: "carla".to_owned(),
                ..look()
            },
            Look { port: 4712, ..look() },
            Look {
                hostname: "db-2".to_owned(),
                ..look()
            },
            Look { ended: 4, ..look() },
            // Not where one text ends and the next begins.
            Look {
                hostname: "db-10".to_owned(),
                query_id: look().query_id[1..].to_owned(),
                ..look()
            },
        ];
        for other in others {
            assert_ne!(other.id(), id, "{other:?}");
        }
    }

    #[test]
    fn an_entry_says_who_from_where_what_and_how_much() {
        let look = look();
        let entry = serde_json::to_value(look.entry("http://db-1:8123")).expect("JSON");
        for (name, value) in [
            ("subject", json!("carol")),
            ("role", json!("sql")),
            ("outcome", json!("allowed")),
            ("time", json!("1700000000.000042")),
            ("object", json!("tapedeck.frames, tapedeck.messages_v")),
            ("rows", json!(3)),
            ("client_address", json!("192.0.2.7")),
            ("user_agent", json!("ClickHouse client")),
            ("request_id", json!("0198c0de-0000-7000-8000-000000000000")),
        ] {
            assert_eq!(entry[name], value, "{name}");
        }
        let filter: serde_json::Value = serde_json::from_str(entry["filter"].as_str().expect("text")).expect("JSON");
        assert_eq!(filter["rows_read"], 1000);
        assert_eq!(filter["server"], "http://db-1:8123");
        assert!(filter["sql"].as_str().expect("text").starts_with("SELECT payload"));
        let columns: Vec<&str> = COLUMNS.split(", ").map(str::trim).collect();
        let fields = entry.as_object().expect("an object");
        assert!(columns.iter().all(|column| fields.contains_key(*column)) && columns.len() == fields.len());
    }

    #[test]
    fn what_was_refused_is_not_what_failed() {
        let of = |exception_code| {
            Look {
                exception_code,
                ..look()
            }
            .entry("")
            .outcome
        };
        assert_eq!(of(497), Outcome::Refused);
        assert_eq!(of(164), Outcome::Refused);
        assert_eq!(of(159), Outcome::Failed);
    }
}
