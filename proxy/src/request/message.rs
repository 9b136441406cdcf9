//! Reading the client's message.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::config::Limits;
use crate::gate::Room;
use crate::refusal::Refusal;
use crate::workers;

/// What of a body that nobody reads is taken off the wire before the connection is closed, in bytes.
const DISCARDED: usize = 64 * 1024 * 1024;

/// Time for that.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// A body until its end was read.
///
/// What is left of it when the exchange is refused is discarded while the answer is sent: closing a connection with
/// unread bytes resets it, and the client, still sending, would see a broken pipe and not the answer (RFC 9112,
/// section 9.6).
pub(super) struct Unread(Option<Incoming>);

impl Unread {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
                let mut discarded = 0;
                while let Some(Ok(frame)) = body.frame().await
                    && discarded < DISCARDED
                {
                    discarded += frame.data_ref().map_or(0, Bytes::len);
                }
            }));
        }
    }
}

/// All of the body, which takes what it needs of `room`. One that arrives in one piece is not copied.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Unread,
    limits: &Limits,
    room: &mut Room,
) -> Result<Bytes, Refusal> {
    let Some(incoming) = body.0.as_mut() else {
        return Ok(Bytes::new());
    };
    let encoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(Refusal::ContentEncoding);
    }
    if !is_utf8(headers) {
        return Err(Refusal::Charset);
    }
    if incoming.size_hint().lower() > limits.request_body as u64 {
        return Err(Refusal::BodyTooLarge(limits.request_body));
    }
    let whole = in_time(limits.body_time, collect(incoming, limits.request_body, room)).await?;
    body.0 = None;
    Ok(whole)
}

/// Waits for a body no longer than this. Most bodies have come with their heads, and whoever reads the connection has
/// only to hand them over: no timer is set for them.
async fn in_time(longest: Duration, body: impl Future<Output = Result<Bytes, Refusal>>) -> Result<Bytes, Refusal> {
    let mut body = pin!(body);
    if let Some(whole) = body.as_mut().now_or_never() {
        return whole;
    }
    workers::let_others_go_on().await;
    let whole = tokio::time::timeout(longest, body).await;
    whole.map_err(|_| Refusal::BodyTimeout)?
}

/// Whether everybody reads the body as UTF-8, as the record does (RFC 8259, section 8.1). Some servers decode it by the
/// charset that the client names: what reads as one call in UTF-8 can be another in UTF-7 or EBCDIC. A field that could
/// be read in two ways counts as another charset.
fn is_utf8(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let Some(field) = fields.next() else { return true };
    let names_utf8 = |parameter: &[u8]| {
        let bare: Vec<u8> = parameter
            .iter()
            .filter(|byte| !matches!(byte, b' ' | b'\t' | b'"'))
            .map(u8::to_ascii_lowercase)
            .collect();
        let names_one = bare.windows(b"charset".len()).any(|part| part == b"charset");
        !names_one || bare == b"charset=utf-8" || bare == b"charset=utf8"
    };
    fields.next().is_none() && field.as_bytes().split(|&byte| byte == b';').all(names_utf8)
}

async fn collect(body: &mut Incoming, longest: usize, room: &mut Room) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BodyIncomplete)?.into_data() else {
            continue;
        };
        if first.len() + more.len() + data.len() > longest {
            return Err(Refusal::BodyTooLarge(longest));
        }
        if !room.grow(data.len()) {
            return Err(Refusal::Busy);
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn typed(fields: &[&'static str]) -> HeaderMap {
        let fields = fields
            .iter()
            .map(|field| (CONTENT_TYPE, HeaderValue::from_static(field)));
        fields.collect()
    }

    #[test]
    fn json_in_utf8_is_read_however_that_is_written() {
        for field in [
            "application/json",
            "application/json;charset=utf-8",
            "Application/JSON; Charset=\"UTF-8\"",
            "application/json; charset=utf8; profile=x",
        ] {
            assert!(is_utf8(&typed(&[field])), "{field}");
        }
        assert!(is_utf8(&HeaderMap::new()));
    }

    #[test]
    fn what_a_target_could_decode_in_another_way_is_not_read() {
        for field in [
            "application/json; charset=utf-7",
            "application/json; charset=utf-16le",
            "application/json;charset=utf-8;charset=utf-7",
            "application/json; charset = utf-7",
            "application/json; x=\"; charset=utf-7\"",
            "application/json; charset*=utf-8''utf-7",
            "application/json, text/json charset=utf-8",
        ] {
            assert!(!is_utf8(&typed(&[field])), "{field}");
        }
        assert!(!is_utf8(&typed(&["application/json", "application/json"])));
    }
}
