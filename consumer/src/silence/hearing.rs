use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Goodbyes that are remembered: far more writers than end in a day.
const GOODBYES: usize = 10_000;
/// Brokers that take longer to say where a topic ends do not answer at all.
const PAUSE: Duration = Duration::from_secs(15);

/// What is known of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has spoken within the span, or nobody has listened for that long.
    Speaks,
    /// Nothing of it for the whole span.
    Silent,
    /// It said goodbye.
    Stopped,
}

/// What one listener has heard of all writers, and since when it has listened without a pause.
#[derive(Debug)]
pub struct Hearing {
    /// The span that makes a silence.
    silence: Duration,
    /// Since when nothing was missed, and until when that is certain; `None` before the first look.
    listened: Option<(Instant, Instant)>,
    /// When writers last spoke. Who is not here has said nothing since the listening began.
    heard: HashMap<Uuid, Instant>,
    stopped: VecDeque<Uuid>,
}

impl Hearing {
    /// Has heard nothing; a writer is silent after `silence`.
    #[must_use]
    pub fn new(silence: Duration) -> Self {
        Self {
            silence,
            listened: None,
            heard: HashMap::new(),
            stopped: VecDeque::new(),
        }
    }

    /// A writer has spoken; the statement was read at `at`.
    pub fn heard(&mut self, writer: Uuid, at: Instant) {
        self.heard.insert(writer, at);
    }

    /// A writer has said goodbye.
    pub fn stopped(&mut self, writer: Uuid) {
        self.heard.remove(&writer);
        if !self.stopped.contains(&writer) {
            self.stopped.push_back(writer);
        }
        if self.stopped.len() > GOODBYES {
            self.stopped.pop_front();
        }
    }

    /// The brokers do not answer: nobody can speak. The listening begins anew with the next look.
    pub fn interrupted(&mut self) {
        self.listened = None;
    }

    /// Everything that the topic held at `at` has been read. After a long pause (this machine was away, and who knows who
    /// else) the listening begins anew.
    pub fn looked(&mut self, at: Instant) {
        let pause = PAUSE.max(self.silence / 4);
        self.listened = match self.listened {
            Some((since, until)) if at.saturating_duration_since(until) <= pause => Some((since, at.max(until))),
            _ => Some((at, at)),
        };
        // Who has been silent for the span is as silent as who was never heard.
        if let Some((_, until)) = self.listened {
            let silence = self.silence;
            self.heard
                .retain(|_, at| until.saturating_duration_since(*at) < silence);
        }
    }

    /// What is known of a writer.
    #[must_use]
    pub fn word(&self, writer: Uuid) -> Word {
        if self.stopped.contains(&writer) {
            return Word::Stopped;
        }
        let Some((since, until)) = self.listened else {
            return Word::Speaks;
        };
        let last = self.heard.get(&writer).map_or(since, |at| since.max(*at));
        match until.saturating_duration_since(last) >= self.silence {
            true => Word::Silent,
            false => Word::Speaks,
        }
    }
}
