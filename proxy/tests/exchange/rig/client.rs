//! A client that shows what came, byte for byte.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct Request {
    address: SocketAddr,
    request: http::Request<Full<Bytes>>,
}

/// The head of an answer, and its body to be read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1");
        Self {
            address,
            request: request.body(Full::default()).expect("a request"),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header");
        self.request.headers_mut().insert(name, value);
        self
    }

    /// One more field of this name.
    pub(crate) fn and_header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header");
        self.request.headers_mut().append(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sends it on a connection of its own and waits for the head.
    pub(crate) async fn send(self) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("the proxy listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        let connection = tokio::spawn(async move {
            // A cut is seen in the body.
            let _ = connection.await;
        });
        let (head, body) = sender.send_request(self.request).await.expect("an answer").into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            connection,
        }
    }
}

impl Answer {
    /// All of the body. Err: what came before it was cut.
    pub(crate) async fn whole(mut self) -> Result<Bytes, Bytes> {
        let mut all = Vec::new();
        while let Some(frame) = self.body.frame().await {
            match frame {
                Ok(frame) => all.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => return Err(all.into()),
            }
        }
        Ok(all.into())
    }

    /// The next bytes of the body.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let frame = self.body.frame().await?;
        Some(frame.expect("not cut").into_data().unwrap_or_default())
    }

    /// The body as JSON.
    pub(crate) async fn json(self) -> serde_json::Value {
        serde_json::from_slice(&self.whole().await.expect("a whole body")).expect("JSON")
    }

    /// Goes away: the connection is closed.
    pub(crate) async fn vanish(self) {
        drop(self.body);
        self.connection.abort();
        let _ = self.connection.await;
    }
}
