//! Avro binary, written by hand for the records on the hot path: field by field, without a tree.
//!
//! Field order is the schema's. A test compares every byte with `apache-avro`.

mod audit;
mod control;
mod frame;
mod read;
mod write;

pub(crate) use audit::encode_audit;
pub(crate) use control::{decode_control, encode_control};
pub(crate) use frame::{decode_frame, encode_frame};
pub use read::Malformed;
