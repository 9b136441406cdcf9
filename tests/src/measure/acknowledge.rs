//! How long a broker takes to acknowledge: the least that a call costs which waits for its record.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::Summary;

/// How much of the time goes before what counts.
const WARMING_UP: f64 = 0.2;

/// How long to wait for reports before looking at the clock.
const POLL: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Reports(Mutex<Reported>);

#[derive(Default)]
struct Reported {
    latencies: Vec<(Instant, Duration)>,
    failed: Option<KafkaError>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, began: Box<Instant>) {
        let mut reported = self.0.lock().expect("nothing panics while it holds the lock");
        match result {
            Ok(_) => reported.latencies.push((*began, began.elapsed())),
            Err((error, _)) => reported.failed = Some(error.clone()),
        }
    }
}

/// Publishes records for so long, so many at once, under one key, with all in-sync replicas' acknowledgement.
///
/// # Errors
/// The first record that was not acknowledged.
pub fn run(brokers: &str, topic: &str, bytes: usize, in_flight: usize, within: Duration) -> anyhow::Result<Summary> {
    let producer: BaseProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2")
        .set("linger.ms", "0")
        .create_with_context(Reports::default())?;
    let payload = vec![b'x'; bytes];
    let began = Instant::now();
    let mut sent = 0;
    loop {
        let acknowledged = {
            let reported = producer
                .context()
                .0
                .lock()
                .expect("nothing panics while it holds the lock");
            if let Some(error) = &reported.failed {
                return Err(error.clone()).context("a record was not acknowledged");
            }
            reported.latencies.len()
        };
        let is_over = began.elapsed() >= within;
        if is_over && acknowledged == sent {
            break;
        }
        if !is_over && sent - acknowledged < in_flight {
            let record = BaseRecord::with_opaque_to(topic, Box::new(Instant::now()))
                .key("key")
                .payload(&payload);
            producer.send(record).map_err(|(error, _)| error)?;
            sent += 1;
            continue;
        }
        producer.poll(POLL);
    }
    let counts_from = began + within.mul_f64(WARMING_UP);
    let reported = producer
        .context()
        .0
        .lock()
        .expect("nothing panics while it holds the lock");
    let counted = reported.latencies.iter().filter(|(began, _)| *began >= counts_from);
    let latencies: Vec<Duration> = counted.map(|(_, latency)| *latency).collect();
    let warming_up = (reported.latencies.len() - latencies.len()) as u64;
    Ok(Summary::of(latencies, within.mul_f64(1.0 - WARMING_UP), warming_up))
}
