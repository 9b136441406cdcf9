//! Find and replay recorded sessions.
fn main() {}
