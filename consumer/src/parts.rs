//! Puts messages that were split over several frames together again, since redaction has to see them whole.
//!
//! Parts of one message are consecutive within their exchange and direction; other exchanges come between them. Until a
//! message is whole, its frames wait here and the committed offset stays before the first of them. A message that never
//! gets whole (its exchange ends, another begins in its place, or its frames have stopped coming) is let go as truncated:
//! rows without a body, but with sizes and commitments.

use foldhash::{HashMap, HashMapExt as _};
use tapedeck_redact::DropReason;
use tapedeck_schemas::{Direction, Frame, Payload};
use uuid::Uuid;

use crate::redaction::{Body, MaskedFrame};

#[cfg(test)]
mod tests;

/// A message is redacted whole up to this many bytes; beyond it its body is dropped.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// What may wait here in all, in bytes; beyond it the bodies of the messages that grow are dropped.
const MAX_WAITING: usize = 8 * MAX_MESSAGE;
/// A message whose parts have stopped for so long, by frame time, will not become whole. Microseconds.
const SILENCE: i64 = 60 * 1_000_000;

/// A frame on its way, with what else is known of it.
#[derive(Debug)]
pub struct Waiting<T> {
    /// Kafka offset.
    pub offset: i64,
    /// The frame; its payload is taken as it comes in.
    pub frame: MaskedFrame,
    /// Whatever the caller needs again.
    pub with: T,
}

/// A message, whole or given up.
#[derive(Debug)]
pub struct Message<T> {
    /// Its frames, in order; at least one.
    pub frames: Vec<Waiting<T>>,
    /// Its payload.
    pub body: Body,
    /// The rest never came.
    pub truncated: bool,
}

#[derive(Debug)]
struct Open<T> {
    frames: Vec<Waiting<T>>,
    payloads: Vec<Option<Payload>>,
    bytes: usize,
    /// The body is given up, its frames are still gathered.
    too_large: bool,
    /// Time of the latest part, microseconds since 1970.
    last: i64,
}

/// The messages of one partition that are not whole yet.
#[derive(Debug)]
pub struct Parts<T> {
    open: HashMap<(Uuid, Direction), Open<T>>,
    bytes: usize,
    /// Latest frame time so far.
    now: i64,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self {
            open: HashMap::new(),
            bytes: 0,
            now: i64::MIN,
        }
    }
}

impl<T> Parts<T> {
    /// Takes the next frame, and gives back the messages that are complete with it, in the order of their first frames.
    pub fn take(&mut self, waiting: Waiting<T>) -> Vec<Message<T>> {
        let frame = waiting.frame.frame();
        self.now = self.now.max(frame.time);
        let place = (frame.exchange_id, frame.direction);
        let mut complete = Vec::new();
        if frame.end.is_some() && frame.part.last {
            complete.extend(self.give_up_exchange(frame, place));
        }
        if frame.part.index == 0
            && let Some(open) = self.open.remove(&place)
        {
            complete.push(self.truncate(open));
        }
        complete.extend(self.add(place, waiting));
        complete
    }

    /// Gives up the messages whose parts have stopped coming.
    pub fn expire(&mut self) -> Vec<Message<T>> {
        let now = self.now;
        self.give_up_where(|open| now.saturating_sub(open.last) > SILENCE)
    }

    /// Gives up the messages of which these frames are parts.
    pub fn give_up(&mut self, of: impl Fn(&Frame) -> bool) -> Vec<Message<T>> {
        self.give_up_where(|open| open.frames.iter().any(|waiting| of(waiting.frame.frame())))
    }

    fn give_up_where(&mut self, gone: impl Fn(&Open<T>) -> bool) -> Vec<Message<T>> {
        let places: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| gone(open))
            .map(|(place, _)| *place)
            .collect();
        let mut given_up: Vec<Message<T>> = Vec::new();
        for place in places {
            if let Some(open) = self.open.remove(&place) {
                given_up.push(self.truncate(open));
            }
        }
        given_up.sort_by_key(|message| message.frames.first().map(|frame| frame.offset));
        given_up
    }

    /// The offset of the first frame that waits: the committed offset must not pass it.
    #[must_use]
    pub fn first_offset(&self) -> Option<i64> {
        let firsts = self.open.values().filter_map(|open| open.frames.first());
        firsts.map(|frame| frame.offset).min()
    }

    /// The frames that wait, in no order.
    pub fn frames(&self) -> impl Iterator<Item = &Waiting<T>> {
        self.open.values().flat_map(|open| &open.frames)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The exchange ends with this frame, so nothing more comes for whatever else of it waits.
    fn give_up_exchange(&mut self, frame: &Frame, place: (Uuid, Direction)) -> Vec<Message<T>> {
        let all = [Direction::ToTarget, Direction::ToClient, Direction::None];
        let continues = |other: &(Uuid, Direction)| *other == place && frame.part.index > 0;
        let others = all.map(|direction| (frame.exchange_id, direction));
        let mut given_up = Vec::new();
        for other in others.into_iter().filter(|other| !continues(other)) {
            if let Some(open) = self.open.remove(&other) {
                given_up.push(self.truncate(open));
            }
        }
        given_up
    }

    fn add(&mut self, place: (Uuid, Direction), mut waiting: Waiting<T>) -> Option<Message<T>> {
        let part = waiting.frame.frame().part;
        let time = waiting.frame.frame().time;
        let payload = waiting.frame.take_payload();
        if part.index == 0 && part.last {
            return Some(Message {
                frames: vec![waiting],
                body: Body::Parts(vec![payload]),
                truncated: false,
            });
        }
        let expected = self.open.get(&place).map_or(0, |open| open.frames.len());
        if usize::try_from(part.index) != Ok(expected) {
            // A part whose predecessor is missing: its message cannot be looked at whole.
            let mut lost = self.open.remove(&place).map(|open| self.truncate(open));
            let message = lost.get_or_insert_with(|| Message {
                frames: Vec::new(),
                body: Body::Withheld(DropReason::Incomplete),
                truncated: true,
            });
            message.frames.push(waiting);
            return lost;
        }
        let size = payload.as_ref().map_or(0, |payload| payload.0.len());
        let fits = self.bytes + size <= MAX_WAITING;
        let open = self.open.entry(place).or_insert_with(|| Open {
            frames: Vec::new(),
            payloads: Vec::new(),
            bytes: 0,
            too_large: false,
            last: time,
        });
        open.last = open.last.max(time);
        open.frames.push(waiting);
        if open.too_large || !fits || open.bytes + size > MAX_MESSAGE {
            self.bytes -= open.bytes;
            open.bytes = 0;
            open.payloads.clear();
            open.too_large = true;
        } else {
            open.payloads.push(payload);
            open.bytes += size;
            self.bytes += size;
        }
        if !part.last {
            return None;
        }
        let open = self.open.remove(&place)?;
        self.bytes -= open.bytes;
        Some(Message {
            body: match open.too_large {
                true => Body::Withheld(DropReason::TooLarge),
                false => Body::Parts(open.payloads),
            },
            frames: open.frames,
            truncated: false,
        })
    }

    fn truncate(&mut self, open: Open<T>) -> Message<T> {
        self.bytes -= open.bytes;
        Message {
            frames: open.frames,
            body: Body::Withheld(DropReason::Incomplete),
            truncated: true,
        }
    }
}
