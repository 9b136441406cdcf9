//! Who is asking: a browser that has signed in, or a program with a bearer token.

mod browser;
mod caller;
mod cookie;
mod ended;
mod programs;
mod provider;
mod seal;
mod sign_in;
mod token;
mod user;

pub(super) use browser::BrowserSessions;
pub(super) use caller::{Caller, same_site};
pub(super) use programs::{__path_programs, programs};
pub use provider::ClientError;
pub(super) use provider::Provider;
pub(super) use seal::Seals;
pub(super) use sign_in::{__path_callback, __path_sign_in, __path_sign_out, SignIns, callback, sign_in, sign_out};
pub(super) use user::User;
