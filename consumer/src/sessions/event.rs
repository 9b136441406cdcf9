use tapedeck_schemas::{Direction, End, Frame, Kind, RpcKind, SessionKey};
use uuid::Uuid;

/// What the rule needs of a frame. Address and name are the redacted ones: they are what rows hold, and therefore all
/// that a restart can restore.
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "each field is the frame's of that name unless it says otherwise"
)]
pub struct Event<'a> {
    /// Kafka offset.
    pub offset: i64,
    pub key: SessionKey,
    pub exchange: Uuid,
    /// The verified session, where the frame names one.
    pub session: Option<Uuid>,
    /// Microseconds since 1970.
    pub time: i64,
    pub kind: Kind,
    pub direction: Direction,
    pub address: &'a str,
    /// The claimed name; never empty.
    pub name: Option<&'a str>,
    pub method: Option<&'a str>,
    pub rpc: RpcKind,
    /// The result says `isError`.
    pub failed: bool,
    /// The last part of its message, or the only one.
    pub whole: bool,
    /// It ends its exchange.
    pub ends: bool,
    /// It ends it badly: the target was never sent it, went away, or was cut off.
    pub fails: bool,
    /// Payload bytes.
    pub bytes: u64,
}

impl<'a> Event<'a> {
    /// The event of a frame whose maskable texts have been masked.
    #[must_use]
    pub fn of(offset: i64, frame: &'a Frame) -> Self {
        let rpc = frame.rpc.as_ref();
        Self {
            offset,
            key: frame.session_key,
            exchange: frame.exchange_id,
            session: frame.session_id,
            time: frame.time,
            kind: frame.kind,
            direction: frame.direction,
            address: &frame.client.address,
            name: frame.client.claimed_name.as_deref().filter(|name| !name.is_empty()),
            method: rpc.and_then(|rpc| rpc.method.as_deref()),
            rpc: rpc.map_or(RpcKind::None, |rpc| rpc.kind),
            failed: rpc.and_then(|rpc| rpc.is_error) == Some(true),
            whole: frame.part.last,
            ends: frame.end.is_some(),
            fails: matches!(frame.end, Some(End::NotForwarded | End::UpstreamLost | End::Aborted)),
            bytes: u64::try_from(frame.payload_size).unwrap_or(0),
        }
    }
}
