//! Frames that do not go straight from the caller to Kafka: those of the backlog, and those of spooled targets.

use std::sync::Arc;

use bytes::Bytes;
use tapedeck_schemas::{Frame, Kind, SessionKey};

use super::backlog::{SealedFrame, Ticket};
use super::durable::Delivery;
use super::segment::{Slot, State};
use super::spooling::{Handed, Next};
use super::writer::{Producer, Writer, lock};
use super::{NotRecorded, TopicRole};

impl Writer {
    /// Takes a frame that nobody waits for, and hands it over if Kafka is `ready` and no other under its key waits.
    pub(super) fn record_unwaited(&self, mut frame: Frame, payload: Option<Bytes>, ready: bool) {
        // It may be sealed much later: its time is that of what it describes.
        (frame.time, frame.monotonic_ns) = self.moment();
        let key = frame.session_key;
        self.in_flight.backlog.push(frame, payload);
        if ready {
            let _ = self.hand_over_next(key);
        }
    }

    /// Counts a frame that was not recorded, and that nobody minds, in a gap frame of its session key.
    pub(super) fn miss(&self, frame: &mut Frame, bytes: usize, why: NotRecorded) {
        (frame.time, frame.monotonic_ns) = self.moment();
        self.in_flight.backlog.miss(frame, bytes, why.reason());
    }

    /// Hands over up to `most` frames of the backlog; the last one's delivery.
    pub(super) fn hand_over_backlog(&self, most: usize) -> Option<Arc<Delivery>> {
        let (mut left, mut last) = (most, None);
        for key in self.in_flight.backlog.keys_waiting() {
            while left > 0
                && let Some(delivery) = self.hand_over_next(key)
            {
                left -= 1;
                last = Some(delivery);
            }
        }
        last
    }

    /// Hands over the first frame of the backlog that waits under `key`. None where none does, or it goes on waiting.
    pub(super) fn hand_over_next(&self, key: SessionKey) -> Option<Arc<Delivery>> {
        let backlog = &self.in_flight.backlog;
        loop {
            let first = backlog.next(key)?;
            self.in_flight
                .admit(first.payload.as_ref().map_or(0, Bytes::len))
                .ok()?;
            let now = self.now();
            let spooling = self.in_flight.spool_of(&first.frame.target);
            let slot = self.slots.of(&first.frame, false, spooling.is_some(), now);
            let mut state = lock(&slot);
            if matches!(*state, State::Evicted) {
                drop(state);
                self.slots.forget(&slot);
                continue;
            }
            // Under the slot's lock, so that the queue's order is the topic's; the first may be under way by now.
            let next = backlog.next(key)?;
            let size = next.payload.as_ref().map_or(0, Bytes::len);
            if let Some(spooling) = spooling {
                spooling.admit(self.kafka_is_ready(), size).ok()?;
            }
            let producer = self.producer();
            let sealed = if let Some(sealed) = next.sealed {
                sealed
            } else {
                state.admit().ok()?;
                slot.touch(now);
                let segment = self.opened(&producer, &slot, &mut state).ok()?;
                let mut frame = next.frame;
                if frame.kind == Kind::Gap {
                    frame.exchange_id = segment.chain.segment_id();
                }
                Arc::new(self.seal(segment, &mut frame, next.payload))
            };
            backlog.handing_over(next.ticket, &sealed);
            if slot.spooled {
                return self.hand_over_spooled(&producer, &slot, sealed, Some(next.ticket)).ok();
            }
            let delivery = Delivery::of_unwaited(&self.in_flight, &sealed, next.ticket);
            let taken = producer.publish(TopicRole::Frames, slot.key.as_bytes(), &sealed.value, &delivery);
            return taken.is_ok().then_some(delivery);
        }
    }

    /// Hands a frame to Kafka or to the spool. The caller holds the slot's lock.
    pub(super) fn hand_over_spooled(
        &self,
        producer: &Producer,
        slot: &Slot,
        sealed: Arc<SealedFrame>,
        ticket: Option<Ticket>,
    ) -> Result<Arc<Delivery>, NotRecorded> {
        let spooling = self.in_flight.spooling.as_ref();
        let spooling = spooling.expect("a slot is spooled only where there is a spool");
        let number = spooling.number();
        let delivery = Delivery::of_spooled(&self.in_flight, &sealed, ticket, number);
        let handed = Handed {
            key: slot.key,
            sealed: Arc::clone(&sealed),
            delivery: Arc::clone(&delivery),
        };
        match spooling.take(number, handed, self.kafka_is_ready()) {
            // What Kafka does not take goes to the spool, and is waited for all the same.
            Ok(Next::Publish) => {
                let _ = producer.publish(TopicRole::Frames, slot.key.as_bytes(), &sealed.value, &delivery);
            }
            Ok(Next::Wait) => {}
            Err(why) => {
                delivery.settle(Err(why));
                return Err(why);
            }
        }
        Ok(delivery)
    }

    /// Hands over a record of the spool, whose books have been kept before.
    pub(super) fn publish_drained(&self, topic: TopicRole, key: &[u8], value: &[u8]) -> Arc<Delivery> {
        let delivery = Delivery::of_statement(&self.in_flight, value.len());
        // What is not taken is resolved like what fails later.
        let _ = self.producer().publish(topic, key, value, &delivery);
        delivery
    }

    /// Ends the spool's last lap: hands over what came during it, and says where the spool's file is closed. None where
    /// Kafka went away in between.
    pub(super) fn end_last_lap(&self) -> Option<(Vec<Arc<Delivery>>, u64)> {
        let spooling = self.in_flight.spooling.as_ref()?;
        // Before the route's lock, as everywhere.
        let producer = self.producer();
        let mut deliveries = Vec::new();
        let until = spooling.end_last_lap(|handed| {
            let delivery = Delivery::of_statement(&self.in_flight, handed.sealed.value.len());
            let key = handed.key.as_bytes();
            let _ = producer.publish(TopicRole::Frames, key, &handed.sealed.value, &delivery);
            deliveries.push(delivery);
        })?;
        Some((deliveries, until))
    }
}
