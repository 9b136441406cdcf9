//! Connections: accepting them, TLS, HTTP, and ending those on which nothing happens.

mod load;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::Tls;
use super::edge::Peer;
use load::Load;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 2048;
/// Time for a client to finish the TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a connection may do nothing.
const TIMES: Times = Times {
    head: Duration::from_secs(15),
    idle: Duration::from_secs(120),
    goodbye: Duration::from_secs(5),
};
/// Pause after an accept that failed, most likely for want of file descriptors: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers that are under way may take when the server ends.
const FAREWELL: Duration = Duration::from_secs(10);
/// The largest request head, in bytes; also of an HTTP/2 one.
const HEAD: usize = 32 * 1024;

/// How long a connection may do nothing. HTTP/2 itself knows no such times: a head that never ends, or none at all, would hold
/// a connection for ever.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// Time for a client to send a request's head, and the first one.
    head: Duration,
    /// Time between the end of an answer and the next request.
    idle: Duration,
    /// Time for a client to take leave.
    goodbye: Duration,
}

/// Presents the configured certificate; HTTP/2 is offered first.
///
/// # Errors
/// Certificate and key that rustls does not take.
pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(tls.chain.clone(), tls.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `shutdown`, then lets answers end.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer, permit) = accepted;
        let (acceptor, shutdown) = (acceptor.clone(), shutdown.clone());
        let router = router.clone();
        connections.spawn(async move {
            let _permit = permit;
            match acceptor {
                None => connection(stream, peer, router, shutdown, TIMES).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, peer, router, shutdown, TIMES).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
        });
    }
    connections.close();
    if tokio::time::timeout(FAREWELL, connections.wait()).await.is_err() {
        tracing::warn!("some answers were cut off");
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Peer, tokio::sync::OwnedSemaphorePermit) {
    let permit = Arc::clone(room).acquire_owned().await.expect("it is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Small answers are not to wait for each other; a socket that refuses works all the same.
                let _ = stream.set_nodelay(true);
                return (stream, Peer(address), permit);
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<I>(io: I, peer: Peer, router: Router, shutdown: CancellationToken, times: Times)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD as u32);
    let load = Load::new();
    let idle = load.idle(times.head, times.idle);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let under_way = load.begin();
        let answer = router.call(request);
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| under_way.until_the_end_of(body)))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = idle => {
            connection.as_mut().graceful_shutdown();
            // Who does not take leave is left.
            tokio::time::timeout(times.goodbye, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error, "a connection ended");
    }
}

#[cfg(test)]
mod tests;
