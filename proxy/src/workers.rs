//! The threads on which clients are served: one for each processor, each with a runtime of its own.
//!
//! A connection stays on its thread, and so does all that it brings about: its exchanges, and the connections to targets on
//! which these go. What they tell each other is then a matter of that thread's queue. On a runtime whose threads take each
//! other's work, an exchange goes through several hands, each of which has to be woken, and that costs as much as all that
//! nginx does.

mod wakes;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use wakes::from_another_thread;

/// Most threads. More than so many processors serve other things, too.
const MOST: usize = 64;

/// Time between two ticks of a thread that has nothing to do.
///
/// tokio tells a thread of each timer that is set on it and is due before all that it knows of, although it is itself
/// that sets it: two system calls. Most exchanges set timers that are due in a minute and take them back; nothing is due
/// before the next tick.
const TICK: Duration = Duration::from_secs(1);

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Which of the threads this is: below [`places`]. Any other thread counts as the first.
pub(crate) fn place() -> usize {
    OWN.get()
}

/// How many there are in each proxy.
pub(crate) fn places() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

/// Waits until `end`.
async fn tick_until(end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    while tokio::time::timeout(TICK, &mut end).await.is_err() {}
}

/// Lets the other tasks of this thread have their turn that could go on now. tokio's own `yield_now` looks for I/O, too,
/// which is a system call; this waits for nothing.
pub(crate) async fn let_others_go_on() {
    let mut others_went_on = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut others_went_on, true) {
            return Poll::Ready(());
        }
        // To the end of the thread's queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The threads. They end, with whatever is still on them, when this is dropped.
#[derive(Debug)]
pub(crate) struct Workers {
    threads: Vec<Handle>,
    next: AtomicUsize,
    _end: DropGuard,
}

impl Workers {
    /// Starts them.
    ///
    /// # Errors
    /// The operating system gives no more threads or files.
    pub(crate) fn start() -> std::io::Result<Self> {
        let end = CancellationToken::new();
        let guard = end.clone().drop_guard();
        let mut threads = Vec::new();
        for place in 0..places() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            threads.push(runtime.handle().clone());
            let end = end.clone();
            thread::Builder::new().name(format!("worker-{place}")).spawn(move || {
                OWN.set(place);
                runtime.spawn(wakes::pass_on());
                runtime.block_on(tick_until(end.cancelled()));
                // What blocks on its own threads (a look into a file) is waited for by nobody.
                runtime.shutdown_background();
            })?;
        }
        Ok(Self {
            threads,
            next: AtomicUsize::new(0),
            _end: guard,
        })
    }

    /// Runs a task on one of them, in turns.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.threads[turn % self.threads.len()].spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn tasks_take_turns_and_what_they_start_stays_with_them() {
        let workers = Workers::start().expect("threads");
        let (said, mut heard) = mpsc::unbounded_channel();
        for _ in 0..places() {
            let said = said.clone();
            workers.spawn(async move {
                let own = place();
                let started = tokio::spawn(async { place() }).await;
                said.send((own, started.expect("no panic"))).expect("it is heard");
            });
        }
        let mut all = BTreeSet::new();
        for _ in 0..places() {
            let (own, started) = heard.recv().await.expect("all of them say it");
            assert_eq!(own, started);
            all.insert(own);
        }
        assert_eq!(all.into_iter().collect::<Vec<_>>(), (0..places()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_is_on_them_ends_with_them() {
        let workers = Workers::start().expect("threads");
        let (holds, held) = tokio::sync::oneshot::channel::<()>();
        workers.spawn(async move {
            let _holds = holds;
            std::future::pending::<()>().await;
        });
        drop(workers);
        assert!(held.await.is_err());
    }
}
