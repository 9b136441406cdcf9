//! The PROXY protocol, versions 1 and 2: a load balancer that passes connections on says first where each came from.

use std::io;
use std::net::SocketAddr;

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a header of version 2 begins with; those of version 1 are longer than it.
const SIGNATURE: &[u8] = v2::PROTOCOL_PREFIX;

/// A header of version 2 without addresses: signature, version and command, family and protocol, length.
const LEAST_V2: usize = 16;

/// The longest header of version 1, in bytes, by its specification.
const LONGEST_V1: usize = 107;

/// The longest header of version 2 that is read: addresses, and as much as load balancers say beside them.
const LONGEST_V2: usize = LEAST_V2 + 4096;

/// Whose connections begin with a header. Those of anybody else do not: they could say what they like.
pub(super) fn is_announced(peer: SocketAddr, proxies: &[IpNet]) -> bool {
    let address = peer.ip().to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// Takes the header off a connection, and nothing that follows it. The client's address; `own`, the connection's, where
/// the proxy speaks for itself (a health check) or does not know.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`]: it begins with something else. Others: it ended, or broke.
pub(super) async fn client(stream: &mut (impl AsyncRead + Unpin), own: SocketAddr) -> io::Result<SocketAddr> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        return version_2(stream, header, own).await;
    }
    // Byte by byte: what follows the line is the client's.
    while !header.ends_with(b"\r\n") {
        if header.len() == LONGEST_V1 || !header.starts_with(b"PROXY ") {
            return Err(invalid());
        }
        header.push(stream.read_u8().await?);
    }
    match v1::Header::try_from(header.as_slice())
        .map_err(|_| invalid())?
        .addresses
    {
        v1::Addresses::Tcp4(of) => Ok((of.source_address, of.source_port).into()),
        v1::Addresses::Tcp6(of) => Ok((of.source_address, of.source_port).into()),
        v1::Addresses::Unknown => Ok(own),
    }
}

async fn version_2(
    stream: &mut (impl AsyncRead + Unpin),
    mut header: Vec<u8>,
    own: SocketAddr,
) -> io::Result<SocketAddr> {
    header.resize(LEAST_V2, 0);
    stream.read_exact(&mut header[SIGNATURE.len()..]).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if LEAST_V2 + length > LONGEST_V2 {
        return Err(invalid());
    }
    header.resize(LEAST_V2 + length, 0);
    stream.read_exact(&mut header[LEAST_V2..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| invalid())?;
    if header.command == v2::Command::Local {
        return Ok(own);
    }
    match header.addresses {
        v2::Addresses::IPv4(of) => Ok((of.source_address, of.source_port).into()),
        v2::Addresses::IPv6(of) => Ok((of.source_address, of.source_port).into()),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => Ok(own),
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY header")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own() -> SocketAddr {
        "10.0.0.1:4711".parse().expect("an address")
    }

    /// Who it was, and what is left for HTTP.
    fn read(bytes: &[u8]) -> Result<(String, Vec<u8>), io::ErrorKind> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut rest = bytes;
        let client = runtime.block_on(client(&mut rest, own()));
        client
            .map(|client| (client.to_string(), rest.to_vec()))
            .map_err(|error| error.kind())
    }

    fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).expect("short");
        [SIGNATURE, &[command, family], &length.to_be_bytes(), addresses].concat()
    }

    #[test]
    fn both_versions_say_where_the_client_is_and_leave_what_follows() {
        let v4 = [[192, 0, 2, 7], [10, 0, 0, 1]].concat();
        let v4 = [v4, vec![0x12, 0x34, 0, 80]].concat();
        let with_more = [v4.clone(), vec![3, 0, 2, 1, 2]].concat();
        let mut v6 = vec![0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 9, 80);
        for (header, client) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), "192.0.2.7:4660"),
            (b"PROXY TCP6 2001:db8::1 ::1 4660 80\r\n".to_vec(), "[2001:db8::1]:4660"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "10.0.0.1:4711"),
            (binary(0x21, 0x11, &v4), "192.0.2.7:4660"),
            (binary(0x21, 0x11, &with_more), "192.0.2.7:4660"),
            (binary(0x21, 0x21, &v6), "[2001::9]:80"),
            (binary(0x20, 0x00, &[]), "10.0.0.1:4711"),
            (binary(0x20, 0x11, &v4), "10.0.0.1:4711"),
            (binary(0x21, 0x00, &[]), "10.0.0.1:4711"),
        ] {
            let sent = [header.clone(), b"POST /".to_vec()].concat();
            assert_eq!(read(&sent), Ok((client.to_owned(), b"POST /".to_vec())), "{header:?}");
            let cut = read(&header[..header.len() - 1]);
            assert_eq!(cut, Err(io::ErrorKind::UnexpectedEof), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let wrong = [
            b"POST /demo/mcp HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            b"proxy TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4660\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 10.0.0.1 4660 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 70000 80\r\n".to_vec(),
            [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
            binary(0x11, 0x11, &[0; 12]),
            binary(0x22, 0x11, &[0; 12]),
            binary(0x21, 0x11, &[0; 3]),
            binary(0x21, 0x11, &[0; 5000]),
        ];
        for header in wrong {
            assert_eq!(read(&header), Err(io::ErrorKind::InvalidData), "{:?}", &header[..20]);
        }
    }

    #[test]
    fn only_trusted_proxies_announce_their_clients() {
        let proxies = ["10.0.0.0/8".parse().expect("a network")];
        for (peer, is_one) in [
            ("10.1.2.3:1", true),
            ("[::ffff:10.1.2.3]:1", true),
            ("192.0.2.7:1", false),
        ] {
            assert_eq!(
                is_announced(peer.parse().expect("an address"), &proxies),
                is_one,
                "{peer}"
            );
        }
        assert!(!is_announced(own(), &[]));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic_or_read_too_much(
            after in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..3,
        ) {
            let begin: &[u8] = [&b""[..], b"PROXY TCP4 ", SIGNATURE][at];
            let sent = [begin, &after].concat();
            if let Ok((_, rest)) = read(&sent) {
                prop_assert!(sent.ends_with(&rest));
            }
        }
    }
}
