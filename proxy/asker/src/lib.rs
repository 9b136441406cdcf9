//! Who asks, and from where: what the proxy and the console have in common of it.
//!
//! - [`address`]: the client's address behind trusted proxies.
//! - [`issuer`]: asking an issuer over HTTP, and which of its keys count.
//! - [`jws`]: the compact form of a signed JSON object, parsed strictly.
//! - [`strict_json`]: JSON objects in which no name stands twice.

pub mod address;
pub mod issuer;
pub mod jws;
pub mod strict_json;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
