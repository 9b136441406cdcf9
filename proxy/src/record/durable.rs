//! The wait for an acknowledgement, and its proof.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use uuid::Uuid;

use super::NotRecorded;

/// Proof that a frame is on record: the broker has acknowledged it. Only a [`Pending`] makes one.
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
/// Resolves by the broker's acknowledgement only. Dropping it changes nothing about the frame.
#[derive(Debug)]
#[must_use = "a frame is on record only when it is acknowledged; use record_unwaited where nobody waits"]
pub struct Pending {
    state: Result<Uuid, NotRecorded>,
}

impl Pending {
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

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.state.map(|exchange_id| Durable { exchange_id }))
    }
}
