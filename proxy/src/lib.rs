//! The recorder proxy.

pub mod config;
pub mod identity;
pub mod record;
pub mod session_tag;
