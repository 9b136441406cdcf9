mod properties;

use super::*;

fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, part_limit: usize) -> Vec<Piece> {
    let mut splitter = Splitter::new(part_limit);
    let mut pieces = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        pieces.extend(std::iter::from_fn(|| splitter.next_piece()));
    }
    pieces.extend(std::iter::from_fn(|| splitter.finish()));
    pieces
}

fn pieces(stream: &str) -> Vec<Piece> {
    split([stream.as_bytes()], 1 << 20)
}

fn one(stream: &str) -> Piece {
    let mut pieces = pieces(stream);
    assert_eq!(pieces.len(), 1, "{pieces:?}");
    pieces.remove(0)
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What a stream says, without the line ends that may belong to one piece or the next.
fn content(pieces: Vec<Piece>) -> Vec<Piece> {
    pieces
        .into_iter()
        .filter(|piece| !piece.is_blank())
        .map(|piece| Piece {
            wire: Bytes::new(),
            ..piece
        })
        .collect()
}

fn wire(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.wire.to_vec()).collect()
}

#[test]
fn an_event_has_its_fields() {
    let event = one("event: message\nid: 7\nretry: 3000\ndata: {\"a\":1}\n\n");
    assert_eq!(
        (event.event, event.id, event.retry),
        (text("message"), text("7"), Some(3000))
    );
    assert_eq!(&event.data[..], b"{\"a\":1}");
    assert!(event.last && event.complete && event.other.is_none() && event.comment.is_none());
}

#[test]
fn every_kind_of_line_end_ends_a_line() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("data: a{end}data:b{end}id:1{end}{end}data: c{end}{end}");
        let events = pieces(&stream);
        let data: Vec<_> = events.iter().map(|event| &event.data[..]).collect();
        assert_eq!(data, [&b"a\nb"[..], b"c"], "{end:?}");
        assert_eq!(events[0].id, text("1"));
        assert_eq!(wire(&events), stream.as_bytes());
    }
    assert_eq!(&one("data: a\r\ndata: b\rdata: c\n\r\n").data[..], b"a\nb\nc");
}

#[test]
fn one_space_after_the_colon_is_no_content() {
    for (stream, data) in [
        ("data:a\n\n", "a"),
        ("data: a\n\n", "a"),
        ("data:  a \n\n", " a "),
        ("data:\ta\n\n", "\ta"),
        ("data::a\n\n", ":a"),
    ] {
        assert_eq!(&one(stream).data[..], data.as_bytes(), "{stream:?}");
    }
}

#[test]
fn data_lines_are_joined() {
    for (stream, data) in [
        ("data\n\n", ""),
        ("data:\n\n", ""),
        ("data\ndata\n\n", "\n"),
        ("data:\ndata: a\ndata\n\n", "\na\n"),
        ("data: a\nid: 1\ndata: b\n\n", "a\nb"),
    ] {
        assert_eq!(&one(stream).data[..], data.as_bytes(), "{stream:?}");
    }
}

#[test]
fn a_priming_event_without_data_is_an_event() {
    let event = one("id: abc\nretry: 500\ndata:\n\n");
    assert_eq!(
        (event.id, event.retry, event.data.len(), event.last),
        (text("abc"), Some(500), 0, true)
    );
}

#[test]
fn what_a_client_ignores_is_still_on_record() {
    let event =
        one("id: a\0b\nretry: 1s\nretry:\nretry: 99999999999999999999\nfoo: bar\nfoo\nDATA: x\n data: y\ndata: z\n\n");
    assert_eq!((event.id, event.retry), (None, None));
    assert_eq!(&event.data[..], b"z");
    assert_eq!(
        event.other,
        text("id: a\0b\nretry: 1s\nretry:\nretry: 99999999999999999999\nfoo: bar\nfoo\nDATA: x\n data: y")
    );
}

#[test]
fn what_a_later_line_replaces_is_still_on_record() {
    let event = one("id:1\nevent: a\nretry: 1\nid: 2\nevent\nretry: 2\n\n");
    assert_eq!((event.id, event.event, event.retry), (text("2"), text(""), Some(2)));
    assert_eq!(event.other, text("id:1\nevent: a\nretry: 1"));
}

#[test]
fn a_comment_outside_of_an_event_is_released_when_its_line_ends() {
    let mut splitter = Splitter::new(1024);
    splitter.push(Bytes::from_static(b": ping\n"));
    let ping = splitter.next_piece().expect("a keep-alive comment needs no blank line");
    assert_eq!(
        (&ping.wire[..], ping.comment, ping.last, ping.complete),
        (&b": ping\n"[..], text(" ping"), true, true)
    );
    let ping = one(":\r\n\r\n");
    assert_eq!((&ping.wire[..], ping.comment), (&b":\r\n\r\n"[..], text("")));
}

#[test]
fn comments_inside_an_event_belong_to_it() {
    let event = one("data: a\n:one\n: two\ndata: b\n\n");
    assert_eq!((event.comment, &event.data[..]), (text("one\n two"), &b"a\nb"[..]));
}

#[test]
fn a_carriage_return_that_ends_a_blank_line_is_enough() {
    let mut splitter = Splitter::new(1024);
    splitter.push(Bytes::from_static(b"data: a\r\n\r"));
    assert_eq!(&splitter.next_piece().expect("the event is complete").data[..], b"a");
    assert_eq!(splitter.next_piece(), None);
    splitter.push(Bytes::from_static(b"\n"));
    let rest = splitter.next_piece().expect("a line feed that is here is released");
    assert!(rest.is_blank());
    assert_eq!(&rest.wire[..], b"\n");
    assert_eq!(splitter.finish(), None);
}

#[test]
fn a_line_feed_that_is_here_stays_with_its_carriage_return() {
    assert_eq!(&one("data: a\r\n\r\n").wire[..], b"data: a\r\n\r\n");
}

#[test]
fn blank_lines_say_nothing_and_pass_at_once() {
    let mut splitter = Splitter::new(1024);
    splitter.push(Bytes::from_static(b"\n"));
    assert!(splitter.next_piece().expect("it is released").is_blank());
    assert_eq!(splitter.finish(), None);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_only() {
    assert_eq!(&one("\u{feff}data: a\n\n").data[..], b"a");
    assert_eq!(one("\u{feff}:c\n").comment, text("c"));
    assert!(one("\u{feff}\n").is_blank());
    let events = pieces("data: a\n\n\u{feff}data: b\n\n");
    assert_eq!(
        (events[1].data.len(), events[1].other.as_deref()),
        (0, Some("\u{feff}data: b"))
    );
}

#[test]
fn a_stream_that_ends_inside_an_event_says_so() {
    let event = one("id: 1\ndata: a\nda");
    assert_eq!(
        (event.complete, event.last, event.id, &event.data[..]),
        (false, true, text("1"), &b"a"[..])
    );
    assert_eq!(event.other, text("da"));
    let event = one("data: a\ndata: b");
    assert_eq!((event.complete, &event.data[..]), (false, &b"a\nb"[..]));
    let event = one("data: a\nid: 12");
    assert_eq!(
        (event.id, event.other),
        (None, text("id: 12")),
        "the id may have been 123"
    );
    assert!(!one("data: a\n").complete);
    assert_eq!(pieces(""), []);
}

#[test]
fn one_line_of_data_is_a_slice_of_the_input() {
    let input = Bytes::from_static(b"id: 1\ndata: abc\n\ndata: def\n\n");
    let mut splitter = Splitter::new(1024);
    splitter.push(input.clone());
    while let Some(piece) = splitter.next_piece() {
        assert!(input.as_ptr_range().contains(&piece.wire.as_ptr()));
        assert!(input.as_ptr_range().contains(&piece.data.as_ptr()));
    }
}

#[test]
fn a_long_event_comes_in_parts_that_join_to_its_data() {
    let data = "é".repeat(1000);
    let stream = format!("event: e\ndata: {data}\ndata: {data}\nid: 9\n\ndata: next\n\n");
    let parts = split([stream.as_bytes()], 100);
    let (next, parts) = parts.split_last().expect("there are pieces");
    assert_eq!(&next.data[..], b"next");
    let joined: Vec<u8> = parts.iter().flat_map(|part| part.data.to_vec()).collect();
    assert_eq!(joined, format!("{data}\n{data}").as_bytes());
    assert!(
        parts.iter().all(|part| std::str::from_utf8(&part.data).is_ok()),
        "no character is cut"
    );
    assert!(parts.iter().all(|part| part.wire.len() <= 104), "bounded");
    let (last, others) = parts.split_last().expect("there are parts");
    assert!(last.last && last.complete && others.iter().all(|part| !part.last));
    assert_eq!((parts[0].event.as_deref(), last.id.as_deref()), (Some("e"), Some("9")));
}

#[test]
fn lines_without_an_end_are_bounded_and_on_record() {
    for (start, limit) in [
        (":", 104),
        ("data:", 104),
        ("id:", LINE_LIMIT + 100),
        ("unknown", LINE_LIMIT + 100),
        ("data", LINE_LIMIT + 100),
    ] {
        let stream = format!("{start}{}", "€".repeat(10_000));
        let parts = split(stream.as_bytes().chunks(7), 100);
        assert!(parts.len() > 5, "{start}");
        assert!(parts.iter().all(|part| part.wire.len() <= limit), "{start}");
        let recorded: String = parts
            .iter()
            .map(|part| {
                let Piece {
                    data,
                    comment,
                    other,
                    event,
                    id,
                    ..
                } = part;
                assert!(event.is_none() && id.is_none(), "the line has no end");
                let data = std::str::from_utf8(data).expect("no character is cut");
                format!(
                    "{data}{}{}",
                    comment.as_deref().unwrap_or_default(),
                    other.as_deref().unwrap_or_default()
                )
            })
            .collect();
        assert!(
            stream.ends_with(&recorded) && recorded.len() + 5 >= stream.len(),
            "{start}"
        );
        assert!(parts.last().is_some_and(|part| part.last && !part.complete));
    }
}

#[test]
fn a_short_line_across_the_end_of_a_part_stays_whole() {
    for padding in 80..120 {
        let stream = format!(
            "data: {}\nid: 12345678\nevent: abcdefgh\ndata: x\n\n",
            "a".repeat(padding)
        );
        let parts = split([stream.as_bytes()], 100);
        assert!(parts.iter().all(|part| part.other.is_none()), "{padding}");
        assert_eq!(
            parts.iter().filter_map(|part| part.id.as_deref()).collect::<Vec<_>>(),
            ["12345678"],
            "{padding}"
        );
        assert_eq!(
            parts
                .iter()
                .filter_map(|part| part.event.as_deref())
                .collect::<Vec<_>>(),
            ["abcdefgh"],
            "{padding}"
        );
        let joined: Vec<u8> = parts.iter().flat_map(|part| part.data.to_vec()).collect();
        assert_eq!(joined, format!("{}\nx", "a".repeat(padding)).as_bytes(), "{padding}");
    }
}
