//! Free ports on 127.0.0.1.
//!
//! A port is free when it is found and may be taken when a server binds it. To make that rare, ports come from below the
//! range that the kernel gives to outgoing connections, and this process gives out none twice. A server that finds its
//! port taken ends, and that is an error which quotes its log.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Below Linux's `ip_local_port_range`, which begins at 32768.
const RANGE: Range<u16> = 20_000..32_768;

/// More attempts than that fail only where nothing may be bound.
const ATTEMPTS: usize = 1_000;

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port that no one listens on.
///
/// # Errors
/// When none is found.
pub fn free() -> io::Result<u16> {
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        match take(rand::random_range(RANGE)) {
            Ok(port) => return Ok(port),
            Err(error) => refused = error,
        }
    }
    Err(io::Error::new(
        refused.kind(),
        format!("no free port on 127.0.0.1 after {ATTEMPTS} attempts: {refused}"),
    ))
}

/// The port `wanted` if there is one and no one listens on it, else another.
///
/// # Errors
/// When none is found.
pub fn pick(wanted: Option<u16>) -> io::Result<u16> {
    wanted.map_or_else(free, |port| take(port).or_else(|_| free()))
}

fn take(port: u16) -> io::Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    if given.contains(&port) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    given.insert(port);
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_by_another() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let port = taken.local_addr().expect("its address").port();
        assert_ne!(pick(Some(port)).expect("another"), port);
    }

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..100).map(|_| free().expect("a port")).collect();
        assert_eq!(ports.len(), 100);
        let first = *ports.iter().next().expect("a hundred");
        assert_ne!(pick(Some(first)).expect("another"), first);
    }
}
