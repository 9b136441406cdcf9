//! What the consumer writes to other topics: audit events and dead letters.

mod audit;
mod publisher;
mod receipts;

pub use audit::{Told, audit_events, unknown_event};
pub use publisher::{Format, PublishError, Publisher, Topics};
