//! `tapedeck-consumer migrate`: brings database and topics to what this version needs.
//!
//! Both halves may run again at any time: what is there already is left alone, and what differs is an error.

mod database;
mod reach;
mod statements;
mod topics;

pub use database::{DatabaseError, MIGRATIONS, Migration, migrate_database};
pub use reach::Unreachable;
pub use topics::{TopicError, TopicPlan, create_topics};
