//! Writers that go away without a goodbye, and what becomes of the calls that they leave open.
//!
//! Every writer states on the control topic, every ten seconds, what it has recorded, and says goodbye when it ends. So:
//!
//! 1. Each consumer listens to the whole control topic ([`listen`]). Only what it has heard itself counts, by its own
//!    monotonic clock: a writer is silent when the topic was read to its end, again and again over the whole span, and
//!    held no word of it. A consumer that was away, or could not reach the brokers, starts counting anew.
//! 2. Each partition watches the writers of its frames ([`Watch`]). One that is silent is gone once all frames are loaded
//!    that the partition held *after* the silence had lasted: no answer of it can be in the log any more.
//! 3. Then the table says which of its calls are open. Each is published as an event of its own, then noted in
//!    `unknown_calls`, then the writer is noted as settled. A crash in between repeats the steps: event ids are made of the
//!    request's place, and so is the row's.
//!
//! Nothing is written to the raw topic. A writer that was only cut off for a while may still record the real end: that is
//! loaded and published like any other, and wins in `calls_v`.

mod hearing;
mod listen;
mod watch;

#[cfg(test)]
mod tests;

pub use hearing::{Hearing, Word};
pub use listen::Listener;
pub use watch::{Gone, Watch};
