//! From what was found to an answer: the only way.

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{AccessLog, Accounted, Entry, Look, Recorded};
use crate::serve::identity::Caller;
use crate::serve::problem::Problem;

/// Writes who sees what, then answers with it: JSON with an `ETag` over its bytes, or 304 where the client has them.
///
/// # Errors
/// [`Problem::NotOnRecord`]: the row could not be written, and the content is gone.
pub(in crate::serve) async fn answer<T: Serialize>(
    log: &AccessLog,
    caller: &Caller,
    look: &Look,
    found: Recorded<T>,
) -> Result<Response, Problem> {
    let rows = found.rows();
    let body = found.map(|content| serde_json::to_vec(&content));
    let bytes = body.measure(|body| body.as_ref().map_or(0, Vec::len)) as u64;
    let logged = log
        .write(&Entry::allowed(caller.scope(), caller.asker(), look, rows, bytes))
        .await?;
    let body = body.release(&logged).map_err(|_| Problem::Internal)?;
    Ok(json(caller.asker().if_none_match(), body, Accounted::Logged))
}

/// An answer that holds nothing that was recorded.
pub(in crate::serve) fn nothing_recorded(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(Accounted::NothingRecorded);
    response
}

fn json(has: Option<&HeaderValue>, body: Vec<u8>, accounted: Accounted) -> Response {
    let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..18]));
    let is_same = has.and_then(|has| has.to_str().ok()).is_some_and(|has| {
        // RFC 9110, section 13.1.2: a list, compared weakly.
        has.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
    });
    let mut response = match is_same {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => body.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Recordings are not to lie about in caches of shared machines. Programs may keep what they have, and ask again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        ETAG,
        HeaderValue::from_str(&tag).expect("base64url in quotes is a header field"),
    );
    response.extensions_mut().insert(accounted);
    response
}
