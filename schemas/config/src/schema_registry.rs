//! The `[schema_registry]` section, which the proxy and the consumer share.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{SecretSource, Section, secret::variable_name};

/// A schema registry with Confluent's interface: keys `url`, `user`, `password_env` or `password_file`, `ca`.
#[derive(Clone, Debug)]
pub struct SchemaRegistry {
    /// Where its interface is, such as `https://registry:8081`.
    pub url: Url,
    /// The user of HTTP's basic authentication, with a password.
    pub login: Option<(String, SecretString)>,
    /// PEM file of the only roots that its certificate may have; without, those that this machine trusts.
    pub ca: Option<PathBuf>,
}

impl PartialEq for SchemaRegistry {
    fn eq(&self, other: &Self) -> bool {
        let is_same_login = match (&self.login, &other.login) {
            (Some((user, password)), Some((other, others))) => {
                user == other && password.expose_secret() == others.expose_secret()
            }
            (None, None) => true,
            _ => false,
        };
        is_same_login && (&self.url, &self.ca) == (&other.url, &other.ca)
    }
}

impl Eq for SchemaRegistry {}

impl SchemaRegistry {
    /// Reads the section; what is wrong is reported, then `None`.
    pub fn read(section: &Section<'_>) -> Option<Self> {
        let url = section
            .field::<Url>("url")
            .required("the registry's interface, such as \"https://registry:8081\"");
        let user = section.field::<String>("user");
        let env = section.field("password_env").and_then(variable_name);
        let file = section.field::<PathBuf>("password_file");
        let reader = section.reader();
        if env.is_present() && file.is_present() {
            reader.problem(
                file.span(),
                "`password_env` and `password_file` are both given; keep one",
            );
        }
        let has_password = env.is_present() || file.is_present();
        if user.is_present() != has_password {
            reader.problem(section.span(), "`user` and a password go together");
        }
        let ca = section.field::<PathBuf>("ca");
        if ca.is_present() && url.as_ref().is_some_and(|url| url.scheme() == "http") {
            reader.problem(ca.span(), "`ca` is of no use: `url` is http");
        }
        let resolve = |source: SecretSource| source.text(reader.environment());
        let password = match env.is_present() {
            true => env.and_then(|name| resolve(SecretSource::Env(name))).optional(),
            false => file.and_then(|path| resolve(SecretSource::File(path))).optional(),
        };
        Some(Self {
            url: url?,
            login: user.optional().zip(password),
            ca: ca.optional(),
        })
    }
}
