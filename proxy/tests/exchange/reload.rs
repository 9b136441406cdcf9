//! Another configuration without a restart.

use std::path::Path;

use bytes::Bytes;
use serde_json::json;
use tapedeck_proxy::config::Config;
use tapedeck_proxy::{ReloadError, Reloader};
use tapedeck_schemas::{End, Kind};
use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::rig::{GROUP, Issuer, Reply, Request, Rig, Target, create_topics, of_kind, shared_broker};
use crate::{RESULT, call};

/// A proxy that is read from a file, before targets by name.
struct Reloadable {
    rig: Rig,
    folder: TempDir,
    reloader: Reloader,
}

/// The parts of a file that tests change.
struct Settings<'a> {
    top: &'a str,
    group: &'a str,
    targets: &'a [(&'a str, &'a Target)],
}

impl Reloadable {
    /// Before `demo`, which `target` is, with tag keys in a file.
    async fn start(target: Target) -> Self {
        let bootstrap = shared_broker().await;
        let prefix = format!("t{}", Uuid::now_v7().simple());
        create_topics(&bootstrap, &prefix).await;
        let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::start().await);
        std::fs::write(folder.path().join("key"), "o".repeat(64)).expect("written");
        let settings = Settings {
            top: "",
            group: GROUP,
            targets: &[("demo", &target)],
        };
        let text = settings.text(&bootstrap, &prefix, &issuer);
        let file = folder.path().join("proxy.toml");
        std::fs::write(&file, text).expect("written");
        let config = Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        let running = tapedeck_proxy::start(config).await.expect("the proxy starts");
        let reloader = running.reloader(file);
        let rig = Rig {
            running,
            issuer,
            target,
            bootstrap,
            prefix,
        };
        rig.ready().await;
        Self { rig, folder, reloader }
    }

    fn write(&self, settings: &Settings<'_>) {
        let text = settings.text(&self.rig.bootstrap, &self.rig.prefix, &self.rig.issuer);
        self.write_text("proxy.toml", &text);
    }

    fn write_text(&self, name: &str, text: &str) {
        let path: &Path = &self.folder.path().join(name);
        std::fs::write(path, text).expect("written");
    }

    /// A call to a target by name; its status.
    async fn call(&self, target: &str, id: u32) -> u16 {
        let request = Request::new(self.rig.address(), "POST", &format!("/{target}/mcp"))
            .header("authorization", &format!("Bearer {}", self.rig.token()))
            .header("content-type", "application/json")
            .body(call(id, "reloaded"));
        let answer = request.send().await;
        let status = answer.status;
        answer.whole().await.expect("a whole body");
        status
    }

    async fn account(&self) -> String {
        let page = Request::new(self.rig.running.admin_address(), "GET", "/config")
            .send()
            .await;
        String::from_utf8(page.whole().await.expect("a page").to_vec()).expect("text")
    }
}

impl Settings<'_> {
    fn text(&self, bootstrap: &str, prefix: &str, issuer: &Issuer) -> String {
        let Self { top, group, .. } = self;
        let mut text = format!(
            "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:9\"\n{top}\n\
             [kafka]\nbrokers = \"{bootstrap}\"\ntopic_prefix = \"{prefix}\"\n\
             [sessions]\ntag_keys = [{{ file = \"key\" }}]\n\
             [[issuer]]\nurl = \"{}\"\naudience = \"tapedeck\"\n",
            issuer.url()
        );
        for (name, target) in self.targets {
            text += &format!(
                "[[target]]\nname = \"{name}\"\nurl = \"{}\"\nallow_groups = [\"{group}\"]\nallow_single_copy = true\n",
                target.url()
            );
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_serves_from_the_next_request_on() {
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let other = Target::start(|_| async { Reply::json(RESULT) }).await;
    let mut proxy = Reloadable::start(target).await;
    assert_eq!((proxy.call("demo", 1).await, proxy.call("other", 2).await), (200, 404));

    proxy.write(&Settings {
        top: "",
        group: GROUP,
        targets: &[("other", &other)],
    });
    proxy.reloader.reload().await.expect("it is good");
    assert_eq!((proxy.call("demo", 3).await, proxy.call("other", 4).await), (404, 200));
    assert_eq!((proxy.rig.target.seen().len(), other.seen().len()), (1, 1));

    proxy.write(&Settings {
        top: "",
        group: "nobody",
        targets: &[("demo", &proxy.rig.target), ("other", &other)],
    });
    proxy.reloader.reload().await.expect("it is good");
    assert_eq!((proxy.call("demo", 5).await, proxy.call("other", 6).await), (403, 403));

    let metrics = proxy.rig.metrics().await;
    for line in [
        "tapedeck_proxy_config_reloads_total{outcome=\"applied\"} 2",
        "tapedeck_proxy_config_reloads_total{outcome=\"invalid\"} 0",
        "tapedeck_proxy_config_last_reload_successful 1",
        "tapedeck_proxy_config_applied_timestamp_seconds 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    let frames = proxy.rig.stop_and_read().await;
    assert_eq!(of_kind(&frames, Kind::Refused).len(), 2);
    let writers: std::collections::HashSet<Uuid> = frames.iter().map(|frame| frame.writer_id).collect();
    assert_eq!(writers.len(), 1, "it is one boot");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_or_needs_a_restart_changes_nothing_and_is_said() {
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let mut proxy = Reloadable::start(target).await;
    let good = Settings {
        top: "",
        group: GROUP,
        targets: &[("demo", &proxy.rig.target)],
    };
    let text = good.text(&proxy.rig.bootstrap, &proxy.rig.prefix, &proxy.rig.issuer);

    proxy.write_text("proxy.toml", &text.replace("allow_groups", "allow_group"));
    let error = proxy.reloader.reload().await.expect_err("it is wrong");
    assert!(matches!(error, ReloadError::Invalid(_)), "{error:?}");
    let account = proxy.account().await;
    assert!(account.contains("did you mean `allow_groups`?"), "{account}");
    assert_eq!(proxy.call("demo", 1).await, 200);

    proxy.write_text("proxy.toml", &text.replace("127.0.0.1:0", "127.0.0.1:1"));
    let error = proxy.reloader.reload().await.expect_err("addresses stay").to_string();
    assert!(error.contains("`listen` cannot change without a restart"), "{error}");
    assert_eq!(proxy.call("demo", 2).await, 200);

    // A file that it names breaks.
    proxy.write_text("proxy.toml", &text);
    proxy.write_text("key", "short");
    let error = proxy.reloader.reload().await.expect_err("no key").to_string();
    assert!(error.contains("sessions.tag_keys[0]"), "{error}");
    let metrics = proxy.rig.metrics().await;
    for line in [
        "tapedeck_proxy_config_reloads_total{outcome=\"invalid\"} 2",
        "tapedeck_proxy_config_reloads_total{outcome=\"refused\"} 1",
        "tapedeck_proxy_config_last_reload_successful 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    proxy.write_text("key", &"o".repeat(64));
    proxy.reloader.reload().await.expect("it is as it was");
    assert!(!proxy.account().await.contains("cannot be used"));
    assert_eq!(proxy.call("demo", 3).await, 200);
    proxy.rig.running.stop().await.expect("a goodbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_exchanges_end_as_they_began_and_sessions_outlive_their_key() {
    let (give, mut given) = mpsc::unbounded_channel();
    let target = Target::start(move |seen| {
        let slow = seen.body.windows(6).any(|bytes| bytes == b"\"slow\"");
        let reply = if slow {
            let (sender, reply) = Reply::pieces("application/json");
            give.send(sender).expect("the test holds it");
            reply
        } else {
            Reply::json(RESULT).header("mcp-session-id", "the-targets-own")
        };
        async { reply }
    });
    let mut proxy = Reloadable::start(target.await).await;
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }).to_string();
    let answer = proxy.rig.post(initialize).send().await;
    let session = answer.headers["mcp-session-id"].to_str().expect("text").to_owned();
    answer.whole().await.expect("whole");
    let calling = tokio::spawn(proxy.rig.post(call(2, "slow")).send());
    let answering = given.recv().await.expect("the target is asked");

    // The target goes, and comes back with a key before the old one.
    proxy.write(&Settings {
        top: "",
        group: GROUP,
        targets: &[("other", &Target::nowhere())],
    });
    proxy.reloader.reload().await.expect("it is good");
    assert_eq!(proxy.call("demo", 3).await, 404);
    answering
        .send(Ok(Bytes::from_static(RESULT.as_bytes())))
        .await
        .expect("the proxy reads");
    drop(answering);
    let answer = calling.await.expect("no panic");
    assert_eq!(
        (answer.status, answer.whole().await.expect("whole")),
        (200, RESULT.into())
    );

    let settings = Settings {
        top: "",
        group: GROUP,
        targets: &[("demo", &proxy.rig.target)],
    };
    let text = settings.text(&proxy.rig.bootstrap, &proxy.rig.prefix, &proxy.rig.issuer);
    proxy.write_text("new-key", &"n".repeat(64));
    let rotated = text.replace("[{ file = \"key\" }]", "[{ file = \"new-key\" }, { file = \"key\" }]");
    assert_ne!(text, rotated);
    proxy.write_text("proxy.toml", &rotated);
    proxy.reloader.reload().await.expect("it is good");
    let in_session = |id| proxy.rig.post(call(id, "again")).header("mcp-session-id", &session);
    assert_eq!(in_session(4).send().await.status, 200);
    let last = proxy.rig.target.seen().pop().expect("it was asked");
    assert_eq!(last.headers["mcp-session-id"], "the-targets-own");

    // Without the key that made it, it is nobody's.
    proxy.write_text("proxy.toml", &text.replace("\"key\"", "\"new-key\""));
    proxy.reloader.reload().await.expect("it is good");
    let in_session = |id| proxy.rig.post(call(id, "again")).header("mcp-session-id", &session);
    assert_eq!(in_session(5).send().await.status, 404);
    let frames = proxy.rig.stop_and_read().await;
    let mut ends = frames.iter().filter_map(|frame| frame.end);
    assert!(ends.all(|end| matches!(end, End::Answered | End::Refused)));
}
