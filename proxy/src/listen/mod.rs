//! Connections: accepting them, TLS, and what they may cost before they are anybody's.

mod address;
mod connection;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use address::client_address;
pub(crate) use tls::acceptor;

use crate::client_side::AnswerBody;
use crate::socket;
use connection::Protocol;

/// Time for a client to finish the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, most likely for want of file descriptors: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// `http/1.1` or `h2`.
    pub(crate) transport: &'static str,
}

/// Serves connections until `stopping`, then lets each finish its answer, until `cut`.
///
/// Returns once no connection is left.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stopping: CancellationToken,
    cut: CancellationToken,
    handler: H,
) where
    H: Fn(Peer, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let (tls, handler, stopping, cut) = (tls.clone(), handler.clone(), stopping.clone(), cut.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = one_connection(stream, address, tls, stopping, handler) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn one_connection<H, F>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    stopping: CancellationToken,
    handler: H,
) where
    H: Fn(Peer, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    if let Err(error) = socket::prepare(&stream) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let service = |transport| {
        service_fn(move |request| {
            let answer = handler(Peer { address, transport }, request);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let Some(acceptor) = tls else {
        return connection::run(Protocol::Http1, stream, service(Protocol::Http1.name()), stopping).await;
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let protocol = Protocol::negotiated(stream.get_ref().1.alpn_protocol());
            connection::run(protocol, stream, service(protocol.name()), stopping).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}
