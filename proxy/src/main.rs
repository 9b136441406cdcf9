//! The recorder proxy.
fn main() {}
