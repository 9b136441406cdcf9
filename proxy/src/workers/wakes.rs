//! Wakes that come from other threads, gathered: a thread is told once of many tasks that may go on.
//!
//! Each task that another thread wakes costs a system call, which ends its thread's sleep, asleep or not. What Kafka has
//! acknowledged at once is many tasks of few threads.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

thread_local! {
    static OWN: RefCell<Option<Arc<Wakes>>> = const { RefCell::new(None) };
}

/// The tasks of one thread that others have woken.
#[derive(Debug, Default)]
struct Wakes {
    woken: Mutex<Vec<Waker>>,
    /// Told when the first of them is.
    told: Notify,
}

/// From now on tasks of this thread are woken by this, which has to run on it.
pub(super) async fn pass_on() {
    let wakes = OWN.with(|own| Arc::clone(own.borrow_mut().get_or_insert_default()));
    loop {
        wakes.told.notified().await;
        let woken = std::mem::take(&mut *wakes.woken.lock().unwrap_or_else(PoisonError::into_inner));
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Wakes what `waker` does, a task of this thread, and costs another thread less where it wakes several.
pub(crate) fn from_another_thread(waker: &Waker) -> Waker {
    OWN.with_borrow(|own| match own {
        None => waker.clone(),
        Some(wakes) => Waker::from(Arc::new(Gathered {
            wakes: Arc::clone(wakes),
            waker: waker.clone(),
        })),
    })
}

struct Gathered {
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl Wake for Gathered {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = self.wakes.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = woken.is_empty();
        woken.push(self.waker.clone());
        drop(woken);
        if is_first {
            self.wakes.told.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use futures_util::future::join_all;
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn tasks_that_another_thread_wakes_go_on_all_of_them() {
        const TASKS: usize = 100;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let (give, mut given) = mpsc::unbounded_channel::<(Waker, Arc<AtomicUsize>)>();
        let waking = std::thread::spawn(move || {
            while let Some((waker, state)) = given.blocking_recv() {
                state.store(1, Ordering::Release);
                waker.wake();
            }
        });
        runtime.block_on(async move {
            tokio::spawn(pass_on());
            tokio::task::yield_now().await;
            assert!(OWN.with_borrow(Option::is_some), "this thread gathers them");
            let task = |_| {
                let (give, state) = (give.clone(), Arc::new(AtomicUsize::new(0)));
                let mut was_given = false;
                tokio::spawn(poll_fn(move |cx| {
                    if state.load(Ordering::Acquire) == 1 {
                        return Poll::Ready(());
                    }
                    assert!(
                        !std::mem::replace(&mut was_given, true),
                        "it is polled again only when it is woken"
                    );
                    let waker = from_another_thread(cx.waker());
                    give.send((waker, Arc::clone(&state))).expect("the thread listens");
                    Poll::Pending
                }))
            };
            for done in join_all((0..TASKS).map(task)).await {
                done.expect("no panic");
            }
        });
        waking.join().expect("no panic");
    }

    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_thread_that_gathers_nothing_is_woken_as_ever() {
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        from_another_thread(&Waker::from(Arc::clone(&counting))).wake();
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
    }
}
