//! A target that is a child process: messages are lines of its standard input and output (MCP, "stdio").

use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Carrier, LONGEST_MESSAGE, ON_THE_WAY};
use crate::config::Program;
use crate::ends::Aside;

/// The longest line of standard error that is one frame, in bytes. A longer one is several.
const LONGEST_WORD: usize = 16 * 1024;

/// Most lines of standard error that are recorded in one window.
const MOST_LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// Starts the program. What it writes to its standard error goes to `aside`.
pub(super) fn start(program: &Program, aside: Aside) -> io::Result<Carrier> {
    let mut command = Command::new(&program.command);
    command
        .args(&program.arguments)
        // Nothing of the proxy's own environment, which may hold secrets of other targets.
        .env_clear()
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value.expose_secret())),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let group = Group::of(&child)?;
    limit(&group, program)?;
    let missing = || io::Error::other("a pipe is missing");
    let stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;

    let (outgoing, to_write) = mpsc::channel(ON_THE_WAY);
    let (read, incoming) = mpsc::channel(ON_THE_WAY);
    let reading = async move {
        // The group ends with this task, however that ends.
        let (_group, mut child) = (group, child);
        lines(stdout, LONGEST_MESSAGE, false, |line| {
            let read = read.clone();
            async move { read.send(line).await.is_ok() }
        })
        .await;
        drop(read);
        if let Ok(status) = child.wait().await {
            tracing::info!(%status, "a target's process has ended");
        }
    };
    let mut heard = Heard::new(aside);
    let hearing = lines(stderr, LONGEST_WORD, true, move |line| {
        heard.take(line, Instant::now());
        std::future::ready(true)
    });
    let tasks = [
        tokio::spawn(reading),
        tokio::spawn(hearing),
        tokio::spawn(write(stdin, to_write)),
    ];
    Ok(Carrier {
        outgoing,
        incoming,
        tasks: tasks.map(AbortOnDropHandle::new).into(),
    })
}

/// What a process writes to its standard error, on record: so much of it that a program that complains without end does
/// not fill the record.
struct Heard {
    aside: Aside,
    since: Instant,
    lines: u32,
}

impl Heard {
    fn new(aside: Aside) -> Self {
        Self {
            aside,
            since: Instant::now(),
            lines: 0,
        }
    }

    fn take(&mut self, line: Bytes, now: Instant) {
        if now.saturating_duration_since(self.since) >= WINDOW {
            if let Some(left_out) = self.lines.checked_sub(MOST_LINES).filter(|&left_out| left_out > 0) {
                self.aside.say(format!("[{left_out} lines are left out]").into());
            }
            (self.since, self.lines) = (now, 0);
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines <= MOST_LINES {
            self.aside.say(line);
        }
    }
}

/// Writes each message as a line. Ends with the conversation, and the process sees the end of its input.
async fn write(mut stdin: ChildStdin, mut messages: mpsc::Receiver<Bytes>) {
    while let Some(message) = messages.recv().await {
        let written = async {
            stdin.write_all(&message).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if let Err(error) = written.await {
            return tracing::debug!(%error, "a target's process takes no input");
        }
    }
}

/// Hands over each line, less its end, until `take` says no or the output ends. A line that is too long is cut where
/// `may_cut`, and else ends it all: half a message is none.
async fn lines<R, F>(output: R, longest: usize, may_cut: bool, mut take: impl FnMut(Bytes) -> F)
where
    R: AsyncRead + Unpin,
    F: Future<Output = bool>,
{
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match (&mut output).take(longest as u64).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let is_whole = line.last() == Some(&b'\n');
        if !is_whole && line.len() == longest && !may_cut {
            return tracing::warn!("a target's message is too long");
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if !line.is_empty() && !take(line.into()).await {
            return;
        }
    }
}

/// The processes that came of one command: all of them end when this is dropped.
struct Group(Pid);

impl Group {
    fn of(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        id.map(Self).ok_or_else(|| io::Error::other("the process has no id"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Best effort: nobody may be left in it.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// Sets the limits of a process that has just begun; what it starts from then on inherits them.
fn limit(group: &Group, program: &Program) -> io::Result<()> {
    let set = |resource, most: Option<u64>| {
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        match most {
            Some(_) => prlimit(Some(group.0), resource, limit)
                .map(drop)
                .map_err(io::Error::from),
            None => Ok(()),
        }
    };
    set(Resource::Data, program.memory)?;
    set(Resource::Nofile, program.open_files)?;
    // A core dump would hold whatever the process knew.
    set(Resource::Core, Some(0))
}
