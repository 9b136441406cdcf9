//! Spooled targets, with a Kafka that comes and goes, and processes that die: everything that was told to be durable is in
//! the topic, once and in order, and no segment ends because of an outage.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Digest, Direction, Frame, Kind, SessionKey, wire};
use uuid::Uuid;

use crate::record::durable::{Delivery, Pending};
use crate::record::in_flight::InFlight;
use crate::record::lanes::Haste;
use crate::record::metrics::Metrics;
use crate::record::publish::Publisher;
use crate::record::readiness::Readiness;
use crate::record::spooling::Spooling;
use crate::record::topics::{Inspected, TopicState};
use crate::record::writer::Writer;
use crate::record::{NotReady, NotRecorded, SpooledTargets, TopicRole, draining};
use crate::spool::{Spool, SpoolSettings};

/// A broker: what it was sent and has not answered, and what it has.
#[derive(Clone, Default)]
struct Broker(Arc<Mutex<Sent>>);

#[derive(Default)]
struct Sent {
    under_way: VecDeque<(TopicRole, Vec<u8>, Arc<Delivery>)>,
    frames: Vec<Frame>,
    statements: Vec<Vec<u8>>,
}

impl Publisher for Broker {
    fn publish(
        &self,
        topic: TopicRole,
        _key: &[u8],
        value: &[u8],
        delivery: Arc<Delivery>,
    ) -> Result<(), RDKafkaErrorCode> {
        self.with(|sent| sent.under_way.push_back((topic, value.to_vec(), delivery)));
        Ok(())
    }
}

impl Broker {
    fn with<T>(&self, f: impl FnOnce(&mut Sent) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes up to so many, and says so.
    fn take(&self, most: usize) {
        for _ in 0..most {
            let Some(delivery) = self.with(Sent::take) else { return };
            delivery.resolve(Ok(()));
        }
    }

    /// Goes away: it takes so many without saying so, and loses the others.
    fn go(&self, taken: usize) {
        let failed: Vec<_> = self.with(|sent| {
            let mut failed: Vec<_> = (0..taken).map_while(|_| sent.take()).collect();
            failed.extend(sent.under_way.drain(..).map(|(_, _, delivery)| delivery));
            failed
        });
        for delivery in failed {
            delivery.resolve(Err(RDKafkaErrorCode::MessageTimedOut));
        }
    }
}

impl Sent {
    fn take(&mut self) -> Option<Arc<Delivery>> {
        let (topic, value, delivery) = self.under_way.pop_front()?;
        match topic {
            TopicRole::Frames => self.frames.push(wire::decode_frame(&value).expect("a frame")),
            TopicRole::Control => self.statements.push(value),
        }
        Some(delivery)
    }
}

/// A process: a writer with a spool.
struct Process {
    writer: Arc<Writer>,
    broker: Broker,
    /// What was recorded: who waits for it, and its payload.
    waiting: Vec<(Pending, u32)>,
}

impl Process {
    fn start(broker: &Broker, dir: &Path) -> Self {
        Self::with_room(broker, dir, 1 << 30)
    }

    fn with_room(broker: &Broker, dir: &Path, max_bytes: u64) -> Self {
        let metrics = Metrics::register(&mut Registry::default());
        let readiness = Arc::new(Readiness::new(metrics.clone()));
        let settings = SpoolSettings {
            dir: dir.to_owned(),
            max_bytes,
        };
        let (spool, _) = Spool::open(&settings).expect("a folder of its own");
        let targets = SpooledTargets([String::from("demo")].into());
        let spooling = Spooling::new(spool, targets, metrics.clone());
        let in_flight = Arc::new(InFlight::new(metrics, readiness, Some(spooling)));
        let writer = Arc::new(Writer::new(Box::new(broker.clone()), in_flight));
        let introduction = writer.id.as_bytes().to_vec();
        let process = Self {
            writer,
            broker: broker.clone(),
            waiting: Vec::new(),
        };
        process.spooling().introduce(Some((process.writer.id, introduction)));
        process
    }

    fn spooling(&self) -> &Spooling {
        self.writer.in_flight.spooling.as_ref().expect("it was given one")
    }

    fn record(&mut self, caller: u8, payload: u32) {
        let pending = self.try_record(caller, payload).expect("Kafka or the spool takes it");
        self.waiting.push((pending, payload));
    }

    fn try_record(&self, caller: u8, payload: u32) -> Result<Pending, NotRecorded> {
        let mut frame = Frame {
            exchange_id: Uuid::from_u128(payload.into()),
            session_key: SessionKey::of_principal("", "https://issuer", &caller.to_string(), None, "demo"),
            target: "demo".to_owned(),
            kind: Kind::Message,
            direction: Direction::ToTarget,
            ..Frame::default()
        };
        let payload_bytes = Bytes::copy_from_slice(payload.to_string().as_bytes());
        let recorded = self.writer.record(&mut frame, Some(payload_bytes), false, Haste::Now);
        recorded.map(Pending::new).map_err(|refused| refused.why)
    }

    /// As upkeep does it after a good look.
    fn kafka_is_back(&self) {
        self.writer.in_flight.readiness.take_spoiled();
        let good = TopicState {
            partitions: 1,
            available: true,
            two_copies: true,
        };
        // Kafka has this writer's key.
        self.broker
            .with(|sent| sent.statements.push(self.writer.id.as_bytes().to_vec()));
        self.spooling().introduce(None);
        let good = Inspected {
            frames: good,
            control: good,
        };
        self.writer.in_flight.readiness.inspected(Ok(good));
    }

    fn kafka_goes(&self, taken: usize) {
        self.broker.go(taken);
        self.writer.in_flight.readiness.inspected(Err(NotReady::Away));
        self.spooling().kafka_is_away();
    }

    /// Drains while `more` frames are recorded; Kafka goes away after it has taken so many, if at all.
    fn drain(&mut self, more: &[(u8, u32)], dies_after: Option<usize>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let writer = Arc::clone(&self.writer);
        let mut more = more.iter();
        let mut left = dies_after;
        runtime.block_on(async {
            let draining = draining::drain(&writer);
            tokio::pin!(draining);
            loop {
                if draining.as_mut().now_or_never().is_some() {
                    break;
                }
                if let Some((caller, payload)) = more.next() {
                    self.record(*caller, *payload);
                }
                match &mut left {
                    Some(0) => {
                        self.kafka_goes(1);
                        left = None;
                    }
                    Some(left) => {
                        *left -= 1;
                        self.broker.take(1);
                    }
                    None => self.broker.take(usize::MAX),
                }
                // The threads that read and write files have to get their turn.
                tokio::task::yield_now().await;
            }
        });
        for (caller, payload) in more {
            self.record(*caller, *payload);
        }
    }

    /// What was promised by now.
    fn durable(&mut self) -> Vec<u32> {
        let mut durable = Vec::new();
        for (pending, payload) in std::mem::take(&mut self.waiting) {
            if let Some(outcome) = pending.now_or_never() {
                let _durable = outcome.expect("no disk fails here");
                durable.push(payload);
            }
        }
        durable
    }
}

/// What must hold of the topic, whatever happened. Gives the payloads in it.
fn judge(broker: &Broker, writers: &[Uuid]) -> Vec<u32> {
    broker.with(|sent| {
        let mut heads: HashMap<Uuid, (i64, Digest)> = HashMap::new();
        let mut seen: HashMap<(Uuid, i64), Digest> = HashMap::new();
        let mut latest: BTreeMap<SessionKey, u32> = BTreeMap::new();
        let mut payloads = Vec::new();
        for frame in &sent.frames {
            let place = (frame.segment_id, frame.seq);
            if let Some(hash) = seen.insert(place, frame.frame_hash) {
                assert_eq!(hash, frame.frame_hash, "a duplicate is the same frame");
                continue;
            }
            frame.verify_hash().expect("an intact frame");
            let (next, head) = heads.entry(frame.segment_id).or_insert((0, Digest::ZERO));
            assert_eq!((frame.seq, frame.previous_hash), (*next, *head), "dense and in order");
            (*next, *head) = (frame.seq + 1, frame.frame_hash);
            let previous = frame.segment.as_ref().and_then(|event| event.previous.as_ref());
            assert_eq!(previous, None, "no segment ends because of an outage");
            let known =
                writers.contains(&frame.writer_id) && sent.statements.contains(&frame.writer_id.as_bytes().to_vec());
            assert!(known, "no frame of a writer whose key is not on record");
            if let Some(payload) = &frame.payload {
                let text = std::str::from_utf8(&payload.0).expect("text");
                let payload = text.parse().expect("a number");
                let before = latest.insert(frame.session_key, payload);
                assert!(
                    before.is_none_or(|before| before < payload),
                    "in the order of the calls"
                );
                payloads.push(payload);
            }
        }
        payloads
    })
}

#[derive(Clone, Debug)]
enum Event {
    Record(u8),
    Take(usize),
    KafkaGoes(usize),
    KafkaIsBack,
    Drain { more: u8, dies_after: Option<usize> },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_u8..3).prop_map(Event::Record),
        3 => (0_usize..8).prop_map(Event::Take),
        2 => (0_usize..4).prop_map(Event::KafkaGoes),
        2 => Just(Event::KafkaIsBack),
        2 => (0_u8..12, proptest::option::of(0_usize..12))
            .prop_map(|(more, dies_after)| Event::Drain { more, dies_after }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whenever_kafka_goes_and_the_process_dies_what_is_durable_is_in_the_topic_once_and_in_order(
        lives in proptest::collection::vec(proptest::collection::vec(event(), 0..40), 1..4),
    ) {
        let broker = Broker::default();
        let (mut payload, mut promised, mut writers) = (0, Vec::new(), Vec::new());
        let mut folders = vec![tempfile::tempdir().expect("a folder")];
        for life in lives {
            let mut process = Process::start(&broker, folders[folders.len() - 1].path());
            writers.push(process.writer.id);
            for event in life {
                match event {
                    Event::Record(caller) => {
                        payload += 1;
                        process.record(caller, payload);
                    }
                    Event::Take(most) => broker.take(most),
                    Event::KafkaGoes(taken) => process.kafka_goes(taken),
                    Event::KafkaIsBack => process.kafka_is_back(),
                    Event::Drain { more, dies_after } => {
                        let more: Vec<_> = (0..more).map(|number| (number % 3, payload + 1 + u32::from(number))).collect();
                        payload += more.len() as u32;
                        process.drain(&more, dies_after);
                    }
                }
            }
            promised.extend(process.durable());
            // The process dies: what it had under way may arrive or not, and its files are what the next one finds.
            broker.with(|sent| sent.under_way.clear());
            let next = tempfile::tempdir().expect("a folder");
            for file in std::fs::read_dir(folders[folders.len() - 1].path()).expect("a folder") {
                let file = file.expect("a file");
                // A file that is drained goes, and one that is being written to may be torn.
                if let Ok(bytes) = std::fs::read(file.path()) {
                    std::fs::write(next.path().join(file.file_name()), bytes).expect("copied");
                }
            }
            folders.push(next);
        }
        let mut last = Process::start(&broker, folders[folders.len() - 1].path());
        writers.push(last.writer.id);
        last.kafka_is_back();
        while last.spooling().is_away() {
            last.drain(&[], None);
        }
        prop_assert_eq!(last.spooling().spool.bytes(), 0, "nothing stays behind");
        last.record(0, payload + 1);
        last.drain(&[], None);
        broker.take(usize::MAX);
        prop_assert_eq!(last.durable(), [payload + 1]);
        let there = judge(&broker, &writers);
        for promise in promised {
            prop_assert!(there.contains(&promise), "{promise} was durable");
        }
    }
}

#[test]
fn a_frame_under_way_when_kafka_goes_is_durable_as_soon_as_the_spool_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Broker::default();
    let mut process = Process::start(&broker, folder.path());
    process.kafka_is_back();
    process.record(1, 1);
    // No report has come, and none will: the look at Kafka found it away.
    process.spooling().kafka_is_away();
    let told = process
        .spooling()
        .spool
        .wait_closed(process.spooling().spool.close_file());
    assert!(told.is_some());
    assert_eq!(process.durable(), [1]);
}

#[test]
fn a_full_spool_refuses_before_a_frame_has_a_number_and_takes_frames_again_when_it_is_drained() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Broker::default();
    let mut process = Process::with_room(&broker, folder.path(), 20_000);
    let taken = (1..1_000)
        .take_while(|payload| process.try_record(1, *payload).is_ok())
        .count();
    assert!((10..100).contains(&taken), "{taken}");
    let numbered = process.writer.writer_seq();
    let refused = process.try_record(1, 1_000).err();
    assert_eq!(refused, Some(NotRecorded::SpoolFull));
    assert_eq!(process.writer.writer_seq(), numbered);
    process.kafka_is_back();
    process.drain(&[], None);
    assert!(!process.spooling().is_away());
    process.record(1, 1_001);
    broker.take(usize::MAX);
    let there = judge(&broker, &[process.writer.id]);
    assert_eq!(there.len(), taken + 1);
}

#[test]
fn an_end_that_nobody_waits_for_goes_the_way_of_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Broker::default();
    let mut process = Process::start(&broker, folder.path());
    process.record(1, 1);
    let end = super::standby::end(1, 1);
    process.writer.record_unwaited(end, None, true);
    let spool = &process.spooling().spool;
    assert!(spool.wait_closed(spool.close_file()).is_some());
    assert_eq!(process.writer.in_flight.backlog.count(), 0, "the spool has it");
    process.kafka_is_back();
    process.drain(&[], None);
    broker.take(usize::MAX);
    judge(&broker, &[process.writer.id]);
    let kinds = broker.with(|sent| sent.frames.iter().map(|frame| frame.kind).collect::<Vec<_>>());
    assert_eq!(kinds, [Kind::SegmentOpened, Kind::Message, Kind::ExchangeEnd]);
}
