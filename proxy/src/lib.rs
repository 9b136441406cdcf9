//! The recorder proxy.

pub mod config;
pub mod identity;
pub mod session_tag;
