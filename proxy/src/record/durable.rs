//! The wait for an acknowledgement, and its proof.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Digest, Kind};
use uuid::Uuid;

use super::backlog::{SealedFrame, Ticket};
use super::in_flight::InFlight;
use super::ledger::Ledger;
use super::{NotRecorded, TopicRole};

/// Proof that a frame is as durable as was demanded: the broker has acknowledged it, or nothing was demanded
/// ([`Demand::BestEffort`](super::Demand)). Only a [`Pending`] makes one.
///
/// What the frame describes may now happen: a request be forwarded, a piece of an answer be released.
#[derive(Debug)]
#[must_use = "whatever waits for the record may go on now"]
pub struct Durable {
    exchange_id: Uuid,
}

impl Durable {
    /// The exchange that the frame belongs to.
    #[must_use]
    pub fn exchange_id(&self) -> Uuid {
        self.exchange_id
    }
}

/// A frame on its way: sealed, in order, not yet acknowledged.
///
/// Resolves by the broker's delivery report, or at once where nothing waits for that. Dropping it changes nothing about the frame. `Pending`s of one
/// session key may be awaited in any order; they resolve, unless a publish fails, in the order of the record.
#[must_use = "a frame is on record only when it is acknowledged; use record_unwaited where nobody waits"]
pub struct Pending {
    exchange_id: Uuid,
    /// None: nothing to wait for.
    delivery: Option<Arc<Delivery>>,
}

impl Pending {
    pub(super) fn new(delivery: Arc<Delivery>) -> Self {
        Self {
            exchange_id: delivery.exchange_id,
            delivery: Some(delivery),
        }
    }

    /// Of a frame that nothing waits for, whatever becomes of it.
    pub(super) fn not_awaited(exchange_id: Uuid) -> Self {
        Self {
            exchange_id,
            delivery: None,
        }
    }

    /// Waits for the acknowledgement; the same as awaiting the `Pending` itself.
    ///
    /// # Errors
    /// The broker did not acknowledge within the message timeout: the frame may or may not be in the log.
    pub async fn durable(self) -> Result<Durable, NotRecorded> {
        self.await
    }
}

impl Future for Pending {
    type Output = Result<Durable, NotRecorded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange_id = self.exchange_id;
        let Some(delivery) = &self.delivery else {
            return Poll::Ready(Ok(Durable { exchange_id }));
        };
        let resolved = || delivery.outcome.get().copied();
        let outcome = match resolved() {
            Some(outcome) => outcome,
            None => {
                delivery.waker.register(cx.waker());
                // The report may have come before the waker was in place.
                match resolved() {
                    Some(outcome) => outcome,
                    None => return Poll::Pending,
                }
            }
        };
        Poll::Ready(match outcome {
            Ok(()) => Ok(Durable { exchange_id }),
            Err(code) => Err(NotRecorded::Undelivered(code)),
        })
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.exchange_id).finish()
    }
}

/// One message handed to Kafka: what librdkafka carries with it and gives back with its report. It is the one
/// allocation that a frame's wait costs.
pub(super) struct Delivery {
    exchange_id: Uuid,
    /// None: a control statement.
    place: Option<Place>,
    /// Of a frame that nobody waits for: its place in the backlog.
    ticket: Option<Ticket>,
    bytes: usize,
    since: Instant,
    in_flight: Arc<InFlight>,
    outcome: OnceLock<Result<(), RDKafkaErrorCode>>,
    waker: AtomicWaker,
}

/// Where in its segment a frame is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) ledger: Arc<Ledger>,
    pub(super) kind: Kind,
    pub(super) seq: i64,
    pub(super) hash: Digest,
}

impl Delivery {
    /// Counts the message as handed over; [`Delivery::resolve`] takes that back.
    pub(super) fn of_frame(in_flight: &Arc<InFlight>, exchange_id: Uuid, place: Place, bytes: usize) -> Arc<Self> {
        Self::begin(in_flight, exchange_id, Some(place), None, bytes)
    }

    /// As [`Delivery::of_frame`], for a frame of the backlog, which is told what becomes of it.
    pub(super) fn of_unwaited(in_flight: &Arc<InFlight>, sealed: &SealedFrame, ticket: Ticket) -> Arc<Self> {
        let place = Some(sealed.place.clone());
        Self::begin(in_flight, sealed.exchange_id, place, Some(ticket), sealed.value.len())
    }

    /// As [`Delivery::of_frame`], for a control statement.
    pub(super) fn of_statement(in_flight: &Arc<InFlight>, bytes: usize) -> Arc<Self> {
        Self::begin(in_flight, Uuid::nil(), None, None, bytes)
    }

    fn begin(
        in_flight: &Arc<InFlight>,
        exchange_id: Uuid,
        place: Option<Place>,
        ticket: Option<Ticket>,
        bytes: usize,
    ) -> Arc<Self> {
        in_flight.enqueued(bytes);
        Arc::new(Self {
            exchange_id,
            place,
            ticket,
            bytes,
            since: Instant::now(),
            in_flight: Arc::clone(in_flight),
            outcome: OnceLock::new(),
            waker: AtomicWaker::new(),
        })
    }

    /// The report: the broker has the message, or an error that leaves open whether it does. Only the first counts.
    pub(super) fn resolve(&self, outcome: Result<(), RDKafkaErrorCode>) {
        if self.outcome.get().is_some() {
            return;
        }
        // The books first: whoever wakes up and records the next frame must find a broken segment broken.
        self.in_flight.reported(self.bytes);
        match (outcome, &self.place) {
            (Ok(()), Some(place)) => {
                let moved = place.ledger.confirmed(place.seq, place.hash);
                self.in_flight
                    .confirmed(&place.ledger, moved, place.kind, self.since.elapsed());
            }
            (Ok(()), None) => {}
            (Err(code), place) => {
                if let Some(place) = place {
                    place.ledger.failed();
                    self.in_flight.metrics.not_recorded(NotRecorded::Undelivered(code));
                }
                let role = match place {
                    Some(_) => TopicRole::Frames,
                    None => TopicRole::Control,
                };
                self.in_flight.failed(role, code);
            }
        }
        if let Some(ticket) = self.ticket {
            self.in_flight.backlog.reported(ticket, outcome);
        }
        // Only librdkafka's thread, or the caller whose message was not taken, resolves: never both.
        let _ = self.outcome.set(outcome);
        self.waker.wake();
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("exchange_id", &self.exchange_id)
            .field("outcome", &self.outcome.get())
            .finish_non_exhaustive()
    }
}
