//! The recorder proxy: it stands between MCP clients and MCP servers and puts every message on record before it passes.
//!
//! # The life of a frame
//!
//! A request runs through one function, `serve` in `request.rs`, in this order; each phase needs what the one before proved.
//!
//! 1. **Accept.** [`start()`] listens; `listen` does TLS, HTTP/1.1 and HTTP/2. Each exchange runs in a task of its own, so
//!    it does not die with its client's connection.
//! 2. **Route.** `/{target}/mcp`. A page of a foreign origin is refused here.
//! 3. **Authenticate.** [`identity`] makes a [`identity::Principal`] of the access token and of what it is bound to, or there
//!    is none.
//! 4. **Authorize.** The principal's groups against the target: [`identity::Authorized`], or 403.
//! 5. **Read.** The message, at most [`config::Limits::request_body`].
//! 6. **Envelope.** Kind, method, id and name are taken from it without building a tree. What two parsers could read as
//!    two calls is refused.
//! 7. **Session.** [`session_tag`] verifies whose session it is and takes the tag off.
//! 8. **Record.** `ends` makes the frames and [`record`] seals and publishes them, in parts of
//!    [`tapedeck_schemas::MAX_PART`].
//! 9. **Durable.** The broker has acknowledged every part. Only that makes the proof which step 10 demands.
//! 10. **Forward.** `upstream`, once at most, with the target's credential and without the client's.
//! 11. **Answer.** `answer` records each piece (a part of a body, an event of a stream) and releases it when it is
//!     durable. What is released are the target's bytes.
//! 12. **End.** One frame of the exchange says how it ended; where none could, an `exchange_end` says it.
//!
//! A refusal before step 8 is one frame of kind `refused` that no client waits for.
//!
//! # What a client's 200 promises about the record
//!
//! A client that has received an answer, or any byte of the body of one, may rely on this: the broker has
//! acknowledged, with every in-sync replica, the whole request and every byte of the answer up to that one. With `record =
//! "spooled"`, while Kafka is away, the [`spool`] has synced them; with `"best_effort"` nothing is promised but that what is
//! lost is counted. An answer that ends cleanly is on record to its end. One that breaks off may be on record further than the client saw it, never less.
//! An event stream's head is released at once, before its first event: it promises the request, nothing more.
//!
//! A 503 with `error.data.reason` promises that the target has seen nothing. A 502 says that it may have, or, where it
//! says "executed, answer withheld", that it has.

mod admin;
mod answer;
mod client_side;
pub mod config;
mod cors;
mod ends;
mod gate;
pub mod identity;
mod listen;
mod metrics;
mod proxy;
pub mod record;
mod refusal;
mod reload;
mod request;
mod route;
mod served;
pub mod session_tag;
mod socket;
pub mod spool;
mod start;
mod telemetry;
mod upstream;
mod workers;

pub use reload::{ReloadError, Reloader};
pub use start::{Running, StartError, start};
