//! `[issuer.introspection]`: how an issuer is asked whether its tokens are good (RFC 7662).

use std::time::Duration;

use secrecy::SecretString;
use tapedeck_asker::issuer::is_loopback;
use tapedeck_config::{Reader, SecretSource};
use url::Url;

use super::raw::RawIntrospection;

/// How long an answer counts when the file does not say.
const KEEP: Duration = Duration::from_secs(30);

/// The longest that an answer may count: it is how late a revocation is noticed.
const LONGEST_KEEP: Duration = Duration::from_secs(5 * 60);

/// How an issuer is asked whether its tokens are good. Debug shows no secret.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The proxy's own id there.
    pub client_id: String,
    /// Where the proxy's own secret there is held. A file is read again when it changes.
    pub client_secret: SecretSource,
    /// What was there at the start.
    pub secret: SecretString,
    /// The endpoint: https, or http on this machine itself. None: the one that the issuer's metadata name.
    pub endpoint: Option<Url>,
    /// About which tokens it is asked.
    pub tokens: Introspected,
    /// How long an answer counts, and how often one is asked for while an exchange goes on: from 1 s to 5 minutes.
    pub keep: Duration,
}

/// Equal where the secret comes from the same place: what is there now is looked at while it is used.
impl PartialEq for Introspection {
    fn eq(&self, other: &Self) -> bool {
        // Every field by name: one that is added has to be thought of here.
        let Self {
            client_id,
            client_secret,
            secret: _,
            endpoint,
            tokens,
            keep,
        } = self;
        (client_id, client_secret, endpoint) == (&other.client_id, &other.client_secret, &other.endpoint)
            && (tokens, keep) == (&other.tokens, &other.keep)
    }
}

/// About which tokens an issuer is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Introspected {
    /// Those that are no JWTs: only one issuer can be.
    #[default]
    Opaque,
    /// Its own JWTs, after their signature was verified, so that a revocation is noticed before they expire.
    Jwt,
    /// Both.
    All,
}

impl Introspected {
    /// Whether tokens are shown to the issuer of which nobody can tell whose they are.
    pub fn are_opaque(self) -> bool {
        matches!(self, Self::Opaque | Self::All)
    }

    /// Whether the issuer is asked about the JWTs that it has signed.
    pub fn are_jwts(self) -> bool {
        matches!(self, Self::Jwt | Self::All)
    }
}

impl Introspection {
    pub(super) fn build(raw: RawIntrospection<'_>, reader: &Reader) -> Option<Self> {
        let client_id = raw.client_id.required("the proxy's own id at the issuer");
        let client_secret = raw
            .client_secret
            .and_then(|source: SecretSource| match source.text(reader.environment()) {
                Ok(secret) => Ok((source, secret)),
                Err(error) => Err(error.to_string()),
            })
            .required("where the proxy's own secret at the issuer is held: { env = \"NAME\" } or { file = \"path\" }");
        let endpoint = raw
            .endpoint
            .and_then(|url: Url| match url.scheme() == "https" || is_loopback(&url) {
                // Tokens go there.
                true => Ok(url),
                false => Err("only https will do, except on this machine itself"),
            });
        let endpoint = endpoint.optional();
        let tokens = raw.tokens.and_then(tokens).or(Introspected::default());
        let keep = raw.keep.and_then(kept).or(KEEP);
        let (client_secret, secret) = client_secret?;
        Some(Self {
            client_id: client_id?,
            client_secret,
            secret,
            endpoint,
            tokens,
            keep,
        })
    }
}

fn tokens(written: String) -> Result<Introspected, String> {
    match written.as_str() {
        "opaque" => Ok(Introspected::Opaque),
        "jwt" => Ok(Introspected::Jwt),
        "all" => Ok(Introspected::All),
        _ => Err(format!("{written:?} must be \"opaque\", \"jwt\" or \"all\"")),
    }
}

fn kept(time: Duration) -> Result<Duration, String> {
    if (Duration::from_secs(1)..=LONGEST_KEEP).contains(&time) {
        Ok(time)
    } else {
        Err("it must be from 1 s to 5 minutes: so late is a revocation noticed".to_owned())
    }
}
