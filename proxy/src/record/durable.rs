//! The wait for an acknowledgement, and its proof.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Digest, Kind};
use uuid::Uuid;

use super::backlog::{SealedFrame, Ticket, is_final};
use super::in_flight::InFlight;
use super::lanes::Haste;
use super::ledger::Ledger;
use super::{NotRecorded, TopicRole};
use crate::workers;

/// Proof that a frame is as durable as its [`Demand`](super::Demand) has it: the broker has acknowledged it, or the spool
/// has synced it, or nothing was demanded. Only a [`Pending`] makes one.
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
/// Resolves by the broker's delivery report, by the spool where that may stand in for it, or at once where nothing is
/// demanded. Dropping it changes nothing about the frame. `Pending`s of one
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
                delivery.waker.register(&workers::from_another_thread(cx.waker()));
                // The report may have come before the waker was in place.
                match resolved() {
                    Some(outcome) => outcome,
                    None => return Poll::Pending,
                }
            }
        };
        Poll::Ready(match outcome {
            Ok(()) => Ok(Durable { exchange_id }),
            Err(why) => Err(why),
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
    /// Of a frame that may be spooled: its number there.
    spooled: Option<u64>,
    bytes: usize,
    haste: Haste,
    since: Instant,
    in_flight: Arc<InFlight>,
    /// Whether somebody has settled it, or is about to.
    settled: AtomicBool,
    outcome: OnceLock<Result<(), NotRecorded>>,
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
    pub(super) fn of_frame(
        in_flight: &Arc<InFlight>,
        exchange_id: Uuid,
        place: Place,
        bytes: usize,
        haste: Haste,
    ) -> Arc<Self> {
        Self::begin(in_flight, exchange_id, Some(place), (None, None), bytes, haste)
    }

    /// As [`Delivery::of_frame`], for a frame of the backlog, which is told what becomes of it.
    pub(super) fn of_unwaited(in_flight: &Arc<InFlight>, sealed: &SealedFrame, ticket: Ticket) -> Arc<Self> {
        let place = Some(sealed.place.clone());
        Self::begin(
            in_flight,
            sealed.exchange_id,
            place,
            (Some(ticket), None),
            sealed.value.len(),
            Haste::Now,
        )
    }

    /// As [`Delivery::of_frame`], for a frame that the spool may take in Kafka's stead.
    pub(super) fn of_spooled(
        in_flight: &Arc<InFlight>,
        sealed: &SealedFrame,
        ticket: Option<Ticket>,
        number: u64,
    ) -> Arc<Self> {
        let place = Some(sealed.place.clone());
        Self::begin(
            in_flight,
            sealed.exchange_id,
            place,
            (ticket, Some(number)),
            sealed.value.len(),
            Haste::Now,
        )
    }

    /// As [`Delivery::of_frame`], for a control statement, or a record of which the books have been kept before.
    pub(super) fn of_statement(in_flight: &Arc<InFlight>, bytes: usize) -> Arc<Self> {
        Self::begin(in_flight, Uuid::nil(), None, (None, None), bytes, Haste::Now)
    }

    fn begin(
        in_flight: &Arc<InFlight>,
        exchange_id: Uuid,
        place: Option<Place>,
        (ticket, spooled): (Option<Ticket>, Option<u64>),
        bytes: usize,
        haste: Haste,
    ) -> Arc<Self> {
        in_flight.enqueued(bytes);
        Arc::new(Self {
            exchange_id,
            place,
            ticket,
            spooled,
            bytes,
            haste,
            since: Instant::now(),
            in_flight: Arc::clone(in_flight),
            settled: AtomicBool::new(false),
            outcome: OnceLock::new(),
            waker: AtomicWaker::new(),
        })
    }

    /// Whether somebody waits for it.
    pub(super) fn haste(&self) -> Haste {
        self.haste
    }

    /// Kafka's report: the broker has the message, or an error that leaves open whether it does.
    pub(super) fn resolve(&self, outcome: Result<(), RDKafkaErrorCode>) {
        if let (Some(number), Some(spooling)) = (self.spooled, &self.in_flight.spooling) {
            match outcome {
                // Then the spool has to have it.
                Err(code) if !is_final(code) => {
                    self.in_flight.failed(TopicRole::Frames, code);
                    return spooling.failed(number);
                }
                _ => spooling.reported(number),
            }
        }
        self.settle(outcome.map_err(NotRecorded::Undelivered));
    }

    /// What has become of the message. Only the first word counts: of Kafka or, where that may stand in, of the spool.
    pub(super) fn settle(&self, outcome: Result<(), NotRecorded>) {
        if self.settled.swap(true, Ordering::AcqRel) {
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
            (Err(why), place) => {
                if let Some(place) = place {
                    place.ledger.failed();
                    self.in_flight.metrics.not_recorded(why);
                }
                if let NotRecorded::Undelivered(code) = why {
                    let role = match place {
                        Some(_) => TopicRole::Frames,
                        None => TopicRole::Control,
                    };
                    self.in_flight.failed(role, code);
                }
            }
        }
        if let Some(ticket) = self.ticket {
            self.in_flight.backlog.reported(ticket, outcome);
        }
        // Nobody else comes here: see `settled`.
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
