//! What a frame of 1 KiB costs the loader, stage by stage, in processor time of one thread; without Kafka and ClickHouse.
//!
//! `cargo run --release -p tapedeck-consumer --example stages`

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tapedeck_consumer::budget::Budget;
use tapedeck_consumer::parts::{Parts, Waiting};
use tapedeck_consumer::publish::{Told, audit_events};
use tapedeck_consumer::record::Record;
use tapedeck_consumer::redaction::{self, Known};
use tapedeck_consumer::rows::{Columns, Order, Origin, Row, Verdict};
use tapedeck_consumer::rules::Live;
use tapedeck_consumer::sessions::{Event, Place, Sessions};
use tapedeck_consumer::sink::{Block, Packing};
use tapedeck_redact::{Config, Redactor};
use tapedeck_schemas::wire::{Framing, encode_audit, encode_frame};
use tapedeck_schemas::{
    Chain, Client, Direction, End, Frame, Http, Kind, Principal, Protocol, Rpc, RpcKind, SessionKey,
};
use uuid::Uuid;

/// As many as a batch has by default.
const FRAMES: usize = 50_000;
const ROUNDS: usize = 5;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let records = records();
    let bytes: usize = records.iter().map(Vec::len).sum();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{FRAMES} frames of {} bytes, best of {ROUNDS} rounds",
        bytes / FRAMES
    )?;
    let off = Config {
        enabled: false,
        ..Config::default()
    };
    for (name, config) in [("built-in rules", Config::default()), ("redaction off", off)] {
        let redactor = Arc::new(Redactor::new(config)?);
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|_| round(&records, &redactor))
            .collect::<Result<_, _>>()?;
        writeln!(out, "\n{name}")?;
        let mut sum = 0.0;
        for (index, (stage, _)) in rounds[0].iter().enumerate() {
            let best = rounds.iter().map(|round| round[index].1).min().unwrap_or(0);
            let each = best as f64 / FRAMES as f64 / 1000.0;
            sum += each;
            writeln!(out, "  {stage:<28}{each:>8.3} µs")?;
        }
        writeln!(out, "  {:<28}{sum:>8.3} µs, {:.0} frames/s", "in all", 1e6 / sum)?;
    }
    Ok(())
}

/// Calls and answers, as a proxy would record them.
fn records() -> Vec<Vec<u8>> {
    let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
    let principal = Arc::new(Principal {
        issuer: "https://issuer.example".to_owned(),
        subject: "alice".to_owned(),
        groups: vec!["engineers".to_owned()],
        client_id: Some("sample".to_owned()),
        ..Principal::default()
    });
    let mut exchange = Uuid::now_v7();
    let words = "invoice quarter report client balance archive market supplier ".repeat(20);
    let frame = |number: usize| {
        let is_answer = number % 2 == 1;
        if !is_answer {
            exchange = Uuid::now_v7();
        }
        let frame = Frame {
            exchange_id: exchange,
            session_key: SessionKey::of_principal(
                "default",
                "https://issuer.example",
                "alice",
                Some("sample"),
                "search",
            ),
            time: 1_750_000_000_000_000 + number as i64 * 1000,
            kind: Kind::Message,
            direction: if is_answer {
                Direction::ToClient
            } else {
                Direction::ToTarget
            },
            end: is_answer.then_some(End::Answered),
            tenant: "default".to_owned(),
            target: "search".to_owned(),
            principal: Some(Arc::clone(&principal)),
            client: Client {
                address: "192.0.2.7".to_owned(),
                user_agent: Some("sample/1.0".to_owned()),
                ..Client::default()
            },
            protocol: Protocol {
                revision: Some("2025-11-25".to_owned()),
                transport: "http/1.1".to_owned(),
                session_hash: None,
            },
            rpc: Some(Rpc {
                kind: if is_answer { RpcKind::Response } else { RpcKind::Request },
                method: Some("tools/call".to_owned()),
                id: Some((number / 2).to_string()),
                name: Some("search".to_owned()),
                ..Rpc::default()
            }),
            http: Http {
                method: Some("POST".to_owned()),
                status: is_answer.then_some(200),
                content_type: Some("application/json".to_owned()),
            },
            ..Frame::default()
        };
        let text = &words[number % 100..number % 100 + 940];
        let payload = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"text":"{text}"}}}}"#,
            number / 2
        );
        let sealed = chain.seal(frame, number as i64 + 1, Some(Bytes::from(payload)));
        encode_frame(&sealed, Framing::default())
    };
    (0..FRAMES).map(frame).collect()
}

/// Processor time of each stage, in nanoseconds.
fn round(records: &[Vec<u8>], redactor: &Arc<Redactor>) -> Result<Vec<(&'static str, u64)>, Error> {
    let mut stages = Vec::new();
    let mut before = processor_time()?;
    let mut stage = |name| -> Result<(), Error> {
        let now = processor_time()?;
        stages.push((name, now - before));
        before = now;
        Ok(())
    };
    let origin = Origin {
        source: "main".to_owned(),
        topic: "mcp.frames.v1".to_owned(),
        partition: 0,
    };
    let read: Vec<Record> = (0..)
        .zip(records)
        .map(|(offset, value)| Record::read(offset, 0, Some(&[7; 32]), Some(value)))
        .collect();
    stage("decode")?;
    let mut frames: Vec<(i64, Box<Frame>)> = Vec::with_capacity(FRAMES);
    for record in read {
        frames.push((record.offset, record.content.map_err(|undecodable| undecodable.reason)?));
    }
    stage("(moving)")?;
    for (_, frame) in &frames {
        frame.verify_hash()?;
    }
    stage("verify hashes")?;
    let mut known = Known::default();
    let masked: Vec<_> = frames
        .into_iter()
        .map(|(offset, frame)| (offset, redaction::mask(frame, redactor, &mut known)))
        .collect();
    stage("mask metadata")?;
    let mut sessions = Sessions::new(i64::MAX / 4);
    let live = Live {
        redactor: Arc::clone(redactor),
        tried: None,
    };
    let budget = Budget::new(256 << 20, Arc::default());
    let mut parts: Parts<Place> = Parts::within(budget.room());
    let mut messages = Vec::with_capacity(FRAMES);
    for (offset, frame) in masked {
        let with = sessions.place(&Event::of(offset, frame.frame()));
        messages.extend(parts.take(Waiting { offset, frame, with }, &live));
    }
    stage("sessions, parts")?;
    let mut rows = Vec::with_capacity(FRAMES);
    let retention: Arc<str> = "standard".into();
    for message in messages {
        let places: Vec<_> = message
            .frames
            .iter()
            .map(|waiting| (waiting.offset, waiting.with.clone()))
            .collect();
        let frames = message.frames.into_iter().map(|waiting| waiting.frame).collect();
        let clean = redaction::clean(frames, message.body, redactor);
        rows.extend(clean.into_iter().zip(places).map(|(frame, (offset, place))| Row {
            offset,
            kafka_time: 0,
            frame,
            verdict: Verdict::Intact,
            truncated: false,
            place,
            answers: None,
            message_size: 0,
            retention: Arc::clone(&retention),
        }));
    }
    stage("redact bodies")?;
    let mut sorted: Vec<(Order<'_>, &Row)> = rows.iter().map(|row| (Order::of(row), row)).collect();
    sorted.sort_unstable_by_key(|(order, _)| *order);
    stage("sort rows")?;
    let mut columns = Columns::with_capacity(FRAMES);
    sorted.iter().for_each(|(_, row)| row.encode(&origin, &mut columns));
    stage("encode rows")?;
    let mut size = Block::new(&columns, Packing::Plain)?.rows();
    stage("block, as it is")?;
    size += Block::new(&columns, Packing::Lz4)?.rows();
    stage("(or compressed)")?;
    for row in &rows {
        let frame = row.frame.frame();
        let events = audit_events(Told {
            frame,
            place: &row.place,
            truncated: row.truncated,
        });
        let sizes = events.iter().map(|event| encode_audit(event, Framing::default()).len());
        size += sizes.sum::<usize>();
    }
    stage("events")?;
    drop((sorted, columns, std::hint::black_box(size)));
    drop(rows);
    stage("free")?;
    Ok(stages)
}

/// Of this thread, in nanoseconds (proc(5), schedstat): unlike the clock on the wall it does not count what others do.
fn processor_time() -> Result<u64, Error> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}
