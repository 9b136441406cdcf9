//! Which request an answer belongs to that did not come back where it was asked: the client's answer to what a target
//! asked it, and the answer on a stream that was resumed.
//!
//! Within its own exchange an answer carries its request's method, and nothing has to be known. Any other answers the
//! latest request before it in the log that went the other way in the same session under the same id, unless that waited
//! for more than a day. Nothing is kept between batches: who needs to know what was asked before the batch reads it back,
//! so a restart changes nothing.

use foldhash::{HashMap, HashSet};
use tapedeck_schemas::{Direction, Frame, Kind, RpcKind, SessionKey};
use uuid::Uuid;

use crate::sessions::Event;

#[cfg(test)]
mod tests;

/// The longest that a request waits for an answer on another exchange, by frame time. Microseconds.
const PATIENCE: i64 = 24 * 3600 * 1_000_000;
/// Longer ids are not looked for: they are no counters, and would make long statements.
const LONGEST: usize = 256;

/// What an answer looks for: a request under this key, in this direction, with this id.
pub type Sought = (SessionKey, Direction, String);

/// A request as the rows before a batch have it: of its session, direction and id the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredRequest {
    /// Its session key.
    pub key: SessionKey,
    /// Its session.
    pub session: Uuid,
    /// Which way it went.
    pub direction: Direction,
    /// Its JSON-RPC id, as JSON text.
    pub id: String,
    /// Its exchange.
    pub exchange: Uuid,
    /// Its frame's time, microseconds since 1970.
    pub time: i64,
}

/// The requests that a batch's answers look for.
#[derive(Debug, Default)]
pub struct Calls {
    sought: HashSet<Sought>,
    /// Exchange and time of the latest request, by session and what is sought.
    asked: HashMap<(Uuid, Sought), (Uuid, i64)>,
}

impl Calls {
    /// For the answers among a batch's frames; `masked` gives a frame's id as rows have it. Nearly always there are none.
    pub fn of<'a>(frames: impl Iterator<Item = &'a Frame>, mut masked: impl FnMut(&str, &Frame) -> String) -> Self {
        let sought = frames.filter_map(|frame| {
            let rpc = frame.rpc.as_ref()?;
            let id = rpc.id.as_deref().filter(|id| !id.is_empty() && id.len() <= LONGEST)?;
            let has_method = rpc.method.as_deref().is_some_and(|method| !method.is_empty());
            let asked = asked(frame.kind, frame.direction, rpc.kind, frame.part.last, has_method)?;
            Some((frame.session_key, asked, masked(id, frame)))
        });
        Self {
            sought: sought.collect(),
            asked: HashMap::default(),
        }
    }

    /// What has to be read back.
    #[must_use]
    pub fn sought(&self) -> &HashSet<Sought> {
        &self.sought
    }

    /// Takes in what rows before the batch say.
    pub fn restore(&mut self, requests: Vec<RestoredRequest>) {
        for request in requests {
            let sought = (request.key, request.direction, request.id);
            self.asked
                .insert((request.session, sought), (request.exchange, request.time));
        }
    }

    /// Takes the next frame of the batch, and gives back whose request it answers where that is another exchange's.
    pub fn take(&mut self, event: &Event<'_>, session: Uuid) -> Option<Uuid> {
        if self.sought.is_empty() {
            return None;
        }
        let id = event.id?;
        if event.kind == Kind::Message && event.whole && event.rpc == RpcKind::Request {
            let sought = (event.key, event.direction, id.to_owned());
            if self.sought.contains(&sought) {
                self.asked.insert((session, sought), (event.exchange, event.time));
            }
            return None;
        }
        let has_method = event.method.is_some_and(|method| !method.is_empty());
        let asked = asked(event.kind, event.direction, event.rpc, event.whole, has_method)?;
        let place = (session, (event.key, asked, id.to_owned()));
        let (exchange, time) = *self.asked.get(&place)?;
        let waited = event.time.saturating_sub(time);
        (waited <= PATIENCE && exchange != event.exchange).then_some(exchange)
    }
}

/// The direction of the request that such a frame answers, where that is not a request of its own exchange.
fn asked(kind: Kind, direction: Direction, rpc: RpcKind, whole: bool, has_method: bool) -> Option<Direction> {
    if kind != Kind::Message || !whole || !matches!(rpc, RpcKind::Response | RpcKind::Error) {
        return None;
    }
    match direction {
        Direction::ToTarget => Some(Direction::ToClient),
        Direction::ToClient if !has_method => Some(Direction::ToTarget),
        Direction::ToClient | Direction::None => None,
    }
}
