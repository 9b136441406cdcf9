//! TCP options of every connection, to clients and to targets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Silence after which the other end is asked whether it is there, and the pause between two such questions. With
/// Linux's nine of them a host that is gone is noticed after 2.5 minutes.
const SILENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(10);

/// Sends small writes at once: a message or an event waits for nothing. Asks silent ends whether they are there: an
/// event stream, or a call that takes long, has no other timeout, and a host that vanishes says nothing.
///
/// # Errors
/// The other end has gone already.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(PAUSE);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn small_writes_go_out_at_once_and_silent_ends_are_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address"))
            .await
            .expect("a connection");
        prepare(&stream).expect("connected");
        assert!(stream.nodelay().expect("an option"));
        assert!(SockRef::from(&stream).keepalive().expect("an option"));
    }
}
