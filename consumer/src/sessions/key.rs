use foldhash::HashMap;
use tapedeck_schemas::Kind;
use uuid::Uuid;

use super::asked::Asked;
use super::{Closed, Event, REMEMBERED, Totals};

/// Address and claimed name of a client.
pub(super) type Slot = (String, Option<String>);

#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) current: HashMap<Slot, Current>,
    pub(super) exchanges: HashMap<Uuid, Exchange>,
    pub(super) sessions: HashMap<Uuid, Session>,
    /// The last batch with a frame of it.
    pub(super) touched: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    pub(super) session: Uuid,
    /// Kafka offset of the frame that started it.
    pub(super) started: i64,
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) session: Uuid,
    /// An `initialize` that awaits its answer, and whose session that makes current.
    pub(super) opens: Option<Slot>,
    pub(super) asked: Asked,
    pub(super) ended: bool,
    /// The last batch with a frame of it.
    pub(super) touched: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) last: i64,
    pub(super) totals: Totals,
}

impl Key {
    /// The session of an exchange's first frame, whose current session it may become, whether it has become current, and
    /// what that closes.
    pub(super) fn open(&mut self, event: &Event<'_>, idle: i64) -> (Uuid, Option<Slot>, bool, Option<Closed>) {
        let slot = || (event.address.to_owned(), event.name.map(str::to_owned));
        if event.is_initialize() {
            let opens = (event.kind == Kind::Message).then(slot);
            return (event.exchange, opens, false, None);
        }
        if let Some(session) = event.session {
            return (session, None, false, None);
        }
        if let Some(session) = self.find(event, idle) {
            return (session, None, false, None);
        }
        if event.kind == Kind::Refused {
            return (event.exchange, None, false, None);
        }
        let closes = self.start(slot(), event.exchange, event, idle);
        (event.exchange, None, true, closes)
    }

    /// Counts a frame in its session, and gives back the session's totals with it.
    pub(super) fn count(&mut self, event: &Event<'_>, session: Uuid) -> Totals {
        let known = self.sessions.entry(session).or_insert(Session {
            last: event.time,
            totals: Totals::default(),
        });
        known.last = known.last.max(event.time);
        let totals = &mut known.totals;
        totals.frames += 1;
        totals.bytes += event.bytes;
        totals.calls += u64::from(event.is_call());
        totals.errors += u64::from(event.is_error());
        *totals
    }

    /// Makes a session the current one of its client. Gives back the one before where that had been idle for too long, but
    /// not for so long that a restart would not know of it. One that was not idle may go on beside the new one, where its
    /// frames name it.
    pub(super) fn start(&mut self, slot: Slot, session: Uuid, event: &Event<'_>, idle: i64) -> Option<Closed> {
        let current = Current {
            session,
            started: event.offset,
        };
        let before = self.current.insert(slot, current)?.session;
        let last = self.sessions.get(&before)?.last;
        let silence = event.time.saturating_sub(last);
        let is_over = before != session && silence > idle && silence <= idle.saturating_add(REMEMBERED);
        is_over.then_some(Closed { session: before, last })
    }

    fn find(&mut self, event: &Event<'_>, idle: i64) -> Option<Uuid> {
        let sessions = &mut self.sessions;
        let is_live = |sessions: &HashMap<Uuid, Session>, current: &Current| {
            sessions
                .get(&current.session)
                .is_some_and(|session| event.time.saturating_sub(session.last) <= idle)
        };
        if event.name.is_some() {
            let slot = (event.address.to_owned(), event.name.map(str::to_owned));
            let current = self.current.get(&slot)?;
            return is_live(sessions, current).then_some(current.session);
        }
        let mut live = self
            .current
            .iter()
            .filter(|((address, _), current)| address == event.address && is_live(sessions, current))
            .map(|(_, current)| *current);
        let first = live.next()?;
        let mut choice = false;
        let latest = live.fold(first, |latest, current| {
            choice |= current.session != latest.session;
            if current.started > latest.started {
                current
            } else {
                latest
            }
        });
        if choice && let Some(session) = sessions.get_mut(&latest.session) {
            session.totals.shared = true;
        }
        Some(latest.session)
    }
}
