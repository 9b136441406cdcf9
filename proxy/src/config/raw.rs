//! What may stand in the file: keys and types, no rules. Mistakes of type are reported while it is read; a key that
//! is not read here is unknown.

use std::{net::SocketAddr, num::NonZeroU32, ops::Range, path::PathBuf, time::Duration};

use ipnet::IpNet;
use tapedeck_config::{
    ByteSize, Field, FromToml, Kafka, Node, OneOrMany, Reader, SchemaRegistry, SecretSource, Section,
};
use url::Url;

/// What stands in a section: keys, each read under its own name, so that none can be declared and not read; and after
/// `also` what is read in another way.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident<$life:lifetime> from $section:ident {
            $($(#[$key_doc:meta])* $key:ident: $type:ty,)*
        }
        $(also { $($(#[$other_doc:meta])* $other:ident: $other_type:ty = $read:expr,)+ })?
    ) => {
        $(#[$doc])*
        pub(super) struct $name<$life> {
            $($(#[$key_doc])* pub(super) $key: Field<$life, $type>,)*
            $($($(#[$other_doc])* pub(super) $other: $other_type,)+)?
        }

        impl<$life> $name<$life> {
            pub(super) fn read($section: &Section<$life>) -> Self {
                Self {
                    $($key: $section.field(stringify!($key)),)*
                    $($($other: $read,)+)?
                }
            }
        }
    };
}

section! {
    /// The file.
    RawConfig<'a> from root {
        listen: SocketAddr,
        admin_listen: SocketAddr,
        public_url: Url,
        trusted_proxies: Vec<IpNet>,
        client_address_header: String,
        proxy_protocol: bool,
        client_cert_header: bool,
        allowed_origins: Vec<String>,
        allowed_hosts: Vec<String>,
        dpop: String,
    } also {
        tls: Option<RawServerTls<'a>> = root.section("tls").as_ref().map(RawServerTls::read),
        /// `None`: absent or wrong, and reported.
        kafka: Option<Kafka> = root
            .required_section("kafka", "name the brokers, for example brokers = [\"kafka-1:9092\"]")
            .and_then(|kafka| Kafka::read(&kafka)),
        schema_registry: Option<SchemaRegistry> = root
            .section("schema_registry")
            .and_then(|section| SchemaRegistry::read(&section)),
        tag_keys: Option<Field<'a, Vec<SecretSource>>> =
            root.section("sessions").map(|sessions| sessions.field("tag_keys")),
        limits: Option<RawLimits<'a>> = root.section("limits").as_ref().map(RawLimits::read),
        spool: Option<RawSpool<'a>> = root.section("spool").as_ref().map(RawSpool::read),
        /// `[telemetry] otlp`.
        otlp: Option<Field<'a, Url>> = root.section("telemetry").map(|telemetry| telemetry.field("otlp")),
        issuers: Vec<RawIssuer<'a>> = root.sections("issuer").iter().map(RawIssuer::read).collect(),
        targets: Vec<RawTarget<'a>> = root.sections("target").iter().map(RawTarget::read).collect(),
        /// Where the file as a whole begins.
        span: Range<usize> = root.span(),
    }
}

section! {
    /// `[tls]`
    RawServerTls<'a> from tls {
        client_ca: PathBuf,
        client_certificates: String,
    } also {
        own: RawTls<'a> = RawTls {
            certificate: tls.field("certificate"),
            key: tls.field("key"),
        },
    }
}

/// A certificate and its key, which are called differently in different places.
pub(super) struct RawTls<'a> {
    pub(super) certificate: Field<'a, PathBuf>,
    pub(super) key: Field<'a, PathBuf>,
}

section! {
    /// `[limits]`
    RawLimits<'a> from limits {
        connections: NonZeroU32,
        in_flight: NonZeroU32,
        request_head: ByteSize,
        request_body: ByteSize,
        request_bodies: ByteSize,
        head_time: Duration,
        body_time: Duration,
        write_time: Duration,
        requests_per_second: NonZeroU32,
        burst: NonZeroU32,
        call_grace: Duration,
    }
}

section! {
    /// `[spool]`
    RawSpool<'a> from spool {
        dir: PathBuf,
        max_bytes: ByteSize,
    }
}

section! {
    /// `[[issuer]]`
    RawIssuer<'a> from issuer {
        /// As text: an issuer is compared byte for byte, and a parsed URL is not what was written.
        url: String,
        audience: OneOrMany<String>,
        groups_claim: String,
        groups_from: String,
        tenant: String,
        tenant_claim: String,
    } also {
        introspection: Option<RawIntrospection<'a>> =
            issuer.section("introspection").as_ref().map(RawIntrospection::read),
    }
}

section! {
    /// `[issuer.introspection]`
    RawIntrospection<'a> from asked {
        client_id: String,
        client_secret: SecretSource,
        endpoint: Url,
        tokens: String,
        keep: Duration,
    }
}

section! {
    /// `[[target]]`
    RawTarget<'a> from target {
        name: String,
        url: Url,
        transport: String,
        ca: PathBuf,
        audience: OneOrMany<String>,
        allow_groups: Vec<String>,
        record: String,
        allow_single_copy: bool,
    } also {
        program: RawProgram<'a> = RawProgram::read(target),
        /// `client_certificate` and `client_key`.
        client: RawTls<'a> = RawTls {
            certificate: target.field("client_certificate"),
            key: target.field("client_key"),
        },
        credential: Option<RawCredential<'a>> = target.section("credential").as_ref().map(RawCredential::read),
    }
}

section! {
    /// The keys of a `[[target]]` that is a process.
    RawProgram<'a> from target {
        command: String,
        args: Vec<String>,
        env: Vec<String>,
        per: String,
        processes: NonZeroU32,
        memory: ByteSize,
        open_files: NonZeroU32,
    }
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

section! {
    /// `credential` of a target.
    RawCredential<'a> from credential {
        header: String,
        prefix: Prefix,
        env: String,
        file: PathBuf,
        users: PathBuf,
    } also {
        oauth: Option<RawOAuth<'a>> = credential.section("oauth").as_ref().map(RawOAuth::read),
        span: Range<usize> = credential.span(),
    }
}

section! {
    /// `[target.credential.oauth]`
    RawOAuth<'a> from oauth {
        grant: String,
        token_url: Url,
        client_id: String,
        client_secret: SecretSource,
        scope: String,
        audience: String,
        resource: String,
    }
}

/// What stands before a secret; may be empty, unlike other strings.
pub(super) struct Prefix(pub(super) String);

impl FromToml for Prefix {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.text("a string").map(|text| Self(text.to_owned()))
    }
}
