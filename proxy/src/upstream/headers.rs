//! Which headers pass, and which do not.
//!
//! Everything end-to-end passes, known or not, so that later revisions of MCP work, less what would undo the proxy:
//! the client's credentials, what names the client's own connection, and what would make bodies unreadable.

use http::header::{
    ACCEPT_ENCODING, ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED,
    HOST, HeaderName, LOCATION, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue};

/// Of one connection only (RFC 9110, 7.6.1, and what it names as obsolete).
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What of the client's headers never reaches a target.
const NOT_UPSTREAM: [HeaderName; 20] = [
    // The client's credentials are for the proxy alone.
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("dpop"),
    // Whose certificate it was is for the proxy alone to say, and to nobody (RFC 9440, section 2.4).
    HeaderName::from_static("client-cert"),
    HeaderName::from_static("client-cert-chain"),
    // An encoded answer could not be recorded as what it says.
    ACCEPT_ENCODING,
    // hyper writes these for the request that it sends.
    HOST,
    CONTENT_LENGTH,
    TRAILER,
    // Answered by hyper already.
    EXPECT,
    // The proxy has checked it; the target knows only its own origin, and would refuse this one.
    ORIGIN,
    FORWARDED,
    VIA,
    // Some servers let these stand for the method or the path: the target would do something else than is on record.
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// What of a target's headers never reaches a client.
const NOT_DOWNSTREAM: [HeaderName; 10] = [
    TRAILER,
    // Cookies are not passed up either: what a target ties to one is tied to the proxy's own credential.
    SET_COOKIE,
    // Challenges of another authorization domain: a client that answered one would send its token's issuer astray.
    WWW_AUTHENTICATE,
    PROXY_AUTHENTICATE,
    // A nonce of another server's: the client's next proof would be for that.
    HeaderName::from_static("dpop-nonce"),
    // Would lead the client around the proxy, and its token with it.
    ALT_SVC,
    LOCATION,
    HeaderName::from_static("refresh"),
    // Written anew, from what is sent.
    CONTENT_LENGTH,
    // `identity` at most; everything else is refused.
    CONTENT_ENCODING,
];

/// The client's headers as the target gets them. Host, session and credential are the caller's to add.
pub(crate) fn for_target(headers: &HeaderMap) -> HeaderMap {
    passed(headers, |name| {
        let text = name.as_str();
        // CGI, and what descends from it, takes `mcp_session_id` for `mcp-session-id`: it would pass without its tag.
        NOT_UPSTREAM.contains(name) || text.starts_with("x-forwarded-") || text == "x-real-ip" || text.contains('_')
    })
}

/// The target's headers as the client gets them.
pub(crate) fn for_client(headers: &HeaderMap) -> HeaderMap {
    // Which pages may read the answer is the proxy's to say: the target knows neither its own clients nor their origins.
    passed(headers, |name| {
        NOT_DOWNSTREAM.contains(name) || name.as_str().starts_with("access-control-")
    })
}

fn passed(headers: &HeaderMap, dropped: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named: Vec<&str> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut out = HeaderMap::with_capacity(headers.len() + 3);
    for (name, value) in headers {
        let of_connection =
            HOP_BY_HOP.contains(name) || named.iter().any(|one| name.as_str().eq_ignore_ascii_case(one));
        if !of_connection && !dropped(name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

/// Whether a header's value is visible ASCII of at most `longest` bytes, and not empty.
pub(crate) fn is_token_text(value: &HeaderValue, longest: usize) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= longest && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_mcp_needs_reaches_the_target_and_what_is_the_clients_own_does_not() {
        let sent = headers(&[
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2025-06-18"),
            ("mcp-method", "tools/call"),
            ("mcp-param-region", "eu"),
            ("last-event-id", "7"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("user-agent", "test"),
            ("authorization", "Bearer secret"),
            ("dpop", "proof"),
            ("client-cert", ":Y2VydA==:"),
            ("client-cert-chain", ":Y2VydA==:"),
            ("cookie", "a=b"),
            ("accept-encoding", "gzip"),
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
            ("origin", "https://mcp.example"),
            ("host", "mcp.example"),
            ("connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("mcp_session_id", "another's"),
            ("x_api_key", "the client's"),
            ("x-http-method-override", "DELETE"),
            ("keep-alive", "timeout=5"),
        ]);
        let mut passed: Vec<String> = for_target(&sent).keys().map(|name| name.as_str().to_owned()).collect();
        passed.sort();
        let expected = [
            "accept",
            "content-type",
            "last-event-id",
            "mcp-method",
            "mcp-param-region",
            "mcp-protocol-version",
            "traceparent",
            "user-agent",
        ];
        assert_eq!(passed, expected);
    }

    #[test]
    fn a_targets_cookies_challenges_and_redirections_do_not_reach_the_client() {
        let sent = headers(&[
            ("content-type", "application/json"),
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer realm=\"target\""),
            ("mcp-session-id", "s"),
            ("location", "http://target.internal/mcp/"),
            ("refresh", "0; url=http://target.internal/"),
            ("transfer-encoding", "chunked"),
            ("access-control-allow-origin", "*"),
        ]);
        let mut passed: Vec<String> = for_client(&sent).keys().map(|name| name.as_str().to_owned()).collect();
        passed.sort();
        assert_eq!(passed, ["content-type", "mcp-session-id"]);
    }
}
