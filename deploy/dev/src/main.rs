//! Provisions the real parts that development and tests run on.
fn main() {}
