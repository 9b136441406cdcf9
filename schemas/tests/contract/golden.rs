//! Records of every release are read for ever: `golden/` holds one of each, as hex, and is only ever added to.

use std::path::Path;

use tapedeck_schemas::wire::{decode_control, decode_frame};
use tapedeck_schemas::{Direction, Frame, Kind, RpcKind};

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn assert_is_the_golden_call(frame: &Frame) {
    assert_eq!(frame.verify_hash(), Ok(()));
    assert_eq!((frame.kind, frame.direction), (Kind::Message, Direction::ToTarget));
    assert_eq!(frame.target, "everything");
    let principal = frame.principal.as_deref().unwrap();
    assert_eq!(
        (principal.subject.as_str(), principal.groups.as_slice()),
        ("alice", &["engineers".to_owned()][..])
    );
    let rpc = frame.rpc.as_ref().unwrap();
    assert_eq!(
        (rpc.kind, rpc.id.as_deref(), rpc.name.as_deref()),
        (RpcKind::Request, Some("1"), Some("echo"))
    );
    let payload = &frame.payload.as_ref().unwrap().0;
    assert_eq!(frame.payload_size, payload.len() as i64);
    assert!(payload.starts_with(br#"{"jsonrpc":"2.0","id":1,"method":"tools/call""#));
}

#[test]
fn todays_reader_reads_the_first_released_frame() {
    assert_is_the_golden_call(&decode_frame(&golden("frame-1.hex")).unwrap());
}

#[test]
fn todays_reader_reads_the_first_released_control_statement() {
    let started = decode_control(&golden("control-1.hex")).unwrap();
    let tapedeck_schemas::ControlBody::WriterStarted(body) = &started.body else {
        panic!("{started:?}")
    };
    assert_eq!(body.instance, "proxy-1");
    assert_eq!(started.verify(&body.public_key), Ok(()));
}
