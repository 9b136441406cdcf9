//! `[[target]]`: an MCP server behind the proxy.

use std::collections::{BTreeSet, HashSet};

use rustls_pki_types::CertificateDer;
use tapedeck_asker::issuer::is_loopback;
use tapedeck_config::{OneOrMany, Reader};
use url::Url;

use super::{
    Audience, Credential, CredentialSource, Endpoint, PublicUrl, Tls, certificates::certificates, raw::RawTarget,
};

/// The longest name of a target, in characters: it is part of URLs, of Kafka keys and of every row.
const LONGEST_NAME: usize = 63;

/// An MCP server behind the proxy.
#[derive(Clone, Debug)]
pub struct Target {
    /// How clients call it, `/{name}/mcp`: `a-z`, `0-9` and `-`, 1 to 63 characters.
    pub name: String,
    /// Where it is, and how it is spoken to.
    pub endpoint: Endpoint,
    /// The only roots that its certificate may have; without, those that this machine trusts.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// What the proxy presents where the target asks for a certificate.
    pub client: Option<Tls>,
    /// Which tokens are for it.
    pub audience: Audience,
    /// Who may use it.
    pub allow: Allow,
    /// What is recorded before what happens.
    pub record: Record,
    /// Whether a topic with a single in-sync replica may hold its records.
    pub allow_single_copy: bool,
    /// What the proxy itself shows to the target.
    pub credential: Option<Credential>,
    /// The target's resource identifier, `{public_url}/{name}/mcp` (RFC 9728).
    pub resource: String,
    /// Where the metadata of that resource is served.
    pub metadata_url: String,
}

/// Who may use a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Everyone who has authenticated: `"*"`.
    Authenticated,
    /// Who is in one of these groups; at least one.
    Groups(BTreeSet<String>),
}

/// What is recorded before what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A request is durable in Kafka before it is forwarded, an answer before it is released.
    Required,
    /// The same; while Kafka is away, a spool on this machine's disk counts.
    Spooled,
    /// Nothing waits for Kafka. What is lost is counted, and the record says how much.
    BestEffort,
}

impl Target {
    /// Whether it is the same server as `other`, reached and asked in the same way: connections and processes of the one
    /// serve the other.
    pub(crate) fn is_reached_like(&self, other: &Self) -> bool {
        (&self.endpoint, &self.ca, &self.client, &self.credential)
            == (&other.endpoint, &other.ca, &other.client, &other.credential)
    }

    pub(super) fn build(
        raw: RawTarget<'_>,
        public_url: Option<&PublicUrl>,
        audiences: &[String],
        names: &mut HashSet<String>,
        has_spool: bool,
        reader: &Reader,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let name = raw
            .name
            .and_then(name)
            .and_then(|name| {
                if names.insert(name.clone()) {
                    Ok(name)
                } else {
                    Err(format!("{name:?} is the name of another target too"))
                }
            })
            .required("how clients call the target, in /{name}/mcp; a-z, 0-9 and - only");
        let is_process = raw.program.command.is_present();
        let endpoint = Endpoint::build(raw.url, raw.transport, raw.program, reader);
        let ca_span = raw.ca.span();
        let url = endpoint.as_ref().and_then(Endpoint::url);
        if raw.ca.is_present() && url.is_some_and(|url| url.scheme() == "http") {
            reader.problem(ca_span.clone(), "`ca` is of no use: the target's `url` is http");
        }
        if is_process && (raw.ca.is_present() || raw.credential.is_some()) {
            reader.problem(
                ca_span,
                "`ca` and `credential` are of no use to a process; what it needs goes to its `env`",
            );
        }
        let ca = raw.ca.and_then(|path| certificates(&path)).optional();
        let presents = raw.client.certificate.is_present() || raw.client.key.is_present();
        if presents && url.as_ref().is_some_and(|url| url.scheme() == "http") {
            let span = raw.client.certificate.span();
            reader.problem(span, "`client_certificate` is of no use: the target's `url` is http");
        }
        let client = presents.then(|| Tls::build(raw.client, reader));
        let audience = raw
            .audience
            .and_then(|OneOrMany(named): OneOrMany<String>| is_known(named, audiences))
            .optional();
        let allow = raw
            .allow_groups
            .and_then(allow)
            .required("the groups that may use the target, or [\"*\"] for everyone who has authenticated");
        let record = raw
            .record
            .and_then(|mode| record(&mode, has_spool))
            .or(Record::Required);
        let allow_single_copy = raw.allow_single_copy.or(false);
        let credential_span = raw.credential.as_ref().map(|credential| credential.span.clone());
        let has_credential = credential_span.is_some();
        let credential = raw.credential.and_then(|raw| Credential::build(raw, reader));
        let differs = credential
            .as_ref()
            .is_some_and(|one| !matches!(one.secret, CredentialSource::Shared { .. }));
        if let (Some(Endpoint::Stream(_)), Some(span), true) = (&endpoint, credential_span, differs) {
            // Its stream outlives tokens, and belongs to no request.
            let problem = "a target with `transport = \"sse\"` is shown one secret; give `env` or `file`";
            reader.problem(span, problem);
        }

        let (name, endpoint) = (name?, endpoint?);
        let is_plain = |url: &Url| url.scheme() == "http" && !is_loopback(url);
        if has_credential && endpoint.url().is_some_and(is_plain) {
            warnings.push(format!("target {name}: its credential is sent over plain http"));
        }
        let public_url = public_url?;
        let client = match client {
            Some(client) => Some(client?),
            None => None,
        };
        Some(Self {
            resource: public_url.resource(&name),
            metadata_url: public_url.metadata_url(&name),
            name,
            endpoint,
            ca,
            client,
            // Those of other targets are known when all of them are read.
            audience: audience.map_or(Audience::AllBut(Vec::new()), Audience::Only),
            allow: allow?,
            record,
            allow_single_copy,
            credential,
        })
    }
}

fn name(name: String) -> Result<String, String> {
    let fits = |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !name.bytes().all(fits) || name.len() > LONGEST_NAME {
        return Err(format!(
            "{name:?} must be of a-z, 0-9 and - only, at most {LONGEST_NAME} characters"
        ));
    }
    Ok(name)
}

/// A token is for the target if it is for the proxy at all.
fn is_known(named: Vec<String>, audiences: &[String]) -> Result<Vec<String>, String> {
    match named.iter().find(|one| !audiences.contains(one)) {
        Some(unknown) => Err(format!(
            "{unknown:?} is in no issuer's `audience`, so no token for the target would be accepted; add it there"
        )),
        None => Ok(named),
    }
}

fn allow(groups: Vec<String>) -> Result<Allow, &'static str> {
    match groups.as_slice() {
        [] => {
            Err("it is empty, so nobody could use the target; name groups, or \"*\" for everyone who has authenticated")
        }
        [every] if every == "*" => Ok(Allow::Authenticated),
        several if several.iter().any(|group| group == "*") => {
            Err("it has \"*\", which is everyone, beside groups; keep one or the other")
        }
        _ => Ok(Allow::Groups(groups.into_iter().collect())),
    }
}

fn record(mode: &str, has_spool: bool) -> Result<Record, String> {
    match mode {
        "required" => Ok(Record::Required),
        "best_effort" => Ok(Record::BestEffort),
        "spooled" if has_spool => Ok(Record::Spooled),
        "spooled" => Err(format!("{mode:?} needs a section [spool] with the `dir` of the spool")),
        _ => Err(format!(
            "{mode:?} is not a way to record; write \"required\", \"spooled\" or \"best_effort\""
        )),
    }
}
