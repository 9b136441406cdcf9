//! Redacts, groups, loads and republishes recorded frames.

pub mod migrate;
pub mod publish;
