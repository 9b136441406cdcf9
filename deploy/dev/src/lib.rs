//! Provisions the real parts that development and tests run on: brokers, ClickHouse, and our own binaries.
//!
//! What a reader must know:
//!
//! - Everything that is installed, stored or logged goes to one git-ignored [`folder`], `.tapedeck/`.
//! - Every server is a [`process::Child`]: it ends with the value that stands for it, and with us, however we end.
//! - A part that has started is ready: it has answered a real request. One that ends meanwhile is an error that quotes its log.
//! - Nothing falls back silently. Where a choice is made, it is reported as a [`progress::Step::Note`]; where something is
//!   missing, the error says how to get it.
//! - The library never prints: who calls it hears of its steps through [`progress::Progress`].

pub mod binaries;
pub mod broker;
mod cargo;
pub mod checkout;
pub mod chromium;
pub mod clickhouse;
pub mod collector;
pub mod fetch;
pub mod folder;
pub mod identity;
pub mod keycloak;
pub mod ledger;
pub mod mcp;
pub mod node;
pub mod ports;
pub mod prerequisites;
pub mod process;
pub mod progress;
pub mod registry;
pub mod schemathesis;
pub mod services;
pub mod stack;
