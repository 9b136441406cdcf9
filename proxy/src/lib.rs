//! The recorder proxy.

pub mod config;
pub mod identity;
