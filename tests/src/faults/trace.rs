//! What a consumer says while it runs, line by line, and the blow that is aimed at a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

use tapedeck_dev::process::Child;
use tokio::sync::watch;

/// What is done to a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP: it holds its connections, and does nothing.
    Pause,
}

/// When to strike, and how.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// What is done.
    pub blow: Blow,
    /// A phase's name.
    pub phase: &'static str,
    /// How many batches may have come to it, this one included.
    pub nth: usize,
    /// How long to wait then: a window has a beginning, a middle and an end.
    pub pause: Duration,
}

/// In which part of a batch's life a consumer was struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// In none.
    BetweenBatches,
    /// Read, not sent.
    BeforeInsert,
    /// Sent to ClickHouse, not answered.
    InsertRunning,
    /// In ClickHouse; its events are not.
    InsertedNotPublished,
    /// All but its offset is there.
    PublishedNotCommitted,
}

impl Window {
    /// The windows that a blow must have fallen in.
    pub const ALL: [Self; 4] = [
        Self::BeforeInsert,
        Self::InsertRunning,
        Self::InsertedNotPublished,
        Self::PublishedNotCommitted,
    ];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::BetweenBatches => "between batches",
            Self::BeforeInsert => "before the insert",
            Self::InsertRunning => "while the insert ran",
            Self::InsertedNotPublished => "inserted, not published",
            Self::PublishedNotCommitted => "published, not committed",
        }
    }

    fn after(phase: Option<&str>) -> Self {
        match phase {
            Some("decoded") => Self::BeforeInsert,
            Some("inserting") => Self::InsertRunning,
            Some("inserted" | "publishing") => Self::InsertedNotPublished,
            Some("published") => Self::PublishedNotCommitted,
            _ => Self::BetweenBatches,
        }
    }
}

/// What a running consumer has told so far.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Times that it has taken over a partition.
    pub taken_over: usize,
    /// Inserts that failed and were tried again.
    pub failed_inserts: usize,
    /// Whether it was struck where the aim was.
    pub is_struck: bool,
}

/// What a consumer wrote, once it has ended.
#[derive(Debug, Default)]
pub struct Trace {
    /// The last phase of each partition's last batch.
    last: BTreeMap<i32, String>,
    /// The partition that the aim was taken at.
    aimed: Option<i32>,
    /// Its id in the group.
    member: Option<String>,
    /// The last lines.
    tail: Vec<String>,
}

impl Trace {
    /// Where the partition that was aimed at really was; with the aim never taken, any partition.
    pub fn window(&self) -> Window {
        let partition = self.aimed.or_else(|| self.last.keys().next().copied());
        let phase = partition.and_then(|partition| self.last.get(&partition));
        Window::after(phase.map(String::as_str))
    }

    /// Its id in the group, if it has joined.
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// The last lines, for people and for what must stand in them.
    pub fn tail(&self) -> String {
        self.tail.join("\n")
    }

    fn take(&mut self, line: String) -> Option<(i32, String)> {
        const TAIL: usize = 40;
        if let Some(member) = member_of(&line) {
            self.member = Some(member.to_owned());
            return None;
        }
        if line.contains(" librdkafka: ") {
            return None;
        }
        let found = phase_of(&line);
        if self.tail.len() == TAIL {
            self.tail.remove(0);
        }
        self.tail.push(line);
        if let Some((partition, phase)) = &found {
            self.last.insert(*partition, phase.clone());
        }
        found
    }
}

/// `… batch phase=NAME partition=N start=N end=N`: partition and phase.
fn phase_of(line: &str) -> Option<(i32, String)> {
    let field = |name: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    let phase = field("phase")?;
    Some((field("partition")?.parse().ok()?, phase.to_owned()))
}

/// `… JoinGroup response: … my MemberId ID, …`: the id. The first answer gives it, and those that follow repeat it.
fn member_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("my MemberId ")?;
    let (member, _) = rest.split_once(',')?;
    Some(member).filter(|member| !member.is_empty())
}

/// Reads to the end, which comes when the process and all its output are gone.
pub(super) fn read(
    output: File,
    mut log: File,
    child: &Child,
    mut aim: Option<Aim>,
    tell: &watch::Sender<Told>,
) -> std::io::Result<Trace> {
    let mut trace = Trace::default();
    let mut seen = 0;
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        if line.contains(": taken over ") {
            tell.send_modify(|told| told.taken_over += 1);
        }
        if line.contains(": an insert failed; trying again ") {
            tell.send_modify(|told| told.failed_inserts += 1);
        }
        let Some((partition, phase)) = trace.take(line) else {
            continue;
        };
        let Some(wanted) = aim.filter(|aim| aim.phase == phase) else {
            continue;
        };
        seen += 1;
        if seen >= wanted.nth {
            std::thread::sleep(wanted.pause);
            match wanted.blow {
                Blow::Kill => child.kill_hard(),
                // One that has ended cannot be paused, and its status says so.
                Blow::Pause => drop(child.pause()),
            }
            trace.aimed = Some(partition);
            aim = None;
            tell.send_modify(|told| told.is_struck = true);
        }
    }
    Ok(trace)
}
