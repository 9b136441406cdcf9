//! What the head of a request says, before anything of its body was read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HOST, ORIGIN, TRANSFER_ENCODING, USER_AGENT};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use tapedeck_asker::address::client_address;
use tapedeck_schemas::{Client, Frame, Http, Protocol};
use tokio::time::Instant;
use uuid::{Builder, Uuid};

use crate::config::{Hosts, Origins};
use crate::identity::Principal;
use crate::listen::Peer;
use crate::proxy::{Proxy, Route};
use crate::upstream::is_token_text;

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest revision, in bytes: they are dates.
const LONGEST_REVISION: usize = 64;
/// Longest user agent that is recorded, in bytes.
const LONGEST_USER_AGENT: usize = 512;
/// The first revision without sessions, and in which closing a stream cancels.
const MODERN: &str = "2026-07-28";

/// What every frame of the exchange says.
pub(super) fn common_frame(proxy: &Proxy, route: &Route, peer: Peer, head: &Parts) -> Frame {
    let headers = &head.headers;
    let address = client_address(
        peer.address.ip(),
        headers,
        &proxy.config.trusted_proxies,
        proxy.config.client_address_header,
    );
    Frame {
        exchange_id: new_id(),
        target: route.target.name.clone(),
        client: Client {
            address: address.to_string(),
            user_agent: text_of(headers, &USER_AGENT, LONGEST_USER_AGENT),
            ..Client::default()
        },
        protocol: Protocol {
            revision: revision_of(headers).map(str::to_owned),
            transport: peer.transport.to_owned(),
            session_hash: None,
        },
        http: Http {
            method: Some(head.method.as_str().to_owned()),
            ..Http::default()
        },
        traceparent: text_of(headers, &TRACEPARENT, 64),
        ..Frame::default()
    }
}

/// A UUIDv7 (RFC 9562, section 5.7) of now. `Uuid::now_v7` takes a lock that all threads share, and asks the kernel for
/// its random bits each time.
fn new_id() -> Uuid {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

/// A header as text, cut to `longest` bytes.
pub(super) fn text_of(headers: &HeaderMap, name: &HeaderName, longest: usize) -> Option<String> {
    let mut text = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
    }
    Some(text)
}

/// No Origin, as from everything but browsers, or one that is configured. A page of any other origin may not use a
/// browser's way to the proxy (MCP, Streamable HTTP, "Security Warning").
pub(super) fn origin_is_allowed(headers: &HeaderMap, origins: &Origins) -> bool {
    headers
        .get_all(ORIGIN)
        .iter()
        .all(|origin| origins.allow(origin.as_bytes()))
}

/// The host that the client believes to talk to: the request line's authority (HTTP/2), else the one `Host` field. A
/// browser that was led here by a name of somebody else's (DNS rebinding) says that name.
pub(super) fn host_is_allowed(head: &Parts, hosts: &Hosts) -> bool {
    let mut fields = head.headers.get_all(HOST).iter();
    let named = match (head.uri.authority(), fields.next()) {
        (Some(authority), _) => Some(authority.clone()),
        (None, Some(field)) => Authority::try_from(field.as_bytes()).ok(),
        // HTTP/1.0; no browser speaks it.
        (None, None) => return head.version < Version::HTTP_11,
    };
    fields.next().is_none() && named.is_some_and(|name| hosts.allow(name.host()))
}

/// Whether the head is within its limit: hyper's buffer may be larger than that by what one read brings.
pub(super) fn fits(head: &Parts, longest: usize) -> bool {
    let line = head.method.as_str().len() + head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + fields.sum::<usize>() <= longest
}

/// Whether the body is in chunks at most. Another coding would hide what it says, and with two of them something on the
/// way may have seen another end of it (RFC 9112, section 6.3). Beside `Content-Length`, hyper goes by the chunks and
/// closes the connection.
pub(super) fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_plain) && codings.next().is_none()
}

/// With two, the proxy and the target might each go by another.
pub(super) fn names_one_revision_at_most(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(PROTOCOL_VERSION).iter();
    named.next().is_none_or(|value| is_token_text(value, LONGEST_REVISION)) && named.next().is_none()
}

/// The revision that the header names, where it names one.
pub(super) fn revision_of(headers: &HeaderMap) -> Option<&str> {
    let named = headers.get(PROTOCOL_VERSION)?;
    is_token_text(named, LONGEST_REVISION)
        .then(|| named.to_str().ok())
        .flatten()
}

/// When the token's word is over, on the clock that waits; a `grace` later where there is one.
pub(super) fn expiry(principal: &Principal, grace: Duration) -> Instant {
    // A token for longer than this is cut, too: some clocks overflow.
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let left = principal.expires.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_add(grace).min(LONGEST)
}

/// Revisions are dates, and order as text.
pub(super) fn is_modern(revision: &str) -> bool {
    revision.len() == MODERN.len()
        && revision
            .as_bytes()
            .iter()
            .all(|&byte| byte == b'-' || byte.is_ascii_digit())
        && revision >= MODERN
}
