//! `public_url`: the origin under which clients know the proxy, and the URLs built from it.

use tapedeck_asker::issuer::is_loopback;
use url::Url;

/// Scheme, host and port under which clients know the proxy. Its targets' resource identifiers start with it, so it is
/// part of the audience of tokens, and of what every client has configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a slash at the end; the scheme's default port is left out.
    origin: String,
    /// Without the port.
    host: String,
    https: bool,
}

impl PublicUrl {
    /// An origin: https, or http on this machine itself.
    pub(super) fn new(url: Url) -> Result<Self, &'static str> {
        if url.path() != "/" {
            return Err("it has a path; targets live at {public_url}/{target}/mcp, so give scheme, host and port only");
        }
        let https = url.scheme() == "https";
        if !https && !is_loopback(&url) {
            return Err(
                "it is http; clients send bearer tokens there, so only https will do, except on this machine \
                        itself (behind a load balancer that terminates TLS this is the load balancer's https URL)",
            );
        }
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            host: url.host_str().unwrap_or_default().to_owned(),
            https,
        })
    }

    /// The origin, such as `https://mcp.example.com`, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host, without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether clients come by https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The resource identifier of a target (RFC 9728, section 1.2).
    pub(super) fn resource(&self, target: &str) -> String {
        format!("{}/{target}/mcp", self.origin)
    }

    /// Where the target's protected resource metadata is served: the well-known path stands between host and path
    /// (RFC 9728, section 3.1).
    pub(super) fn metadata_url(&self, target: &str) -> String {
        format!("{}/.well-known/oauth-protected-resource/{target}/mcp", self.origin)
    }
}
