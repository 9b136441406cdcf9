//! Where the browser comes back to: a port of this machine, for one answer (RFC 8252, section 7.3).

use std::time::Duration;

use anyhow::Context as _;
use oauth2::CsrfToken;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::command::failure::Failure;

/// The longest request head that is read, in bytes.
const HEAD: usize = 16 * 1024;
/// How long a browser may take to send it.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// A listener for the browser.
pub(super) struct Loopback {
    listener: TcpListener,
    redirect_uri: Url,
}

/// What came back.
enum Back {
    Code(String),
    Refused(String),
}

impl Loopback {
    pub(super) async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("listening for the browser")?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            redirect_uri: format!("http://{address}/callback")
                .parse()
                .expect("an address makes a URL"),
        })
    }

    pub(super) fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// The code that a browser brings with the right `state`; others, which anything on this machine may send, are told
    /// that they are wrong.
    pub(super) async fn code(self, state: &CsrfToken, issuer: &str) -> anyhow::Result<String> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let Ok(Some(target)) = tokio::time::timeout(HEAD_TIME, target(&mut stream)).await else {
                continue;
            };
            match back(&target, state, issuer) {
                None => answer(&mut stream, "404 Not Found", "This is not the sign-in that began here.").await,
                Some(Back::Code(code)) => {
                    answer(&mut stream, "200 OK", "You are signed in. Go back to the terminal.").await;
                    return Ok(code);
                }
                Some(Back::Refused(error)) => {
                    answer(&mut stream, "200 OK", "You are not signed in. Go back to the terminal.").await;
                    let error = crate::text::printable(&error);
                    return Err(Failure::NotAllowed(format!("the identity provider says: {error}")).into());
                }
            }
        }
    }
}

/// The target of a GET, from a request's first line; none for anything else.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&chunk[..read]);
        if head.len() > HEAD {
            return None;
        }
    }
    let line = std::str::from_utf8(&head).ok()?.lines().next()?;
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some(target)) => Some(target.to_owned()),
        _ => None,
    }
}

fn back(target: &str, state: &CsrfToken, issuer: &str) -> Option<Back> {
    let url = Url::parse("http://127.0.0.1/").ok()?.join(target).ok()?;
    let field = |name: &str| {
        let mut values = url
            .query_pairs()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned());
        values.next()
    };
    let is_ours = field("state").is_some_and(|back| bool::from(back.as_bytes().ct_eq(state.secret().as_bytes())));
    // RFC 9207: an answer of another issuer is none to this question.
    let is_its = field("iss").is_none_or(|said| said == issuer);
    if url.path() != "/callback" || !is_ours || !is_its {
        return None;
    }
    match (field("code"), field("error")) {
        (Some(code), None) => Some(Back::Code(code)),
        (_, Some(error)) => Some(Back::Refused(error)),
        (None, None) => None,
    }
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>tapedeck</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n{page}",
        page.len()
    );
    // The browser may be gone; the code is what counts.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use oauth2::CsrfToken;

    use super::{Back, back};

    #[test]
    fn only_the_answer_to_this_question_counts() {
        let state = CsrfToken::new("right".to_owned());
        let back = |target: &str| back(target, &state, "https://login.example");
        assert!(matches!(back("/callback?code=abc&state=right"), Some(Back::Code(code)) if code == "abc"));
        let named = "/callback?code=abc&state=right&iss=https%3A%2F%2Flogin.example";
        assert!(matches!(back(named), Some(Back::Code(_))));
        assert!(matches!(
            back("/callback?error=access_denied&state=right"),
            Some(Back::Refused(_))
        ));
        for wrong in [
            "/callback?code=abc",
            "/callback?code=abc&state=wrong",
            "/callback?code=abc&state=right&iss=https%3A%2F%2Fevil.example",
            "/callback?state=right",
            "/?code=abc&state=right",
            "//evil.example/callbac?code=abc&state=right",
        ] {
            assert!(back(wrong).is_none(), "{wrong}");
        }
    }
}
