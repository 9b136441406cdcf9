//! A spooled target, whose proxy is killed while Kafka is away.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use tapedeck_schemas::{Digest, Direction, End, Frame, Kind};
use uuid::Uuid;

use crate::rig::{GROUP, Issuer, Reply, Request, TARGET_SECRET, Target, create_topics, in_log, own_broker};
use crate::{RESULT, call};

/// The program itself.
struct Process {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    /// Reads its log: a pipe that nobody reads would stop it.
    log: std::thread::JoinHandle<()>,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tapedeck-proxy"))
            .arg("--config")
            .arg(config)
            .env("TARGET_SECRET", TARGET_SECRET)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let (address, admin) = serving(&mut log);
        let log = std::thread::spawn(move || {
            let _ = std::io::copy(&mut log, &mut std::io::sink());
        });
        Self {
            child,
            address,
            admin,
            log,
        }
    }

    async fn call(&self, token: &str, id: u32) -> u16 {
        let request = Request::new(self.address, "POST", "/demo/mcp")
            .header("authorization", &format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(call(id, "spooled"));
        let answer = request.send().await;
        let status = answer.status;
        assert_eq!(answer.whole().await.expect("a whole body"), RESULT);
        status
    }

    /// Until its spool is empty.
    async fn drained(&self) {
        let metric = async || {
            let page = Request::new(self.admin, "GET", "/metrics").send().await;
            let page = page.whole().await.expect("a page");
            String::from_utf8(page.to_vec()).expect("text")
        };
        let drained = async { while !metric().await.contains("\ntapedeck_recorder_spool_bytes 0\n") {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), drained)
            .await
            .expect("it drains its spool");
    }

    /// As kill -9 does it.
    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
        self.log.join().expect("no panic");
    }

    fn stop(mut self) {
        let terminated = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(terminated.expect("kill runs").success());
        assert!(self.child.wait().expect("it has ended").success(), "a goodbye");
        self.log.join().expect("no panic");
    }
}

/// Where it says that it serves.
fn serving(log: &mut BufReader<ChildStderr>) -> (SocketAddr, SocketAddr) {
    let mut line = String::new();
    while log.read_line(&mut line).expect("a log") > 0 {
        let said: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let field = |name: &str| said["fields"][name].as_str().and_then(|text| text.parse().ok());
        if let (Some(address), Some(admin)) = (field("address"), field("admin_address")) {
            return (address, admin);
        }
        line.clear();
    }
    panic!("the proxy ended before it served");
}

/// Each frame once, as the topic has them. Panics where a chain does not verify or the order is not that of the calls.
fn distinct(frames: Vec<Frame>) -> Vec<Frame> {
    let (mut seen, mut heads) = (BTreeMap::<(Uuid, i64), Digest>::new(), BTreeMap::new());
    let mut distinct = Vec::new();
    for frame in frames {
        frame.verify_hash().expect("an intact frame");
        if let Some(hash) = seen.insert((frame.segment_id, frame.seq), frame.frame_hash) {
            assert_eq!(hash, frame.frame_hash, "a duplicate is the same frame");
            continue;
        }
        let (next, head) = heads.entry(frame.segment_id).or_insert((0, Digest::ZERO));
        assert_eq!((frame.seq, frame.previous_hash), (*next, *head), "dense and in order");
        (*next, *head) = (frame.seq + 1, frame.frame_hash);
        distinct.push(frame);
    }
    distinct
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_killed_with_a_spool_loses_no_call_that_it_answered() {
    const CALLS: u32 = 20;
    let broker = own_broker().await;
    let prefix = format!("t{}", Uuid::now_v7().simple());
    create_topics(&broker.bootstrap(), &prefix).await;
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("proxy.toml");
    let text = format!(
        r#"
        listen = "127.0.0.1:0"
        admin_listen = "127.0.0.1:0"
        public_url = "http://127.0.0.1:9"
        [kafka]
        brokers = "{brokers}"
        topic_prefix = "{prefix}"
        [spool]
        dir = "spool"
        [[issuer]]
        url = "{issuer}"
        audience = "tapedeck"
        [[target]]
        name = "demo"
        url = "{target}"
        allow_groups = ["{GROUP}"]
        allow_single_copy = true
        record = "spooled"
        credential = {{ env = "TARGET_SECRET" }}
        "#,
        brokers = broker.bootstrap(),
        issuer = issuer.url(),
        target = target.url(),
    );
    std::fs::write(&config, text).expect("written");
    let token = issuer.token("alice", &[GROUP]);

    let first = Process::start(&config);
    for id in 0..CALLS {
        assert_eq!(first.call(&token, id).await, 200);
    }
    broker.kill();
    for id in CALLS..2 * CALLS {
        assert_eq!(first.call(&token, id).await, 200, "calls go on without Kafka");
    }
    first.kill();
    let spool = folder.path().join("spool");
    let files = std::fs::read_dir(&spool)
        .expect("a folder")
        .map(|file| file.expect("a file"));
    let files: Vec<_> = files.filter(|file| file.file_name() != "lock").collect();
    assert!(!files.is_empty());
    for file in files {
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }

    broker.restart().await.expect("the broker comes back");
    let second = Process::start(&config);
    for id in 2 * CALLS..3 * CALLS {
        assert_eq!(second.call(&token, id).await, 200);
    }
    second.drained().await;
    second.stop();

    let frames = distinct(in_log(&broker.bootstrap(), &prefix).await);
    let writers: BTreeSet<Uuid> = frames.iter().map(|frame| frame.writer_id).collect();
    assert_eq!(writers.len(), 2);
    let ids = |direction| {
        let of = frames
            .iter()
            .filter(|frame| frame.kind == Kind::Message && frame.direction == direction);
        let id = |frame: &Frame| frame.rpc.as_ref().and_then(|rpc| rpc.id.clone());
        of.filter_map(id).collect::<Vec<_>>()
    };
    let asked: Vec<String> = (0..3 * CALLS).map(|id| id.to_string()).collect();
    assert_eq!(ids(Direction::ToTarget), asked, "every request, once, in order");
    let answered = frames.iter().filter(|frame| frame.end == Some(End::Answered));
    assert_eq!(answered.count(), asked.len());
    assert_eq!(target.seen().len(), asked.len());
}
