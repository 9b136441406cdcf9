//! Parts that run already.

use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::StackError;
use crate::services::Database;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Looks whether a server that was given is there at all: what it says is for the proxy to judge.
pub(super) async fn accepts(what: &'static str, place: &str) -> Result<(), StackError> {
    let silent = |reason: String| StackError::Given {
        what,
        place: place.to_owned(),
        reason,
    };
    let url = Url::parse(place).map_err(|error| silent(error.to_string()))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(silent("it is no http or https URL".to_owned()));
    };
    // As the resolver has it: an IPv6 address without the brackets of a URL.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(CONNECT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(silent(error.to_string())),
        Err(_) => Err(silent(format!("no connection within {CONNECT:?}"))),
    }
}

/// A database of a ClickHouse whose login, if it needs one, stands in its URL.
pub(super) fn database(url: &Url, name: String) -> Database {
    let user = if url.username().is_empty() {
        "default"
    } else {
        url.username()
    };
    let password = url.password().map(|password| SecretString::from(password.to_owned()));
    // Both fail only for URLs without a host, which have no login either.
    let mut bare = url.clone();
    let _ = bare.set_password(None);
    let _ = bare.set_username("");
    Database {
        url: bare.as_str().trim_end_matches('/').to_owned(),
        name,
        user: user.to_owned(),
        password,
    }
}
