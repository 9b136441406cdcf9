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
    /// The JSON-RPC id; never empty.
    pub id: Option<&'a str>,
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
            id: rpc.and_then(|rpc| rpc.id.as_deref()).filter(|id| !id.is_empty()),
            rpc: rpc.map_or(RpcKind::None, |rpc| rpc.kind),
            failed: rpc.and_then(|rpc| rpc.is_error) == Some(true),
            whole: frame.part.last,
            ends: frame.end.is_some(),
            fails: matches!(frame.end, Some(End::NotForwarded | End::UpstreamLost | End::Aborted)),
            bytes: u64::try_from(frame.payload_size).unwrap_or(0),
        }
    }
}

impl Event<'_> {
    pub(super) fn is_initialize(&self) -> bool {
        self.method == Some("initialize") && self.direction != Direction::ToClient
    }

    pub(super) fn answers_initialize(&self) -> bool {
        self.kind == Kind::Message && self.direction == Direction::ToClient && self.rpc == RpcKind::Response
    }

    pub(super) fn is_call(&self) -> bool {
        self.whole
            && self.kind == Kind::Message
            && self.direction == Direction::ToTarget
            && self.rpc == RpcKind::Request
    }

    pub(super) fn is_error(&self) -> bool {
        match self.kind {
            Kind::Refused => true,
            Kind::ExchangeEnd => self.fails,
            Kind::Message if self.whole && self.direction == Direction::ToClient => {
                self.rpc == RpcKind::Error || self.rpc == RpcKind::Response && self.failed
            }
            _ => false,
        }
    }

    /// It answers a request of its own exchange: the proxy has written the request's method on it.
    pub(super) fn is_own_answer(&self) -> bool {
        self.kind == Kind::Message
            && self.direction == Direction::ToClient
            && matches!(self.rpc, RpcKind::Response | RpcKind::Error)
            && self.method.is_some_and(|method| !method.is_empty())
    }
}
