//! How long a broker takes to acknowledge: the least that a call costs which waits for its record.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::Summary;
use super::load::punctual;

/// How much of the time goes before what counts.
const WARMING_UP: f64 = 0.2;

/// Longer than an acknowledgement takes anywhere.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hands on when a record was sent, and how long its acknowledgement took.
struct Reports(Sender<Result<(Instant, Duration), KafkaError>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, began: Box<Instant>) {
        let report = match result {
            Ok(_) => Ok((*began, began.elapsed())),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody listens once the measurement has failed.
        let _ = self.0.send(report);
    }
}

/// What to publish, under one key, with all in-sync replicas' acknowledgement.
#[derive(Debug)]
pub struct Records {
    /// Bytes of each.
    pub bytes: usize,
    /// How many may await their acknowledgement.
    pub in_flight: usize,
    /// For how long.
    pub within: Duration,
    /// How many a second; an acknowledgement's time then counts from the moment at which its record was due. None: as
    /// many as there can be.
    pub rate: Option<f64>,
}

/// Publishes them.
///
/// # Errors
/// The first record that was not acknowledged.
pub fn run(brokers: &str, topic: &str, records: &Records) -> anyhow::Result<Summary> {
    let (reports, reported) = channel();
    let producer: ThreadedProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2")
        .set("linger.ms", "0")
        // What comes while a request is under way goes with the next one. With several under way, each has one record,
        // and a broker takes fewer of those a second than these rates.
        .set("max.in.flight.requests.per.connection", "1")
        .create_with_context(Reports(reports))?;
    let payload = vec![b'x'; records.bytes];
    let publish = |due: Instant| {
        let record = BaseRecord::with_opaque_to(topic, Box::new(due))
            .key("key")
            .payload(&payload);
        producer.send(record).map_err(|(error, _)| error)
    };
    // Who connects first waits for that, and all that is due meanwhile.
    publish(Instant::now())?;
    next(&reported, PATIENCE)?.context("the first record is not acknowledged")?;
    punctual();
    let began = Instant::now();
    let counts_from = began + records.within.mul_f64(WARMING_UP);
    let (mut latencies, mut warming_up, mut waiting, mut sent) = (Vec::new(), 0, 0, 0_u32);
    loop {
        let due = match records.rate {
            Some(rate) => began + Duration::from_secs_f64(f64::from(sent) / rate),
            None => Instant::now(),
        };
        let over = due >= began + records.within;
        let has_room = waiting < records.in_flight;
        if !over && has_room && due <= Instant::now() {
            publish(due)?;
            (waiting, sent) = (waiting + 1, sent + 1);
            continue;
        }
        if over && waiting == 0 {
            let within = records.within.mul_f64(1.0 - WARMING_UP);
            return Ok(Summary::of(latencies, within, warming_up));
        }
        let patience = if over || !has_room {
            PATIENCE
        } else {
            due.saturating_duration_since(Instant::now())
        };
        let Some((sent, latency)) = next(&reported, patience)? else {
            if patience == PATIENCE {
                bail!("no acknowledgement within {PATIENCE:?}");
            }
            continue;
        };
        waiting -= 1;
        if sent >= counts_from {
            latencies.push(latency);
        } else {
            warming_up += 1;
        }
    }
}

/// The next acknowledgement: of the record of which moment, and after how long. None: not within that time.
fn next(
    reported: &Receiver<Result<(Instant, Duration), KafkaError>>,
    within: Duration,
) -> anyhow::Result<Option<(Instant, Duration)>> {
    match reported.recv_timeout(within) {
        Ok(report) => Ok(Some(report.context("a record was not acknowledged")?)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => bail!("the producer is gone"),
    }
}
