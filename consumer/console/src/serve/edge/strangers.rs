//! Refusals of those whom nobody knows: each is a row of the access log, until there are so many that the rows themselves
//! would be the attack. From then on they are counted, and the count is a row.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::serve::access::{AccessLog, Entry};

/// How long counting goes on before the count is written down.
const WINDOW: Duration = Duration::from_secs(60);
/// Rows of one address in a window.
const EACH: u32 = 120;
/// Rows of all of them together in a window.
const ALL: u32 = 600;

/// How many have been refused lately.
#[derive(Debug)]
pub(in crate::serve) struct Strangers {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    begun: Instant,
    rows: u32,
    /// Invariant: no more than [`ALL`] addresses.
    by_address: HashMap<IpAddr, u32>,
    /// Refusals without a row of their own.
    uncounted: u64,
}

impl Window {
    fn new(begun: Instant) -> Self {
        Self {
            begun,
            rows: 0,
            by_address: HashMap::new(),
            uncounted: 0,
        }
    }
}

/// What becomes of one refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It is a row.
    Row,
    /// It is counted with others.
    Counted,
    /// It is counted, and the first one of its window: somebody has to write the count when that ends.
    FirstCounted(Instant),
}

impl Strangers {
    pub(in crate::serve) fn new() -> Self {
        Self {
            window: Mutex::new(Window::new(Instant::now())),
        }
    }

    /// Whether a refusal from there is a row of its own; else it is counted, and the count will be a row.
    pub(super) fn is_row(self: &Arc<Self>, address: IpAddr, access: &Arc<AccessLog>) -> bool {
        match self.keep(address, Instant::now()) {
            Kept::Row => true,
            Kept::Counted => false,
            Kept::FirstCounted(end) => {
                let (strangers, access) = (Arc::clone(self), Arc::clone(access));
                tokio::spawn(async move {
                    tokio::time::sleep_until(end).await;
                    let count = std::mem::take(&mut strangers.window().uncounted);
                    let entry = Entry::of_refused_strangers(count);
                    if access.write(&entry).await.is_err() {
                        tracing::error!(count, "refusals of strangers are not on the access log");
                    }
                });
                false
            }
        }
    }

    fn keep(&self, address: IpAddr, now: Instant) -> Kept {
        let mut window = self.window();
        if now.saturating_duration_since(window.begun) >= WINDOW {
            // Who writes the count of the window before has it yet to do.
            let uncounted = window.uncounted;
            *window = Window::new(now);
            window.uncounted = uncounted;
        }
        if window.rows < ALL {
            let own = window.by_address.entry(address).or_default();
            if *own < EACH {
                *own += 1;
                window.rows += 1;
                return Kept::Row;
            }
        }
        window.uncounted += 1;
        match window.uncounted {
            1 => Kept::FirstCounted(window.begun + WINDOW),
            _ => Kept::Counted,
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // A panic while the lock was held leaves numbers that are at most one off.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn one_address_has_so_many_rows_and_others_have_theirs() {
        let (strangers, now) = (Strangers::new(), Instant::now());
        for _ in 0..EACH {
            assert_eq!(strangers.keep(address(1), now), Kept::Row);
        }
        assert!(matches!(strangers.keep(address(1), now), Kept::FirstCounted(_)));
        assert_eq!(strangers.keep(address(1), now), Kept::Counted);
        assert_eq!(strangers.keep(address(2), now), Kept::Row);
        assert_eq!(strangers.keep(address(1), now + WINDOW), Kept::Row, "a new window");
    }

    #[test]
    fn many_addresses_together_have_so_many_rows_and_every_other_refusal_is_counted() {
        let (strangers, now) = (Strangers::new(), Instant::now());
        let kept: Vec<Kept> = (0..2 * ALL)
            .map(|number| strangers.keep(address(number), now))
            .collect();
        let rows = kept.iter().filter(|kept| **kept == Kept::Row).count();
        assert_eq!(rows, ALL as usize);
        assert_eq!(strangers.window().uncounted, u64::from(ALL));
        assert!(strangers.window().by_address.len() <= ALL as usize);
    }
}
