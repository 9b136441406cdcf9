//! The program `tapedeck` as people use it: signing in, looking, exporting, running again.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::archive::Archive;
use crate::browser::Browser;
use crate::stack::{PATIENCE, Stack};

/// Somebody's machine: a home of their own, and files.
struct Machine {
    home: TempDir,
}

/// What a run of the program said.
struct Run {
    status: ExitStatus,
    out: String,
    err: String,
}

impl Run {
    fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    #[track_caller]
    fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

impl Machine {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env("XDG_STATE_HOME", self.home.path())
            .env_remove("TAPEDECK_TOKEN")
            .env_remove("TAPEDECK_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let output = tokio::time::timeout(PATIENCE, self.command(arguments).output());
        let output = output.await.expect("it ends").expect("it runs");
        Run {
            status: output.status,
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// As a program that was given a token.
    async fn run_as(&self, user: &str, arguments: &[&str]) -> Run {
        let archive = Archive::get().await;
        let mut command = self.command(arguments);
        command
            .env("TAPEDECK_SERVER", &archive.url)
            .env("TAPEDECK_TOKEN", archive.stack.token(user));
        let output = tokio::time::timeout(PATIENCE, command.output());
        let output = output.await.expect("it ends").expect("it runs");
        Run {
            status: output.status,
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Begins to sign in and goes with a browser where the program says; the program, when it has ended.
    async fn sign_in(&self, login: &str, arguments: &[&str]) -> Run {
        let mut program = self.command(arguments).spawn().expect("it runs");
        let mut said = BufReader::new(program.stderr.take().expect("it is piped"));
        let mut err = String::new();
        let url = loop {
            let mut line = String::new();
            let read = tokio::time::timeout(PATIENCE, said.read_line(&mut line)).await;
            assert_ne!(read.expect("it says something").expect("text"), 0, "it ended: {err}");
            err.push_str(&line);
            // Without a script, nobody types a code in: it has to be in the address.
            let is_whole = !arguments.contains(&"--device") || line.contains("user_code=");
            if line.trim().starts_with("http") && is_whole {
                break line.trim().to_owned();
            }
        };
        Browser::default().walk(&url, login).await;
        tokio::time::timeout(PATIENCE, said.read_to_string(&mut err))
            .await
            .expect("it ends")
            .expect("text");
        let status = program.wait().await.expect("it ends");
        Run {
            status,
            out: String::new(),
            err,
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_person_signs_in_with_a_browser_and_sees_what_is_theirs_until_they_sign_out() {
    let (stack, machine) = (Stack::get().await, Machine::new());
    let nobody = machine.run(&["sessions"]).await.ends_with(4);
    assert!(nobody.err.contains("tapedeck sign-in"), "{}", nobody.err);
    let arguments = ["sign-in", "--no-browser", "--server", &stack.url];
    let signed_in = machine.sign_in("vera", &arguments).await.ends_with(0);
    assert!(signed_in.err.contains("Signed in as Vera, viewer"), "{}", signed_in.err);
    assert_eq!(mode(&machine.file("tapedeck/profiles/default.json")), 0o600);
    let mine = machine.run(&["sessions", "--json"]).await.ends_with(0).lines();
    let ids: Vec<&str> = mine
        .iter()
        .map(|session| session["session_id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, [stack.recordings.vera.to_string()]);
    let bob = stack.recordings.bob.to_string();
    let foreign = machine.run(&["replay", &bob]).await.ends_with(2);
    assert!(foreign.err.contains(&bob), "{}", foreign.err);
    let looked = format!(
        "SELECT count() FROM access_log WHERE subject = 'vera' AND user_agent LIKE 'tapedeck/%' AND object LIKE '%{bob}%'"
    );
    assert!(stack.number(&looked).await >= 1, "the look is on record");
    machine.run(&["sign-out"]).await.ends_with(0);
    assert!(!machine.file("tapedeck/profiles/default.json").exists());
    machine.run(&["sessions"]).await.ends_with(4);
}

#[tokio::test]
async fn a_person_signs_in_on_another_device_under_a_profile_of_its_own() {
    let (stack, machine) = (Stack::get().await, Machine::new());
    let arguments = ["sign-in", "--device", "--profile", "work", "--server", &stack.url];
    let signed_in = machine.sign_in("audrey", &arguments).await.ends_with(0);
    assert!(
        signed_in.err.contains("Signed in as Audrey, auditor"),
        "{}",
        signed_in.err
    );
    machine.run(&["sessions"]).await.ends_with(4);
    let seen = machine
        .run(&["sessions", "--json", "--profile", "work"])
        .await
        .ends_with(0);
    assert_eq!(seen.lines().len(), 2);
}

#[tokio::test]
async fn a_token_that_has_ended_is_refreshed() {
    let (stack, machine) = (Stack::get().await, Machine::new());
    let arguments = ["sign-in", "--no-browser", "--server", &stack.url];
    machine.sign_in("vera", &arguments).await.ends_with(0);
    let path = machine.file("tapedeck/profiles/default.json");
    let mut profile: Value = serde_json::from_slice(&std::fs::read(&path).expect("a profile")).expect("JSON");
    let before = profile["tokens"]["access"].clone();
    profile["tokens"]["expires"] = 0.into();
    std::fs::write(&path, profile.to_string()).expect("written");
    // Two at once: one of them refreshes, the other waits for it.
    let (one, other) = tokio::join!(
        machine.run(&["sessions", "--json"]),
        machine.run(&["sessions", "--json"])
    );
    assert_eq!(
        (one.ends_with(0).lines().len(), other.ends_with(0).lines().len()),
        (1, 1)
    );
    let profile: Value = serde_json::from_slice(&std::fs::read(&path).expect("a profile")).expect("JSON");
    assert_ne!(profile["tokens"]["access"], before);
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn sessions_replays_and_hits_are_shown_to_people_and_programs() {
    let (archive, machine) = (Archive::get().await, Machine::new());
    let talk = archive.talk.to_string();
    let table = machine.run_as("vera", &["sessions"]).await.ends_with(0);
    assert!(
        table.out.starts_with("SESSION") && table.out.contains(&talk),
        "{}",
        table.out
    );
    let shown = machine.run_as("vera", &["replay", &talk]).await.ends_with(0);
    assert!(shown.out.contains("vera@example.com → echo"), "{}", shown.out);
    assert!(shown.out.contains("→ request tools/call echo #1"), "{}", shown.out);
    assert!(shown.out.contains("5 frames in"), "{}", shown.out);
    let frames = machine
        .run_as("vera", &["replay", &talk, "--json"])
        .await
        .ends_with(0)
        .lines();
    assert_eq!((frames.len(), &frames[0]["rpc_method"]), (5, &"initialize".into()));
    let hits = machine
        .run_as("vera", &["find", "echo: HELLO", "--json"])
        .await
        .ends_with(0)
        .lines();
    assert_eq!((hits.len(), &hits[0]["session_id"]), (1, &talk.as_str().into()));
    machine.run_as("nora", &["sessions"]).await.ends_with(4);
    machine.run_as("vera", &["replay", "nonsense"]).await.ends_with(64);
    let completions = machine.run(&["completions", "bash"]).await.ends_with(0);
    assert!(completions.out.contains("sign-in"), "{}", completions.out);
}

#[tokio::test]
async fn an_export_is_a_file_with_its_manifest_and_an_interrupted_one_goes_on() {
    let (archive, machine) = (Archive::get().await, Machine::new());
    let long = archive.long.to_string();
    let arguments = ["export", &long, "--format", "jsonl", "--output", "long.jsonl"];
    let done = machine.run_as("ada", &arguments).await.ends_with(0);
    assert!(done.err.contains("3003 frames"), "{}", done.err);
    let whole = std::fs::read(machine.file("long.jsonl")).expect("the file");
    let manifest = std::fs::read(machine.file("long.jsonl.manifest.json")).expect("the manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let hash: String = Sha256::digest(&whole)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (&manifest["sha256"], &manifest["subject"]),
        (&hash.into(), &"ada".into())
    );
    assert_eq!(mode(&machine.file("long.jsonl")), 0o600);
    let question = |format: &str| {
        let question = serde_json::json!({ "path": format!("/api/v1/sessions/{long}/export"),
            "query": [["format", format]], "bound": ["last", "3003"] });
        question.to_string()
    };
    let arguments = ["export", &long, "--format", "parquet", "--output", "long.parquet"];
    machine.run_as("ada", &arguments).await.ends_with(0);
    for format in ["jsonl", "parquet"] {
        // As an interrupted run leaves it.
        let whole = std::fs::read(machine.file(&format!("long.{format}"))).expect("the file");
        let name = format!("again.{format}");
        std::fs::write(machine.file(&format!("{name}.part.json")), question(format)).expect("written");
        std::fs::write(machine.file(&format!("{name}.part")), &whole[..whole.len() / 3]).expect("written");
        let arguments = ["export", &long, "--format", format, "--output", &name, "--resume"];
        machine.run_as("ada", &arguments).await.ends_with(0);
        assert!(
            std::fs::read(machine.file(&name)).expect("the file") == whole,
            "{format}"
        );
    }
    // What is not the beginning of this is noticed.
    std::fs::write(machine.file("other.jsonl.part.json"), question("jsonl")).expect("written");
    std::fs::write(machine.file("other.jsonl.part"), "something else").expect("written");
    let arguments = ["export", &long, "--output", "other.jsonl", "--resume"];
    let refused = machine.run_as("ada", &arguments).await.ends_with(1);
    assert!(refused.err.contains("export it again"), "{}", refused.err);
    assert!(!machine.file("other.jsonl").exists());
}

/// A server of a recording, and its URL.
async fn mocked(machine: &Machine, arguments: &[&str]) -> (Child, String) {
    let archive = Archive::get().await;
    let mut command = machine.command(arguments);
    command
        .env("TAPEDECK_SERVER", &archive.url)
        .env("TAPEDECK_TOKEN", archive.stack.token("vera"));
    let mut mock = command.spawn().expect("it runs");
    let mut out = BufReader::new(mock.stdout.take().expect("it is piped"));
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, out.read_line(&mut line));
    read.await.expect("it says where").expect("text");
    let url = line.split(' ').next().expect("a split has a first part").to_owned();
    assert!(url.starts_with("http://"), "{line}");
    (mock, url)
}

#[tokio::test]
async fn a_recording_answers_as_it_was_answered_and_differences_are_told() {
    let (archive, machine) = (Archive::get().await, Machine::new());
    let (talk, nasty) = (archive.talk.to_string(), archive.nasty.to_string());
    let (_mock, url) = mocked(&machine, &["mock", &talk]).await;
    let same = machine
        .run_as("vera", &["replay", &talk, "--against", &url])
        .await
        .ends_with(0);
    assert!(same.out.contains("2 answers are the same, 0 differ"), "{}", same.out);
    let other = machine
        .run_as("vera", &["replay", &nasty, "--against", &url])
        .await
        .ends_with(3);
    assert!(other.out.contains("1 answers are the same, 1 differ"), "{}", other.out);
    assert!(
        other.out.contains("/code") || other.out.contains("the whole"),
        "{}",
        other.out
    );
}

#[tokio::test]
async fn what_was_masked_is_not_sent_unless_it_is_said_what_instead() {
    let (archive, machine) = (Archive::get().await, Machine::new());
    let (talk, masked) = (archive.talk.to_string(), archive.masked.to_string());
    let (_mock, url) = mocked(&machine, &["mock", &talk]).await;
    let against = ["replay", &masked, "--against", &url];
    for refused in [
        machine.run_as("vera", &against).await,
        machine.run_as("vera", &["mock", &masked]).await,
    ] {
        let refused = refused.ends_with(64);
        assert!(
            refused.err.contains("masked by email") && refused.err.contains("--fill"),
            "{}",
            refused.err
        );
    }
    let filled = [&against[..], &["--fill", "email=hello"]].concat();
    let filled = machine.run_as("vera", &filled).await.ends_with(0);
    assert!(filled.out.contains("2 answers are the same"), "{}", filled.out);
    let skipped = [&against[..], &["--skip-masked"]].concat();
    let skipped = machine.run_as("vera", &skipped).await.ends_with(0);
    assert!(skipped.out.contains("1 requests were left out"), "{}", skipped.out);
}

#[tokio::test]
async fn a_tail_tells_of_sessions_that_go_on() {
    let (archive, machine) = (Archive::get().await, Machine::new());
    let mut command = machine.command(&["tail", &archive.talk.to_string(), "--after", "3", "--json"]);
    command
        .env("TAPEDECK_SERVER", &archive.url)
        .env("TAPEDECK_TOKEN", archive.stack.token("vera"));
    let mut tail = command.spawn().expect("it runs");
    let mut out = BufReader::new(tail.stdout.take().expect("it is piped")).lines();
    for expected in [4, 5] {
        let line = tokio::time::timeout(PATIENCE, out.next_line()).await.expect("it comes");
        let frame: Value = serde_json::from_str(&line.expect("text").expect("no end")).expect("JSON");
        assert_eq!(frame["session_seq"], expected);
    }
}
