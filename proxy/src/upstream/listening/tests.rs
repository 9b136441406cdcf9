//! Answers as servers give them, over a real connection.

use tokio::net::TcpListener;

use super::*;

/// What comes of a server that writes these pieces, one after the other, and closes: the request that it was sent, the
/// status, and the body as far as it came.
async fn answer(pieces: &'static [&'static str]) -> (String, Result<(u16, String), String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("a connection");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            tcp.read_buf(&mut asked).await.expect("a request");
        }
        tcp.set_nodelay(true).expect("an option");
        for piece in pieces {
            // The other end may have seen enough.
            let _ = tcp.write_all(piece.as_bytes()).await;
            tokio::task::yield_now().await;
        }
        String::from_utf8(asked).expect("text")
    });
    let read = async {
        let tcp = TcpStream::connect(address).await?;
        let request = Request::get("/mcp?key=1")
            .header("accept", "text/event-stream")
            .header("host", "elsewhere");
        let request = request.body(()).expect("a request");
        let authority = Authority::from_static("target.example:81");
        let (status, _, mut body) = listen(tcp, &request, &authority).await?;
        let mut all = Vec::new();
        while let Some(data) = body.next().await? {
            all.extend_from_slice(&data);
        }
        Ok::<_, ListeningError>((status.as_u16(), String::from_utf8(all).expect("text")))
    };
    let read = read.await.map_err(|error| error.to_string());
    (server.await.expect("no panic"), read)
}

#[tokio::test]
async fn a_stream_is_asked_for_under_the_targets_own_name_and_read_in_whatever_framing() {
    let whole = |body: &str| Ok((200, body.to_owned()));
    let (asked, read) = answer(&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "cde"]).await;
    assert_eq!(
        asked,
        "GET /mcp?key=1 HTTP/1.1\r\nhost: target.example:81\r\nconnection: close\r\naccept: text/event-stream\r\n\r\n"
    );
    assert_eq!(read, whole("abcde"));
    let chunked: &[&str] = &[
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n",
        "\r\n3\r\nab",
        "c\r\n0\r\n",
        "\r\n",
    ];
    for (pieces, expected) in [
        (chunked, whole("abc")),
        (&["HTTP/1.1 200 OK\r\n\r\n", "abc"], whole("abc")),
        (&["HTTP/1.0 200 OK\r\n\r\nabc"], whole("abc")),
        (
            &[
                "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100\r\n\r\n",
                "HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n",
            ],
            Ok((405, String::new())),
        ),
        (&["HTTP/1.1 204 No Content\r\n\r\n"], Ok((204, String::new()))),
        (
            &["HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"],
            whole("a"),
        ),
    ] {
        assert_eq!(answer(pieces).await.1, expected, "{pieces:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_none_is_no_whole_answer() {
    for (pieces, why) in [
        (&[][..], "ended before"),
        (&["HTTP/1.1 200 OK\r\n"], "ended before"),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"], "ended before"),
        (
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"],
            "ended before",
        ),
        (&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx"], "malformed"),
        (
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"],
            "malformed",
        ),
        (
            &["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na"],
            "malformed",
        ),
        (&["HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na"], "malformed"),
        (
            &["HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
            "malformed",
        ),
        (&["HTTP/2.0 200 OK\r\n\r\n"], "malformed"),
        (&["SSH-2.0-OpenSSH\r\n"], "malformed"),
    ] {
        let error = answer(pieces).await.1.expect_err("it is not whole");
        assert!(error.contains(why), "{pieces:?}: {error}");
    }
}
