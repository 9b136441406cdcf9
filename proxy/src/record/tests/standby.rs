//! The publisher of these tests: keeps what it is handed until the test decides what becomes of it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Direction, Frame, Kind, SessionKey, wire};

use crate::record::durable::Delivery;
use crate::record::in_flight::InFlight;
use crate::record::metrics::Metrics;
use crate::record::publish::Publisher;
use crate::record::readiness::Readiness;
use crate::record::writer::Writer;
use crate::record::{NotRecorded, TopicRole};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Outstanding,
    /// Not taken.
    Refused,
    Acknowledged,
    Failed,
}

pub(super) struct Handed {
    pub(super) frame: Frame,
    pub(super) fate: Fate,
    pub(super) producer: usize,
    /// Places in the order of all events.
    pub(super) at: usize,
    pub(super) reported_at: usize,
    delivery: Arc<Delivery>,
}

#[derive(Default)]
pub(super) struct Ledgers {
    pub(super) handed: Vec<Handed>,
    outstanding: Vec<usize>,
    clock: usize,
    producer: usize,
    refuse_next: bool,
}

/// Cheap to clone: all clones are one log.
#[derive(Clone, Default)]
pub(super) struct Standby(Arc<Mutex<Ledgers>>);

impl Publisher for Standby {
    fn publish(
        &self,
        topic: TopicRole,
        key: &[u8],
        value: &[u8],
        delivery: Arc<Delivery>,
    ) -> Result<(), RDKafkaErrorCode> {
        assert_eq!(topic, TopicRole::Frames);
        let frame = wire::decode_frame(value).expect("what the writer hands over can be read");
        assert_eq!(key, frame.session_key.as_bytes());
        self.with(|log| {
            log.clock += 1;
            let refused = std::mem::take(&mut log.refuse_next);
            if !refused {
                log.outstanding.push(log.handed.len());
            }
            log.handed.push(Handed {
                frame,
                fate: if refused { Fate::Refused } else { Fate::Outstanding },
                producer: log.producer,
                at: log.clock,
                reported_at: log.clock,
                delivery,
            });
            if refused {
                Err(RDKafkaErrorCode::QueueFull)
            } else {
                Ok(())
            }
        })
    }
}

impl Standby {
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Ledgers) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn outstanding(&self) -> usize {
        self.with(|log| log.outstanding.len())
    }

    /// Reports on the `nth` outstanding message, counted round and round; nothing where there is none.
    pub(super) fn report(&self, nth: usize, acknowledged: bool) {
        let reported = self.with(|log| {
            let count = log.outstanding.len();
            (count > 0).then(|| {
                let index = log.outstanding.remove(nth % count);
                log.clock += 1;
                let (clock, handed) = (log.clock, &mut log.handed[index]);
                handed.fate = if acknowledged { Fate::Acknowledged } else { Fate::Failed };
                handed.reported_at = clock;
                Arc::clone(&handed.delivery)
            })
        });
        if let Some(delivery) = reported {
            delivery.resolve(if acknowledged {
                Ok(())
            } else {
                Err(RDKafkaErrorCode::MessageTimedOut)
            });
        }
    }

    pub(super) fn acknowledge_all(&self) {
        while self.outstanding() > 0 {
            self.report(0, true);
        }
    }

    pub(super) fn refuse_next(&self) {
        self.with(|log| log.refuse_next = true);
    }

    /// What is handed over from now on goes to another producer.
    pub(super) fn next_producer(&self) {
        self.with(|log| log.producer += 1);
    }
}

/// A writer whose publisher is this one.
pub(super) fn writer(standby: &Standby) -> Writer {
    let metrics = Metrics::register(&mut Registry::default());
    let readiness = Arc::new(Readiness::new(metrics.clone()));
    Writer::new(Box::new(standby.clone()), Arc::new(InFlight::new(metrics, readiness)))
}

/// Records a message of the caller with this number.
pub(super) fn record(writer: &Writer, caller: u8, payload: usize) -> Result<Arc<Delivery>, NotRecorded> {
    let frame = Frame {
        session_key: SessionKey::of_principal("", "https://issuer", &caller.to_string(), None, "demo"),
        target: "demo".to_owned(),
        kind: Kind::Message,
        direction: Direction::ToTarget,
        ..Frame::default()
    };
    writer.record(frame, Some(Bytes::from(vec![b'x'; payload])), false)
}
