//! Messages that were split over several frames, redacted as their parts come.
//!
//! Parts of one message are consecutive within their exchange and direction; other exchanges come between them. A part's
//! row is made as soon as nothing that follows can change it, so a message may have any size; until the message is whole,
//! the committed offset stays before its first frame, since redaction has to begin there again after a crash. A message
//! that never gets whole (its exchange ends, another begins in its place, or its frames have stopped coming) is let go as
//! truncated: the rows that were not made yet come without a body, but with sizes and commitments. Where there is no room for
//! what waits ([`Room`]), the bodies of the messages that grow are dropped.

use foldhash::{HashMap, HashMapExt as _};
use tapedeck_redact::{DropReason, Finding, Redacted, Stream};
use tapedeck_schemas::{Direction, Frame};
use uuid::Uuid;

use crate::budget::{Reserved, Room};
use crate::redaction::{Body, MaskedFrame, context};
use crate::rules::Live;

#[cfg(test)]
mod tests;

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

/// Frames of one message whose rows can be made: all of it, those that nothing can change any more, or what is given up.
#[derive(Debug)]
pub struct Message<T> {
    /// In order; at least one.
    pub frames: Vec<Waiting<T>>,
    /// Their payloads.
    pub body: Body,
    /// The rest never came.
    pub truncated: bool,
    /// What rules that are only tried would do to the parts that came in with it.
    pub would: Vec<Finding>,
    /// Bytes of the whole message, where the last of these frames is the last part of one that was split; else 0.
    pub size: i64,
}

#[derive(Debug)]
struct Open<T> {
    /// Offset of the first frame.
    first: i64,
    /// Parts so far.
    parts: usize,
    /// Bytes so far.
    size: i64,
    /// The frames that the stream has not given back.
    frames: Vec<Waiting<T>>,
    /// `None` once the body is given up; frames come out as they come in.
    stream: Option<Stream>,
    /// The same parts on their way through rules that are only tried.
    tried: Option<Stream>,
    /// What these would have done so far and nobody was told yet.
    would: Vec<Finding>,
    /// Time of the latest part, microseconds since 1970.
    last: i64,
}

impl<T> Open<T> {
    fn held(&self) -> usize {
        let held = |stream: &Option<Stream>| stream.as_ref().map_or(0, Stream::held);
        held(&self.stream) + held(&self.tried)
    }

    /// The frames whose bodies the stream has given back.
    fn settled(&mut self, bodies: Vec<Redacted<'static>>) -> Option<Message<T>> {
        let frames: Vec<_> = self.frames.drain(..bodies.len().min(self.frames.len())).collect();
        (!frames.is_empty()).then_some(Message {
            frames,
            body: Body::Redacted(bodies),
            truncated: false,
            would: std::mem::take(&mut self.would),
            size: 0,
        })
    }

    /// Shows a part to the rules that are only tried.
    fn try_on(&mut self, payload: &[u8], is_last: bool) {
        let Some(mut stream) = self.tried.take() else { return };
        let mut bodies = stream.push(payload);
        match is_last {
            true => bodies.extend(stream.finish()),
            false => self.tried = Some(stream),
        }
        self.would.extend(bodies.iter().flat_map(Redacted::findings).cloned());
    }
}

/// The messages of one partition that are not whole yet.
#[derive(Debug)]
pub struct Parts<T> {
    open: HashMap<(Uuid, Direction), Open<T>>,
    /// Bytes that all streams hold.
    bytes: usize,
    /// Where they are.
    room: Room,
    /// Latest frame time so far.
    now: i64,
}

impl<T> Parts<T> {
    /// None yet; what waits has this room.
    #[must_use]
    pub fn within(room: Room) -> Self {
        Self {
            open: HashMap::new(),
            bytes: 0,
            room,
            now: i64::MIN,
        }
    }

    /// What waits of a batch keeps its part of the budget.
    pub fn keep_of(&mut self, reserved: &mut Reserved) {
        self.room.keep_of(reserved);
    }

    /// Whether the next frame is a message by itself, and nothing that waits ends with it: then it need not be taken.
    pub fn passes(&mut self, frame: &Frame) -> bool {
        let is_whole = frame.part.index == 0 && frame.part.last;
        let all = [Direction::ToTarget, Direction::ToClient, Direction::None];
        let waits = |direction| self.open.contains_key(&(frame.exchange_id, direction));
        // Nearly always nothing waits.
        if !is_whole || (!self.open.is_empty() && all.into_iter().any(waits)) {
            return false;
        }
        self.now = self.now.max(frame.time);
        true
    }

    /// Takes the next frame, and gives back what can be made rows of with it, in the order of the first frames. A message keeps
    /// the rules that it began with.
    pub fn take(&mut self, waiting: Waiting<T>, live: &Live) -> Vec<Message<T>> {
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
            complete.extend(self.truncate(open));
        }
        complete.extend(self.add(place, waiting, live));
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
                given_up.extend(self.truncate(open));
            }
        }
        given_up.sort_by_key(|message| message.frames.first().map(|frame| frame.offset));
        given_up
    }

    /// The offset of the first frame that waits: the committed offset must not pass it.
    #[must_use]
    pub fn first_offset(&self) -> Option<i64> {
        self.open.values().map(|open| open.first).min()
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
                given_up.extend(self.truncate(open));
            }
        }
        given_up
    }

    fn add(&mut self, place: (Uuid, Direction), mut waiting: Waiting<T>, live: &Live) -> Vec<Message<T>> {
        let part = waiting.frame.frame().part;
        let (time, size) = (waiting.frame.frame().time, waiting.frame.frame().payload_size);
        if part.index == 0 && part.last {
            let payload = waiting.frame.take_payload();
            return vec![Message {
                frames: vec![waiting],
                body: Body::Whole(payload),
                truncated: false,
                would: Vec::new(),
                size: 0,
            }];
        }
        let mut open = match self.open.remove(&place) {
            Some(open) if usize::try_from(part.index) == Ok(open.parts) => open,
            None if part.index == 0 => Open {
                first: waiting.offset,
                parts: 0,
                size: 0,
                frames: Vec::new(),
                stream: Some(live.redactor.stream(&context(waiting.frame.frame()))),
                tried: live
                    .tried
                    .as_ref()
                    .map(|tried| tried.stream(&context(waiting.frame.frame()))),
                would: Vec::new(),
                last: time,
            },
            // A part whose predecessor is missing: its message cannot be looked at whole.
            broken => {
                let mut lost: Vec<Message<T>> = broken.and_then(|open| self.truncate(open)).into_iter().collect();
                lost.push(Message {
                    frames: vec![waiting],
                    body: Body::Withheld(DropReason::Incomplete),
                    truncated: true,
                    would: Vec::new(),
                    size: 0,
                });
                return lost;
            }
        };
        self.bytes -= open.held();
        let payload = waiting.frame.take_payload();
        let payload = payload.as_ref().map_or(&[][..], |payload| &payload.0);
        open.parts += 1;
        open.size = open.size.saturating_add(size);
        open.last = open.last.max(time);
        open.frames.push(waiting);
        // Each of the streams holds it.
        let coming = payload.len() * (1 + usize::from(open.tried.is_some()));
        let fits = self.room.resize(self.bytes + open.held() + coming);
        let mut bodies = match &mut open.stream {
            Some(stream) if fits => stream.push(payload),
            _ => Vec::new(),
        };
        if !fits && let Some(stream) = open.stream.take() {
            bodies.extend(stream.give_up(DropReason::TooLarge));
            open.tried = None;
        }
        open.try_on(payload, part.last);
        if part.last
            && let Some(stream) = open.stream.take()
        {
            bodies.extend(stream.finish());
        } else if open.stream.is_none() {
            let missing = open.frames.len().saturating_sub(bodies.len());
            bodies.extend((0..missing).map(|_| Redacted::withheld(DropReason::TooLarge, 0)));
        }
        let mut settled = open.settled(bodies);
        if part.last {
            if let Some(message) = &mut settled {
                message.size = open.size;
            }
        } else {
            self.bytes += open.held();
            self.open.insert(place, open);
        }
        self.room.resize(self.bytes);
        settled.into_iter().collect()
    }

    /// What waits of a message whose rest never comes, if anything does.
    fn truncate(&mut self, open: Open<T>) -> Option<Message<T>> {
        self.bytes -= open.held();
        self.room.resize(self.bytes);
        (!open.frames.is_empty()).then_some(Message {
            frames: open.frames,
            body: Body::Withheld(DropReason::Incomplete),
            truncated: true,
            would: open.would,
            size: 0,
        })
    }
}
