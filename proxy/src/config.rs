//! The proxy's configuration: what may stand in the file ([`raw`]), and what the rest of the proxy is given ([`valid`]).
//!
//! Every key, with its default, is explained in `deploy/examples/proxy.toml`, which a test reads.

mod audience;
mod certificates;
mod clients;
mod credential;
mod dpop;
mod endpoint;
mod introspection;
mod issuer;
pub mod limits;
mod public_url;
mod raw;
mod sessions;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod valid;

pub use audience::Audience;
pub use certificates::{ClientCertificates, ServerTls, Tls};
pub use clients::{Hosts, Origins};
pub use credential::{Credential, CredentialSource, Grant, OAuth};
pub use dpop::Dpop;
use dpop::dpop;
pub use endpoint::{Endpoint, Per, Program};
pub use introspection::{Introspected, Introspection};
pub use issuer::{ClaimPath, GroupsFrom, Issuer, Tenant};
pub use limits::{Limits, Rate};
pub use public_url::PublicUrl;
pub use target::{Allow, Record, Target};
pub use valid::Config;
