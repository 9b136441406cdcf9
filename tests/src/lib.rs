//! What the tests of the whole system are made of: real parts, a proxy and a consumer for each test, and oracles.
//!
//! # The life of a test
//!
//! 1. [`run`] runs its body on the one runtime of the test binary, which outlives every test.
//! 2. [`parts`] has a broker, ClickHouse, an identity provider and the MCP servers: real ones, brought up by whichever test
//!    comes first, shared by all, and gone with the process.
//! 3. [`Deck`] is a proxy and a consumer as users run them, with topics and a database of the test's own.
//! 4. [`Client`] talks to the proxy as any HTTP client might; [`tapedeck_dev::mcp::Visit`] is the official SDK's client.
//! 5. [`Deck::finish`] stops the proxy in order, waits until everything is loaded, and holds the whole record against the
//!    oracles: what it returns, a [`Tape`], is sound. A test then says what must be on it.
//!
//! Nothing is tried again, and nothing sleeps in the hope that something has happened: [`until`] asks until it has.

pub mod archive;
pub mod canaries;
mod client;
mod deck;
pub mod faults;
pub mod measure;
pub mod oracle;
mod parts;
pub mod sample;
mod tape;
pub mod tokens;
mod until;

pub use client::{Answer, Client};
pub use deck::{Deck, DeckOptions, loaded};
pub use parts::{AUDIENCE, Parts, parts, run, target};
pub use tape::Tape;
pub use until::{metric_is, until, within};
