//! What is malformed gets a clear answer, is on record, and reaches no target: a corpus of such requests, each as bytes on
//! a connection of its own, and one proxy for all of them.

mod bodies;
mod heads;

use std::collections::BTreeMap;

use tapedeck_schemas::{End, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{assert_at_most_one_end, of_kind};
use crate::simple;

/// A malformed request.
struct Case {
    name: String,
    bytes: Vec<u8>,
    /// What the client is told.
    status: u16,
    /// Why, on record.
    rule: &'static str,
}

/// The corpus has at least so many.
const LEAST: usize = 200;

/// A request with these header lines, beyond those that every good one has, and this body.
fn request(token: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(token, lines);
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Its head, to which header lines may be added.
fn head(token: &str, lines: &[&str]) -> Vec<u8> {
    let mut text = format!("POST /demo/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n");
    if !lines.iter().any(|line| line.starts_with("content-type")) {
        text.push_str("content-type: application/json\r\n");
    }
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Sends the bytes and nothing more; the answer up to its end, or to that of the connection.
async fn answer_to(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
    // A refusal may come before all was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return answer,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
        if is_whole(&answer) {
            return answer;
        }
    }
}

/// Whether the body is as long as the head says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(answer.get(..12)?).ok()?;
    text.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_gets_a_clear_answer_is_on_record_and_reaches_no_target() {
    let rig = simple().await;
    let token = rig.token();
    let mut cases = bodies::cases(&token);
    cases.extend(heads::cases(&token));
    assert!(cases.len() >= LEAST, "{} cases", cases.len());

    let mut wrong = Vec::new();
    let mut expected: BTreeMap<(&str, u16), usize> = BTreeMap::new();
    for case in &cases {
        *expected.entry((case.rule, case.status)).or_default() += 1;
        let answer = answer_to(rig.address(), &case.bytes).await;
        let text = String::from_utf8_lossy(&answer);
        // What was no HTTP is answered by a status alone.
        let is_clear = case.rule.ends_with("_http")
            || case.rule == "head_too_large"
            || text.contains(&format!("\"reason\":\"{}\"", case.rule));
        if status_of(&answer) != Some(case.status) || !is_clear {
            wrong.push(format!("{}: not {} {}, but {text}", case.name, case.status, case.rule));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(rig.target.seen().is_empty());
    assert_eq!(rig.post(crate::call(1, "x")).send().await.status, 200, "it serves on");

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let mut recorded: BTreeMap<(&str, u16), usize> = BTreeMap::new();
    for frame in of_kind(&frames, Kind::Refused)
        .into_iter()
        .filter(|frame| frame.end == Some(End::Refused))
    {
        let rule = frame.decision.as_ref().map_or("", |decision| decision.rule.as_str());
        let status = frame
            .http
            .status
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or_default();
        *recorded.entry((rule, status)).or_default() += 1;
    }
    assert_eq!(recorded, expected);
}
