//! What the kernel says of a process (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// A tick of `/proc/PID/stat`: `USER_HZ` is 100 wherever Linux runs.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a process has used so far, its own and the kernel's for it.
pub(super) fn processor_time(process: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15, the state behind it is 3.
    let (_, rest) = stat.rsplit_once(')').with_context(|| path.clone())?;
    let ticks: Vec<u32> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| path.clone())?;
    Ok(TICK * ticks.iter().sum::<u32>())
}

/// The memory that a process holds, in MiB.
pub(super) fn resident_memory(process: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.with_context(|| path.clone())?.parse()?;
    Ok(kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let own = std::process::id();
        let before = processor_time(own).expect("we run");
        let mut sum = 0_u64;
        while processor_time(own).expect("we run") < before + 2 * TICK {
            sum = (0..1_000_000).fold(sum, u64::wrapping_add);
        }
        assert!(resident_memory(own).expect("we run") > 1.0, "{sum}");
    }
}
