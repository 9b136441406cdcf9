//! The `[clickhouse]` section, which the consumer and the console share.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::{OneOrMany, SecretSource, Section, secret::variable_name};

/// Where the keys are not given.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How to reach ClickHouse: keys `url` (one, or an array), `database`, `user`, `password_env` or `password_file`, `ca_file`,
/// `connect_timeout`, `request_timeout`.
#[derive(Clone, Debug)]
pub struct ClickHouse {
    /// The HTTP interface, such as `http://127.0.0.1:8123`; of several, the first.
    pub url: Url,
    /// The interfaces of the other replicas of the same tables, in the order in which they are tried. Invariant: no URL is
    /// there twice, the first included.
    pub replicas: Vec<Url>,
    /// PEM file of the only roots that a certificate may have; without, those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// The longest wait for a connection, its TLS included; default 5 s.
    pub connect_timeout: Duration,
    /// The longest wait for an answer; default 60 s. Longer than `connect_timeout`.
    pub request_timeout: Duration,
    /// The database that holds the tables; default `tapedeck`. Letters, digits and `_` only, so that it needs no
    /// quoting in any statement.
    pub database: String,
    /// The user; default `default`, as ClickHouse itself has it.
    pub user: String,
    /// The user's password, if one was configured.
    pub password: Option<SecretString>,
}

impl ClickHouse {
    /// Reads the section; what is wrong is reported, then `None`.
    pub fn read(section: &Section<'_>) -> Option<Self> {
        let urls = section
            .field::<OneOrMany<Url>>("url")
            .and_then(distinct)
            .required_at("ClickHouse's HTTP interface, such as \"http://127.0.0.1:8123\"");
        let ca_file = section.field::<PathBuf>("ca_file");
        let is_plain = |urls: &[Url]| urls.iter().all(|url| url.scheme() == "http");
        if ca_file.is_present() && urls.as_ref().is_some_and(|urls| is_plain(&urls.value)) {
            section
                .reader()
                .problem(ca_file.span(), "`ca_file` is of no use: every `url` is http");
        }
        let connect_timeout = section.field("connect_timeout").and_then(connecting);
        let request_timeout = section.field("request_timeout").and_then(answering);
        let span = request_timeout.span();
        let (connect_timeout, request_timeout) =
            (connect_timeout.or(CONNECT_TIMEOUT), request_timeout.or(REQUEST_TIMEOUT));
        if request_timeout <= connect_timeout {
            let message =
                "`request_timeout` must be longer than `connect_timeout`: a request may have to connect first";
            section.reader().problem(span, message);
        }
        let database = section.field("database").and_then(identifier).or("tapedeck".to_owned());
        let user = section.field("user").or("default".to_owned());
        let env = section.field("password_env").and_then(variable_name);
        let file = section.field::<PathBuf>("password_file");
        if env.is_present() && file.is_present() {
            let message = "`password_env` and `password_file` are both given; keep one";
            section.reader().problem(file.span(), message);
        }
        let resolve = |source: SecretSource| source.text(section.reader().environment());
        let password = match env.is_present() {
            true => env.and_then(|name| resolve(SecretSource::Env(name))).optional(),
            false => file.and_then(|path| resolve(SecretSource::File(path))).optional(),
        };
        let mut urls = urls?.value.into_iter();
        Some(Self {
            url: urls.next()?,
            replicas: urls.collect(),
            ca_file: ca_file.optional(),
            connect_timeout,
            request_timeout,
            database,
            user,
            password,
        })
    }

    /// Every interface, the first one first.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.url).chain(&self.replicas)
    }
}

fn distinct(OneOrMany(urls): OneOrMany<Url>) -> Result<Vec<Url>, String> {
    let again = urls
        .iter()
        .enumerate()
        .find(|(index, url)| urls[..*index].contains(url));
    match again {
        Some((_, url)) => Err(format!("{url} is there twice")),
        None => Ok(urls),
    }
}

fn connecting(timeout: Duration) -> Result<Duration, &'static str> {
    match timeout.as_millis() {
        100..=60_000 => Ok(timeout),
        _ => Err("it must be from 100ms to 60s"),
    }
}

fn answering(timeout: Duration) -> Result<Duration, &'static str> {
    match timeout.as_millis() {
        1_000..=600_000 => Ok(timeout),
        _ => Err("it must be from 1s to 10m"),
    }
}

fn identifier(name: String) -> Result<String, &'static str> {
    let fits = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    if name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        Ok(name)
    } else {
        Err("a database's name has letters, digits and `_` only and does not start with a digit")
    }
}
