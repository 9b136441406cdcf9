//! Cookies that only this origin can have set (`__Host-`, RFC 6265bis, section 4.1.3.2).

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The browser's session.
pub(super) const SESSION: &str = "__Host-tapedeck";
/// A sign-in that is under way.
pub(super) const SIGN_IN: &str = "__Host-tapedeck-sign-in";
/// The session's ID token, which goes nowhere but [`HINT_PATH`]. A page of another host under the same domain could set one
/// (`__Secure-` does not forbid it): its seal is then another session's, or none.
pub(super) const HINT: &str = "__Secure-tapedeck-hint";
/// Where the ID token is wanted.
pub(super) const HINT_PATH: &str = "/auth/sign-out";

/// The cookie's value. None where there are two: one of them was not set by us.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut found = fields
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// Not for scripts, not over plain HTTP, and not with requests that another site's page makes, its links excepted: the way
/// back from the provider is one.
pub(super) fn set(name: &str, value: &str, lasts: Duration) -> HeaderValue {
    let path = if name == HINT { HINT_PATH } else { "/" };
    let text = format!(
        "{name}={value}; Path={path}; Secure; HttpOnly; SameSite=Lax; Max-Age={}",
        lasts.as_secs()
    );
    HeaderValue::from_str(&text).expect("names and base64url values make a header field")
}

/// Makes the browser forget it.
pub(super) fn clear(name: &str) -> HeaderValue {
    set(name, "", Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;
    use http::header::COOKIE;

    use super::{SESSION, find, set};

    #[test]
    fn a_cookie_is_found_among_others_and_not_when_there_are_two() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; __Host-tapedeck=abc; b=2".parse().expect("a field"));
        assert_eq!(find(&headers, SESSION), Some("abc"));
        headers.append(COOKIE, "__Host-tapedeck=def".parse().expect("a field"));
        assert_eq!(find(&headers, SESSION), None);
    }

    #[test]
    fn scripts_other_sites_and_plain_http_do_not_get_it() {
        let cookie = set(SESSION, "x", Duration::from_secs(60));
        let cookie = cookie.to_str().expect("text");
        for word in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(cookie.contains(word), "{word}");
        }
        assert!(!cookie.contains("Domain"));
    }
}
