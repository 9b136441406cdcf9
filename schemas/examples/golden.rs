//! Prints new golden records as hex: `cargo run -p tapedeck-schemas --example golden -- frame|control`.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;

use bytes::Bytes;
use tapedeck_schemas::wire::{Framing, encode_control, encode_frame};
use tapedeck_schemas::{
    Chain, Client, ControlBody, ControlChain, Direction, Frame, Http, Kind, Principal, Protocol, Rpc, RpcKind,
    SessionKey, WriterStarted,
};
use uuid::Uuid;

fn main() {
    let record = match std::env::args().nth(1).as_deref() {
        Some("frame") => frame(),
        Some("control") => control(),
        _ => {
            println!("say frame or control");
            std::process::exit(64);
        }
    };
    for line in record.chunks(40) {
        println!("{}", line.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
}

fn frame() -> Vec<u8> {
    let issuer = "https://id.example.test";
    let draft = Frame {
        exchange_id: Uuid::now_v7(),
        session_key: SessionKey::of_principal("acme", issuer, "alice", Some("agent"), "everything"),
        session_id: Some(Uuid::now_v7()),
        time: 1_790_000_000_000_000,
        monotonic_ns: 42,
        kind: Kind::Message,
        direction: Direction::ToTarget,
        tenant: "acme".into(),
        target: "everything".into(),
        principal: Some(Arc::new(Principal {
            issuer: issuer.into(),
            subject: "alice".into(),
            name: Some("Alice A".into()),
            email: Some("alice@example.test".into()),
            groups: vec!["engineers".into()],
            client_id: Some("agent".into()),
            token_id: Some("jti-1".into()),
            ..Principal::default()
        })),
        client: Client {
            address: "192.0.2.1".into(),
            user_agent: Some("node".into()),
            ..Client::default()
        },
        protocol: Protocol {
            revision: Some("2025-06-18".into()),
            transport: "http/1.1".into(),
            session_hash: None,
        },
        rpc: Some(Rpc {
            kind: RpcKind::Request,
            method: Some("tools/call".into()),
            id: Some("1".into()),
            name: Some("echo".into()),
            ..Rpc::default()
        }),
        http: Http {
            method: Some("POST".into()),
            status: None,
            content_type: Some("application/json".into()),
        },
        ..Frame::default()
    };
    let body =
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#;
    let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
    encode_frame(
        &chain.seal(draft, 1, Some(Bytes::from_static(body))),
        Framing::SingleObject,
    )
}

fn control() -> Vec<u8> {
    let mut chain = ControlChain::open(Uuid::now_v7());
    let started = WriterStarted {
        public_key: chain.public_key(),
        instance: "proxy-1".into(),
        version: "0.1.0".into(),
        endorsement: None,
    };
    encode_control(
        &chain.sign(1_790_000_000_000_000, ControlBody::WriterStarted(started)),
        Framing::SingleObject,
    )
}
