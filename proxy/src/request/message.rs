//! Reading the client's message.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::config::limits::REQUEST_BODY;
use crate::refusal::Refusal;

/// Time for a body to arrive, all of it.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// All of the body, at most [`REQUEST_BODY`] bytes of it. One that arrives in one piece is not copied.
pub(super) async fn read(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Refusal> {
    let encoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(Refusal::ContentEncoding);
    }
    if body.size_hint().lower() > REQUEST_BODY as u64 {
        return Err(Refusal::BodyTooLarge(REQUEST_BODY));
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body))
        .await
        .map_err(|_| Refusal::BodyTimeout)?
}

async fn collect(mut body: Incoming) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BodyIncomplete)?.into_data() else {
            continue;
        };
        if first.len() + more.len() + data.len() > REQUEST_BODY {
            return Err(Refusal::BodyTooLarge(REQUEST_BODY));
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}
