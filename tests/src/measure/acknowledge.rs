//! How long a broker takes to acknowledge: the least that a call costs which waits for its record.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::Summary;

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

/// Publishes records for so long, so many at once, under one key, with all in-sync replicas' acknowledgement.
///
/// # Errors
/// The first record that was not acknowledged.
pub fn run(brokers: &str, topic: &str, bytes: usize, in_flight: usize, within: Duration) -> anyhow::Result<Summary> {
    let (reports, reported) = channel();
    let producer: ThreadedProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2")
        .set("linger.ms", "0")
        .create_with_context(Reports(reports))?;
    let payload = vec![b'x'; bytes];
    let began = Instant::now();
    let counts_from = began + within.mul_f64(WARMING_UP);
    let (mut latencies, mut warming_up, mut waiting) = (Vec::new(), 0, 0);
    loop {
        if began.elapsed() < within {
            while waiting < in_flight {
                let record = BaseRecord::with_opaque_to(topic, Box::new(Instant::now()))
                    .key("key")
                    .payload(&payload);
                producer.send(record).map_err(|(error, _)| error)?;
                waiting += 1;
            }
        } else if waiting == 0 {
            return Ok(Summary::of(latencies, within.mul_f64(1.0 - WARMING_UP), warming_up));
        }
        let (sent, latency) = match reported.recv_timeout(PATIENCE) {
            Ok(report) => report.context("a record was not acknowledged")?,
            Err(RecvTimeoutError::Timeout) => bail!("no acknowledgement within {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the producer is gone"),
        };
        waiting -= 1;
        if sent >= counts_from {
            latencies.push(latency);
        } else {
            warming_up += 1;
        }
    }
}
