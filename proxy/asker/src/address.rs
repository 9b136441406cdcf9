//! Where a request came from.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

/// The client's address: that of the connection, unless its other end is a trusted proxy, whose word is then taken: the
/// nearest hop that is no trusted proxy itself. `X-Forwarded-For` counts where there is one, else `Forwarded`
/// (RFC 7239).
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut nearest = peer;
    for hop in hops(headers).into_iter().rev() {
        // What lies behind something that is no address was not written by a proxy that we trust.
        let Some(address) = hop else { break };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

/// All hops that the headers name, the nearest last; none for what is no address.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .flat_map(|value| {
                String::from_utf8_lossy(value.as_bytes())
                    .split(',')
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let plain = listed("x-forwarded-for");
    if !plain.is_empty() {
        return plain.iter().map(|hop| address(hop)).collect();
    }
    listed(FORWARDED.as_str())
        .iter()
        .map(|element| forwarded_for(element))
        .collect()
}

/// The `for` parameter of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| address(value.trim().trim_matches('"')))
            .flatten()
    })
}

/// An address, with or without port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let parsed = bare
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = [
            "10.0.0.0/8".parse().expect("a network"),
            "fd00::/8".parse().expect("a network"),
        ];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        client_address(peer.parse().expect("an address"), &map, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_claim_an_address() {
        assert_eq!(from("192.0.2.7", &[("x-forwarded-for", "198.51.100.1")]), "192.0.2.7");
        assert_eq!(from("192.0.2.7", &[("forwarded", "for=198.51.100.1")]), "192.0.2.7");
    }

    #[test]
    fn the_nearest_hop_that_is_not_trusted_counts() {
        assert_eq!(
            from("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.0.0.9")]),
            "198.51.100.1"
        );
        assert_eq!(
            from(
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.1")]
            ),
            "198.51.100.1"
        );
        assert_eq!(
            from(
                "10.0.0.1",
                &[("forwarded", "for=1.1.1.1, For=\"[2001:db8::1]:4711\";proto=https")]
            ),
            "2001:db8::1"
        );
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        assert_eq!(
            from("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.9")]),
            "10.0.0.9"
        );
        assert_eq!(from("10.0.0.1", &[("x-forwarded-for", "")]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(
            from("10.0.0.1", &[("x-forwarded-for", "198.51.100.1:443")]),
            "198.51.100.1"
        );
        assert_eq!(
            from("::ffff:10.0.0.1", &[("x-forwarded-for", "[2001:db8::2]:80")]),
            "2001:db8::2"
        );
    }
}
