//! The recorder proxy.
