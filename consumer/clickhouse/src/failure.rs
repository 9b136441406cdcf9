//! What can be known of a statement that failed on its way.

use std::error::Error as StdError;
use std::fmt::Write as _;

use clickhouse::error::Error;
use hyper_util::client::legacy;

/// Whether nothing of a statement can have reached ClickHouse: there was no connection.
#[must_use]
pub fn is_unsent(error: &Error) -> bool {
    let Error::Network(cause) = error else { return false };
    cause
        .downcast_ref::<legacy::Error>()
        .is_some_and(legacy::Error::is_connect)
}

/// Whether it is the endpoint, or the way to it, that is at fault, and not the statement: no connection, none to the end, no
/// answer in time, or one that is not ClickHouse's own.
#[must_use]
pub fn is_away(error: &Error) -> bool {
    match error {
        Error::Network(_) | Error::TimedOut => true,
        Error::BadResponse(text) => !text.contains("Code: "),
        _ => false,
    }
}

/// Whether an endpoint's certificate is not trusted: another authority's, another name's, or out of its time.
#[must_use]
pub fn is_distrust(error: &Error) -> bool {
    chain(error).any(is_certificate)
}

fn is_certificate(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    // An I/O error is transparent to what it wraps, and does not name it as its source.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_certificate(wrapped))
}

/// An error with all its causes on one line: the client's own word leaves out why there was no connection.
#[must_use]
pub fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in chain(error).skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            let _ = write!(text, ": {cause}");
        }
    }
    text
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
