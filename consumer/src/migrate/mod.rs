//! `tapedeck-consumer migrate`: brings database and topics to what this version needs.
//!
//! Both halves may run again at any time: what is there already is left alone, and what differs is an error.

mod cluster;
mod database;
mod reach;
mod retention;
mod statements;
mod topics;

pub use cluster::{BadCluster, printed_statements};
pub use database::{DatabaseError, MIGRATIONS, Migration, migrate_database};
pub use reach::Unreachable;
pub use retention::apply_retention;
pub use topics::{TopicError, TopicPlan, create_topics};
