//! Redacts, groups, loads and republishes recorded frames.
