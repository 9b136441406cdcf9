//! `console.toml`, validated: everything that is wrong is reported at once, each with its place.

mod issuer;
mod limits;
mod public_url;
mod query_log;
mod roles;
mod tls;
mod tokens;

use std::net::SocketAddr;
use std::path::Path;

use ipnet::IpNet;
use tapedeck_asker::address::AddressHeader;
use tapedeck_config::{ClickHouse, Errors, Section, SharedKeys};

pub use issuer::{ClaimPath, Issuer};
pub use limits::Limits;
pub use public_url::PublicUrl;
pub use query_log::QueryLog;
pub use roles::{Auditor, Roles};
pub use tls::Tls;
pub use tokens::Tokens;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// The origin that browsers see.
    pub public_url: PublicUrl,
    /// Certificate and key; without them something in front terminates TLS.
    pub tls: Option<Tls>,
    /// What seals the sessions of browsers; the same for all replicas.
    pub session_keys: SharedKeys,
    /// Networks whose word on where a client is is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Where they write it.
    pub client_address_header: AddressHeader,
    /// Where recordings are read.
    pub clickhouse: ClickHouse,
    /// Where the access log is written.
    pub access_log: ClickHouse,
    /// Where looks past the console, in SQL, are taken from into the access log; none: they are not.
    pub query_log: Option<QueryLog>,
    /// Who says who people are.
    pub issuer: Issuer,
    /// What their groups are worth.
    pub roles: Roles,
    /// What tokens are made with; without it, no value can be searched for.
    pub tokens: Option<Tokens>,
    /// What one query and one user may cost.
    pub limits: Limits,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Errors> {
        tapedeck_config::read(path, Self::build)
    }

    /// Builds the configuration from a file's tables; what is wrong is reported there, then `None`.
    pub fn build(root: &Section<'_>) -> Option<Self> {
        let listen = root
            .field("listen")
            .required("the address to serve on, such as \"127.0.0.1:8090\"");
        let public_url = root
            .field("public_url")
            .and_then(PublicUrl::new)
            .required("the origin that browsers see, such as \"https://tapedeck.example.com\"");
        let session_keys = SharedKeys::read(root.field("session_keys"));
        let trusted_proxies = root.field("trusted_proxies").or(Vec::<IpNet>::new());
        let address_header = root.field("client_address_header").and_then(AddressHeader::named);
        if address_header.is_present() && trusted_proxies.is_empty() {
            let message = "`client_address_header` is of no use without `trusted_proxies`";
            root.reader().problem(address_header.span(), message);
        }
        let tls = root.section("tls");
        let has_tls = tls.is_some();
        let tls = tls.and_then(|section| Tls::read(&section));
        let clickhouse = root.required_section("clickhouse", "where recordings are read");
        let clickhouse = clickhouse.and_then(|section| ClickHouse::read(&section));
        let access_log = root.required_section(
            "access_log",
            "where looks are written down: the same ClickHouse, and a user who may insert into access_log",
        );
        let access_log = access_log.and_then(|section| ClickHouse::read(&section));
        let query_log = root.section("query_log").map(|section| QueryLog::read(&section));
        let issuer = root.required_section("issuer", "who signs people in");
        let issuer = issuer.and_then(|section| Issuer::read(&section));
        let roles = root.required_section("roles", "which groups may see what");
        let roles = roles.and_then(|section| Roles::read(&section));
        let limits = Limits::read(root.section("limits").as_ref());
        let tokens = root.section("tokens");
        let has_tokens = tokens.is_some();
        let tokens = tokens.and_then(|section| Tokens::read(&section));
        let tls = match has_tls {
            true => Some(tls?),
            false => None,
        };
        let query_log = match query_log {
            Some(read) => Some(read?),
            None => None,
        };
        let tokens = match has_tokens {
            true => Some(tokens?),
            false => None,
        };
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            tls,
            session_keys: session_keys?,
            trusted_proxies,
            client_address_header: address_header.or(AddressHeader::default()),
            clickhouse: clickhouse?,
            access_log: access_log?,
            query_log,
            issuer: issuer?,
            roles: roles?,
            tokens,
            limits,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tapedeck_config::Environment;

    use super::*;

    #[test]
    fn the_example_is_a_right_configuration() {
        let text = include_str!("../../../../deploy/examples/console.toml");
        let variables = [
            ("CLICKHOUSE_PASSWORD".to_owned(), "reads".to_owned()),
            ("CLIENT_SECRET".to_owned(), "secret".to_owned()),
            ("SESSION_KEY".to_owned(), "k".repeat(32)),
            ("WATCHER_PASSWORD".to_owned(), "watches".to_owned()),
        ];
        let environment = Environment::Given(variables.into());
        let config = tapedeck_config::read_text_with("console.toml", text, environment, Config::build);
        let config = config.expect("the example is right");
        assert_eq!(config.roles.auditors.len(), 1);
        assert_eq!(config.limits.time, Duration::from_secs(10));
        assert_eq!(config.access_log.user, "tapedeck_console");
        let query_log = config.query_log.expect("looks in SQL are taken");
        assert_eq!(query_log.clickhouse.user, "tapedeck_watcher");
        assert_eq!(query_log.services, ["tapedeck_loader", "tapedeck_console"]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let text = "listen = 1\nclient_address_header = \"Forwarded\"\npublic_url = \"http://console.example\"\nlisten_admin = 1\n[clickhouse]\n[issuer]\n\
                    url = \"http://login.example\"\n[roles]\n[[roles.auditor]]\ngroups = \"a\"\n[limits]\nqueries_per_user = 0\n[tokens]\n";
        let errors = tapedeck_config::read_text("c.toml", text, Config::build).expect_err("it is wrong");
        let said = errors.to_string();
        for expected in [
            "`listen`",
            "public_url",
            "listen_admin",
            "client_address_header",
            "clickhouse.url",
            "[access_log]",
            "issuer.url",
            "issuer.client_id",
            "roles.auditor[0].tenants",
            "limits.queries_per_user",
            "[[tokens.key]]",
        ] {
            assert!(said.contains(expected), "{expected} is not in:\n{said}");
        }
    }

    #[test]
    fn a_configuration_that_gives_nobody_a_right_is_refused() {
        let text = "[roles]\n";
        let errors = tapedeck_config::read_text("c.toml", text, |root| {
            root.section("roles").and_then(|section| Roles::read(&section))
        });
        assert!(errors.expect_err("it is wrong").to_string().contains("nobody"));
    }
}
