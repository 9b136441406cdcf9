//! Straight to the database, past rights and the access log: for administrators, and only where the flag says so.

mod database;
mod deadletters;
mod replay;
mod sessions;

pub(super) use database::Database;
pub(super) use deadletters::{What as DeadLetters, run as deadletters};
pub(super) use replay::replay;
pub(super) use sessions::list;
