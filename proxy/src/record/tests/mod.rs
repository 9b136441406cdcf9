//! Tests of the recorder's parts. Against a real broker: `proxy/tests/recorder.rs`.

mod backlog;
mod model;
mod oracle;
mod segments;
mod spooling;
mod standby;
