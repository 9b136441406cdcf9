//! How fast bodies go through the engine: `cargo run --release -p tapedeck-redact --example throughput`.
//!
//! Two generated corpora of MCP frames, one thread: clean has nothing to find, dense has a finding in each text block.

use serde_json::json;
use std::{
    hint::black_box,
    io::{Write, stdout},
    time::{Duration, Instant},
};
use tapedeck_redact::{Config, Context, Outcome, Redactor};

/// Frames in a corpus.
const FRAMES: u64 = 4_000;
/// Times that a corpus goes through; the median counts.
const ROUNDS: usize = 7;

const WORDS: [&str; 16] = [
    "the",
    "record",
    "of",
    "every",
    "call",
    "is",
    "complete",
    "and",
    "in",
    "order",
    "tool",
    "result",
    "issue",
    "branch",
    "merged",
    "2026-11-22T15:36:55Z",
];
const SECRETS: [&str; 6] = [
    "bob@example.com",
    "4111 1111 1111 1111",
    "219-09-9999",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "Authorization: Bearer mF_9.B5f-4.1JqM",
    "DE89370400440532013000",
];

/// A pseudo-random sequence (splitmix64), so that each run sees the same frames.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    fn sentence(&mut self, words: u64) -> String {
        (0..words).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }
}

fn frame(numbers: &mut Numbers, id: u64, dense: bool) -> String {
    let rows: Vec<_> = (0..6)
        .map(|row| {
            let mut note = numbers.sentence(12);
            if dense {
                note = format!("{note}\n{} {}", numbers.pick(&SECRETS), numbers.sentence(4));
            }
            json!({"row": row, "sha": format!("{:016x}{:016x}", numbers.next(), numbers.next()), "at": numbers.next() % 2_000_000_000, "note": note})
        })
        .collect();
    let structured = json!({"rows": rows});
    // Structured results come as text too.
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": structured.to_string()}], "structuredContent": structured}})
        .to_string()
}

/// The processor time of this thread where the system says it, so that other work on the machine counts little.
fn spent() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = schedstat.and_then(|text| text.split(' ').next()?.parse().ok());
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    nanos.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn main() -> std::io::Result<()> {
    let start = Instant::now();
    let redactor = Redactor::new(Config::default()).map_err(std::io::Error::other)?;
    writeln!(
        stdout(),
        "compiling the packs: {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    )?;
    // One of the two, for a profiler.
    let only = std::env::args().nth(1);
    for (name, dense) in [("clean", false), ("dense", true)] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let mut numbers = Numbers(7);
        let frames: Vec<String> = (0..FRAMES).map(|id| frame(&mut numbers, id, dense)).collect();
        let bytes: usize = frames.iter().map(String::len).sum();
        let mut changed = 0;
        let mut rates: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = spent();
                changed = frames
                    .iter()
                    .filter(|frame| {
                        let redacted = redactor.redact(black_box(frame.as_bytes()), &Context::default());
                        black_box(&redacted).outcome() != Outcome::Unchanged
                    })
                    .count();
                bytes as f64 / 1e6 / (spent() - start).as_secs_f64()
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        let mean = bytes as u64 / FRAMES;
        writeln!(
            stdout(),
            "{name}: {:.0} MB/s ({FRAMES} frames of {mean} bytes, {changed} changed)",
            rates[ROUNDS / 2]
        )?;
    }
    Ok(())
}
