//! The validated configuration: what the rest of the proxy is given.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::SystemTime,
};

use ipnet::IpNet;
use tapedeck_asker::address::AddressHeader;
use tapedeck_config::{ByteSize, Environment, Errors, Kafka, SchemaRegistry, Section, SharedKeys};
use url::Url;

use super::raw::{RawConfig, RawSpool};
use super::{Audience, Dpop, Hosts, Issuer, Limits, Origins, PublicUrl, ServerTls, Target, clients, dpop, sessions};
use crate::spool::SpoolSettings;

/// Where metrics and health are served when the file does not say: this machine only, and the port that Prometheus
/// exporters of OpenTelemetry use.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// How large the spool may grow when the file does not say.
const SPOOL_BYTES: ByteSize = ByteSize::gib(1);
/// A spool with less has no room for the answers that are under way.
const LEAST_SPOOL_BYTES: ByteSize = ByteSize::mib(16);

/// Everything that the proxy was told, checked. Secrets are resolved; Debug shows none.
#[derive(Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where metrics and health are served; default `127.0.0.1:9464`.
    pub admin_listen: SocketAddr,
    /// The origin under which clients know the proxy.
    pub public_url: PublicUrl,
    /// Networks whose word on the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Where they write it.
    pub client_address_header: AddressHeader,
    /// Whether connections of trusted proxies begin with the PROXY protocol, and those of others do not; default false.
    pub proxy_protocol: bool,
    /// Whether trusted proxies say in `Client-Cert` (RFC 9440) which certificate a client has shown; default false.
    pub client_cert_header: bool,
    /// Whose pages may use the proxy: its own origin, and `allowed_origins`.
    pub origins: Origins,
    /// Under which names clients know the proxy: that of `public_url`, and `allowed_hosts`.
    pub hosts: Hosts,
    /// Whether tokens may, or must, be bound to a key of their holder by DPoP; default: may.
    pub dpop: Dpop,
    /// Certificate and key, when the proxy terminates TLS itself; without, a load balancer in front of it does.
    pub tls: Option<ServerTls>,
    /// Where frames are recorded.
    pub kafka: Kafka,
    /// Where the schemas of what is recorded are registered; without, each record names its schema by a fingerprint.
    pub schema_registry: Option<SchemaRegistry>,
    /// Where frames of spooled targets are kept while Kafka is away; there where a target is spooled.
    pub spool: Option<SpoolSettings>,
    /// The keys of session tags.
    pub tag_keys: SharedKeys,
    /// What clients may cost, and how long they may take.
    pub limits: Limits,
    /// Where traces are exported (OTLP over HTTP), the whole URL; nowhere, where nothing is configured.
    pub traces: Option<Url>,
    /// Who may issue tokens: at least one, each URL once.
    pub issuers: Vec<Issuer>,
    /// The MCP servers behind the proxy: at least one, each name once.
    pub targets: Vec<Target>,
    /// The file that it was read from, where it was one, and the paths that it names, folders among them.
    pub files: Vec<PathBuf>,
    /// When the files that it names were read, or shortly before.
    pub read_at: SystemTime,
    /// What works but deserves a second look, one sentence each; the proxy logs them at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks the file, and the secrets and certificates that it names.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with its place and what to do. The process should print it and exit with
    /// [`tapedeck_config::EXIT_BAD_CONFIG`].
    pub fn load(path: &Path) -> Result<Self, Errors> {
        tapedeck_config::read(path, Self::build)
    }

    /// As [`Config::load`], from text and a given environment.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_text(name: &str, text: &str, environment: Environment) -> Result<Self, Errors> {
        tapedeck_config::read_text_with(name, text, environment, Self::build)
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// The proxies whose connections begin with the PROXY protocol; none, where it is off.
    pub fn announcing(&self) -> &[IpNet] {
        if self.proxy_protocol {
            &self.trusted_proxies
        } else {
            &[]
        }
    }

    /// Whether certificates of clients are seen, so that tokens may be bound to them.
    pub fn sees_certificates(&self) -> bool {
        self.client_cert_header || self.tls.as_ref().is_some_and(|tls| tls.clients.is_some())
    }

    fn build(root: &Section<'_>) -> Option<Self> {
        let read_at = SystemTime::now();
        let reader = root.reader();
        let mut warnings = Vec::new();
        let raw = RawConfig::read(root);

        let listen = raw.listen.required("where clients connect, such as \"0.0.0.0:8443\"");
        let admin_listen = raw.admin_listen.or(ADMIN_LISTEN);
        let public_url_span = raw.public_url.span();
        let public_url = raw
            .public_url
            .and_then(PublicUrl::new)
            .required("the URL under which clients reach the proxy, such as \"https://mcp.example.com\"");
        let allowed_origins = raw.allowed_origins.and_then(clients::origins).or(Vec::new());
        let allowed_hosts = raw.allowed_hosts.and_then(clients::hosts).or(Vec::new());
        let trusted_proxies = raw.trusted_proxies.or(Vec::new());
        let client_address_header = raw.client_address_header.and_then(AddressHeader::named);
        for (is_present, span, key) in [
            (
                raw.proxy_protocol.is_present(),
                raw.proxy_protocol.span(),
                "proxy_protocol",
            ),
            (
                raw.client_cert_header.is_present(),
                raw.client_cert_header.span(),
                "client_cert_header",
            ),
            (
                client_address_header.is_present(),
                client_address_header.span(),
                "client_address_header",
            ),
        ] {
            if is_present && trusted_proxies.is_empty() {
                reader.problem(span, format!("`{key}` is of no use without `trusted_proxies`"));
            }
        }
        let is_said = client_address_header.is_present() || raw.proxy_protocol.is_present();
        if !trusted_proxies.is_empty() && !is_said {
            warnings.push(
                "`trusted_proxies` without `client_address_header`: where a client is, is read from X-Forwarded-For alone; \
                 if they write Forwarded, say so"
                    .to_owned(),
            );
        }
        let terminates_tls = raw.tls.is_some();
        let tls = raw.tls.and_then(|tls| ServerTls::build(tls, reader));
        if terminates_tls && public_url.as_ref().is_some_and(|url| !url.is_https()) {
            reader.problem(
                public_url_span,
                "`public_url` says http, but [tls] is configured; write https",
            );
        }
        let tag_keys = sessions::tag_keys(raw.tag_keys, &mut warnings);

        let limits = Limits::build(raw.limits, reader);
        let traces = tapedeck_otlp::endpoint(raw.otlp, reader);
        let issuers: Vec<Option<Issuer>> = raw.issuers.into_iter().map(|raw| Issuer::build(raw, reader)).collect();
        if issuers.is_empty() {
            reader.problem(
                raw.span.clone(),
                "no [[issuer]]: name at least one, or no client can authenticate",
            );
        }
        let has_spool = raw.spool.is_some();
        let spool = raw.spool.and_then(spool);
        let known = issuers.iter().flatten();
        let audiences: Vec<String> = known.flat_map(|issuer| issuer.audiences.clone()).collect();
        let mut names = HashSet::new();
        let targets: Vec<Option<Target>> = raw
            .targets
            .into_iter()
            .map(|raw| {
                Target::build(
                    raw,
                    public_url.as_ref(),
                    &audiences,
                    &mut names,
                    has_spool,
                    reader,
                    &mut warnings,
                )
            })
            .collect();
        if targets.is_empty() {
            reader.problem(raw.span, "no [[target]]: name at least one MCP server");
        }
        let issuers: Vec<Issuer> = issuers.into_iter().collect::<Option<_>>()?;
        for (index, issuer) in issuers.iter().enumerate() {
            if issuers[..index].iter().any(|earlier| earlier.url == issuer.url) {
                let message = format!(
                    "issuer {:?} stands here twice; give one [[issuer]] all audiences",
                    issuer.url
                );
                reader.problem(issuer.span.clone(), message);
            }
        }
        let asked_about_opaque =
            |issuer: &&Issuer| issuer.introspection.as_ref().is_some_and(|one| one.tokens.are_opaque());
        // Nobody can tell whose an opaque token is: shown to two issuers, one of them would get the other's.
        if let Some(second) = issuers.iter().filter(asked_about_opaque).nth(1) {
            reader.problem(
                second.span.clone(),
                "a second issuer would be shown tokens that are no JWTs, and so those of the first; write `tokens = \"jwt\"` in \
                 the introspection of one of them",
            );
        }
        let public_url = public_url?;
        Some(Self {
            listen: listen?,
            admin_listen,
            origins: Origins::new(&public_url, allowed_origins),
            hosts: Hosts::new(&public_url, allowed_hosts),
            public_url,
            trusted_proxies,
            client_address_header: client_address_header.or(AddressHeader::default()),
            proxy_protocol: raw.proxy_protocol.or(false),
            client_cert_header: raw.client_cert_header.or(false),
            dpop: raw.dpop.and_then(dpop).or(Dpop::default()),
            tls,
            kafka: raw.kafka?,
            schema_registry: raw.schema_registry,
            // A section without a spooled target is read, and has no effect.
            spool: if has_spool { Some(spool?) } else { None },
            tag_keys: tag_keys?,
            limits,
            traces: traces?,
            issuers,
            targets: apart(targets.into_iter().collect::<Option<_>>()?),
            files: reader.files(),
            read_at,
            warnings,
        })
    }
}

/// A token that is for one target alone is for no other, unless that says so.
fn apart(mut targets: Vec<Target>) -> Vec<Target> {
    let resources: Vec<String> = targets.iter().map(|target| target.resource.clone()).collect();
    for target in &mut targets {
        if let Audience::AllBut(others) = &mut target.audience {
            let own = &target.resource;
            others.extend(resources.iter().filter(|resource| *resource != own).cloned());
        }
    }
    targets
}

fn spool(raw: RawSpool<'_>) -> Option<SpoolSettings> {
    let dir = raw
        .dir
        .required("a folder of this proxy alone, on a disk that survives a restart");
    let max_bytes = raw.max_bytes.and_then(enough).or(SPOOL_BYTES);
    Some(SpoolSettings {
        dir: dir?,
        max_bytes: max_bytes.as_u64(),
    })
}

fn enough(size: ByteSize) -> Result<ByteSize, String> {
    if size < LEAST_SPOOL_BYTES {
        return Err(format!(
            "{size} is too little for a spool; give it {LEAST_SPOOL_BYTES} or more"
        ));
    }
    Ok(size)
}
