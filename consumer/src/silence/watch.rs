use std::collections::HashSet;

use uuid::Uuid;

use super::hearing::Word;

/// A writer of which nothing more is to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Which.
    pub writer: Uuid,
    /// It said goodbye: what it left open it knew to be open.
    pub stopped: bool,
}

/// The writers of one partition whose end is still to be acted on.
#[derive(Debug, Default)]
pub struct Watch {
    watched: HashSet<Uuid>,
    /// Writers that were gone when the partition's log ended at this offset: all their frames are below it.
    pending: Option<(i64, Vec<Gone>)>,
}

impl Watch {
    /// Of the writers that the table names as not settled.
    #[must_use]
    pub fn new(writers: impl IntoIterator<Item = Uuid>) -> Self {
        Self {
            watched: writers.into_iter().collect(),
            pending: None,
        }
    }

    /// A frame of this writer is being loaded.
    pub fn saw(&mut self, writer: Uuid) {
        self.watched.insert(writer);
    }

    /// Who is gone, by what was heard. Ask this *before* asking where the log ends, and hand both to
    /// [`until`](Self::until).
    #[must_use]
    pub fn gone(&self, word: impl Fn(Uuid) -> Word) -> Vec<Gone> {
        let gone = |writer: &Uuid| match word(*writer) {
            Word::Speaks => None,
            word => Some(Gone {
                writer: *writer,
                stopped: word == Word::Stopped,
            }),
        };
        self.watched.iter().filter_map(gone).collect()
    }

    /// These were gone before the log was found to end at `end`. While others are waited for it waits its turn: an end
    /// that moves on with every look might never be reached.
    pub fn until(&mut self, end: i64, gone: Vec<Gone>) {
        if self.pending.is_none() && !gone.is_empty() {
            self.pending = Some((end, gone));
        }
    }

    /// Whether everything that somebody gone can have written is below `loaded`.
    #[must_use]
    pub fn is_due(&self, loaded: i64) -> bool {
        self.pending.as_ref().is_some_and(|(end, _)| loaded >= *end)
    }

    /// The writers to settle now that all below `loaded` is in the table; they are watched no more. Who has spoken in
    /// the meantime stays.
    pub fn take(&mut self, loaded: i64, word: impl Fn(Uuid) -> Word) -> Vec<Gone> {
        if !self.is_due(loaded) {
            return Vec::new();
        }
        let Some((_, mut gone)) = self.pending.take() else {
            return Vec::new();
        };
        gone.retain(|gone| word(gone.writer) != Word::Speaks);
        for gone in &gone {
            self.watched.remove(&gone.writer);
        }
        gone.sort_unstable_by_key(|gone| gone.writer);
        gone
    }
}
