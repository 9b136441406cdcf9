//! Where answers go: standard output, through a pager where that is a terminal.

use std::io::{self, IsTerminal as _, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Standard output, or a pager in front of it.
pub(super) enum Output {
    Plain(io::BufWriter<io::Stdout>),
    Pager(Child, io::BufWriter<ChildStdin>),
}

impl Output {
    /// Through a pager, if that is wanted and would be seen.
    pub(super) fn new(paged: bool) -> anyhow::Result<Self> {
        let plain = || Self::Plain(io::BufWriter::new(io::stdout()));
        if !paged || !io::stdout().is_terminal() {
            return Ok(plain());
        }
        let given = ["TAPEDECK_PAGER", "PAGER"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok());
        let command = given.unwrap_or_else(|| "less".to_owned());
        let mut words = command.split_whitespace();
        // No pager is wanted where the variable is empty.
        let Some(program) = words.next() else {
            return Ok(plain());
        };
        let mut pager = Command::new(program);
        pager.args(words).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            // A page that fits is printed and done with; lines are not wrapped, so that a table stays one.
            pager.env("LESS", "FRSX");
        }
        let Ok(mut pager) = pager.spawn() else {
            return Ok(plain());
        };
        match pager.stdin.take() {
            Some(stdin) => Ok(Self::Pager(pager, io::BufWriter::new(stdin))),
            None => Ok(plain()),
        }
    }

    /// Waits until the pager is closed.
    pub(super) async fn end(self) -> io::Result<()> {
        match self {
            Self::Plain(mut out) => out.flush(),
            Self::Pager(mut pager, mut stdin) => {
                let written = stdin.flush();
                drop(stdin);
                tokio::task::spawn_blocking(move || pager.wait()).await??;
                written
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Pager(_, out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Pager(_, out) => out.flush(),
        }
    }
}
