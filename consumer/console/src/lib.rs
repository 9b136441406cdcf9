//! `tapedeck serve`: recordings over HTTP, for people and programs; and [`command`], the program `tapedeck` as a whole.
//!
//! # Life of a look
//!
//! 1. [`serve`] accepts the connection, and a request gets its id, its client's address and, with whatever is answered,
//!    the security header fields.
//! 2. Who is asking: a browser's session cookie or a bearer token becomes a user, of whom the configured groups make a
//!    `Scope`: own sessions, named tenants, or everything. Nothing else makes one.
//! 3. Every query is a `Select`, which cannot be made without a `Scope` and carries its condition. Its text is made of
//!    constants alone; what the client said travels beside it, as parameters.
//! 4. What a query finds is `Recorded`, which nobody can open. Only the access log can: it writes who saw what, and
//!    gives the content away when ClickHouse has the row. Where it cannot, the client gets a 503 and nothing else.
//! 5. An export is a row before its first byte, and its last bytes wait for a second row that says how much it was and
//!    what it hashes to.
//! 6. Refusals are rows, too. An answer that says neither that it is on the access log nor that it holds nothing recorded
//!    does not leave.

pub mod command;
mod moment;
pub mod serve;
mod show;
mod text;
