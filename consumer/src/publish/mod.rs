//! What the consumer writes to other topics: audit events and dead letters.

mod audit;
mod publisher;
mod receipts;

pub use audit::{Masked, audit_event, unknown_event};
pub use publisher::{PublishError, Publisher};
