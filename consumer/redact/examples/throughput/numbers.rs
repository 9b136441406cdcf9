//! Pseudo-random pieces of frames: the same for everyone.

pub(crate) const WORDS: [&str; 32] = [
    "the", "record", "of", "every", "call", "is", "complete", "and", "in", "order", "tool", "result", "issue",
    "branch", "merged", "closed", "review", "with", "changes", "for", "release", "by", "team", "after", "tests",
    "passed", "on", "main", "deploys", "user", "token", "key",
];

/// A pseudo-random sequence (splitmix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn sentence(&mut self, words: u64) -> String {
        (0..words).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }

    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        format!(
            "{}-{}-7{}-9{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        )
    }

    pub(crate) fn time(&mut self) -> String {
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        format!(
            "2026-11-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            self.below(28) + 1,
            self.below(1000)
        )
    }
}
