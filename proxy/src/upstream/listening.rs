//! Streams that a client listens to (GET), from a target without TLS, in HTTP/1.1: each on a connection of its own, on which
//! nothing is kept but the connection.
//!
//! Such a stream is silent for most of the time, there are thousands of them, and each lasts for days. hyper keeps 25 KiB for
//! one: two buffers, and room for 32 requests that never come. Here bytes are read when there are some, into a buffer that
//! is nobody's, and a silent stream holds none. What is sent is a head without a body, and what comes back is framed by
//! the rules of RFC 9112, section 6.3, read strictly: what could be read in two ways is an error.

mod framing;

use std::io;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use framing::{Framing, Malformed};

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// Most fields in it: as many as hyper takes.
const MOST_FIELDS: usize = 100;
/// What is read at once.
const PIECE: usize = 16 * 1024;

/// Why a stream did not begin, or broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListeningError {
    /// The connection.
    #[error("the connection: {0}")]
    Io(#[from] io::Error),
    /// It ended before the answer did.
    #[error("the connection ended before the answer")]
    Incomplete,
    /// What came is no HTTP/1.1, or could be read in two ways.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
}

impl From<Malformed> for ListeningError {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Malformed(why)
    }
}

/// The body of an answer, as it comes.
pub(super) struct Listening {
    tcp: TcpStream,
    framing: Framing,
    /// What was read together with something before it.
    rest: Bytes,
}

/// Sends a request without a body, and reads the head of its answer. Whatever fails here may have been sent.
pub(super) async fn listen<B>(
    mut tcp: TcpStream,
    request: &Request<B>,
    authority: &Authority,
) -> Result<(StatusCode, HeaderMap, Listening), ListeningError> {
    tcp.write_all(&head_of(request, authority)).await?;
    let mut read = BytesMut::with_capacity(1024);
    let (status, headers) = loop {
        if tcp.read_buf(&mut read).await? == 0 {
            return Err(ListeningError::Incomplete);
        }
        match answered(&mut read)? {
            Some(head) => break head,
            None if read.len() >= LONGEST_HEAD => return Err(ListeningError::Malformed("its head is too long")),
            None => {}
        }
    };
    let framing = framing_of(status, &headers)?;
    // Not the buffer itself, which the head has filled.
    let rest = Bytes::copy_from_slice(&read);
    Ok((status, headers, Listening { tcp, framing, rest }))
}

/// The request's head as it is sent: names and values are such as http allows, without a line break.
fn head_of<B>(request: &Request<B>, authority: &Authority) -> Vec<u8> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut head = Vec::with_capacity(1024);
    for part in [
        request.method().as_str(),
        " ",
        path,
        " HTTP/1.1\r\nhost: ",
        authority.as_str(),
        "\r\nconnection: close\r\n",
    ] {
        head.extend_from_slice(part.as_bytes());
    }
    let own = [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];
    for (name, value) in request.headers().iter().filter(|(name, _)| !own.contains(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The head at the beginning of what was read, which is taken off it; none until it is whole. After one that is
/// informational the next is looked for.
fn answered(read: &mut BytesMut) -> Result<Option<(StatusCode, HeaderMap)>, ListeningError> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(read) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(ListeningError::Malformed("its head is no HTTP/1.1")),
        };
        let is_1_0 = parsed.version == Some(0);
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(ListeningError::Malformed("it has no status"))?;
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for field in parsed.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(ListeningError::Malformed("a field of its head is none"));
            };
            headers.append(name, value);
        }
        if is_1_0 && headers.contains_key(TRANSFER_ENCODING) {
            return Err(ListeningError::Malformed("HTTP/1.0 has no transfer codings"));
        }
        let _ = read.split_to(length);
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            continue;
        }
        return Ok(Some((status, headers)));
    }
}

/// How the end of an answer to a GET is found (RFC 9112, section 6.3).
fn framing_of(status: StatusCode, headers: &HeaderMap) -> Result<Framing, ListeningError> {
    if matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS
    ) {
        return Ok(Framing::length(0));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        // Another coding would hide what is said.
        let is_plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return match is_plain {
            true => Ok(Framing::chunked()),
            false => Err(ListeningError::Malformed("it has another transfer coding than chunks")),
        };
    }
    let mut length = None;
    for named in headers.get_all(CONTENT_LENGTH) {
        let digits = named
            .to_str()
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let named: Option<u64> = digits.and_then(|digits| digits.parse().ok());
        let named = named.ok_or(ListeningError::Malformed("its length is no number"))?;
        if length.is_some_and(|length| length != named) {
            return Err(ListeningError::Malformed("it has two lengths"));
        }
        length = Some(named);
    }
    Ok(length.map_or(Framing::until_close(), Framing::length))
}

impl Listening {
    /// The next bytes; none at the end. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ListeningError> {
        loop {
            if let Some(data) = self.framing.take(&mut self.rest)? {
                return Ok(Some(data));
            }
            if self.framing.is_over() {
                return Ok(None);
            }
            self.tcp.readable().await?;
            // Nothing of it outlives this look: while the stream is silent there is no buffer.
            let mut piece = [0; PIECE];
            match self.tcp.try_read(&mut piece) {
                Ok(0) if self.framing.ends_with_its_connection() => return Ok(None),
                Ok(0) => return Err(ListeningError::Incomplete),
                Ok(length) => self.rest = Bytes::copy_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether it is known already that nothing follows.
    pub(super) fn is_over(&self) -> bool {
        self.framing.is_over()
    }

    /// Length of what is left, where the target declared it.
    pub(super) fn length(&self) -> Option<u64> {
        self.framing.left()
    }
}

#[cfg(test)]
mod tests;
