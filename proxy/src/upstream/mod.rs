//! The target's side: connections, headers, and the one place from which anything is ever sent to a target.

mod bridge;
mod client;
mod connect;
mod credential;
mod forward;
mod headers;
mod http2;
mod idle;
mod listening;
mod pool;

pub(crate) use client::{BodyError, SendError, UpstreamAnswer, UpstreamBody};
pub(crate) use credential::{CredentialError, Stored, basic_login};
pub(crate) use forward::{Asked, LAST_EVENT_ID, SESSION_ID, Upstream, forward};
pub(crate) use headers::{for_client, is_token_text};
