//! What holds for every stream, however it is cut.

use proptest::prelude::*;

use super::*;

/// Streams of lines that mean something, and bytes that mean nothing.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\r\r", ""]);
    let line = prop_oneof![
        prop::sample::select(vec![
            "data: ", "data:", "data", "event: a", "id: 7", "id:\0", "retry: 5", "retry: x", ":", ": c", "", "x: y",
            "\u{feff}"
        ])
        .prop_map(|line| line.as_bytes().to_vec()),
        "(data|id|event|:|zz):? ?[a-zé€𝄞 ]{0,30}".prop_map(String::into_bytes),
        prop::collection::vec(
            prop_oneof![
                Just(0x80u8),
                Just(0xff),
                Just(b'\r'),
                Just(b'\n'),
                Just(b'a'),
                any::<u8>()
            ],
            0..40
        ),
    ];
    prop::collection::vec((line, end), 0..16).prop_map(|lines| {
        lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.as_bytes().to_vec()].concat())
            .collect()
    })
}

/// The same stream by the letter of the specification, with everything in memory: (data, last id) of each event.
fn by_the_letter(stream: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("it begins with one").push(byte),
        }
    }
    // The last has no end.
    lines.pop();
    let mut events = Vec::new();
    let (mut data, mut id, mut any) = (Vec::new(), None, false);
    for line in lines {
        let (name, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (&line[..], &b""[..]),
        };
        match name {
            b"" if line.is_empty() => {
                if std::mem::take(&mut any) {
                    data.pop();
                    events.push((std::mem::take(&mut data), id.take()));
                }
                id = None;
                continue;
            }
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
                any = true;
            }
            b"id" if !value.contains(&0) => id = Some(value.to_vec()),
            _ => {}
        }
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_wire_is_the_input_and_every_split_has_the_same_pieces(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        part_limit in prop_oneof![Just(1usize << 20), 16usize..64],
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let whole = split([&stream[..]], part_limit);
        let cut = split(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]), part_limit);
        let bytewise = split(stream.chunks(1), part_limit);
        prop_assert_eq!(wire(&whole), &stream[..]);
        prop_assert_eq!(wire(&cut), &stream[..]);
        prop_assert_eq!(wire(&bytewise), &stream[..]);
        let whole = content(whole);
        prop_assert_eq!(&content(cut), &whole);
        prop_assert_eq!(&content(bytewise), &whole);
    }

    #[test]
    fn chunks_pushed_before_the_pieces_are_taken_change_nothing(stream in stream(), at in any::<prop::sample::Index>()) {
        let at = at.index(stream.len() + 1);
        let mut splitter = Splitter::new(64);
        splitter.push(Bytes::copy_from_slice(&stream[..at]));
        splitter.push(Bytes::copy_from_slice(&stream[at..]));
        let pieces: Vec<_> = std::iter::from_fn(|| splitter.finish()).collect();
        prop_assert_eq!(pieces, split([&stream[..]], 64));
    }

    #[test]
    fn events_are_those_of_the_specification(stream in stream(), part_limit in prop_oneof![Just(1usize << 20), 16usize..64]) {
        let mut events = Vec::new();
        let (mut data, mut id) = (Vec::new(), None);
        let mut any = false;
        for piece in split([&stream[..]], part_limit) {
            any |= piece.wire.is_empty();
            data.extend_from_slice(&piece.data);
            id = piece.id.map(String::into_bytes).or(id);
            if piece.last && piece.complete {
                events.push((std::mem::take(&mut data), id.take()));
            }
        }
        prop_assert!(!any, "no piece is empty");
        // Pieces that are no events to a client (comments, fields without data) have no data; so have some events.
        let said = |events: Vec<(Vec<u8>, Option<Vec<u8>>)>| -> Vec<_> {
            events.into_iter().filter(|(data, _)| !data.is_empty()).map(|(data, id)| (data, id.map(|id| String::from_utf8_lossy(&id).into_owned()))).collect()
        };
        prop_assert_eq!(said(events), said(by_the_letter(&stream)));
    }
}
