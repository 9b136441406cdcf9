//! Whether the headers that repeat what a message says (MCP 2026-07-28, Streamable HTTP, "Standard headers") say the same.
//!
//! Load balancers and gateways decide by the headers, servers by the body. A request that tells the two different things
//! would be one call on record and another one where it is decided, so it goes nowhere: 400 and -32020.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use tapedeck_wire::envelope::{Envelope, Kind, Limits};

use super::head::PROTOCOL_VERSION;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What surrounds a value that is no visible ASCII.
const ENCODED: (&[u8], &[u8]) = (b"=?base64?", b"?=");

/// How header and message differ. No value of either is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error("{0} is given twice")]
    Repeated(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} says something else than the message")]
    Different(&'static str),
    #[error("a batch cannot agree with headers about one message")]
    Batch,
}

/// Checks what the headers say of the message. In the `modern` revisions they must say it; in the others what they say
/// must be true all the same, since something on the way may act on it.
pub(super) fn check(headers: &HeaderMap, envelope: &Envelope, modern: bool) -> Result<(), Mismatch> {
    if modern && envelope.kind == Kind::Batch {
        return Err(Mismatch::Batch);
    }
    // A notification's and an answer's headers are not defined: they may be missing.
    let must = modern && envelope.kind == Kind::Request;
    let method = one_of(headers, &METHOD, "Mcp-Method")?;
    let name = one_of(headers, &NAME, "Mcp-Name")?;
    check_revision(headers, envelope)?;
    match (method, &envelope.method) {
        (Some(header), Some(method)) if header.as_bytes() == method.as_bytes() => {}
        (Some(_), _) => return Err(Mismatch::Different("Mcp-Method")),
        (None, _) if must => return Err(Mismatch::Missing("Mcp-Method")),
        (None, _) => {}
    }
    let bears_a_name = matches!(
        envelope.method.as_deref(),
        Some("tools/call" | "prompts/get" | "resources/read")
    );
    match (name, envelope.name.as_deref()) {
        (Some(header), Some(name)) if is_whole(envelope, name) && says(header, name) => Ok(()),
        (Some(_), Some(_)) => Err(Mismatch::Different("Mcp-Name")),
        // Other methods may be repeated there by something that this scanner does not know.
        (Some(_), None) if bears_a_name => Err(Mismatch::Different("Mcp-Name")),
        (None, Some(_)) if must && bears_a_name => Err(Mismatch::Missing("Mcp-Name")),
        _ => Ok(()),
    }
}

/// The revision in `_meta` is the header's. A handshake names the one that it asks for, which is another thing.
fn check_revision(headers: &HeaderMap, envelope: &Envelope) -> Result<(), Mismatch> {
    const NAMED: &str = "MCP-Protocol-Version";
    let in_body = envelope
        .protocol_version
        .as_deref()
        .filter(|_| envelope.method.as_deref() != Some("initialize"));
    match (one_of(headers, &PROTOCOL_VERSION, NAMED)?, in_body) {
        (Some(header), Some(revision)) if header.as_bytes() == revision.as_bytes() => Ok(()),
        (Some(_), Some(_)) => Err(Mismatch::Different(NAMED)),
        (None, Some(_)) => Err(Mismatch::Missing(NAMED)),
        (_, None) => Ok(()),
    }
}

fn one_of<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    label: &'static str,
) -> Result<Option<&'a HeaderValue>, Mismatch> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Mismatch::Repeated(label)),
    }
}

/// Whether the scanner kept all of the name: a cut one could agree with a header that is cut in the same place.
fn is_whole(envelope: &Envelope, name: &str) -> bool {
    // A cut falls between characters, of which none is longer than four bytes.
    !envelope.truncated || name.len() + 4 < Limits::CLIENT.name
}

fn says(header: &HeaderValue, name: &str) -> bool {
    let value = header.as_bytes();
    let encoded = value
        .strip_prefix(ENCODED.0)
        .and_then(|value| value.strip_suffix(ENCODED.1));
    match encoded {
        // Another spelling of the same bytes would be decoded by some, and compared as it stands by others.
        Some(encoded) => STANDARD.decode(encoded).is_ok_and(|decoded| decoded == name.as_bytes()),
        None => value == name.as_bytes(),
    }
}

#[cfg(test)]
mod tests;
