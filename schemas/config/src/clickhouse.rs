//! The `[clickhouse]` section, which the consumer and the console share.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::{SecretSource, Section, secret::variable_name};

/// How to reach ClickHouse: keys `url`, `database`, `user`, `password_env` or `password_file`.
#[derive(Clone, Debug)]
pub struct ClickHouse {
    /// The HTTP interface, such as `http://127.0.0.1:8123`.
    pub url: Url,
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
        let url = section
            .field("url")
            .required("ClickHouse's HTTP interface, such as \"http://127.0.0.1:8123\"");
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
        Some(Self {
            url: url?,
            database,
            user,
            password,
        })
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
