//! Reads a service's TOML configuration: every error at once, each with its place and a word on what to do.
//!
//! # Life of a configuration file
//!
//! 1. [`read`] takes the file's text and parses it into tables that know where in the file each value stands. Text that
//!    is not TOML is reported as such, and nothing else is looked at.
//! 2. The service walks the tables through [`Section`]: each key it asks for comes back as a [`Field`], which is absent,
//!    given, or wrong. A wrong value is reported where it stands and never stops the walk. A key that nobody asked for
//!    is an unknown key, reported when its [`Section`] is dropped, so that no service can forget to refuse it.
//! 3. The service turns its raw fields into its own validated types: [`Field::required`], [`Field::optional`],
//!    [`Field::or`], [`Field::and_then`]; rules over several keys report through [`Reader::problem`].
//! 4. One problem or more, and [`read`] answers [`Errors`]: all of them, in the order of the file. The service prints
//!    them and exits with [`EXIT_BAD_CONFIG`].
//!
//! ```
//! use std::{net::SocketAddr, time::Duration};
//! use tapedeck_config::{Section, read_text};
//!
//! #[derive(Debug)]
//! struct Config {
//!     listen: SocketAddr,
//!     patience: Duration,
//! }
//!
//! fn build(root: &Section<'_>) -> Option<Config> {
//!     let listen = root.field("listen").required("the address to serve on, such as \"127.0.0.1:8080\"");
//!     let patience = root.field("patience").or(Duration::from_secs(30));
//!     Some(Config { listen: listen?, patience })
//! }
//!
//! let errors = read_text("service.toml", "lisen = 1\npatience = \"30 parsecs\"\n", build).unwrap_err();
//! assert_eq!(errors.len(), 3);
//! assert!(errors.to_string().contains("service.toml:1:1: unknown key `lisen`; did you mean `listen`?"));
//! ```

mod clickhouse;
mod errors;
#[cfg(feature = "kafka")]
mod kafka;
mod reader;
#[cfg(feature = "redaction")]
mod redaction;
mod schema_registry;
mod secret;
mod section;
mod shared_keys;
mod value;

#[cfg(test)]
mod tests;

pub use bytesize::ByteSize;
pub use clickhouse::ClickHouse;
pub use errors::{Errors, Problem};
#[cfg(feature = "kafka")]
pub use kafka::{Kafka, Topics};
pub use reader::{Environment, Reader, read, read_text, read_text_with};
#[cfg(feature = "redaction")]
pub use redaction::{Redaction, token_keys};
pub use schema_registry::SchemaRegistry;
pub use secret::{SecretError, SecretSource};
pub use section::{At, Field, Section};
pub use shared_keys::SharedKeys;
pub use value::{FromToml, Node, OneOrMany};

/// The exit code of a service whose configuration is bad: `EX_USAGE` of `sysexits.h`. Nothing was started.
pub const EXIT_BAD_CONFIG: u8 = 64;
