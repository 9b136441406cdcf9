use anyhow::Context as _;
use clickhouse::Client;

use crate::command::arguments::Direct;

/// A connection. All but `deadletters retry` only reads.
pub(crate) struct Database(Client);

impl Database {
    pub(crate) fn new(connection: &Direct) -> anyhow::Result<Self> {
        let url = connection.clickhouse.as_ref().context("--clickhouse is missing")?;
        let mut client = Client::default()
            .with_url(url.as_str().trim_end_matches('/'))
            .with_database(&connection.database)
            .with_user(&connection.clickhouse_user);
        let password = match &connection.password_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => std::env::var("TAPEDECK_CLICKHOUSE_PASSWORD").ok(),
        };
        if let Some(password) = password {
            client = client.with_password(password);
        }
        Ok(Self(client))
    }

    pub(crate) fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.0.query(sql)
    }
}
