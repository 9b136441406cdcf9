//! Frames as a proxy records them, made without one: a caller's calls of a search tool, each request and answer about
//! as large as tools' real ones.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tapedeck_schemas::wire::{Framing, encode_frame};
use tapedeck_schemas::{
    Chain, Client, Direction, End, Frame, Http, Kind, Part, Principal, Protocol, Rpc, RpcKind, SealedFrame,
    SegmentEvent, SessionKey,
};
use uuid::Uuid;

const TENANT: &str = "default";
const TARGET: &str = "search";
const ISSUER: &str = "https://issuer.example";

/// What the texts are made of.
const WORDS: &[&str] = &[
    "account",
    "answer",
    "archive",
    "balance",
    "branch",
    "budget",
    "change",
    "client",
    "closed",
    "commit",
    "cost",
    "customer",
    "daily",
    "data",
    "delivery",
    "design",
    "document",
    "draft",
    "error",
    "event",
    "export",
    "failed",
    "figure",
    "folder",
    "forecast",
    "git",
    "history",
    "import",
    "index",
    "invoice",
    "issue",
    "item",
    "label",
    "ledger",
    "letter",
    "limit",
    "list",
    "margin",
    "market",
    "meeting",
    "member",
    "merge",
    "message",
    "model",
    "month",
    "note",
    "number",
    "offer",
    "open",
    "order",
    "owner",
    "page",
    "paid",
    "parcel",
    "plan",
    "price",
    "project",
    "quarter",
    "query",
    "queue",
    "record",
    "region",
    "release",
    "report",
    "request",
    "result",
    "review",
    "route",
    "sample",
    "schedule",
    "score",
    "search",
    "section",
    "service",
    "share",
    "shipment",
    "source",
    "stage",
    "status",
    "storage",
    "summary",
    "supplier",
    "table",
    "target",
    "task",
    "team",
    "test",
    "ticket",
    "title",
    "total",
    "trace",
    "update",
    "user",
    "value",
    "vendor",
    "version",
    "warehouse",
    "week",
    "work",
    "year",
];

/// So many words, one after the other: always the same.
#[must_use]
pub fn words(count: usize) -> String {
    let mut random = 1;
    let words: Vec<&str> = (0..count)
        .map(|_| WORDS[next(&mut random) as usize % WORDS.len()])
        .collect();
    words.join(" ")
}

/// Knuth's linear congruential generator, its better half.
fn next(random: &mut u64) -> u64 {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *random >> 33
}

/// A key and a value of the frames' topic.
pub type Record = (Vec<u8>, Vec<u8>);

/// One caller's growing segment. Every recording is a writer of its own.
#[derive(Debug)]
pub struct Recording {
    chain: Chain,
    writer_seq: i64,
    key: SessionKey,
    principal: Arc<Principal>,
    random: u64,
    calls: u64,
    framing: Framing,
}

impl Recording {
    /// A segment of a caller of that name, still without frames.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        Self {
            chain: Chain::open(Uuid::now_v7(), Uuid::now_v7()),
            writer_seq: 0,
            key: SessionKey::of_principal(TENANT, ISSUER, subject, Some("sample"), TARGET),
            principal: Arc::new(Principal {
                issuer: ISSUER.to_owned(),
                subject: subject.to_owned(),
                groups: vec!["engineers".to_owned()],
                client_id: Some("sample".to_owned()),
                ..Principal::default()
            }),
            // Any odd number: texts differ between callers and repeat between runs.
            random: subject.bytes().fold(0x9e37_79b9_u64, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(u64::from(byte))
            }) | 1,
            calls: 0,
            framing: Framing::default(),
        }
    }

    /// Its records name their schema so.
    #[must_use]
    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The segment's first frame.
    pub fn opened(&mut self) -> Record {
        let event = SegmentEvent {
            reason: "first".to_owned(),
            previous: None,
        };
        let frame = Frame {
            kind: Kind::SegmentOpened,
            segment: Some(event),
            ..self.common(Uuid::now_v7())
        };
        self.seal(frame, None)
    }

    /// A call and its answer, whose body has about `bytes` bytes.
    pub fn call(&mut self, bytes: usize) -> [Record; 2] {
        self.calls += 1;
        let exchange = Uuid::now_v7();
        let (id, query) = (self.calls, self.words(24));
        let rpc = |kind| Rpc {
            kind,
            method: Some("tools/call".to_owned()),
            id: Some(id.to_string()),
            name: Some("search".to_owned()),
            ..Rpc::default()
        };
        let http = |status| Http {
            method: Some("POST".to_owned()),
            status,
            content_type: Some("application/json".to_owned()),
        };
        let arguments = json!({ "query": query, "limit": 20 });
        let asked = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "search", "arguments": arguments } });
        let request = Frame {
            kind: Kind::Message,
            direction: Direction::ToTarget,
            rpc: Some(rpc(RpcKind::Request)),
            http: http(None),
            ..self.common(exchange)
        };
        let request = self.seal(request, Some(asked.to_string()));
        let answered = self.answer(id, bytes);
        let answer = Frame {
            kind: Kind::Message,
            direction: Direction::ToClient,
            end: Some(End::Answered),
            rpc: Some(Rpc {
                is_error: Some(false),
                ..rpc(RpcKind::Response)
            }),
            http: http(Some(200)),
            ..self.common(exchange)
        };
        [request, self.seal(answer, Some(answered))]
    }

    fn answer(&mut self, id: u64, bytes: usize) -> String {
        let mut hits = Vec::new();
        let mut size = 0;
        while size < bytes.saturating_sub(120) {
            let hit = json!({
                "title": self.words(4), "score": self.next() % 1000, "id": format!("doc-{:x}", self.next() % 0xff_ffff),
                "snippet": self.words(12),
            });
            size += hit.to_string().len() + 8;
            hits.push(hit);
        }
        let text = json!({ "hits": hits }).to_string();
        let result = json!({ "content": [{ "type": "text", "text": text }], "isError": false });
        json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
    }

    fn common(&self, exchange_id: Uuid) -> Frame {
        let now = jiff::Timestamp::now();
        Frame {
            exchange_id,
            session_key: self.key,
            time: now.as_microsecond(),
            monotonic_ns: self.writer_seq * 1_000_000,
            tenant: TENANT.to_owned(),
            target: TARGET.to_owned(),
            principal: Some(Arc::clone(&self.principal)),
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
            part: Part::WHOLE,
            ..Frame::default()
        }
    }

    fn seal(&mut self, frame: Frame, payload: Option<String>) -> Record {
        self.writer_seq += 1;
        let sealed: SealedFrame = self.chain.seal(frame, self.writer_seq, payload.map(Bytes::from));
        (self.key.as_bytes().to_vec(), encode_frame(&sealed, self.framing))
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.next() as usize % WORDS.len()]).collect();
        words.join(" ")
    }

    fn next(&mut self) -> u64 {
        next(&mut self.random)
    }
}

/// What became of the records: the first that was not delivered.
#[derive(Default)]
struct Deliveries(Mutex<Option<KafkaError>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.0.lock().expect("nothing panics while it holds the lock");
            first.get_or_insert_with(|| error.clone());
        }
    }
}

/// Publishes records, in order, and waits for every acknowledgement. Blocks.
///
/// # Errors
/// The first record that was not acknowledged, or what librdkafka says.
pub fn publish(brokers: &str, topic: &str, records: impl Iterator<Item = Record>) -> Result<u64, KafkaError> {
    // Its thread serves the reports; without one they would pile up until the end.
    let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("message.timeout.ms", "300000")
        .create_with_context(Deliveries::default())?;
    let mut count = 0;
    for (key, value) in records {
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, refused)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(10));
            record = refused;
        }
        count += 1;
    }
    producer.flush(Duration::from_secs(300))?;
    let failed = producer
        .context()
        .0
        .lock()
        .expect("nothing panics while it holds the lock");
    failed.clone().map_or(Ok(count), Err)
}
