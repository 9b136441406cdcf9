//! The client's end of an exchange: what was released to it, and whether it is still there.
//!
//! The exchange runs in a task of its own, so that it goes on when the client's connection is gone. It hands the
//! answer over through these types; the connection's side is an ordinary HTTP body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::identity::DPOP_NONCE;

/// The answer was cut: the connection ends in an error, so that no client takes it for complete.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut")]
pub(crate) struct Cut;

/// Two ends: the exchange's, and what the connection waits on. `answered` is told the status when the head is
/// released, whoever releases it.
pub(crate) fn pair(answered: impl FnOnce(StatusCode) + Send + 'static) -> (ClientSide, AwaitedAnswer) {
    let gone = CancellationToken::new();
    let (head, awaited) = oneshot::channel();
    let guard = gone.clone().drop_guard();
    let head = Some(Head {
        sink: head,
        answered: Box::new(answered),
        nonce: None,
    });
    (ClientSide { head, gone }, AwaitedAnswer { guard, head: awaited })
}

/// The exchange's end, before anything was released.
pub(crate) struct ClientSide {
    head: Option<Head>,
    gone: CancellationToken,
}

/// Where the head goes, once.
struct Head {
    sink: oneshot::Sender<Response<Source>>,
    answered: Box<dyn FnOnce(StatusCode) + Send>,
    nonce: Option<HeaderValue>,
}

impl Head {
    fn release(self, mut response: Response<Source>) {
        if let Some(nonce) = self.nonce {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        (self.answered)(response.status());
        // A client that is gone misses it.
        let _ = self.sink.send(response);
    }
}

/// The connection's end. Dropping it, or the body that comes of it, says that the client is gone.
pub(crate) struct AwaitedAnswer {
    /// Before `head`, so that it is dropped before that: who finds that nobody takes an answer can know why.
    guard: DropGuard,
    head: oneshot::Receiver<Response<Source>>,
}

enum Source {
    Whole(Bytes),
    Stream(Stream),
}

struct Stream {
    pieces: mpsc::Receiver<Bytes>,
    /// Set before the sender is dropped, if nothing is missing. An exchange that panics cannot set it.
    complete: Arc<AtomicBool>,
    length: Option<u64>,
    /// Whether the connection was given its chance to write what came before a cut.
    flushed: bool,
}

impl ClientSide {
    /// The answer, whatever it will be, hands out this nonce (RFC 9449, section 8.2).
    pub(crate) fn hand_out(&mut self, nonce: HeaderValue) {
        if let Some(head) = &mut self.head {
            head.nonce = Some(nonce);
        }
    }

    /// Cancelled when the client is gone.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Answers at once and in full.
    pub(crate) fn respond(&mut self, response: Response<Bytes>) {
        if let Some(head) = self.head.take() {
            head.release(response.map(Source::Whole));
        }
    }

    /// Releases the head of an answer whose body follows through the outlet. `length`: of the whole body, if known.
    pub(crate) fn open(&mut self, head: Response<()>, length: Option<u64>) -> Outlet {
        // One piece is on its way while the exchange prepares the next.
        let (sender, pieces) = mpsc::channel(1);
        let complete = Arc::new(AtomicBool::new(false));
        let stream = Stream {
            pieces,
            complete: Arc::clone(&complete),
            length,
            flushed: false,
        };
        if let Some(sink) = self.head.take() {
            sink.release(head.map(|()| Source::Stream(stream)));
        }
        Outlet { sender, complete }
    }

    /// Whether nothing was released yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.head.is_some()
    }
}

/// Where the pieces of a body go. Dropping it without [`Outlet::finish`] cuts the client's stream.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Bytes>,
    complete: Arc<AtomicBool>,
}

impl Outlet {
    /// Hands `piece` over as soon as there is room, and leaves none. If the client is gone the piece is dropped: it is
    /// on record. Safe to cancel: the piece then stays.
    pub(crate) async fn release(&mut self, piece: &mut Option<Bytes>) {
        match self.sender.reserve().await {
            Ok(room) => {
                if let Some(piece) = piece.take() {
                    room.send(piece);
                }
            }
            Err(_gone) => *piece = None,
        }
    }

    /// All of the body was handed over.
    pub(crate) fn finish(self) {
        self.complete.store(true, Ordering::Release);
    }
}

impl AwaitedAnswer {
    /// The answer, once its head is released; none if the exchange came to nothing (it panicked).
    pub(crate) async fn answer(mut self) -> Option<Response<AnswerBody>> {
        let (head, source) = (&mut self.head).await.ok()?.into_parts();
        Some(Response::from_parts(
            head,
            AnswerBody {
                _guard: self.guard,
                source,
            },
        ))
    }
}

/// The body of every answer of the proxy.
pub(crate) struct AnswerBody {
    /// Before `source`, so that it is dropped before that.
    _guard: DropGuard,
    source: Source,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerBody(..)")
    }
}

impl AnswerBody {
    /// A body that is no exchange's.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            _guard: CancellationToken::new().drop_guard(),
            source: Source::Whole(bytes),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.source {
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Stream(stream) => match std::task::ready!(stream.pieces.poll_recv(cx)) {
                Some(piece) => {
                    if let Some(left) = &mut stream.length {
                        *left = left.saturating_sub(piece.len() as u64);
                    }
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                None if stream.complete.load(Ordering::Acquire) => Poll::Ready(None),
                // hyper drops what it has not written yet when a body fails: it writes when a body is pending.
                None if !std::mem::replace(&mut stream.flushed, true) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(Cut))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stream(stream) => stream.length.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Wake, Waker};

    use super::*;

    /// Notes at each waking whether the client was known to be gone.
    struct Noting {
        gone: CancellationToken,
        was_gone: AtomicBool,
    }

    impl Wake for Noting {
        fn wake(self: Arc<Self>) {
            self.was_gone.store(self.gone.is_cancelled(), Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn who_finds_that_nobody_takes_a_piece_knows_that_the_client_is_gone() {
        let (mut client, awaited) = pair(drop);
        let gone = client.gone();
        let mut outlet = client.open(Response::new(()), None);
        let taken = awaited.answer().await.expect("a head was released");
        outlet.release(&mut Some(Bytes::from_static(b"first"))).await;
        let noting = Arc::new(Noting {
            gone,
            was_gone: AtomicBool::new(false),
        });
        let mut second = Some(Bytes::from_static(b"second"));
        {
            let mut waits = pin!(outlet.release(&mut second));
            let waker = Waker::from(Arc::clone(&noting));
            let mut cx = Context::from_waker(&waker);
            assert!(waits.as_mut().poll(&mut cx).is_pending(), "the first was not taken");
            drop(taken);
            assert!(noting.was_gone.load(Ordering::Relaxed));
            assert!(waits.poll(&mut cx).is_ready());
        }
        assert_eq!(second, None);
    }
}
