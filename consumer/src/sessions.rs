//! Which session a frame belongs to: a pure state machine over one partition's frames, in their order.
//!
//! The rule, and why a replay of the topic gives the same ids:
//!
//! - An `initialize`, request and answer, belongs to a session whose id is its own exchange id. Answered without an
//!   error, it becomes the *current* session of its (session key, client address, claimed name).
//! - A frame that carries a verified session belongs to that.
//! - All frames of an exchange belong to the session of its first.
//! - Any other exchange joins the current session of its (session key, address, claimed name); one without a claimed name
//!   joins the session that was started last under (session key, address), which is marked `shared` when there is a choice.
//!   Where there is none, or it has been idle for longer than the limit by frame time, the exchange starts one with its
//!   own id.
//! - A refusal joins a current session, and starts none: it stands alone under its own exchange id.
//! - The recorder's own events (segments, gaps) belong to no session.
//!
//! Beside the session it says which calls of an exchange a frame ends without naming them ([`Place::concerns`]), and which
//! session has turned out to be over ([`Place::closes`]).
//!
//! Nothing here is kept for good. What is not in memory is restored from the rows before the batch, so [`Sessions::missing`]
//! says what a batch needs and the caller reads it back first. A session key's frames are all in one partition.

use foldhash::{HashMap, HashMapExt as _, HashSet};

use tapedeck_schemas::{Direction, Frame, Kind, SessionKey};
use uuid::Uuid;

mod asked;
mod event;
mod key;
#[cfg(test)]
mod tests;

use asked::Asked;
pub use event::Event;
use key::{Current, Exchange, Key, Session};

/// How much earlier than the idle limit has it a session's last frame may be for the session to be known still: writers'
/// clocks differ, and a spool is drained late. Microseconds.
pub const REMEMBERED: i64 = 24 * 3600 * 1_000_000;

/// The place of one frame in its session.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// The session; nil for none.
    pub session: Uuid,
    /// This frame made the session the current one of its client.
    pub starts: bool,
    /// Cumulative, this frame included.
    pub totals: Totals,
    /// Calls of the exchange, beside the one that it names, that this frame ends or answers as a whole: `>` and the
    /// JSON-RPC id where the client asked, `<` where the target did.
    pub concerns: Vec<String>,
    /// The session that this frame's takes the place of, which had been idle for too long.
    pub closes: Option<Closed>,
}

/// A session that another one of the same client has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its id.
    pub session: Uuid,
    /// Time of its latest frame, microseconds since 1970.
    pub last: i64,
}

/// What is known of a session up to and including a frame; every field only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Several clients that cannot be told apart may be in it.
    pub shared: bool,
    /// Frames.
    pub frames: u64,
    /// JSON-RPC requests to the target.
    pub calls: u64,
    /// Error answers, results that say `isError`, refusals, and exchanges that ended badly.
    pub errors: u64,
    /// Payload bytes, both directions.
    pub bytes: u64,
}

/// A session as the rows before a batch have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredSession {
    /// Its session key.
    pub key: SessionKey,
    /// Its id.
    pub session: Uuid,
    /// Time of its latest frame, microseconds since 1970.
    pub last: i64,
    /// Its totals.
    pub totals: Totals,
    /// Where it was made current: the Kafka offset, the client's address, and its claimed name.
    pub started: Option<(i64, String, Option<String>)>,
}

/// An exchange as the rows before a batch have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredExchange {
    /// Its session key.
    pub key: SessionKey,
    /// Its id.
    pub exchange: Uuid,
    /// Its session; nil where its rows have none.
    pub session: Uuid,
    /// An `initialize` that has not been answered: the client's address and claimed name.
    pub opens: Option<(String, Option<String>)>,
    /// Its requests in the order of the log, marked as in [`Place::concerns`].
    pub asked: Vec<String>,
}

/// What a batch needs and memory does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Session keys, each with the earliest frame time at which the batch needs it.
    pub keys: HashMap<SessionKey, i64>,
    /// Exchanges that began before the batch.
    pub exchanges: HashSet<(SessionKey, Uuid)>,
    /// Sessions named by frames.
    pub sessions: HashSet<(SessionKey, Uuid)>,
}

impl Missing {
    /// Nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.exchanges.is_empty() && self.sessions.is_empty()
    }
}

/// The sessions of one partition.
#[derive(Debug)]
pub struct Sessions {
    keys: HashMap<SessionKey, Key>,
    /// Batches begun. Keys and exchanges say in which of them they were touched last.
    batch: u64,
    /// Microseconds.
    idle: i64,
}

impl Sessions {
    /// Knows nothing; a session ends after `idle` microseconds without a frame.
    #[must_use]
    pub fn new(idle: i64) -> Self {
        Self {
            keys: HashMap::new(),
            batch: 0,
            idle,
        }
    }

    /// Begins the next batch, and gives back its number.
    pub fn begin(&mut self) -> u64 {
        self.batch += 1;
        self.batch
    }

    /// What has to be restored before these frames can be placed. Of what batches that are not stored yet have touched
    /// nothing is missing, unless it was forgotten.
    pub fn missing<'a>(&self, frames: impl Iterator<Item = &'a Frame>) -> Missing {
        let mut missing = Missing::default();
        let mut opened = HashSet::default();
        for frame in frames.filter(|frame| !is_recorders_own(frame.kind)) {
            let key = self.keys.get(&frame.session_key);
            if key.is_none() {
                let earliest = missing.keys.entry(frame.session_key).or_insert(frame.time);
                *earliest = frame.time.min(*earliest);
            }
            if key.is_some_and(|key| key.exchanges.contains_key(&frame.exchange_id)) {
                continue;
            }
            let exchange = (frame.session_key, frame.exchange_id);
            if opens_exchange(frame) {
                opened.insert(exchange);
            } else if !opened.contains(&exchange) {
                missing.exchanges.insert(exchange);
            }
            if let Some(session) = frame.session_id
                && key.is_none_or(|key| !key.sessions.contains_key(&session))
                && !opened.contains(&(frame.session_key, session))
            {
                missing.sessions.insert((frame.session_key, session));
            }
        }
        missing
    }

    /// Takes in what rows say. Call once with everything that [`missing`](Self::missing) named, exchanges' sessions too.
    pub fn restore(&mut self, missing: &Missing, sessions: Vec<RestoredSession>, exchanges: Vec<RestoredExchange>) {
        // A key without rows is known from now on to have none.
        for key in missing.keys.keys() {
            self.keys.entry(*key).or_default().touched = self.batch;
        }
        for restored in sessions {
            // Of a key that was not asked for this is not all: it stays unknown.
            let Some(key) = self.keys.get_mut(&restored.key) else {
                continue;
            };
            key.sessions.entry(restored.session).or_insert(Session {
                last: restored.last,
                totals: restored.totals,
            });
            if !missing.keys.contains_key(&restored.key) {
                continue;
            }
            if let Some((started, address, name)) = restored.started {
                let current = key.current.entry((address, name)).or_insert(Current {
                    session: restored.session,
                    started,
                });
                if started > current.started {
                    *current = Current {
                        session: restored.session,
                        started,
                    };
                }
            }
        }
        for restored in exchanges {
            let Some(key) = self.keys.get_mut(&restored.key) else {
                continue;
            };
            key.exchanges.entry(restored.exchange).or_insert(Exchange {
                session: restored.session,
                opens: restored.opens,
                asked: Asked::restore(restored.asked),
                ended: false,
                touched: self.batch,
            });
        }
    }

    /// What has to be restored before a frame of this time, microseconds since 1970, can be placed late in a session.
    /// Of a key that is not in memory that is its current sessions, too: the next frames go by them.
    #[must_use]
    pub fn missing_session(&self, key: SessionKey, session: Uuid, time: i64) -> Missing {
        let mut missing = Missing::default();
        if session.is_nil() {
            return missing;
        }
        let known = self.keys.get(&key);
        if known.is_none() {
            missing.keys.insert(key, time);
        }
        if known.is_none_or(|known| !known.sessions.contains_key(&session)) {
            missing.sessions.insert((key, session));
        }
        missing
    }

    /// Places a frame whose neighbours in the log were placed long ago: it counts as the latest of its session, and changes
    /// nobody's current one.
    pub fn place_late(&mut self, event: &Event<'_>, session: Uuid) -> Place {
        if is_recorders_own(event.kind) || session.is_nil() {
            return Place::default();
        }
        let key = self.keys.entry(event.key).or_default();
        key.touched = self.batch;
        let totals = key.count(event, session);
        Place {
            session,
            totals,
            ..Place::default()
        }
    }

    /// Places one frame, the next of its partition.
    pub fn place(&mut self, event: &Event<'_>) -> Place {
        if is_recorders_own(event.kind) {
            return Place::default();
        }
        let idle = self.idle;
        let key = self.keys.entry(event.key).or_default();
        key.touched = self.batch;
        let (mut starts, mut closes) = (false, None);
        if !key.exchanges.contains_key(&event.exchange) {
            let (session, opens);
            (session, opens, starts, closes) = key.open(event, idle);
            key.exchanges.insert(
                event.exchange,
                Exchange {
                    session,
                    opens,
                    asked: Asked::default(),
                    ended: false,
                    touched: self.batch,
                },
            );
        }
        let exchange = key
            .exchanges
            .get_mut(&event.exchange)
            .expect("inserted above where it was absent");
        exchange.touched = self.batch;
        exchange.ended |= event.ends;
        exchange.asked.note(event);
        let concerns = exchange.asked.concerned(event);
        let session = exchange.session;
        if event.answers_initialize()
            && let Some(slot) = exchange.opens.take()
        {
            closes = key.start(slot, session, event, idle);
            starts = true;
        }
        Place {
            session,
            starts,
            totals: key.count(event, session),
            concerns,
            closes,
        }
    }

    /// The session that something without a frame of its own, such as an undecodable record, is shown in: the one
    /// started last under the key. It stays untouched.
    #[must_use]
    pub fn latest(&self, key: &SessionKey) -> Option<Uuid> {
        let current = self.keys.get(key)?.current.values();
        Some(current.max_by_key(|current| current.started)?.session)
    }

    /// Forgets exchanges that have ended; whatever of them still comes is read back. With more than `limit` keys, sessions
    /// and exchanges in memory, all is forgotten. What batches after `stored` have touched stays, and so do keys that `waits`
    /// names: some of their rows are not in the table yet.
    pub fn forget(&mut self, limit: usize, stored: u64, waits: impl Fn(&SessionKey) -> bool) {
        if self.size() > limit {
            self.keys.retain(|key, known| known.touched > stored || waits(key));
        }
        for (_, key) in self.keys.iter_mut().filter(|(key, _)| !waits(key)) {
            key.exchanges
                .retain(|_, exchange| !exchange.ended || exchange.touched > stored);
        }
    }

    /// Keys, sessions, exchanges and requests in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let size = |key: &Key| {
            let asked: usize = key.exchanges.values().map(|exchange| exchange.asked.len()).sum();
            1 + key.current.len() + key.sessions.len() + key.exchanges.len() + asked
        };
        self.keys.values().map(size).sum()
    }

    /// Sessions in memory that have not been idle for too long at a time, microseconds since 1970.
    #[must_use]
    pub fn open_at(&self, time: i64) -> usize {
        let sessions = self.keys.values().flat_map(|key| key.sessions.values());
        sessions
            .filter(|session| time.saturating_sub(session.last) <= self.idle)
            .count()
    }

    /// Session keys in memory.
    #[must_use]
    pub fn keys_in_memory(&self) -> usize {
        self.keys.len()
    }
}

/// Frames that no client caused.
fn is_recorders_own(kind: Kind) -> bool {
    matches!(kind, Kind::SegmentOpened | Kind::SegmentSealed | Kind::Gap)
}

/// Only such a frame can be the first of its exchange, and it is. A message of a batch follows its batch, and has no payload
/// of its own.
fn opens_exchange(frame: &Frame) -> bool {
    match frame.kind {
        Kind::Message => {
            frame.direction == Direction::ToTarget && frame.part.index == 0 && frame.commitments.payload.is_some()
        }
        Kind::ExchangeStart | Kind::Refused => true,
        _ => false,
    }
}
