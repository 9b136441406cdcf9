//! `calls` against `frames`: the calls are found again by themselves. Nothing is looked at that the loader wrote about them.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use tapedeck_dev::services::Database;
use uuid::Uuid;

use super::Wrong;
use super::table::{self, Row};

/// What names a call: its exchange, the direction in which it was asked, and its id.
type Name = (Uuid, String, String);

/// A call as the view `calls_v` has it. Times are microseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Call {
    exchange_id: Uuid,
    direction: String,
    rpc_id: String,
    session_id: Uuid,
    method: String,
    name: String,
    target: String,
    subject: String,
    started: i64,
    finished: Option<i64>,
    http_status: i32,
    is_error: u8,
    error_code: i64,
    request_bytes: i64,
    answer_bytes: i64,
    end: String,
    outcome: String,
}

const CALLS: &str = "SELECT exchange_id, direction, rpc_id, session_id, method, name, target, subject, \
    toUnixTimestamp64Micro(started) AS started, toUnixTimestamp64Micro(finished) AS finished, http_status, is_error, \
    error_code, request_bytes, answer_bytes, end, outcome FROM calls_v";

#[derive(Debug, Deserialize)]
struct Unknown {
    exchange_id: Uuid,
    direction: String,
    rpc_id: String,
}

/// Every call of the rows is in `calls_v`, as its rows have it, and nothing else is.
///
/// # Errors
/// When ClickHouse does not answer; names every call that differs.
pub async fn verify(database: &Database, rows: &[Row]) -> anyhow::Result<()> {
    let unknown: Vec<Unknown> =
        table::query(database, "SELECT exchange_id, direction, rpc_id FROM unknown_calls").await?;
    let unknown = unknown
        .into_iter()
        .map(|row| (row.exchange_id, row.direction, row.rpc_id));
    let mut expected = calls(rows, &unknown.collect::<Vec<_>>());
    let told: Vec<Call> = table::query(database, CALLS).await?;
    let mut wrong = Wrong::default();
    for call in told {
        let name = (call.exchange_id, call.direction.clone(), call.rpc_id.clone());
        match expected.remove(&name) {
            Some(expected) => wrong.unless(expected == call, || {
                format!("a call is {call:?}, and its frames make it {expected:?}")
            }),
            None => wrong.add(format!("the call {name:?} has no request in frames, or is there twice")),
        }
    }
    for name in expected.keys() {
        wrong.add(format!("the call {name:?} is in frames only"));
    }
    wrong.verdict("calls against frames")
}

/// A call while its rows are gathered.
#[derive(Debug, Default)]
struct Found {
    call: Call,
    /// 1 a result, 2 one that says isError, 3 an error.
    answer: u8,
    answered: Option<i64>,
    ends: Vec<End>,
}

/// An end of its exchange.
#[derive(Debug)]
struct End {
    /// `writer_seq`: of several the highest counts.
    place: i64,
    how: String,
    time: i64,
    /// The answer's own last frame says so.
    by_answer: bool,
    /// Its rule says that the answer was withheld.
    withholds: bool,
}

fn calls(rows: &[Row], unknown: &[Name]) -> BTreeMap<Name, Call> {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| row.redaction != "erased").collect();
    rows.sort_by_key(|row| row.place());
    let mut found: BTreeMap<Name, Found> = BTreeMap::new();
    // The latest request of a session, by direction and id.
    let mut latest: HashMap<(Uuid, &str, &str), Name> = HashMap::new();
    let mut parts: HashMap<(Uuid, &str), i64> = HashMap::new();
    for row in rows {
        let is_message = row.kind == "message";
        let size = match (row.part_index, row.part_last) {
            _ if row.truncated => row.payload_size,
            (0, true) => row.payload_size,
            (_, last) => {
                let sum = parts.entry((row.exchange_id, &row.direction)).or_default();
                *sum += row.payload_size;
                let size = *sum;
                // Only the last row of a message has the size of all of it.
                if last {
                    parts.remove(&(row.exchange_id, row.direction.as_str()));
                    size
                } else {
                    row.payload_size
                }
            }
        };
        if (is_message || row.kind == "refused") && row.rpc_kind == "request" && !row.rpc_id.is_empty() {
            let name = (row.exchange_id, row.direction.clone(), row.rpc_id.clone());
            if is_message {
                latest.insert((row.session_id, &row.direction, &row.rpc_id), name.clone());
            }
            found.entry(name).or_default().ask(row, size);
        }
        if is_message && ["response", "error"].contains(&row.rpc_kind.as_str()) {
            let asked = if row.direction == "to_client" {
                "to_target"
            } else {
                "to_client"
            };
            let own = (row.exchange_id, asked.to_owned(), row.rpc_id.clone());
            let elsewhere = latest.get(&(row.session_id, asked, row.rpc_id.as_str()));
            if row.rpc_id.is_empty() {
                let all = found
                    .iter_mut()
                    .filter(|(name, _)| name.0 == row.exchange_id && name.1 == asked);
                all.for_each(|(_, call)| call.reply(row, size, true));
            } else if let Some(call) = found.get_mut(&own).filter(|_| asked == "to_target") {
                call.reply(row, size, true);
            } else if let Some(call) = elsewhere.and_then(|name| found.get_mut(name)) {
                call.reply(row, size, false);
            }
        }
        if !row.ended.is_empty() && (is_message || ["exchange_end", "refused"].contains(&row.kind.as_str())) {
            let of_exchange = found.iter_mut().filter(|(name, _)| name.0 == row.exchange_id);
            for (_, call) in of_exchange {
                call.ends.push(End {
                    place: row.writer_seq,
                    how: row.ended.clone(),
                    time: row.time,
                    by_answer: is_message,
                    withholds: row.decision_rule == "answer_withheld",
                });
                call.call.http_status = call.call.http_status.max(row.http_status);
            }
        }
    }
    let finish = |(name, found): (Name, Found)| {
        let is_unknown = unknown.contains(&name);
        (name, found.finish(is_unknown))
    };
    found.into_iter().map(finish).collect()
}

impl Found {
    fn ask(&mut self, row: &Row, size: i64) {
        self.call = Call {
            exchange_id: row.exchange_id,
            direction: row.direction.clone(),
            rpc_id: row.rpc_id.clone(),
            session_id: row.session_id,
            method: row.rpc_method.clone(),
            name: row.rpc_name.clone(),
            target: row.target.clone(),
            subject: row.subject.clone(),
            started: row.time,
            http_status: row.http_status,
            request_bytes: size,
            ..Call::default()
        };
    }

    fn reply(&mut self, row: &Row, size: i64, of_its_own_exchange: bool) {
        let answer = match (row.rpc_kind.as_str(), row.rpc_is_error) {
            ("error", _) => 3,
            (_, true) => 2,
            _ => 1,
        };
        self.answer = self.answer.max(answer);
        self.answered = self.answered.max(Some(row.time));
        self.call.answer_bytes = self.call.answer_bytes.max(size);
        if answer == 3 {
            self.call.error_code = row.rpc_error_code;
        }
        if of_its_own_exchange {
            self.call.http_status = self.call.http_status.max(row.http_status);
        }
    }

    fn finish(self, is_unknown: bool) -> Call {
        let Self {
            mut call,
            answer,
            answered,
            ends,
        } = self;
        let last = ends.iter().max_by_key(|end| end.place);
        let (place, end) = last.map_or((0, ""), |last| (last.place, last.how.as_str()));
        let is_withheld = ends.iter().any(|end| end.by_answer && end.place < place)
            || (end == "aborted" && ends.iter().any(|end| end.withholds));
        let is_bad = call.http_status >= 400;
        call.outcome = match (is_withheld, answer, end) {
            (true, ..) => end,
            (_, 2 | 3, _) => "error",
            (_, 1, _) | (_, _, "answered" | "accepted") if is_bad => "error",
            (_, 1, _) => "answered",
            (_, _, "answered" | "accepted") => "unanswered",
            (_, _, "") if is_unknown => "unknown",
            (_, _, "") => "open",
            (_, _, end) => end,
        }
        .to_owned();
        call.end = end.to_owned();
        call.is_error = u8::from(answer == 2);
        call.finished = answered.or_else(|| ends.iter().map(|end| end.time).max());
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, direction: &str, rpc_kind: &str, id: &str, offset: i64) -> Row {
        Row {
            kind: kind.to_owned(),
            direction: direction.to_owned(),
            rpc_kind: rpc_kind.to_owned(),
            rpc_id: id.to_owned(),
            exchange_id: Uuid::from_u128(1),
            writer_seq: offset + 1,
            kafka_offset: offset,
            time: offset,
            part_last: true,
            ..Row::default()
        }
    }

    fn ended(end: &str, row: Row) -> Row {
        Row {
            ended: end.to_owned(),
            ..row
        }
    }

    fn outcomes(rows: &[Row]) -> Vec<String> {
        calls(rows, &[]).into_values().map(|call| call.outcome).collect()
    }

    #[test]
    fn an_answer_counts_unless_a_later_end_overrules_its_own() {
        let request = row("message", "to_target", "request", "1", 0);
        let answer = row("message", "to_client", "response", "1", 1);
        let aborted = ended("aborted", row("exchange_end", "none", "none", "1", 2));
        assert_eq!(outcomes(std::slice::from_ref(&request)), ["open"]);
        assert_eq!(
            outcomes(&[request.clone(), ended("answered", answer.clone())]),
            ["answered"]
        );
        assert_eq!(
            outcomes(&[request.clone(), ended("answered", answer.clone()), aborted.clone()]),
            ["aborted"]
        );
        assert_eq!(outcomes(&[request.clone(), answer, aborted.clone()]), ["answered"]);
        assert_eq!(outcomes(&[request, aborted]), ["aborted"]);
    }

    #[test]
    fn what_a_target_asked_is_answered_on_another_exchange() {
        let asked = row("message", "to_client", "request", "7", 0);
        let other = Row {
            exchange_id: Uuid::from_u128(2),
            ..row("message", "to_target", "response", "7", 1)
        };
        assert_eq!(outcomes(&[asked, other]), ["answered"]);
    }

    #[test]
    fn an_error_without_an_id_answers_all_that_was_asked_with_it() {
        let asked = [
            row("message", "to_target", "request", "1", 0),
            row("message", "to_target", "request", "2", 1),
        ];
        let error = ended("answered", row("message", "to_client", "error", "", 2));
        assert_eq!(
            outcomes(&[asked[0].clone(), asked[1].clone(), error]),
            ["error", "error"]
        );
    }
}
