//! How long an exchange goes on, and what its client's going means.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Interrupted;
use crate::identity::{Lapse, Watch};

/// How long an answer that nobody waits for is still read, so that it is on record.
const DRAIN: Duration = Duration::from_secs(600);

/// What may end an exchange before its answer does.
pub(crate) struct Patience {
    /// The client has gone.
    gone: CancellationToken,
    /// The process stops.
    cut: CancellationToken,
    /// Whether the client's going cancels. Up to revision 2025-11-25 it says nothing about the request; since
    /// 2026-07-28 closing the stream is how a client cancels. A listening stream (GET) is of no use without its client.
    going_cancels: bool,
    /// How long an answer is read whose client has gone.
    drain: Duration,
    /// Set when the client has gone and that does not cancel.
    deadline: Option<Instant>,
    /// When the token's word, and its grace, is over.
    expires: Instant,
    /// What to call that.
    over: Interrupted,
    /// Ends when the token does not count any more although it has not expired. Only where somebody is asked for that.
    lapses: Option<Pin<Box<dyn Future<Output = Lapse> + Send>>>,
    /// How long the exchange may go on then.
    grace: Duration,
}

impl Patience {
    pub(crate) fn new(gone: CancellationToken, cut: CancellationToken, going_cancels: bool, expires: Instant) -> Self {
        Self {
            gone,
            cut,
            going_cancels,
            drain: DRAIN,
            deadline: None,
            expires,
            over: Interrupted::Expired,
            lapses: None,
            grace: Duration::ZERO,
        }
    }

    /// Ends the exchange, too, when `watch` does, and `grace` has passed.
    pub(crate) fn watching(mut self, watch: Option<Watch>, grace: Duration) -> Self {
        self.lapses = watch.map(|watch| Box::pin(watch.lapses()) as _);
        self.grace = grace;
        self
    }

    /// Waits until the exchange has to end, and says why. Safe to cancel.
    pub(crate) async fn ends(&mut self) -> Interrupted {
        loop {
            let (deadline, left, lapses) = (self.deadline, &self.gone, &mut self.lapses);
            let gone = async {
                match deadline {
                    None => left.cancelled().await,
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                }
            };
            let lapsed = async {
                match lapses {
                    None => pending().await,
                    Some(lapses) => lapses.await,
                }
            };
            tokio::select! {
                () = self.cut.cancelled() => return Interrupted::Stopped,
                () = tokio::time::sleep_until(self.expires) => return self.over,
                lapse = lapsed => {
                    let ends = Instant::now() + self.grace;
                    if ends < self.expires {
                        (self.expires, self.over) = (ends, Interrupted::Lapsed(lapse));
                    }
                    self.lapses = None;
                    continue;
                }
                () = gone => {}
            }
            match self.deadline {
                None if self.going_cancels => return Interrupted::Cancelled,
                None => self.deadline = Some(Instant::now() + self.drain),
                Some(_) => return Interrupted::Stopped,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exchange_ends_a_grace_after_its_token_has_lapsed() {
        let began = Instant::now();
        let (lapse, grace) = (Duration::from_millis(30), Duration::from_millis(50));
        let mut patience = Patience::new(CancellationToken::new(), CancellationToken::new(), true, later());
        patience.grace = grace;
        patience.lapses = Some(Box::pin(async move {
            tokio::time::sleep(lapse).await;
            Lapse::Revoked
        }));
        // Asked in pieces, as by every event of a stream.
        let ended = loop {
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(7), patience.ends()).await {
                break ended;
            }
        };
        assert_eq!(ended, Interrupted::Lapsed(Lapse::Revoked));
        assert!(began.elapsed() >= lapse + grace);
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    fn of_a_client_that_has_gone(going_cancels: bool) -> Patience {
        let gone = CancellationToken::new();
        gone.cancel();
        let mut patience = Patience::new(gone, CancellationToken::new(), going_cancels, later());
        patience.drain = Duration::from_millis(40);
        patience
    }

    #[tokio::test]
    async fn an_answer_is_read_for_a_while_after_its_legacy_client_has_gone() {
        let began = Instant::now();
        let mut patience = of_a_client_that_has_gone(false);
        assert_eq!(patience.ends().await, Interrupted::Stopped);
        assert!(began.elapsed() >= patience.drain);
    }

    #[tokio::test]
    async fn waiting_in_pieces_does_not_move_the_deadline() {
        let mut patience = of_a_client_that_has_gone(false);
        let first = tokio::time::timeout(Duration::from_millis(5), patience.ends()).await;
        assert!(first.is_err());
        let deadline = patience.deadline.expect("the client has gone");
        assert_eq!(patience.ends().await, Interrupted::Stopped);
        assert_eq!(patience.deadline, Some(deadline));
    }

    #[tokio::test]
    async fn a_client_whose_going_cancels_ends_the_exchange_at_once() {
        assert_eq!(of_a_client_that_has_gone(true).ends().await, Interrupted::Cancelled);
    }

    #[tokio::test]
    async fn a_proxy_that_stops_ends_the_exchange_although_its_client_waits() {
        let cut = CancellationToken::new();
        cut.cancel();
        let mut patience = Patience::new(CancellationToken::new(), cut, false, later());
        assert_eq!(patience.ends().await, Interrupted::Stopped);
    }

    #[tokio::test]
    async fn an_exchange_ends_with_the_word_of_its_token() {
        let soon = Instant::now() + Duration::from_millis(20);
        let mut patience = Patience::new(CancellationToken::new(), CancellationToken::new(), true, soon);
        assert_eq!(patience.ends().await, Interrupted::Expired);
        assert!(Instant::now() >= patience.expires);
    }
}
