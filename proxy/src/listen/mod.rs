//! Connections: accepting them, TLS, and what they may cost before they are anybody's.

mod client_cert;
mod connection;
mod proxy_protocol;
mod room;
mod stalled;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use client_cert::client_certificate;
pub(crate) use tls::{TlsError, acceptor};

use crate::client_side::AnswerBody;
use crate::config::Limits;
use crate::identity::CertificateThumbprint;
use crate::socket;
use crate::workers::Workers;
use connection::Protocol;
use room::Room;

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
    /// What its other end has shown in the TLS handshake.
    pub(crate) certificate: Option<CertificateThumbprint>,
}

/// Why a connection ended before a request could be made of what came on it. The client was answered by hyper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// No HTTP, or a length, a name or a value that HTTP does not allow.
    Malformed,
    /// A head over its limits.
    HeadTooLarge,
}

/// What a listener serves.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// Answers a request.
    fn answer(self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send;

    /// Hears of what could not be read.
    fn unreadable(&self, peer: Peer, why: Unreadable);

    /// How a connection that is accepted now is served, to its end.
    fn terms(&self) -> Terms;

    /// Waits until the terms are others. For ever, where they stay. Safe to cancel.
    fn changed(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// How a listener serves.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) limits: Limits,
    /// Whose connections begin with the PROXY protocol; nobody's, where it is off.
    pub(crate) announced_by: Vec<IpNet>,
    /// Each connection finishes its answer.
    pub(crate) stopping: CancellationToken,
}

/// Serves connections on `workers`, or here, until `stopping`, then lets each finish its answer, until `cut`.
///
/// Returns once no connection is left.
pub(crate) async fn serve(
    listener: TcpListener,
    workers: Option<Arc<Workers>>,
    mut service: impl Service,
    stopping: CancellationToken,
    cut: CancellationToken,
) {
    let connections = TaskTracker::new();
    let mut room = Room::new(service.terms().limits.connections);
    loop {
        // Those that find no room wait in the operating system's queue.
        let accepted = async {
            let place = room.place().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = service.changed() => {
                room.resize(service.terms().limits.connections);
                continue;
            }
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                // From here on it is told to the runtime of whoever serves it when something comes.
                let stream = match stream.into_std() {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be handed over");
                        continue;
                    }
                };
                let connection = one_connection(stream, address, service.terms(), service.clone());
                let connection = connections.track_future(until(cut.clone(), connection, place));
                match &workers {
                    Some(workers) => workers.spawn(connection),
                    None => {
                        tokio::spawn(connection);
                    }
                }
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

/// A connection to its end, or until `cut`; then its place is free.
async fn until(cut: CancellationToken, connection: impl Future<Output = ()>, _place: OwnedSemaphorePermit) {
    tokio::select! {
        () = connection => {}
        () = cut.cancelled() => {}
    }
}

async fn one_connection(stream: std::net::TcpStream, mut address: SocketAddr, terms: Terms, service: impl Service) {
    let taken = TcpStream::from_std(stream).and_then(|stream| socket::prepare(&stream).map(|()| stream));
    let mut stream = match taken {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "a connection ended before it began"),
    };
    if proxy_protocol::is_announced(address, &terms.announced_by) {
        let client = Box::pin(proxy_protocol::client(&mut stream, address));
        address = match tokio::time::timeout(HANDSHAKE_TIMEOUT, client).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a proxy did not say where its client is");
                if error.kind() == io::ErrorKind::InvalidData {
                    let peer = Peer {
                        address,
                        transport: Protocol::Http1.name(),
                        certificate: None,
                    };
                    service.unreadable(peer, Unreadable::Malformed);
                }
                return;
            }
            Err(_) => return tracing::debug!("a proxy took too long to say where its client is"),
        };
    }
    let peer = |protocol: Protocol, certificate| Peer {
        address,
        transport: protocol.name(),
        certificate,
    };
    let of_http = |peer: Peer| {
        let service = service.clone();
        service_fn(move |request| {
            // Boxed: the connection keeps room for it, also while an answer lasts for days and it is long over.
            let answer = Box::pin(service.clone().answer(peer, request));
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let Terms {
        tls, limits, stopping, ..
    } = terms;
    let (peer, unreadable) = match tls {
        None => {
            let (plain, peer) = (Protocol::Http1, peer(Protocol::Http1, None));
            (
                peer,
                connection::run(plain, stream, of_http(peer), limits, stopping).await,
            )
        }
        // Boxed: most connections are idle most of the time, and the room of what is over is not given back.
        Some(acceptor) => match Box::pin(tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream))).await {
            Ok(Ok(stream)) => {
                let tls = stream.get_ref().1;
                let protocol = Protocol::negotiated(tls.alpn_protocol());
                // The client's own comes first, and the handshake has shown that it has the key.
                let certificate = tls.peer_certificates().and_then(<[_]>::first);
                let peer = peer(protocol, certificate.map(CertificateThumbprint::of));
                (
                    peer,
                    Box::pin(connection::run(protocol, stream, of_http(peer), limits, stopping)).await,
                )
            }
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        },
    };
    if let Some(why) = unreadable {
        service.unreadable(peer, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::Clients;

    /// The size of what `make` gives, in bytes.
    fn size<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_lasts_takes_little_memory() {
        let task = |stream: std::net::TcpStream, address: SocketAddr, terms: Terms, service: Clients| {
            one_connection(stream, address, terms, service)
        };
        let bytes = size(task);
        assert!(
            bytes <= 4 * 1024,
            "{bytes} bytes for each connection, as long as it lasts"
        );
    }
}
