//! `credential`: what the proxy itself shows to a target. The client's token never goes there.

use std::fmt;

use http::{
    HeaderName, HeaderValue,
    header::{self, AUTHORIZATION},
};
use secrecy::ExposeSecret;
use tapedeck_config::{Reader, SecretSource};
use zeroize::Zeroizing;

use super::raw::{Prefix, RawCredential};

/// Header fields that the transport or the protocol sets on every request, so that no credential can live in them.
const TAKEN: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ORIGIN,
];

/// One header field that is added to every request to a target. Debug shows its name only.
#[derive(Clone)]
pub struct Credential {
    /// The field's name; default `authorization`.
    pub header: HeaderName,
    /// Prefix and secret; marked sensitive.
    pub value: HeaderValue,
    /// Where the secret is held, so that it can be read again.
    pub source: SecretSource,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("header", &self.header)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Credential {
    pub(super) fn build(raw: RawCredential<'_>, reader: &Reader) -> Option<Self> {
        let header = raw.header.and_then(header_name).or(AUTHORIZATION);
        let usual = if header == AUTHORIZATION { "Bearer " } else { "" };
        let prefix = raw
            .prefix
            .and_then(|prefix| prefix_for(prefix, &header))
            .or(usual.to_owned());
        let source = match (raw.env.is_present(), raw.file.is_present()) {
            (true, false) => raw
                .env
                .and_then(|name| secret(SecretSource::Env(name), &prefix, reader)),
            (false, true) => raw
                .file
                .and_then(|path| secret(SecretSource::File(path), &prefix, reader)),
            (both, _) => {
                let found = if both {
                    "both `env` and `file`"
                } else {
                    "neither `env` nor `file`"
                };
                reader.problem(
                    raw.span,
                    format!("`credential` has {found}; give one, which holds the secret"),
                );
                return None;
            }
        };
        let (source, value) = source.optional()?;
        Some(Self { header, value, source })
    }
}

fn header_name(name: String) -> Result<HeaderName, String> {
    let header: HeaderName = name
        .parse()
        .map_err(|_| format!("{name:?} is not the name of a header field"))?;
    if TAKEN.contains(&header) || header.as_str().starts_with("mcp-") || header.as_str().starts_with("proxy-") {
        return Err(format!(
            "{name:?} is set by the protocol itself; choose another header field"
        ));
    }
    Ok(header)
}

fn prefix_for(Prefix(prefix): Prefix, header: &HeaderName) -> Result<String, String> {
    if header == AUTHORIZATION && !prefix.is_empty() && !prefix.ends_with(' ') {
        return Err(format!(
            "a scheme is followed by a space: write {:?}",
            format!("{prefix} ")
        ));
    }
    Ok(prefix)
}

/// The header field's value. Nothing of it is repeated in an error.
fn secret(source: SecretSource, prefix: &str, reader: &Reader) -> Result<(SecretSource, HeaderValue), String> {
    let secret = source.text(reader.environment()).map_err(|error| error.to_string())?;
    let value = Zeroizing::new(format!("{prefix}{}", secret.expose_secret()));
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| format!("{source} holds characters that cannot stand in a header field, such as a line break"))?;
    value.set_sensitive(true);
    Ok((source, value))
}
