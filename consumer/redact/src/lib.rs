//! Finds secrets and personal data in JSON, and writes masks or tokens in their place; pure: no I/O, no clock, no randomness.
//!
//! # The life of a body
//!
//! 1. [`Redactor::redact`] checks its size and that it is UTF-8.
//! 2. It is cut into JSON tokens by position, without a tree. What is not JSON is dropped, unless the [`Context`] says
//!    that it is text.
//! 3. Each key and string is decoded, with a map from the text's offsets to the source's. A string that is JSON itself
//!    is walked in the same way, to a bounded depth.
//! 4. One automaton over all keywords says which rules are worth trying on a text; their regexes propose, their
//!    validators decide. Values of members named like credentials go whole, and numbers are searched by their digits.
//! 5. What stands in for findings (a mask, a token: policies say for whom) is spliced into the source, so that everything
//!    else keeps its bytes, and the text is searched again until nothing is left to find.
//!
//! A body that comes in chunks takes the same way in a [`Stream`], from comma to comma.
//!
//! What comes out is a [`Redacted`], which nobody else can make with bytes in it: code that stores or publishes takes
//! it instead of bytes. It fails closed: a body that is too large, too deep, too costly or unreadable is dropped, and
//! says so.

mod action;
mod active;
mod block;
mod canonical;
mod config;
mod context;
mod document;
mod edit;
mod encoded;
mod engine;
mod fold;
mod key_names;
mod keyring;
mod number;
mod pack;
mod path;
mod place;
mod policy;
mod reach;
mod redacted;
mod rules;
mod scan;
mod stream;
mod text;
mod tokens;
mod trial;
mod triggers;
mod validate;

pub use action::Action;
pub use config::{Config, ConfigError, Limits, Pack, Problem};
pub use context::{Content, Context, Direction};
pub use engine::Redactor;
pub use keyring::{KeyError, TokenKey};
pub use pack::Confidence;
pub use policy::Policy;
pub use redacted::{DropReason, Finding, Mark, Outcome, Redacted, RedactedText};
pub use stream::Stream;
pub use trial::Failure;
