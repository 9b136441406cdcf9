//! How rows go over the line: as one LZ4 frame; as they are, where ClickHouse is on this machine, since compressing what is copied
//! once costs more than copying it.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use clickhouse::Compression;
use lz4_flex::frame::FrameEncoder;
use tapedeck_clickhouse::Endpoints;
use tapedeck_config::ClickHouse;
use url::{Host, Url};

use crate::rows::Taker;

/// Bytes that are handed to the connection at once.
const PIECE: usize = 256 * 1024;
/// What is shared is not copied where it has so many bytes.
const LARGE: usize = 8 * 1024;

/// Whether rows are compressed on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// One LZ4 frame.
    Lz4,
    /// As they are.
    Plain,
}

impl Packing {
    /// For these endpoints.
    pub(super) fn towards(config: &ClickHouse) -> Self {
        match config.urls().all(is_here) {
            true => Self::Plain,
            false => Self::Lz4,
        }
    }

    /// The same endpoints, for inserts whose bodies come packed so.
    pub(super) fn of(self, endpoints: &Endpoints) -> Endpoints {
        endpoints.with(|client| {
            let client = client.with_compression(Compression::None);
            match self {
                Self::Lz4 => client.with_header("Content-Encoding", "lz4"),
                Self::Plain => client,
            }
        })
    }

    /// Collects what `write` writes.
    pub(super) fn pack(self, write: impl Fn(&mut Body) -> io::Result<()>) -> io::Result<Vec<Bytes>> {
        let mut packed = match self {
            Self::Lz4 => Body::Lz4(FrameEncoder::new(Pieces::default())),
            Self::Plain => Body::Plain(Pieces::default()),
        };
        write(&mut packed)?;
        Ok(match packed {
            Body::Lz4(encoder) => encoder.finish()?.end(),
            Body::Plain(pieces) => pieces.end(),
        })
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What rows are written to.
pub(super) enum Body {
    Lz4(FrameEncoder<Pieces>),
    Plain(Pieces),
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Lz4(encoder) => encoder.write(bytes),
            Self::Plain(pieces) => pieces.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Taker for Body {
    fn share(&mut self, bytes: &Bytes) -> io::Result<()> {
        match self {
            Self::Plain(pieces) if bytes.len() >= LARGE => {
                pieces.cut();
                pieces.done.push(bytes.clone());
                Ok(())
            }
            _ => self.write_all(bytes),
        }
    }
}

/// Bytes in pieces that never move: one buffer that grows would be copied each time that it does, and be there twice meanwhile.
#[derive(Default)]
pub(super) struct Pieces {
    done: Vec<Bytes>,
    last: BytesMut,
}

impl Pieces {
    /// What comes is in another piece.
    fn cut(&mut self) {
        if !self.last.is_empty() {
            // What is left of the buffer goes on in the next piece.
            self.done.push(self.last.split().freeze());
        }
    }

    fn end(mut self) -> Vec<Bytes> {
        self.cut();
        self.done
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() == self.last.capacity() {
            self.cut();
            self.last = BytesMut::with_capacity(PIECE);
        }
        let fits = bytes.len().min(self.last.capacity() - self.last.len());
        self.last.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use lz4_flex::frame::FrameDecoder;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_joined_are_what_was_written(texts in prop::collection::vec((0_usize..40_000, any::<bool>()), 0..40)) {
            let texts: Vec<(Bytes, bool)> = texts
                .into_iter()
                .enumerate()
                .map(|(number, (length, is_shared))| (vec![number as u8; length].into(), is_shared))
                .collect();
            let write = |out: &mut Body| {
                texts.iter().try_for_each(|(text, is_shared)| match is_shared {
                    true => out.share(text),
                    false => out.write_all(text),
                })
            };
            let whole: Vec<u8> = texts.iter().flat_map(|(text, _)| text.to_vec()).collect();
            let plain = Packing::Plain.pack(write).expect("memory takes everything");
            prop_assert!(plain.iter().all(|piece| !piece.is_empty()));
            prop_assert_eq!(plain.concat(), &whole[..]);
            let compressed = Packing::Lz4.pack(write).expect("memory takes everything").concat();
            let mut read = Vec::new();
            FrameDecoder::new(&compressed[..]).read_to_end(&mut read).expect("a frame");
            prop_assert_eq!(read, whole);
        }
    }

    #[test]
    fn only_what_stays_on_this_machine_is_sent_as_it_is() {
        let is_here = |url: &str| is_here(&url.parse().expect("a URL"));
        assert!(
            ["http://127.0.0.1:8123", "http://[::1]:8123", "http://localhost:8123"]
                .iter()
                .all(|url| is_here(url))
        );
        assert!(
            ![
                "http://clickhouse:8123",
                "https://10.0.0.7:8443",
                "http://localhost.example:8123"
            ]
            .iter()
            .any(|url| is_here(url))
        );
    }
}
