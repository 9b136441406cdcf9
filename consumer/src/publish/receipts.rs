//! Delivery reports, counted for each batch: one wait for all of them, instead of one for each record.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;

/// Hands each report to those who wait for it.
pub(super) struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Receipts>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipts: Arc<Receipts>) {
        receipts.arrived(result.as_ref().err().map(|(error, _)| error.clone()));
    }
}

/// The reports of one batch.
#[derive(Default)]
pub(super) struct Receipts {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    expected: usize,
    arrived: usize,
    /// The first record that was not acknowledged.
    failed: Option<KafkaError>,
}

impl Receipts {
    /// One more report is to come.
    pub(super) fn expect_one(&self) {
        self.state().expected += 1;
    }

    /// A report has come.
    pub(super) fn arrived(&self, failed: Option<KafkaError>) {
        let mut state = self.state();
        state.arrived += 1;
        if let Some(error) = failed {
            state.failed.get_or_insert(error);
        }
        if state.arrived == state.expected || state.failed.is_some() {
            drop(state);
            // Kept where nobody waits yet.
            self.changed.notify_one();
        }
    }

    /// Waits for all of them, or for the first failure.
    pub(super) async fn all(&self) -> Result<(), KafkaError> {
        loop {
            {
                let state = self.state();
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                if state.arrived == state.expected {
                    return Ok(());
                }
            }
            self.changed.notified().await;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
