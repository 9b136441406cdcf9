//! What a connection is doing: how many answers are under way, and since when there is none.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

/// One connection's.
#[derive(Debug)]
pub(super) struct Load(watch::Sender<Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    under_way: usize,
    /// Requests that have ever begun: one that comes and goes between two looks is not missed.
    begun: u64,
}

/// An answer that is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(watch::Sender<Count>);

impl Load {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Count::default()))
    }

    /// A request has come.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| {
            count.under_way += 1;
            count.begun += 1;
        });
        UnderWay(self.0.clone())
    }

    /// Waits until nothing was under way for too long: `first` before the first request, `then` after each.
    pub(super) fn idle(&self, first: Duration, then: Duration) -> impl Future<Output = ()> + use<> {
        let mut counts = self.0.subscribe();
        async move {
            let mut patience = first;
            loop {
                let Ok(begun) = counts
                    .wait_for(|count| count.under_way == 0)
                    .await
                    .map(|count| count.begun)
                else {
                    return;
                };
                let next = counts.wait_for(|count| count.begun > begun);
                if tokio::time::timeout(patience, next).await.is_err() {
                    return;
                }
                patience = then;
            }
        }
    }
}

impl UnderWay {
    /// The body, with which this ends.
    pub(super) fn until_the_end_of(self, body: Body) -> Body {
        Body::new(Held { body, _under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| count.under_way -= 1);
    }
}

/// A body that holds what is to be dropped with it.
struct Held {
    body: Body,
    _under_way: UnderWay,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
