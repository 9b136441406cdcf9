//! Redacts, groups, loads and republishes recorded frames.
//!
//! # The life of a batch
//!
//! One plain function, [`batch::Loader::load`], for each partition on its own. Partitions are loaded by
//! [`batch::Loader::begin`], which does the same, but stores a batch (7 to 9) while the next is prepared (2 to 6), and a reader decodes
//! the one after that:
//!
//! 1. **decode** ([`record`]): a record that is no frame goes to the dead-letter topic and leaves a stub row.
//! 2. **drop duplicates** ([`duplicates`]): by (segment, seq); another hash at the same place is a fork, and stays.
//! 3. **sessionize** ([`sessions`], [`calls`]): in the order of the log, so that a replay gives the same sessions and calls.
//! 4. **assemble parts** ([`parts`]): a message that was split is redacted whole.
//! 5. **redact** ([`redaction`]): from here on there are no secrets; rows and events are made of nothing else.
//! 6. **encode** ([`rows`]) once, in the table's order; compressed, unless ClickHouse is on this machine.
//! 7. **insert** ([`sink`]) synchronously, with a token, under a lease, until it succeeds.
//! 8. **publish** ([`publish`]) audit events and dead letters, and wait for every acknowledgement.
//! 9. **commit** the offset ([`group`]).
//!
//! # Exactly once
//!
//! The table is the truth. A consumer that takes a partition over ([`partition`]) waits out the longest lease, ends what
//! inserts still run, and reads back which offsets past the committed one are in `frames`; only their insert is skipped.
//! `README.md` has the argument, fault by fault.

pub mod admin;
pub mod batch;
pub mod budget;
pub mod calls;
pub mod config;
pub mod duplicates;
pub mod erasure;
pub mod group;
pub mod metrics;
pub mod migrate;
pub mod orders;
pub mod partition;
pub mod parts;
pub mod publish;
pub mod record;
pub mod redaction;
pub mod retention;
pub mod rows;
pub mod rules;
pub mod schemas;
pub mod service;
pub mod sessions;
pub mod silence;
pub mod sink;
pub mod source;
pub mod standing;
pub mod stop;
pub mod telemetry;
mod witness;
