//! Exports: recordings on their way into a file.
//!
//! An export is on the access log before its first byte. Its last piece is held back until a second row says how many
//! frames and bytes it was and what they hash to, so nobody has a whole export that the log does not know. One that breaks
//! off gets a row that says so. Nothing but the piece on its way is kept here: memory does not grow with the export.

mod cast;
mod har;
mod page;
mod rendering;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use clickhouse::query::{BytesCursor, RowCursor};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Console;
use super::access::{Entry, Look};
use super::api::Frame;
use super::identity::Caller;
use super::store::{self, Pass};

pub(super) use cast::Cast;
pub(super) use har::Har;
pub(super) use page::Page;
pub(super) use rendering::Rendering;

/// Between two looks at whether who asked is still signed in.
const SIGNED_IN_EVERY: Duration = Duration::from_secs(60);
/// Rendered frames go out in pieces of about so many bytes.
const PIECE: usize = 64 << 10;

/// Where an export's bytes come from.
pub(super) enum Source {
    /// Lines that ClickHouse writes: a frame each.
    Lines(BytesCursor),
    /// What ClickHouse writes; how many frames are in it was counted.
    Blob(BytesCursor, u64),
    /// Frames that are rendered here.
    Frames(RowCursor<Frame>, Box<dyn Rendering>),
}

/// An export that is under way.
pub(super) struct Export {
    console: Arc<Console>,
    caller: Caller,
    /// What is written down when it ends.
    look: Look,
    source: Option<Source>,
    /// Bytes that the client has already.
    skip: u64,
    frames: u64,
    bytes: u64,
    hash: Sha256,
    /// The piece that waits for the next one, or for the row that says that it was the last.
    held: Option<Bytes>,
    is_over: bool,
    signed_in_at: Instant,
    _pass: Pass,
}

/// Why an export broke off: the client sees a body that does not end as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the export broke off")]
pub(super) struct BrokenOff;

impl Export {
    /// An export for somebody who is on record to get it; `look` is what the row at its end says.
    pub(super) fn new(
        console: Arc<Console>,
        caller: Caller,
        look: Look,
        source: Source,
        skip: u64,
        pass: Pass,
    ) -> Self {
        Self {
            console,
            caller,
            look,
            frames: match &source {
                Source::Blob(_, frames) => *frames,
                Source::Lines(_) | Source::Frames(..) => 0,
            },
            source: Some(source),
            skip,
            bytes: 0,
            hash: Sha256::new(),
            held: None,
            is_over: false,
            signed_in_at: Instant::now(),
            _pass: pass,
        }
    }

    /// The body of an answer.
    pub(super) fn body(self) -> Body {
        let pieces = futures_util::stream::unfold(self, async |mut export: Self| {
            let piece = export.next().await.transpose()?;
            Some((piece, export))
        });
        Body::from_stream(pieces)
    }

    /// The next piece; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            let piece = match self.piece().await {
                Ok(piece) => piece,
                Err(reason) => {
                    self.is_over = true;
                    self.write_failure(reason);
                    return Err(BrokenOff);
                }
            };
            match piece {
                Some(piece) => {
                    self.hash.update(&piece);
                    self.bytes += piece.len() as u64;
                    let piece = self.unknown(piece);
                    if piece.is_empty() {
                        continue;
                    }
                    if let Some(before) = self.held.replace(piece) {
                        return Ok(Some(before));
                    }
                }
                None => {
                    self.is_over = true;
                    self.write_end().await?;
                    return Ok(self.held.take());
                }
            }
        }
    }

    /// What the client does not have yet of a piece.
    fn unknown(&mut self, mut piece: Bytes) -> Bytes {
        let known = usize::try_from(self.skip).map_or(piece.len(), |skip| skip.min(piece.len()));
        self.skip -= known as u64;
        piece.split_off(known)
    }

    /// The next piece of the whole; or why there is none, by a stable name.
    async fn piece(&mut self) -> Result<Option<Bytes>, &'static str> {
        if self.signed_in_at.elapsed() >= SIGNED_IN_EVERY {
            self.signed_in_at = Instant::now();
            match self.caller.is_still_signed_in(&self.console).await {
                Ok(true) => {}
                Ok(false) => return Err("unauthenticated"),
                Err(problem) => return Err(problem.name()),
            }
        }
        let name = |error: clickhouse::error::Error| store::refusal(&error).name();
        match &mut self.source {
            None => Ok(None),
            Some(Source::Blob(cursor, _)) => cursor.next().await.map_err(name),
            Some(Source::Lines(cursor)) => {
                let piece = cursor.next().await.map_err(name)?;
                // JSON has no line break of its own.
                self.frames += piece.iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
                Ok(piece)
            }
            Some(Source::Frames(cursor, rendering)) => {
                let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
                while piece.len() < PIECE {
                    let Some(frame) = cursor.next().await.map_err(name)? else {
                        rendering.end(&mut piece);
                        self.source = None;
                        break;
                    };
                    self.frames += 1;
                    rendering.frame(frame, &mut piece);
                }
                Ok(Some(piece.into()))
            }
        }
    }

    async fn write_end(&mut self) -> Result<(), BrokenOff> {
        let hash = std::mem::take(&mut self.hash).finalize();
        self.look.object = format!("sha256:{}", hex(&hash));
        let (scope, asker) = (self.caller.scope(), self.caller.asker());
        let entry = Entry::allowed(scope, asker, &self.look, self.frames, self.bytes);
        match self.console.access.write(&entry).await {
            Ok(_) => Ok(()),
            Err(_) => Err(BrokenOff),
        }
    }

    /// Says how far it came, in a task of its own: whoever asked may be gone.
    fn write_failure(&self, reason: &'static str) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (console, caller, look) = (Arc::clone(&self.console), self.caller.clone(), self.look.clone());
        let (frames, bytes) = (self.frames, self.bytes);
        runtime.spawn(async move {
            let entry = Entry::allowed(caller.scope(), caller.asker(), &look, frames, bytes).failed(reason);
            if console.access.write(&entry).await.is_err() {
                tracing::error!(reason, frames, "an export broke off, which is not on the access log");
            }
        });
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if !self.is_over {
            self.write_failure("cancelled");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
