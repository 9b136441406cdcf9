//! What may stand in the file: keys and types, no rules. Mistakes of type are reported while it is read; a key that
//! is not read here is unknown.

use std::{net::SocketAddr, num::NonZeroU32, ops::Range, path::PathBuf, time::Duration};

use ipnet::IpNet;
use tapedeck_config::{ByteSize, Field, FromToml, Kafka, Node, OneOrMany, Reader, SecretSource, Section};
use url::Url;

pub(super) struct RawConfig<'a> {
    pub(super) listen: Field<'a, SocketAddr>,
    pub(super) admin_listen: Field<'a, SocketAddr>,
    pub(super) public_url: Field<'a, Url>,
    pub(super) trusted_proxies: Field<'a, Vec<IpNet>>,
    pub(super) proxy_protocol: Field<'a, bool>,
    pub(super) client_cert_header: Field<'a, bool>,
    pub(super) allowed_origins: Field<'a, Vec<String>>,
    pub(super) allowed_hosts: Field<'a, Vec<String>>,
    pub(super) dpop: Field<'a, String>,
    pub(super) tls: Option<RawServerTls<'a>>,
    /// `None`: absent or wrong, and reported.
    pub(super) kafka: Option<Kafka>,
    pub(super) tag_keys: Option<Field<'a, Vec<SecretSource>>>,
    pub(super) limits: Option<RawLimits<'a>>,
    pub(super) spool: Option<RawSpool<'a>>,
    /// `[telemetry] otlp`.
    pub(super) otlp: Option<Field<'a, Url>>,
    pub(super) issuers: Vec<RawIssuer<'a>>,
    pub(super) targets: Vec<RawTarget<'a>>,
    /// Where the file as a whole begins.
    pub(super) span: Range<usize>,
}

/// `[tls]`
pub(super) struct RawServerTls<'a> {
    pub(super) own: RawTls<'a>,
    pub(super) client_ca: Field<'a, PathBuf>,
    pub(super) client_certificates: Field<'a, String>,
}

pub(super) struct RawTls<'a> {
    pub(super) certificate: Field<'a, PathBuf>,
    pub(super) key: Field<'a, PathBuf>,
}

pub(super) struct RawLimits<'a> {
    pub(super) connections: Field<'a, NonZeroU32>,
    pub(super) in_flight: Field<'a, NonZeroU32>,
    pub(super) request_head: Field<'a, ByteSize>,
    pub(super) request_body: Field<'a, ByteSize>,
    pub(super) request_bodies: Field<'a, ByteSize>,
    pub(super) head_time: Field<'a, Duration>,
    pub(super) body_time: Field<'a, Duration>,
    pub(super) write_time: Field<'a, Duration>,
    pub(super) requests_per_second: Field<'a, NonZeroU32>,
    pub(super) burst: Field<'a, NonZeroU32>,
    pub(super) call_grace: Field<'a, Duration>,
}

pub(super) struct RawSpool<'a> {
    pub(super) dir: Field<'a, PathBuf>,
    pub(super) max_bytes: Field<'a, ByteSize>,
}

pub(super) struct RawIssuer<'a> {
    /// As text: an issuer is compared byte for byte, and a parsed URL is not what was written.
    pub(super) url: Field<'a, String>,
    pub(super) audience: Field<'a, OneOrMany<String>>,
    pub(super) groups_claim: Field<'a, String>,
    pub(super) groups_from: Field<'a, String>,
    pub(super) introspection: Option<RawIntrospection<'a>>,
    pub(super) tenant: Field<'a, String>,
    pub(super) tenant_claim: Field<'a, String>,
}

pub(super) struct RawIntrospection<'a> {
    pub(super) client_id: Field<'a, String>,
    pub(super) client_secret: Field<'a, SecretSource>,
    pub(super) endpoint: Field<'a, Url>,
    pub(super) tokens: Field<'a, String>,
    pub(super) keep: Field<'a, Duration>,
}

pub(super) struct RawTarget<'a> {
    pub(super) name: Field<'a, String>,
    pub(super) url: Field<'a, Url>,
    pub(super) transport: Field<'a, String>,
    pub(super) program: RawProgram<'a>,
    pub(super) ca: Field<'a, PathBuf>,
    pub(super) audience: Field<'a, OneOrMany<String>>,
    pub(super) allow_groups: Field<'a, Vec<String>>,
    pub(super) record: Field<'a, String>,
    pub(super) allow_single_copy: Field<'a, bool>,
    /// `client_certificate` and `client_key`.
    pub(super) client: RawTls<'a>,
    pub(super) credential: Option<RawCredential<'a>>,
}

/// A target that is a process.
pub(super) struct RawProgram<'a> {
    pub(super) command: Field<'a, String>,
    pub(super) args: Field<'a, Vec<String>>,
    pub(super) env: Field<'a, Vec<String>>,
    pub(super) per: Field<'a, String>,
    pub(super) processes: Field<'a, NonZeroU32>,
    pub(super) memory: Field<'a, ByteSize>,
    pub(super) open_files: Field<'a, NonZeroU32>,
}

impl RawProgram<'_> {
    /// The other keys mean nothing without a command.
    pub(super) fn refuse_without_command(&self, reader: &Reader) {
        let keys = [
            (self.args.is_present(), self.args.span(), "args"),
            (self.env.is_present(), self.env.span(), "env"),
            (self.per.is_present(), self.per.span(), "per"),
            (self.processes.is_present(), self.processes.span(), "processes"),
            (self.memory.is_present(), self.memory.span(), "memory"),
            (self.open_files.is_present(), self.open_files.span(), "open_files"),
        ];
        for (_, span, key) in keys.into_iter().filter(|(is_present, ..)| *is_present) {
            reader.problem(span, format!("`{key}` is of no use without `command`"));
        }
    }
}

pub(super) struct RawCredential<'a> {
    pub(super) header: Field<'a, String>,
    pub(super) prefix: Field<'a, Prefix>,
    pub(super) env: Field<'a, String>,
    pub(super) file: Field<'a, PathBuf>,
    pub(super) users: Field<'a, PathBuf>,
    pub(super) oauth: Option<RawOAuth<'a>>,
    pub(super) span: Range<usize>,
}

pub(super) struct RawOAuth<'a> {
    pub(super) grant: Field<'a, String>,
    pub(super) token_url: Field<'a, Url>,
    pub(super) client_id: Field<'a, String>,
    pub(super) client_secret: Field<'a, SecretSource>,
    pub(super) scope: Field<'a, String>,
    pub(super) audience: Field<'a, String>,
    pub(super) resource: Field<'a, String>,
}

/// What stands before a secret; may be empty, unlike other strings.
pub(super) struct Prefix(pub(super) String);

impl FromToml for Prefix {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.text("a string").map(|text| Self(text.to_owned()))
    }
}

impl<'a> RawConfig<'a> {
    pub(super) fn read(root: &Section<'a>) -> Self {
        let kafka = root.required_section("kafka", "name the brokers, for example brokers = [\"kafka-1:9092\"]");
        Self {
            listen: root.field("listen"),
            admin_listen: root.field("admin_listen"),
            public_url: root.field("public_url"),
            trusted_proxies: root.field("trusted_proxies"),
            proxy_protocol: root.field("proxy_protocol"),
            client_cert_header: root.field("client_cert_header"),
            allowed_origins: root.field("allowed_origins"),
            allowed_hosts: root.field("allowed_hosts"),
            dpop: root.field("dpop"),
            tls: root.section("tls").map(|tls| RawServerTls {
                own: RawTls {
                    certificate: tls.field("certificate"),
                    key: tls.field("key"),
                },
                client_ca: tls.field("client_ca"),
                client_certificates: tls.field("client_certificates"),
            }),
            kafka: kafka.and_then(|kafka| Kafka::read(&kafka)),
            tag_keys: root.section("sessions").map(|sessions| sessions.field("tag_keys")),
            limits: root.section("limits").map(|limits| RawLimits {
                connections: limits.field("connections"),
                in_flight: limits.field("in_flight"),
                request_head: limits.field("request_head"),
                request_body: limits.field("request_body"),
                request_bodies: limits.field("request_bodies"),
                head_time: limits.field("head_time"),
                body_time: limits.field("body_time"),
                write_time: limits.field("write_time"),
                requests_per_second: limits.field("requests_per_second"),
                burst: limits.field("burst"),
                call_grace: limits.field("call_grace"),
            }),
            spool: root.section("spool").map(|spool| RawSpool {
                dir: spool.field("dir"),
                max_bytes: spool.field("max_bytes"),
            }),
            otlp: root.section("telemetry").map(|telemetry| telemetry.field("otlp")),
            issuers: root.sections("issuer").iter().map(RawIssuer::read).collect(),
            targets: root.sections("target").iter().map(RawTarget::read).collect(),
            span: root.span(),
        }
    }
}

impl<'a> RawIssuer<'a> {
    fn read(section: &Section<'a>) -> Self {
        Self {
            url: section.field("url"),
            audience: section.field("audience"),
            groups_claim: section.field("groups_claim"),
            groups_from: section.field("groups_from"),
            introspection: section.section("introspection").map(|asked| RawIntrospection {
                client_id: asked.field("client_id"),
                client_secret: asked.field("client_secret"),
                endpoint: asked.field("endpoint"),
                tokens: asked.field("tokens"),
                keep: asked.field("keep"),
            }),
            tenant: section.field("tenant"),
            tenant_claim: section.field("tenant_claim"),
        }
    }
}

impl<'a> RawTarget<'a> {
    fn read(section: &Section<'a>) -> Self {
        Self {
            name: section.field("name"),
            url: section.field("url"),
            transport: section.field("transport"),
            program: RawProgram {
                command: section.field("command"),
                args: section.field("args"),
                env: section.field("env"),
                per: section.field("per"),
                processes: section.field("processes"),
                memory: section.field("memory"),
                open_files: section.field("open_files"),
            },
            ca: section.field("ca"),
            audience: section.field("audience"),
            allow_groups: section.field("allow_groups"),
            record: section.field("record"),
            allow_single_copy: section.field("allow_single_copy"),
            client: RawTls {
                certificate: section.field("client_certificate"),
                key: section.field("client_key"),
            },
            credential: section.section("credential").map(|credential| RawCredential {
                header: credential.field("header"),
                prefix: credential.field("prefix"),
                env: credential.field("env"),
                file: credential.field("file"),
                users: credential.field("users"),
                oauth: credential.section("oauth").map(|oauth| RawOAuth {
                    grant: oauth.field("grant"),
                    token_url: oauth.field("token_url"),
                    client_id: oauth.field("client_id"),
                    client_secret: oauth.field("client_secret"),
                    scope: oauth.field("scope"),
                    audience: oauth.field("audience"),
                    resource: oauth.field("resource"),
                }),
                span: credential.span(),
            }),
        }
    }
}
