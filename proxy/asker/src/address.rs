//! Where a request came from.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

/// The header field in which trusted proxies write where a request came from. They write only one, and pass on the other
/// as the client sent it: so only one is ever believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl AddressHeader {
    /// The field of this name, upper and lower case alike.
    ///
    /// # Errors
    /// A name that is neither; says which there are.
    pub fn named(name: String) -> Result<Self, &'static str> {
        match name.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err("it is \"X-Forwarded-For\" or \"Forwarded\""),
        }
    }

    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => FORWARDED,
        }
    }

    /// The address of one element of the field's list, if it has one.
    fn address(self, element: &str) -> Option<IpAddr> {
        match self {
            Self::XForwardedFor => address(element),
            Self::Forwarded => forwarded_for(element),
        }
    }
}

/// The client's address: that of the connection, unless its other end is a trusted proxy, whose word in `header` is then
/// taken: the nearest hop that is no trusted proxy itself.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet], header: AddressHeader) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut nearest = peer;
    for hop in hops(headers, header).into_iter().rev() {
        // What lies behind something that is no address was not written by a proxy that we trust.
        let Some(address) = hop else { break };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

/// All hops that the header names, the nearest last; none for what is no address.
fn hops(headers: &HeaderMap, header: AddressHeader) -> Vec<Option<IpAddr>> {
    let mut hops = Vec::new();
    for value in headers.get_all(header.name()) {
        let text = String::from_utf8_lossy(value.as_bytes());
        hops.extend(text.split(',').map(|element| header.address(element)));
    }
    hops
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
        let header = match headers.first() {
            Some(("forwarded", _)) => AddressHeader::Forwarded,
            _ => AddressHeader::XForwardedFor,
        };
        from_by(header, peer, headers)
    }

    fn from_by(header: AddressHeader, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = [
            "10.0.0.0/8".parse().expect("a network"),
            "fd00::/8".parse().expect("a network"),
        ];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        client_address(peer.parse().expect("an address"), &map, &trusted, header).to_string()
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
    fn a_header_that_the_trusted_proxy_does_not_write_is_the_clients_own_word() {
        let both = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=198.51.100.1")];
        assert_eq!(from_by(AddressHeader::Forwarded, "10.0.0.1", &both), "198.51.100.1");
        assert_eq!(from_by(AddressHeader::XForwardedFor, "10.0.0.1", &both), "1.1.1.1");
        assert_eq!(from_by(AddressHeader::Forwarded, "10.0.0.1", &both[..1]), "10.0.0.1");
        assert_eq!(
            from_by(AddressHeader::XForwardedFor, "10.0.0.1", &both[1..]),
            "10.0.0.1"
        );
    }

    #[test]
    fn a_header_is_named_in_any_case_and_no_other_is_one() {
        assert_eq!(
            AddressHeader::named("X-FORWARDED-for".to_owned()),
            Ok(AddressHeader::XForwardedFor)
        );
        assert_eq!(
            AddressHeader::named("forwarded".to_owned()),
            Ok(AddressHeader::Forwarded)
        );
        assert!(AddressHeader::named("X-Real-IP".to_owned()).is_err());
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
