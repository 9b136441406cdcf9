//! The recorder proxy.

pub mod record;
