//! The recorder proxy.

pub mod session_tag;
