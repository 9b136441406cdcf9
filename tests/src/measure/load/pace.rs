//! Calls at a fixed rate.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Hands out the moments at which calls are due, each to the first who is free.
pub(super) struct Pace(Arc<Queue>);

struct Queue {
    due: Mutex<VecDeque<Instant>>,
    /// A permit for each that is due; closed at the end.
    ready: Semaphore,
}

impl Pace {
    /// So many a second, for so long, beginning now.
    pub(super) fn start(rate: f64, within: Duration) -> Self {
        let queue = Arc::new(Queue {
            due: Mutex::default(),
            ready: Semaphore::new(0),
        });
        let (began, pacing) = (Instant::now(), Arc::clone(&queue));
        // A thread, because the runtime's timers know milliseconds only.
        thread::spawn(move || pacing.keep(rate, began, within));
        Self(queue)
    }

    /// When a call is due that is due by now, or as soon as one is; none at the end, when all were handed out.
    pub(super) async fn next(&self) -> Option<Instant> {
        if let Ok(permit) = self.0.ready.acquire().await {
            permit.forget();
        }
        self.0.due().pop_front()
    }
}

impl Queue {
    fn keep(&self, rate: f64, began: Instant, within: Duration) {
        punctual();
        for number in 0.. {
            let at = Duration::from_secs_f64(f64::from(number) / rate);
            if at >= within {
                break;
            }
            let due = began + at;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.due().push_back(due);
            self.ready.add_permits(1);
        }
        self.ready.close();
    }

    fn due(&self) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets this thread wake up when it wants to, not up to 50 µs later (prctl(2), PR_SET_TIMERSLACK).
pub(in crate::measure) fn punctual() {
    // Where it is refused, every contender is late alike.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_is_due_once_at_its_time_and_none_before() {
        let pace = Pace::start(2_000.0, Duration::from_millis(50));
        let mut due = Vec::new();
        while let Some(at) = pace.next().await {
            assert!(at <= Instant::now());
            due.push(at);
        }
        assert_eq!(due.len(), 100);
        assert!(due.windows(2).all(|two| two[1] - two[0] == Duration::from_micros(500)));
    }
}
