//! Where a body ends, and what in it is not of it.

use bytes::{Buf as _, Bytes};

/// Most bytes of extensions and trailers: nobody sends any, and nothing is done with them.
const LONGEST_ASIDE: usize = 16 * 1024;
/// Most digits of a chunk's size: more is more than 64 bits.
const MOST_DIGITS: u8 = 16;

/// What came is not framed as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// How a body is framed (RFC 9112, sections 6.3 and 7.1), and how far it has come.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are left.
    Length(u64),
    UntilClose,
    Chunked {
        at: At,
        /// Bytes of extensions and trailers so far.
        aside: usize,
    },
}

/// The place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        value: u64,
    },
    SizeEnd {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the beginning of a trailer's line, or of the empty one that ends the body.
    Trailer,
    InTrailer,
    TrailerLf,
    LastLf,
    Over,
}

const SIZE: At = At::Size { value: 0, digits: 0 };

impl Framing {
    pub(super) fn length(bytes: u64) -> Self {
        Self::Length(bytes)
    }

    pub(super) fn until_close() -> Self {
        Self::UntilClose
    }

    pub(super) fn chunked() -> Self {
        Self::Chunked { at: SIZE, aside: 0 }
    }

    /// The next bytes of the body in what was read, which are taken off it, with what is around them. None: there are no more,
    /// and nothing is left of what was read.
    pub(super) fn take(&mut self, read: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
        match self {
            Self::UntilClose => Ok((!read.is_empty()).then(|| std::mem::take(read))),
            Self::Length(left) => {
                let mut data = std::mem::take(read);
                // The connection carries nothing else: what follows is nobody's.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                Ok((!data.is_empty()).then_some(data))
            }
            Self::Chunked { at, aside } => {
                while !read.is_empty() {
                    if *at == At::Over {
                        // As above.
                        read.clear();
                        break;
                    }
                    if let At::Data { left } = at {
                        let length = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
                        let data = read.split_to(length);
                        *left -= length as u64;
                        if *left == 0 {
                            *at = At::DataCr;
                        }
                        return Ok(Some(data));
                    }
                    let byte = read.get_u8();
                    *at = at.after(byte)?;
                    if matches!(at, At::Extension { .. } | At::InTrailer) {
                        *aside += 1;
                        if *aside > LONGEST_ASIDE {
                            return Err(Malformed("there is too much around its chunks"));
                        }
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked { at: At::Over, .. })
    }

    /// Whether the end of the connection is its end.
    pub(super) fn ends_with_its_connection(&self) -> bool {
        matches!(self, Self::UntilClose)
    }

    /// Bytes that are left, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::UntilClose | Self::Chunked { .. } => None,
        }
    }
}

impl At {
    /// The place after this byte, which is none of the data.
    fn after(self, byte: u8) -> Result<Self, Malformed> {
        match (self, byte) {
            (Self::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == MOST_DIGITS {
                    return Err(Malformed("a chunk is too large"));
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Ok(Self::Size {
                    value: value << 4 | digit,
                    digits: digits + 1,
                })
            }
            (Self::Size { digits: 0, .. }, _) => Err(Malformed("a chunk has no size")),
            (Self::Size { value, .. }, b'\r') => Ok(Self::SizeEnd { value }),
            (Self::Size { value, .. }, b';' | b' ' | b'\t') => Ok(Self::Extension { value }),
            (Self::Extension { value }, b'\r') => Ok(Self::SizeEnd { value }),
            // A line that ends here for one reader goes on for another.
            (Self::Extension { .. } | Self::InTrailer, b'\n') => Err(Malformed("a line ends without CR")),
            (Self::Extension { value }, _) => Ok(Self::Extension { value }),
            (Self::SizeEnd { value: 0 }, b'\n') => Ok(Self::Trailer),
            (Self::SizeEnd { value }, b'\n') => Ok(Self::Data { left: value }),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(SIZE),
            (Self::Trailer, b'\r') => Ok(Self::LastLf),
            (Self::Trailer, b'\n') => Err(Malformed("a line ends without CR")),
            (Self::InTrailer, b'\r') => Ok(Self::TrailerLf),
            (Self::Trailer | Self::InTrailer, _) => Ok(Self::InTrailer),
            (Self::TrailerLf, b'\n') => Ok(Self::Trailer),
            (Self::LastLf, b'\n') => Ok(Self::Over),
            _ => Err(Malformed("its chunks are not apart")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body of what comes in these pieces, and whether it is whole.
    fn body(framing: &mut Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), Malformed> {
        let mut body = Vec::new();
        for piece in pieces {
            let mut read = Bytes::copy_from_slice(piece);
            while let Some(data) = framing.take(&mut read)? {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
            assert!(read.is_empty());
        }
        Ok((body, framing.is_over()))
    }

    #[test]
    fn what_is_around_chunks_is_no_part_of_them() {
        for (chunked, expected) in [
            ("0\r\n\r\n", ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc"),
            ("3\r\nabc\r\n0\r\n\r\nrest", "abc"),
            (
                "0003;x=\"y\"\r\nabc\r\nA \r\n0123456789\r\n00\r\ntrailer: 1\r\nx: 2\r\n\r\n",
                "abc0123456789",
            ),
        ] {
            let found = body(&mut Framing::chunked(), &[chunked.as_bytes()]);
            assert_eq!(found, Ok((expected.as_bytes().to_vec(), true)), "{chunked:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for wrong in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x1\r\na\r\n",
            ";\r\n",
            "3\nabc\r\n",
            "3;a\nb\r\nabc",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "3\rabc",
            "11111111111111111\r\n",
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "0\r\n\ra",
        ] {
            assert!(body(&mut Framing::chunked(), &[wrong.as_bytes()]).is_err(), "{wrong:?}");
        }
        let endless = vec![b'x'; 2 * LONGEST_ASIDE];
        for begin in [&b"1;"[..], b"0\r\n"] {
            assert!(body(&mut Framing::chunked(), &[begin, &endless]).is_err());
        }
    }

    #[test]
    fn a_length_is_kept() {
        assert_eq!(
            body(&mut Framing::length(3), &[b"a", b"bc"]),
            Ok((b"abc".to_vec(), true))
        );
        assert_eq!(body(&mut Framing::length(3), &[b"ab"]), Ok((b"ab".to_vec(), false)));
        assert_eq!(
            body(&mut Framing::length(3), &[b"ab", b"cd"]),
            Ok((b"abc".to_vec(), true))
        );
        assert_eq!(
            body(&mut Framing::until_close(), &[b"a", b"b"]),
            Ok((b"ab".to_vec(), false))
        );
    }

    proptest! {
        #[test]
        fn chunks_are_the_same_however_they_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(0_usize..300, 0..8),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
            prop_assert_eq!(body(&mut Framing::chunked(), &pieces), Ok((chunks.concat(), true)));
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(wire in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = body(&mut Framing::chunked(), &[&wire]);
        }
    }
}
