//! The pieces of a stream join to the stream; every split of it has the same pieces; and none is much longer than the limit.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::chunks;
use tapedeck_wire::events::{LINE_LIMIT, Piece, Splitter};

fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>, part_limit: usize) -> Vec<Piece> {
    let mut splitter = Splitter::new(part_limit);
    let mut pieces = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        pieces.extend(std::iter::from_fn(|| splitter.next_piece()));
    }
    pieces.extend(std::iter::from_fn(|| splitter.finish()));
    pieces
}

fn wire(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.wire.iter().copied()).collect()
}

/// The pieces less the line ends that may belong to one or the next.
fn content(pieces: Vec<Piece>) -> Vec<Piece> {
    pieces
        .into_iter()
        .filter(|piece| !piece.is_blank())
        .map(|mut piece| {
            piece.wire = Bytes::new();
            piece
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let [seed, limit, stream @ ..] = data else { return };
    let part_limit = 16 + usize::from(*limit);
    let whole = split(std::iter::once(stream), part_limit);
    let cut = split(chunks(stream, *seed), part_limit);
    assert_eq!(wire(&whole), stream);
    assert_eq!(wire(&cut), stream);
    // In small chunks, so that few line ends that mean nothing are there to go with a piece.
    assert!(
        cut.iter()
            .all(|piece| !piece.wire.is_empty() && piece.wire.len() <= part_limit + LINE_LIMIT + 128)
    );
    assert_eq!(content(cut), content(whole));
});
