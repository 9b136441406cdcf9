//! How fast frames go through the engine, beside other ways to find as much:
//! `cargo run --release --example throughput -- [--short] [--json] [clean|dense] [--corpus FOLDER]`.
//!
//! One thread, all packs, and a key, so that tokens are made. What is counted is the processor time of the thread where
//! the system tells it, so that other work on the machine disturbs little; contenders take turns, and medians count. With
//! `clean` or `dense`, the engine alone goes over that corpus: for profilers, which find all of its work, and nothing
//! else, under `pass_over`. `--corpus` leaves the frames and the patterns in a folder, for programs in other languages.

mod clock;
mod corpus;
mod numbers;
mod peers;

use clock::spent;
use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    io::{Write, stdout},
    path::Path,
};
use tapedeck_redact::{Config, Context, Outcome, Redactor, TokenKey};

/// How much is done.
struct Extent {
    /// Frames in a corpus.
    frames: u64,
    /// Times that a corpus goes through each contender.
    rounds: usize,
    /// Times that each large frame goes through. Fewer than a thousand have no 99.9th percentile but their slowest.
    large: usize,
}

const USUAL: Extent = Extent {
    frames: 4_000,
    rounds: 7,
    large: 1_000,
};
/// For a profiler, or to see whether it works.
const SHORT: Extent = Extent {
    frames: 1_000,
    rounds: 3,
    large: 100,
};

/// One figure.
struct Figure {
    measure: String,
    contender: &'static str,
    value: f64,
    unit: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let corpus = arguments.iter().position(|argument| argument == "--corpus");
    let folder = match corpus {
        Some(at) => arguments.drain(at..).nth(1),
        None => None,
    };
    let only =
        |name: &str| !arguments.iter().any(|a| a == "clean" || a == "dense") || arguments.iter().any(|a| a == name);
    let extent = if arguments.iter().any(|a| a == "--short") {
        SHORT
    } else {
        USUAL
    };
    let mut figures = Vec::new();
    let mut add = |measure: &str, contender, value, unit| {
        figures.push(Figure {
            measure: measure.to_owned(),
            contender,
            value,
            unit,
        });
    };

    let config = Config {
        keys: vec![TokenKey::new("k1", &[7; 32], Vec::new())?],
        ..Config::default()
    };
    let (before, memory) = (spent(), resident());
    let redactor = Redactor::new(config)?;
    add("start", "tapedeck", (spent() - before).as_secs_f64() * 1e3, "ms");
    add("memory", "tapedeck", (resident() - memory) / 1e6, "MB");
    let changed = |frame: &str| redactor.redact(frame.as_bytes(), &Context::default()).outcome() != Outcome::Unchanged;

    if arguments.iter().all(|a| a.starts_with("--")) {
        let (set, triggered) = (peers::regex_set()?, peers::Triggered::new()?);
        for (measure, dense) in [("clean", false), ("dense", true)] {
            let frames = corpus::frames(extent.frames, dense);
            frames.iter().for_each(|frame| _ = black_box(changed(frame)));
            let mut rates = [const { Vec::new() }; 3];
            for _ in 0..extent.rounds {
                rates[0].push(rate(&frames, |frame| usize::from(changed(frame))));
                rates[1].push(rate(&frames, |frame| set.matches(frame.as_bytes()).iter().count()));
                rates[2].push(rate(&frames, |frame| triggered.count(frame.as_bytes())));
            }
            for (contender, rates) in [
                "tapedeck, redacted",
                "one RegexSet, found",
                "Aho-Corasick and regexes, found",
            ]
            .into_iter()
            .zip(rates)
            {
                add(measure, contender, median(rates), "MB/s");
            }
        }
        for (measure, dense) in [("1 MiB clean", false), ("1 MiB dense", true)] {
            let frame = corpus::large(1 << 20, dense);
            let mut times: Vec<f64> = (0..extent.large)
                .map(|_| {
                    let start = spent();
                    black_box(changed(black_box(&frame)));
                    (spent() - start).as_secs_f64() * 1e3
                })
                .collect();
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            let slowest = percentile(&mut times, 0.999);
            add(measure, "mean", mean, "ms");
            add(measure, "p99.9", slowest, "ms");
            add(&format!("{measure}, spread"), "p99.9 / mean", slowest / mean, "");
        }
        let clean = corpus::frames(10_000, false);
        add(
            "false alarms",
            "of 10,000 clean frames",
            clean.iter().filter(|frame| changed(frame)).count() as f64,
            "frames",
        );
    } else {
        for (measure, dense) in [("clean", false), ("dense", true)] {
            if only(measure) {
                let frames = corpus::frames(extent.frames, dense);
                frames.iter().for_each(|frame| _ = black_box(changed(frame)));
                let rates = (0..extent.rounds)
                    .map(|_| rate(&frames, |frame| usize::from(changed(frame))))
                    .collect();
                add(measure, "tapedeck, redacted", median(rates), "MB/s");
            }
        }
    }
    if let Some(folder) = folder {
        leave(Path::new(&folder), extent.frames)?;
    }
    print(&figures, arguments.iter().any(|argument| argument == "--json"))
}

/// Writes the corpora, a frame on each line, and the patterns.
fn leave(folder: &Path, frames: u64) -> Result<(), Box<dyn Error>> {
    for (name, dense) in [("clean.jsonl", false), ("dense.jsonl", true)] {
        fs::write(folder.join(name), corpus::frames(frames, dense).join("\n"))?;
    }
    fs::write(
        folder.join("patterns.json"),
        serde_json::to_string(&peers::patterns()?)?,
    )?;
    Ok(())
}

/// Megabytes per second.
fn rate(frames: &[String], work: impl FnMut(&str) -> usize) -> f64 {
    let bytes: usize = frames.iter().map(String::len).sum();
    let start = spent();
    pass_over(frames, work);
    bytes as f64 / 1e6 / (spent() - start).as_secs_f64()
}

#[inline(never)]
fn pass_over(frames: &[String], mut work: impl FnMut(&str) -> usize) {
    for frame in frames {
        black_box(work(black_box(frame)));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    percentile(&mut values, 0.5)
}

/// The smallest value that so many of all are not above: by the nearest rank.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

/// Bytes of memory in use; 0 where the system does not tell it.
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").ok();
    let pages: Option<f64> = statm.and_then(|text| text.split(' ').nth(1)?.parse().ok());
    pages.map_or(0.0, |pages| pages * 4096.0)
}

fn print(figures: &[Figure], json: bool) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    if json {
        let rows: Vec<_> = figures
            .iter()
            .map(|f| serde_json::json!({"measure": f.measure, "contender": f.contender, "value": f.value, "unit": f.unit}))
            .collect();
        writeln!(out, "{}", serde_json::json!({ "rows": rows }))?;
    } else {
        for f in figures {
            writeln!(
                out,
                "{:<14} {:<34} {:>10.1} {}",
                f.measure, f.contender, f.value, f.unit
            )?;
        }
    }
    Ok(())
}
