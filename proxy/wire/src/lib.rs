//! Parsers of what clients and targets send.
//!
//! Everything here reads bytes that a stranger chose, so everything here is pure: no I/O, no clock, no allocation that
//! grows with the input beyond a stated limit, and no panic on any input. The proxy forwards and records the bytes as
//! they came; these parsers only *look*, so that the two uses can never disagree about what was sent.
//!
//! - [`envelope`]: what a JSON-RPC message is (kind, id, method, name), without building a tree, strict about
//!   everything that would let two parsers see two different calls.
//! - [`events`]: where the events of a server-sent-events stream begin and end, piece by piece, so that each can be
//!   recorded before it is released.

pub mod envelope;
pub mod events;
mod json;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
