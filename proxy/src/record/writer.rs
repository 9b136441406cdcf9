//! One boot's writer: numbers frames, seals them into segments, and hands them to the producer.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tapedeck_schemas::{Chain, Frame, Kind, LostFrame, MAX_PART, SegmentEvent, SegmentSealed, wire};
use uuid::Uuid;

use super::backlog::SealedFrame;
use super::durable::{Delivery, Place};
use super::in_flight::InFlight;
use super::lanes::Haste;
use super::ledger::Ledger;
use super::publish::Publisher;
use super::segment::{Segment, Slot, State};
use super::slots::Slots;
use super::{Framings, NotRecorded, TopicRole};

/// The writer. It lives as long as the process; a producer that had to be replaced does not end it, for its numbers,
/// its chains and its key live here, and what the old producer lost is named like any other loss.
pub(super) struct Writer {
    pub(super) id: Uuid,
    started: Instant,
    /// Highest `writer_seq` handed out.
    writer_seq: AtomicI64,
    producer: RwLock<Producer>,
    pub(super) slots: Slots,
    pub(super) in_flight: Arc<InFlight>,
    /// Ended segments of which the control topic has not been told.
    ended: Mutex<Vec<SegmentSealed>>,
    pub(super) framings: Framings,
}

pub(super) struct Producer {
    generation: u64,
    publisher: Box<dyn Publisher>,
}

impl Producer {
    pub(super) fn publish(
        &self,
        topic: TopicRole,
        key: &[u8],
        value: &[u8],
        delivery: &Arc<Delivery>,
    ) -> Result<(), NotRecorded> {
        let taken = self.publisher.publish(topic, key, value, Arc::clone(delivery));
        taken.map_err(|code| {
            delivery.resolve(Err(code));
            NotRecorded::Undelivered(code)
        })
    }
}

impl Writer {
    pub(super) fn new(publisher: Box<dyn Publisher>, in_flight: Arc<InFlight>) -> Self {
        Self {
            id: Uuid::now_v7(),
            started: Instant::now(),
            writer_seq: AtomicI64::new(0),
            producer: RwLock::new(Producer {
                generation: 0,
                publisher,
            }),
            slots: Slots::new(in_flight.metrics.clone()),
            in_flight,
            ended: Mutex::default(),
            framings: Framings::default(),
        }
    }

    /// With records that name their schemas so.
    pub(super) fn with_framings(mut self, framings: Framings) -> Self {
        self.framings = framings;
        self
    }

    /// Seals a frame and hands it over. Opens its segment, or the next one, where need be. Leaves in `frame` what it was
    /// sealed as, but for its payload, or nothing changed where it gets no number.
    pub(super) fn record(
        &self,
        frame: &mut Frame,
        payload: Option<Bytes>,
        stranger: bool,
        haste: Haste,
    ) -> Result<Arc<Delivery>, Refused> {
        let size = payload.as_ref().map_or(0, Bytes::len);
        if size > MAX_PART {
            return Err(NotRecorded::TooLarge(size).into());
        }
        self.in_flight.admit(size)?;
        loop {
            let now = self.now();
            let spooling = self.in_flight.spool_of(&frame.target).filter(|_| !stranger);
            let slot = self.slots.of(frame, stranger, spooling.is_some(), now);
            let mut state = lock(&slot);
            if matches!(*state, State::Evicted) {
                drop(state);
                self.slots.forget(&slot);
                continue;
            }
            state.admit()?;
            if let Some(spooling) = spooling {
                spooling.admit(self.kafka_is_ready(), size)?;
            }
            slot.touch(now);
            let producer = self.producer();
            let segment = self.opened(&producer, &slot, &mut state)?;
            let appended = self.append(&producer, &slot, segment, (frame, payload), haste);
            return appended.map_err(|why| Refused { why, has_number: true });
        }
    }

    /// Seals the segments that were not used for `idle`, forgets those whose seal is durable, and lets a failed
    /// publish that no frame has followed be named by a successor. Returns the deliveries that it leaves behind.
    pub(super) fn seal_unused(&self, idle: Duration, reason: &'static str) -> Vec<Arc<Delivery>> {
        let cutoff = (self.now() + 1).saturating_sub(idle.as_millis() as u64);
        let mut awaited = Vec::new();
        for slot in self.slots.unused_since(cutoff) {
            let mut state = lock(&slot);
            // A frame may have come in the meantime.
            if slot.unused_since(cutoff) {
                awaited.extend(self.end(&slot, &mut state, reason));
            }
            let evicted = matches!(*state, State::Evicted);
            drop(state);
            if evicted {
                self.slots.forget(&slot);
            }
        }
        awaited
    }

    /// One step towards the end of a slot; the delivery that the next step waits for.
    fn end(&self, slot: &Slot, state: &mut State, reason: &'static str) -> Option<Arc<Delivery>> {
        match state {
            State::Vacant | State::Evicted => {
                *state = State::Evicted;
                return None;
            }
            State::Sealed(segment, delivery, sealed_for) if !segment.ledger.is_broken() => {
                if !segment.ledger.is_settled() {
                    return Some(Arc::clone(delivery));
                }
                let ended = segment.statement(slot.key, sealed_for);
                self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
                *state = State::Evicted;
                return None;
            }
            State::Open(_) | State::Sealed(..) => {}
        }
        // A publish that fails here leaves the slot broken, for the next look.
        let producer = self.producer();
        let segment = self.opened(&producer, slot, state).ok()?;
        let mut seal = slot.event(
            Kind::SegmentSealed,
            segment.chain.segment_id(),
            SegmentEvent {
                reason: reason.to_owned(),
                previous: None,
            },
        );
        let delivery = self
            .append(&producer, slot, segment, (&mut seal, None), Haste::Now)
            .ok()?;
        if let State::Open(segment) = std::mem::replace(state, State::Evicted) {
            *state = State::Sealed(segment, Arc::clone(&delivery), reason);
        }
        Some(delivery)
    }

    /// The slot's segment, a new one where there is none that takes frames.
    pub(super) fn opened<'a>(
        &self,
        producer: &Producer,
        slot: &Slot,
        state: &'a mut State,
    ) -> Result<&'a mut Segment, NotRecorded> {
        if !state.takes_frames((!slot.spooled).then_some(producer.generation)) {
            let (event, ended) = state.ending(slot.key);
            let segment_id = Uuid::now_v7();
            let inherited = event.previous.as_ref().map(|previous| previous.lost.clone());
            let mut segment = Segment {
                chain: Chain::open(self.id, segment_id),
                ledger: Arc::new(Ledger::new(segment_id, slot.key, inherited.unwrap_or_default())),
                generation: producer.generation,
            };
            let mut opener = slot.event(Kind::SegmentOpened, segment_id, event);
            let opened = self.append(producer, slot, &mut segment, (&mut opener, None), Haste::Now);
            // Even where its opener was not taken: the next segment has to name it.
            *state = State::Open(segment);
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
            opened?;
        }
        let State::Open(segment) = state else {
            unreachable!("a state that takes frames is open, and one that does not was opened above")
        };
        segment.generation = producer.generation;
        Ok(segment)
    }

    /// Seals a frame as the segment's next and hands it over. The caller holds the slot's lock.
    fn append(
        &self,
        producer: &Producer,
        slot: &Slot,
        segment: &mut Segment,
        (frame, payload): (&mut Frame, Option<Bytes>),
        haste: Haste,
    ) -> Result<Arc<Delivery>, NotRecorded> {
        (frame.time, frame.monotonic_ns) = self.moment();
        let sealed = self.seal(segment, frame, payload);
        if slot.spooled {
            return self.hand_over_spooled(producer, slot, Arc::new(sealed), None);
        }
        let size = sealed.value.len();
        let delivery = Delivery::of_frame(&self.in_flight, sealed.exchange_id, sealed.place, size, haste);
        producer.publish(TopicRole::Frames, slot.key.as_bytes(), &sealed.value, &delivery)?;
        Ok(delivery)
    }

    pub(super) fn kafka_is_ready(&self) -> bool {
        self.in_flight.readiness.is_ready()
    }

    /// Seals a frame as the segment's next. Leaves in `frame` what it was sealed as, but for its payload.
    pub(super) fn seal(&self, segment: &mut Segment, frame: &mut Frame, payload: Option<Bytes>) -> SealedFrame {
        let writer_seq = self.writer_seq.fetch_add(1, Ordering::Relaxed) + 1;
        let sealed = segment.chain.seal(std::mem::take(frame), writer_seq, payload);
        let value = wire::encode_frame(&sealed, self.framings.frames);
        *frame = sealed.into_frame();
        frame.payload = None;
        segment.ledger.sealed(LostFrame {
            seq: frame.seq,
            writer_seq,
        });
        SealedFrame {
            exchange_id: frame.exchange_id,
            place: Place {
                ledger: Arc::clone(&segment.ledger),
                kind: frame.kind,
                seq: frame.seq,
                hash: frame.frame_hash,
            },
            value,
        }
    }

    /// Hands a signed statement over.
    pub(super) fn publish_statement(&self, value: &[u8]) -> Arc<Delivery> {
        let delivery = Delivery::of_statement(&self.in_flight, value.len());
        // What is not taken is resolved like what fails later.
        let _ = self
            .producer()
            .publish(TopicRole::Control, self.id.as_bytes(), value, &delivery);
        delivery
    }

    /// Uses another producer from now on. The caller drops the old one, away from the runtime: that purges what it
    /// holds, which fails those frames.
    pub(super) fn replace(&self, publisher: Box<dyn Publisher>) -> Box<dyn Publisher> {
        let mut producer = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        producer.generation += 1;
        std::mem::replace(&mut producer.publisher, publisher)
    }

    /// Highest `writer_seq` handed out.
    pub(super) fn writer_seq(&self) -> i64 {
        self.writer_seq.load(Ordering::Relaxed)
    }

    /// Segments that ended since the last call.
    pub(super) fn take_ended(&self) -> Vec<SegmentSealed> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The producer in use. Held while a frame is sealed and handed over, so that a replacement cannot come between the
    /// look at the segment's generation and the hand-over. Never taken twice by one thread.
    pub(super) fn producer(&self) -> RwLockReadGuard<'_, Producer> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a frame that is recorded now says of the time: wall clock and monotonic.
    pub(super) fn moment(&self) -> (i64, i64) {
        let monotonic = self.started.elapsed().as_nanos();
        (micros(), i64::try_from(monotonic).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the writer started.
    pub(super) fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// Why a frame was not handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) why: NotRecorded,
    /// Its segment's successor names it. Otherwise nothing does.
    pub(super) has_number: bool,
}

impl From<NotRecorded> for Refused {
    fn from(why: NotRecorded) -> Self {
        Self { why, has_number: false }
    }
}

/// Wall clock, microseconds since 1970.
pub(super) fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn lock(slot: &Slot) -> MutexGuard<'_, State> {
    // A panic under this lock would be one of the hash or the encoder, between frames: the chain's head and the
    // ledger still agree, or the ledger names a frame that was never handed over, which a successor names.
    slot.state.lock().unwrap_or_else(PoisonError::into_inner)
}
