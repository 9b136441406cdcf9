//! The whole system, from a client's first byte to the replay of its session. Each module is about one promise.

mod archive;
mod audit;
mod canaries;
mod configuration;
mod conformance;
mod console;
mod conversation;
mod credential;
mod dead_letters;
mod large;
mod operations;
mod outage;
mod programs;
mod redaction;
mod refusals;
mod replicas;
mod sessions;
mod sign_in;
mod tls;
