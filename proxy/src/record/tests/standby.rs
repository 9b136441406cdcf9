//! The publisher of these tests: keeps what it is handed until the test decides what becomes of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Direction, End, Frame, Kind, SessionKey, wire};
use uuid::Uuid;

use crate::record::durable::Delivery;
use crate::record::in_flight::InFlight;
use crate::record::lanes::Haste;
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
    /// Its first report, where that was a failure.
    pub(super) failed_at: Option<usize>,
    /// How often it was handed over again.
    pub(super) again: usize,
    value: Vec<u8>,
    delivery: Arc<Delivery>,
}

#[derive(Default)]
pub(super) struct Ledgers {
    pub(super) handed: Vec<Handed>,
    /// Where a frame of a segment is.
    places: HashMap<(Uuid, i64), usize>,
    outstanding: VecDeque<usize>,
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
            let fate = if refused { Fate::Refused } else { Fate::Outstanding };
            let index = log.handed.len();
            let index = *log.places.entry((frame.segment_id, frame.seq)).or_insert(index);
            if !refused {
                log.outstanding.push_back(index);
            }
            if let Some(again) = log.handed.get_mut(index) {
                assert_eq!(again.value, value, "a frame is handed over again as it is, or not");
                assert!(matches!(again.fate, Fate::Failed | Fate::Refused), "it had failed");
                again.fate = fate;
                again.again += 1;
                again.delivery = delivery;
            } else {
                log.handed.push(Handed {
                    frame,
                    fate,
                    producer: log.producer,
                    at: log.clock,
                    reported_at: log.clock,
                    failed_at: refused.then_some(log.clock),
                    again: 0,
                    value: value.to_vec(),
                    delivery,
                });
            }
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
        let failure = RDKafkaErrorCode::MessageTimedOut;
        self.report_as(nth, if acknowledged { Ok(()) } else { Err(failure) });
    }

    /// As [`Standby::report`], with the failure's reason.
    pub(super) fn report_as(&self, nth: usize, outcome: Result<(), RDKafkaErrorCode>) {
        let reported = self.with(|log| {
            let count = log.outstanding.len();
            if count == 0 {
                return None;
            }
            let index = log.outstanding.remove(nth % count)?;
            log.clock += 1;
            let (clock, handed) = (log.clock, &mut log.handed[index]);
            handed.fate = if outcome.is_ok() {
                Fate::Acknowledged
            } else {
                handed.failed_at.get_or_insert(clock);
                Fate::Failed
            };
            handed.reported_at = clock;
            Some(Arc::clone(&handed.delivery))
        });
        if let Some(delivery) = reported {
            delivery.resolve(outcome);
        }
    }

    /// Looks at what [`Standby::report`] would report on.
    pub(super) fn nth<T>(&self, nth: usize, look: impl FnOnce(&Handed) -> T) -> Option<T> {
        self.with(|log| {
            let count = log.outstanding.len();
            (count > 0).then(|| look(&log.handed[log.outstanding[nth % count]]))
        })
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
    counted_writer(standby, &mut Registry::default())
}

/// As [`writer`], with its metrics.
pub(super) fn counted_writer(standby: &Standby, registry: &mut Registry) -> Writer {
    let metrics = Metrics::register(registry);
    let readiness = Arc::new(Readiness::new(metrics.clone()));
    Writer::new(
        Box::new(standby.clone()),
        Arc::new(InFlight::new(metrics, readiness, None)),
    )
}

/// A frame of the caller with this number that nobody waits for: the end of the exchange with this number.
pub(super) fn end(caller: u8, exchange: u128) -> Frame {
    Frame {
        exchange_id: Uuid::from_u128(exchange),
        session_key: SessionKey::of_principal("", "https://issuer", &caller.to_string(), None, "demo"),
        target: "demo".to_owned(),
        kind: Kind::ExchangeEnd,
        end: Some(End::Aborted),
        ..Frame::default()
    }
}

/// Records a message of the caller with this number.
pub(super) fn record(writer: &Writer, caller: u8, payload: usize) -> Result<Arc<Delivery>, NotRecorded> {
    let mut frame = Frame {
        session_key: SessionKey::of_principal("", "https://issuer", &caller.to_string(), None, "demo"),
        target: "demo".to_owned(),
        kind: Kind::Message,
        direction: Direction::ToTarget,
        ..Frame::default()
    };
    let recorded = writer.record(&mut frame, Some(Bytes::from(vec![b'x'; payload])), false, Haste::Now);
    recorded.map_err(|refused| refused.why)
}
