//! `allowed_origins` and `allowed_hosts`: the pages that may use the proxy, and the names under which clients know it.

use std::net::IpAddr;

use super::PublicUrl;

/// The origins (RFC 6454) whose pages may use the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// The proxy's own, and those that are configured.
    pub(super) fn new(own: &PublicUrl, more: Vec<String>) -> Self {
        let mut all = more;
        all.push(own.origin().to_owned());
        Self(all)
    }

    /// Whether a page of this origin, as an `Origin` field has it, may use the proxy.
    pub fn allow(&self, origin: &[u8]) -> bool {
        self.0.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(origin))
    }
}

/// The names under which clients know the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// That of `public_url`, and those that are configured.
    pub(super) fn new(own: &PublicUrl, more: Vec<String>) -> Self {
        let mut all = more;
        all.push(own.host().to_owned());
        Self(all)
    }

    /// Whether a client may believe to talk to this host, without its port. An address is nobody's name: no page can be
    /// led here by it.
    pub fn allow(&self, host: &str) -> bool {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        bare.parse::<IpAddr>().is_ok() || self.0.iter().any(|one| one.eq_ignore_ascii_case(host))
    }
}

/// Origins as browsers write them: scheme and host, and a port that is not the scheme's own. Schemes of applications are
/// allowed (`vscode-webview://…`); `null`, which any page can make itself, is not.
pub(super) fn origins(origins: Vec<String>) -> Result<Vec<String>, String> {
    for origin in &origins {
        let is_one = origin.split_once("://").is_some_and(|(scheme, host)| {
            let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@*,\\\"".contains(&byte);
            !scheme.is_empty() && scheme.bytes().all(is_scheme) && !host.is_empty() && host.bytes().all(is_host)
        });
        if !is_one {
            return Err(format!(
                "{origin:?} is no origin; write scheme and host as browsers do, such as \"https://app.example.com\", without a \
                 path"
            ));
        }
    }
    Ok(origins)
}

/// Names of hosts, without ports.
pub(super) fn hosts(hosts: Vec<String>) -> Result<Vec<String>, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match hosts.iter().find(|host| host.is_empty() || !host.bytes().all(is_name)) {
        Some(host) => Err(format!("{host:?} is no host's name; write it without scheme and port")),
        None => Ok(hosts),
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn own() -> PublicUrl {
        PublicUrl::new(Url::parse("https://mcp.example:8443").expect("a URL")).expect("https")
    }

    #[test]
    fn pages_of_the_proxys_own_origin_and_of_configured_ones_are_allowed() {
        let app = vec!["https://app.example".to_owned(), "vscode-webview://abc".to_owned()];
        let origins = Origins::new(&own(), origins(app).expect("origins"));
        for allowed in [
            "https://mcp.example:8443",
            "https://APP.example",
            "vscode-webview://abc",
        ] {
            assert!(origins.allow(allowed.as_bytes()), "{allowed}");
        }
        for foreign in [
            "https://mcp.example",
            "http://app.example",
            "null",
            "",
            "https://app.example.evil",
        ] {
            assert!(!origins.allow(foreign.as_bytes()), "{foreign}");
        }
    }

    #[test]
    fn addresses_and_known_names_are_hosts_and_other_names_are_not() {
        let hosts = Hosts::new(&own(), hosts(vec!["lb.internal".to_owned()]).expect("names"));
        for known in ["mcp.example", "MCP.example", "lb.internal", "127.0.0.1", "[::1]"] {
            assert!(hosts.allow(known), "{known}");
        }
        for foreign in ["evil.example", "mcp.example.evil", "localhost", "127.0.0.1.evil", ""] {
            assert!(!hosts.allow(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_no_browser_or_client_would_send_is_a_mistake() {
        for wrong in [
            "https://app.example/",
            "app.example",
            "null",
            "*",
            "https://*.example",
            "https://",
        ] {
            assert!(origins(vec![wrong.to_owned()]).is_err(), "{wrong}");
        }
        for wrong in ["https://lb", "lb:80", ""] {
            assert!(hosts(vec![wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
