//! The recorder against real brokers.

mod failures;
mod kafka;
mod order;
mod readiness;
mod spool;
