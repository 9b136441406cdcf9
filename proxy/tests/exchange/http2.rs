//! Targets that speak HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tapedeck_schemas::{Direction, End, Kind};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::rig::{Reply, Request, Rig, Target, assert_at_most_one_end, of_kind};
use crate::tls::{Certified, certified, written};
use crate::{RESULT, call};

/// What a request is answered with.
enum Given {
    Answer(Response<BoxBody<Bytes, Infallible>>),
    /// RST_STREAM.
    Reset(h2::Reason),
}

/// A real HTTP/2 server, which counts.
struct Server {
    address: SocketAddr,
    connections: AtomicUsize,
    requests: Mutex<Vec<(HeaderMap, String, Bytes)>>,
    /// Cancelled: the connection that is the newest then says goodbye (GOAWAY), once what is on it is answered.
    newest: Mutex<CancellationToken>,
}

impl Server {
    async fn start(by: &Certified, most: u32, answer: impl Fn(&[u8]) -> Given + Send + Sync + 'static) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tls = by.acceptor(&[b"h2"]);
        let this = Arc::new(Self {
            address: listener.local_addr().expect("an address"),
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            newest: Mutex::default(),
        });
        let (server, answer) = (Arc::clone(&this), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let goodbye = CancellationToken::new();
                *server.newest.lock().expect("no panic") = goodbye.clone();
                server.connections.fetch_add(1, Ordering::SeqCst);
                let (server, answer, tls) = (Arc::clone(&server), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    let stream = tls.accept(stream).await.expect("the proxy trusts it");
                    let service = service_fn(move |request: http::Request<Incoming>| {
                        let (server, answer) = (Arc::clone(&server), Arc::clone(&answer));
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.expect("a whole body").to_bytes();
                            let given = answer(&body);
                            let uri = head.uri.to_string();
                            server
                                .requests
                                .lock()
                                .expect("no panic")
                                .push((head.headers, uri, body));
                            match given {
                                Given::Answer(response) => Ok(response),
                                Given::Reset(reason) => Err(h2::Error::from(reason)),
                            }
                        }
                    });
                    let connection = http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(most)
                        .serve_connection(TokioIo::new(stream), service);
                    let mut connection = pin!(connection);
                    tokio::select! {
                        _ = connection.as_mut() => {}
                        () = goodbye.cancelled() => {
                            connection.as_mut().graceful_shutdown();
                            let _ = connection.await;
                        }
                    }
                });
            }
        });
        this
    }

    fn goodbye(&self) {
        self.newest.lock().expect("no panic").cancel();
    }

    /// The ids of the messages that came, sorted.
    fn ids(&self) -> Vec<u64> {
        let requests = self.requests.lock().expect("no panic");
        let id = |body: &Bytes| {
            let message: Value = serde_json::from_slice(body).expect("JSON");
            message["id"].as_u64().expect("a number")
        };
        let mut ids: Vec<u64> = requests.iter().map(|(_, _, body)| id(body)).collect();
        ids.sort_unstable();
        ids
    }
}

fn whole(body: &'static str) -> Given {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())).boxed());
    let json = "application/json".parse().expect("a header");
    response.headers_mut().insert("content-type", json);
    Given::Answer(response)
}

/// A proxy before `server`.
async fn before(server: &Server, by: &Certified) -> (Rig, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = written(&folder, "ca.pem", &by.authority_pem);
    let settings = format!("url = \"https://{}/mcp\"\nca = \"{ca}\"", server.address);
    (Rig::reached(Target::nowhere(), &settings).await, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_a_connection_and_each_arrives_as_it_would_by_http_1() {
    let theirs = certified();
    let server = Server::start(&theirs, 200, |_| whole(RESULT)).await;
    let (rig, _folder) = before(&server, &theirs).await;
    for round in 0..5 {
        let calls: Vec<_> = (0..10)
            .map(|number| tokio::spawn(rig.post(call(10 * round + number, "shared")).send()))
            .collect();
        for answer in calls {
            let answer = answer.await.expect("no panic");
            assert_eq!(
                (answer.status, answer.whole().await.expect("whole")),
                (200, RESULT.into())
            );
        }
    }
    assert_eq!(server.ids(), (0..50).collect::<Vec<u64>>());
    // Those of the first round may each have opened one: nobody knew what the target allows.
    assert!(server.connections.load(Ordering::SeqCst) <= 20);
    for (headers, uri, _) in server.requests.lock().expect("no panic").iter() {
        assert_eq!(*uri, format!("https://{}/mcp", server.address));
        assert!(!headers.contains_key("host") && !headers.contains_key("authorization"));
        assert_eq!(headers["content-type"], "application/json");
    }
    let frames = rig.stop_and_read().await;
    assert_eq!(
        frames.iter().filter(|frame| frame.end == Some(End::Answered)).count(),
        50
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_says_goodbye_again_and_again_gets_each_request_once() {
    const CLIENTS: u32 = 8;
    const CALLS: u32 = 60;
    let theirs = certified();
    let server = Server::start(&theirs, 200, |_| whole(RESULT)).await;
    let (rig, _folder) = before(&server, &theirs).await;
    let (rig, next) = (Arc::new(rig), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (rig, next, server) = (Arc::clone(&rig), Arc::clone(&next), Arc::clone(&server));
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                for _ in 0..CALLS {
                    let id = next.fetch_add(1, Ordering::SeqCst);
                    if id % 20 == 19 {
                        server.goodbye();
                    }
                    let answer = rig.post(call(id, "leaving")).send().await;
                    statuses.push((u64::from(id), answer.status));
                    answer.whole().await.expect("whole");
                }
                statuses
            })
        })
        .collect();
    let mut answered = Vec::new();
    for client in clients {
        for (id, status) in client.await.expect("no panic") {
            assert_eq!(status, 200, "a goodbye in order costs nobody an answer");
            answered.push(id);
        }
    }
    answered.sort_unstable();
    assert_eq!(server.ids(), answered, "each once, and nothing else");
    assert!(server.connections.load(Ordering::SeqCst) > 2, "there were goodbyes");
    let rig = Arc::into_inner(rig).expect("the clients are done");
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let requests = of_kind(&frames, Kind::Message);
    let requests = requests.iter().filter(|frame| frame.direction == Direction::ToTarget);
    assert_eq!(requests.count(), answered.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_refused_after_it_was_written_is_not_sent_again() {
    let theirs = certified();
    let server = Server::start(&theirs, 200, |_| Given::Reset(h2::Reason::REFUSED_STREAM)).await;
    let (rig, _folder) = before(&server, &theirs).await;
    for id in 0..3 {
        let answer = rig.post(call(id, "refused")).send().await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json().await["error"]["data"]["reason"], "upstream_lost");
    }
    assert_eq!(server.ids(), [0, 1, 2]);
    let frames = rig.stop_and_read().await;
    let ends = of_kind(&frames, Kind::ExchangeEnd);
    assert!(ends.iter().all(|frame| frame.end == Some(End::UpstreamLost)));
    assert_eq!(ends.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_reads_nothing_stops_its_stream_and_no_other() {
    const EVENT: &[u8] = &[b'x'; 16 * 1024];
    let (sent, mut counted) = watch::channel(0_usize);
    let theirs = certified();
    let server = Server::start(&theirs, 200, move |body| {
        if !body.windows(6).any(|bytes| bytes == b"\"flood") {
            return whole(RESULT);
        }
        let sent = sent.clone();
        let events = futures_util::stream::repeat_with(move || {
            sent.send_modify(|sent| *sent += EVENT.len());
            Ok(Frame::data([b"data: ", EVENT, b"\n\n"].concat().into()))
        });
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(events)));
        let events = "text/event-stream".parse().expect("a header");
        response.headers_mut().insert("content-type", events);
        Given::Answer(response)
    })
    .await;
    let (rig, _folder) = before(&server, &theirs).await;
    let flood = rig.post(call(1, "flood")).send().await;
    assert_eq!(flood.status, 200);
    // What it sends comes to an end: nothing more for as long as twenty calls take, one after the other.
    let settled = async {
        loop {
            let before = *counted.borrow_and_update();
            for id in 2..22 {
                let answer = rig.post(call(id, "other")).send().await;
                assert_eq!(
                    (answer.status, answer.whole().await.expect("whole")),
                    (200, RESULT.into())
                );
            }
            if before > 0 && *counted.borrow_and_update() == before {
                return before;
            }
        }
    };
    let sent = tokio::time::timeout(std::time::Duration::from_secs(60), settled).await;
    let sent = sent.expect("the target is not read from for ever");
    assert!(
        sent < 24 * 1024 * 1024,
        "{sent} bytes were taken for a client that reads nothing"
    );
    // The others are on the same connection, but for the first, maybe.
    assert!(server.connections.load(Ordering::SeqCst) <= 2);
    flood.vanish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_target_takes_few_streams_at_once_there_are_more_connections() {
    let (open, listening) = watch::channel(0_usize);
    let theirs = certified();
    let server = Server::start(&theirs, 2, move |body| {
        if !body.windows(8).any(|bytes| bytes == b"\"listens") {
            return whole(RESULT);
        }
        open.send_modify(|open| *open += 1);
        let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let mut response = Response::new(BodyExt::boxed(silent));
        let events = "text/event-stream".parse().expect("a header");
        response.headers_mut().insert("content-type", events);
        Given::Answer(response)
    })
    .await;
    let (rig, _folder) = before(&server, &theirs).await;
    let mut listeners = Vec::new();
    for id in 0..5 {
        let listener = rig.post(call(id, "listens")).send().await;
        assert_eq!(listener.status, 200, "its head comes at once");
        listeners.push(listener);
    }
    let answer = rig.post(call(9, "other")).send().await;
    assert_eq!(answer.status, 200, "nobody waits for a listener to end");
    assert_eq!(*listening.borrow(), 5);
    assert!(server.connections.load(Ordering::SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_speaks_http_1_only_is_spoken_to_in_that() {
    let theirs = certified();
    let target = Target::start_behind(Some(theirs.acceptor(&[b"http/1.1"])), |_| async { Reply::json(RESULT) }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ca = written(&folder, "ca.pem", &theirs.authority_pem);
    let rig = Rig::with(target, "http://127.0.0.1:9", &format!("ca = \"{ca}\"")).await;
    let request: Request = rig.post(call(1, "old"));
    assert_eq!(request.send().await.status, 200);
    assert_eq!(rig.target.seen()[0].headers["host"], rig.target.address().to_string());
    rig.running.stop().await.expect("a goodbye");
}
