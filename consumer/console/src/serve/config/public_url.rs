//! `public_url`: the origin that browsers see.

use tapedeck_asker::issuer::is_loopback;
use url::Url;

/// Scheme, host and port under which people and programs know the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a slash at the end; the scheme's default port is left out.
    origin: String,
    https: bool,
}

impl PublicUrl {
    /// An origin: https, or http on this machine itself.
    pub(super) fn new(url: Url) -> Result<Self, &'static str> {
        if url.path() != "/" {
            return Err("it has a path; give scheme, host and port only");
        }
        let https = url.scheme() == "https";
        if !https && !is_loopback(&url) {
            return Err(
                "it is http; cookies and tokens go there, so only https will do, except on this machine itself",
            );
        }
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            https,
        })
    }

    /// The origin, such as `https://tapedeck.example.com`, as browsers write it in `Origin`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers come by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// An absolute URL; `path` begins with a slash.
    pub(in crate::serve) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}
