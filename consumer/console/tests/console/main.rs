//! The console on real parts: ClickHouse, the identity provider, and HTTP as browsers and programs speak it.

mod access_log;
mod archive;
mod browser;
mod browser_sessions;
mod command_line;
mod described;
mod exports;
mod injection;
mod pages;
mod reading;
mod recordings;
mod rights;
mod sign_in;
mod sql_looks;
mod stack;
mod tls;
mod values;
