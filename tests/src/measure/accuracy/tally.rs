//! How well a set was told apart.

/// What became of what had to go, and of what had to stay.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// What had to go.
    pub(super) secrets: usize,
    /// What of it was found: a mask lies over each of its places, or a part of it.
    pub(super) found: usize,
    /// What of it is gone to the last letter and digit.
    pub(super) whole: usize,
    /// Masks that count.
    pub(super) marks: usize,
    /// Those of them that lie over nothing that had to go.
    pub(super) beside: usize,
    /// Texts in which nothing had to go.
    pub(super) harmless: usize,
    /// Those of them that were changed.
    pub(super) changed: usize,
    /// Those of them that are changed by the converted packs alone.
    pub(super) changed_by_converted: usize,
    /// Texts of which nothing was kept.
    pub(super) dropped: usize,
}

impl Tally {
    /// What of what had to go was found, from 0 to 1; 1 if there is nothing.
    #[cfg(test)]
    pub(super) fn recall(&self) -> f64 {
        share(self.found, self.secrets)
    }
}

#[cfg(test)]
fn share(part: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { part as f64 / all as f64 }
}

/// A share with three digits, never better than it is: rounded down.
pub(super) fn at_least(part: usize, all: usize) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let thousandths = part * 1000 / all;
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// A share with three digits, never better than it is: rounded up.
pub(super) fn at_most(part: usize, all: usize) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let thousandths = (part * 1000).div_ceil(all);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}
