//! `tapedeck`: find recorded sessions, replay, export and run them again, or serve them over HTTP.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    tapedeck_console::command::run().await
}
