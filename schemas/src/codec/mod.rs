//! Avro binary, written by hand for the two records on the hot path: field by field, without a tree.
//!
//! Field order is the schema's. A test compares every byte with `apache-avro`.

mod control;
mod frame;
mod read;
mod write;

pub(crate) use control::{decode_control, encode_control};
pub(crate) use frame::{decode_frame, encode_frame};
pub use read::Malformed;
