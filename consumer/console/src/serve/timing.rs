//! What an answer waited for: `Server-Timing` (W3C), which browsers' tools show beside a request, and which measurements read.
//!
//! A request is answered in one task, so what its parts take is added up there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::HeaderValue;

tokio::task_local! {
    static SPENT: Arc<Spent>;
}

/// Microseconds that an answer waited so far, by what for.
#[derive(Debug, Default)]
pub(super) struct Spent {
    questions: AtomicU64,
    access: AtomicU64,
}

/// Something that an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// ClickHouse's answers, and the user's turn to ask.
    Questions,
    /// The row of the access log.
    Access,
}

impl Spent {
    /// What the answer that `answering` makes waits for is added to this.
    pub(super) async fn on<T>(self: &Arc<Self>, answering: impl Future<Output = T>) -> T {
        SPENT.scope(Arc::clone(self), answering).await
    }

    /// The header field's value, in milliseconds.
    pub(super) fn header(&self) -> HeaderValue {
        let milliseconds = |spent: &AtomicU64| spent.load(Ordering::Relaxed) as f64 / 1000.0;
        let text = format!(
            "questions;dur={:.3}, access;dur={:.3}",
            milliseconds(&self.questions),
            milliseconds(&self.access)
        );
        HeaderValue::from_str(&text).expect("names and numbers are a header field")
    }
}

/// Notes how long `waiting` takes. Outside of an answer nobody asks.
pub(super) async fn noted<T>(wait: Wait, waiting: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = waiting.await;
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    // What goes on after its answer has begun, such as a live stream, is in no answer's task.
    let _ = SPENT.try_with(|spent| {
        let spent = match wait {
            Wait::Questions => &spent.questions,
            Wait::Access => &spent.access,
        };
        spent.fetch_add(took, Ordering::Relaxed)
    });
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Spent, Wait, noted};

    #[tokio::test]
    async fn what_is_waited_for_is_added_up_by_its_kind() {
        let spent = Arc::new(Spent::default());
        spent
            .on(async {
                for _ in 0..2 {
                    noted(Wait::Questions, std::future::ready(())).await;
                }
                spent.questions.fetch_add(1500, std::sync::atomic::Ordering::Relaxed);
            })
            .await;
        let header = spent.header();
        let header = header.to_str().expect("text");
        assert!(header.starts_with("questions;dur=1.5"), "{header}");
        assert!(header.ends_with(", access;dur=0.000"), "{header}");
        noted(Wait::Access, std::future::ready(())).await;
        assert_eq!(spent.header().to_str().expect("text"), header);
    }
}
