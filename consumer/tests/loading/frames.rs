//! Frames as a proxy writes them.

use std::sync::Arc;

use bytes::Bytes;
use tapedeck_schemas::wire::{Framing, encode_frame};
use tapedeck_schemas::{
    Chain, Client, Direction, End, Frame, Kind, MAX_PART, Part, Principal, Rpc, RpcKind, SealedFrame, SegmentEvent,
    SessionKey,
};
use uuid::Uuid;

/// A proxy with one segment.
pub(crate) struct Proxy {
    chain: Chain,
    next: i64,
    key: SessionKey,
    pub(crate) sealed: Vec<SealedFrame>,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let mut proxy = Self {
            chain: Chain::open(Uuid::now_v7(), Uuid::now_v7()),
            next: 0,
            key: SessionKey::of_principal("acme", "https://idp", "alice", None, "tools"),
            sealed: Vec::new(),
        };
        let segment = proxy.chain.segment_id();
        let opened = Frame {
            kind: Kind::SegmentOpened,
            segment: Some(SegmentEvent {
                reason: "first".to_owned(),
                previous: None,
            }),
            ..proxy.frame(segment)
        };
        proxy.seal(opened, None);
        proxy
    }

    pub(crate) fn writer(&self) -> Uuid {
        self.sealed[0].frame().writer_id
    }

    pub(crate) fn frame(&self, exchange: Uuid) -> Frame {
        Frame {
            exchange_id: exchange,
            session_key: self.key,
            time: jiff::Timestamp::now().as_microsecond(),
            tenant: "acme".to_owned(),
            target: "tools".to_owned(),
            principal: Some(Arc::new(Principal {
                issuer: "https://idp".to_owned(),
                subject: "alice".to_owned(),
                ..Principal::default()
            })),
            client: Client {
                address: "192.0.2.1".to_owned(),
                ..Client::default()
            },
            ..Frame::default()
        }
    }

    pub(crate) fn seal(&mut self, frame: Frame, payload: Option<&[u8]>) {
        self.next += 1;
        let payload = payload.map(Bytes::copy_from_slice);
        self.sealed.push(self.chain.seal(frame, self.next, payload));
    }

    /// A request, recorded whole.
    pub(crate) fn request(&mut self, exchange: Uuid, method: &str, payload: &str) {
        let frame = Frame {
            kind: Kind::Message,
            direction: Direction::ToTarget,
            rpc: Some(rpc(RpcKind::Request, method)),
            ..self.frame(exchange)
        };
        self.seal(frame, Some(payload.as_bytes()));
    }

    /// An answer that ends its exchange, in as many parts as it needs; other frames may come between.
    pub(crate) fn answer(&mut self, exchange: Uuid, method: &str, payload: &str) {
        let chunks: Vec<&[u8]> = payload.as_bytes().chunks(MAX_PART).collect();
        for index in 0..chunks.len() {
            self.answer_part(exchange, method, chunks[index], index, index + 1 == chunks.len());
        }
    }

    pub(crate) fn answer_part(&mut self, exchange: Uuid, method: &str, payload: &[u8], index: usize, last: bool) {
        let frame = Frame {
            kind: Kind::Message,
            direction: Direction::ToClient,
            end: last.then_some(End::Answered),
            rpc: last.then(|| rpc(RpcKind::Response, method)),
            part: Part {
                index: i32::try_from(index).expect("a few parts"),
                last,
            },
            ..self.frame(exchange)
        };
        self.seal(frame, Some(payload));
    }

    /// A call of a tool and its answer.
    pub(crate) fn call(&mut self, text: &str) -> Uuid {
        let exchange = Uuid::now_v7();
        self.request(
            exchange,
            "tools/call",
            &format!(r#"{{"arguments":{{"text":"{text}"}}}}"#),
        );
        self.answer(exchange, "tools/call", &format!(r#"{{"result":{{"text":"{text}"}}}}"#));
        exchange
    }

    /// So many calls.
    pub(crate) fn calls(&mut self, count: usize) {
        for number in 0..count {
            self.call(&format!("number {number}"));
        }
    }

    /// All frames as records.
    pub(crate) fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.sealed.iter().map(record).collect()
    }
}

/// A sealed frame as a record of the topic.
pub(crate) fn record(sealed: &SealedFrame) -> (Vec<u8>, Vec<u8>) {
    let key = sealed.frame().session_key.as_bytes().to_vec();
    (key, encode_frame(sealed, Framing::default()))
}

fn rpc(kind: RpcKind, method: &str) -> Rpc {
    Rpc {
        kind,
        method: Some(method.to_owned()),
        id: Some("1".to_owned()),
        name: (method == "tools/call").then(|| "echo".to_owned()),
        ..Rpc::default()
    }
}
