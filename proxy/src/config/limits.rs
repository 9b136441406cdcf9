//! `[limits]`: what clients may cost the proxy, and how long they may take.

use std::num::NonZeroU32;
use std::time::Duration;

use tapedeck_config::{ByteSize, Field, Reader};

use super::raw::RawLimits;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What clients may cost the proxy, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of clients that are open at once. More wait to be accepted. Default 16,384.
    pub connections: usize,
    /// Exchanges at once, listening streams included. More are refused. Default 16,384.
    pub in_flight: usize,
    /// The longest head (request line and header fields) of a request, in bytes; 8 KiB or more. Default 64 KiB.
    pub request_head: usize,
    /// The longest request body that is read, in bytes: a client's message is recorded and forwarded whole. At most
    /// 64 MiB. Default 4 MiB.
    pub request_body: usize,
    /// All request bodies that are held at once, in bytes, each until its target has it. Default 256 MiB.
    pub request_bodies: usize,
    /// How long a client may take to send a request's head, and how long an idle connection is kept for its next: hyper
    /// has one timer for both. Default 75 s, as long as nginx keeps idle connections: a shorter time would close them
    /// under clients that are about to use them again.
    pub head_time: Duration,
    /// Time for a request body to arrive, all of it. Default 60 s.
    pub body_time: Duration,
    /// How long a client may take nothing of what is sent to it. Default 2 minutes.
    pub write_time: Duration,
    /// Requests a second that one principal may make in the long run, and how many at once after a quiet time. Default:
    /// no such limit.
    pub rate: Option<Rate>,
    /// How long a call may go on after its token has expired; a listening stream ends with its token. Default 5 minutes.
    pub call_grace: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What it gains, per second.
    pub per_second: NonZeroU32,
    /// What it holds when it is full.
    pub burst: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            in_flight: 16_384,
            request_head: 64 * KIB,
            request_body: 4 * MIB,
            request_bodies: 256 * MIB,
            head_time: Duration::from_secs(75),
            body_time: Duration::from_secs(60),
            write_time: Duration::from_secs(120),
            rate: None,
            call_grace: Duration::from_secs(300),
        }
    }
}

impl Limits {
    pub(super) fn build(raw: Option<RawLimits<'_>>, reader: &Reader) -> Self {
        let default = Self::default();
        let Some(raw) = raw else { return default };
        let bodies_span = raw.request_bodies.span();
        let burst_span = raw.burst.span();
        let per_second = raw.requests_per_second.optional();
        let burst = raw.burst.optional();
        if burst.is_some() && per_second.is_none() {
            reader.problem(
                burst_span,
                "`limits.burst` is of no use without `limits.requests_per_second`",
            );
        }
        let limits = Self {
            connections: raw.connections.or(NonZeroU32::MIN.saturating_add(16_383)).get() as usize,
            in_flight: raw.in_flight.or(NonZeroU32::MIN.saturating_add(16_383)).get() as usize,
            request_head: size(raw.request_head, 8 * KIB, MIB, default.request_head),
            request_body: size(raw.request_body, KIB, 64 * MIB, default.request_body),
            request_bodies: size(raw.request_bodies, KIB, 64 * 1024 * MIB, default.request_bodies),
            head_time: time(raw.head_time, default.head_time),
            body_time: time(raw.body_time, default.body_time),
            write_time: time(raw.write_time, default.write_time),
            rate: per_second.map(|per_second| Rate {
                per_second,
                burst: burst.unwrap_or(per_second),
            }),
            call_grace: raw.call_grace.or(default.call_grace),
        };
        if limits.request_bodies < limits.request_body {
            reader.problem(
                bodies_span,
                "`limits.request_bodies` is less than `limits.request_body`, so the largest body would never be read",
            );
        }
        limits
    }
}

fn size(field: Field<'_, ByteSize>, least: usize, most: usize, default: usize) -> usize {
    let within = |size: ByteSize| {
        usize::try_from(size.as_u64())
            .ok()
            .filter(|size| (least..=most).contains(size))
            .ok_or_else(|| format!("it is {size}, but must be from {least} to {most} bytes"))
    };
    field.and_then(within).or(default)
}

fn time(field: Field<'_, Duration>, default: Duration) -> Duration {
    let is_some = |time: Duration| match time.is_zero() {
        true => Err("it is zero, so nothing could ever be in time"),
        false => Ok(time),
    };
    field.and_then(is_some).or(default)
}
