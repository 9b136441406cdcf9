//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::libc;

/// The processor time that a process has used so far, its own and the kernel's for it, by the clock that Linux keeps for
/// each process (clock_getcpuclockid(3)); `/proc/PID/stat` counts in hundredths of a second.
pub(super) fn processor_time(process: u32) -> anyhow::Result<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are to values of the type that is asked for, which outlive the calls; neither call keeps them.
    let failed = unsafe {
        libc::clock_getcpuclockid(libc::pid_t::try_from(process)?, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
    };
    ensure!(!failed, "the process {process} has no clock: it has ended");
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

/// A process and its children: a server that serves by workers.
pub(super) fn family(process: u32) -> anyhow::Result<Vec<u32>> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(&path).with_context(|| path.clone())?;
    let children = children.split_whitespace().map(str::parse);
    Ok([Ok(process)].into_iter().chain(children).collect::<Result<_, _>>()?)
}

/// The memory that a process holds (proc(5), `VmRSS`), in MiB.
pub(super) fn resident_memory(process: u32) -> anyhow::Result<f64> {
    memory(process, "VmRSS:")
}

/// The most that it has ever held (`VmHWM`), in MiB.
pub(super) fn peak_memory(process: u32) -> anyhow::Result<f64> {
    memory(process, "VmHWM:")
}

fn memory(process: u32, name: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
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
        while processor_time(own).expect("we run") < before + Duration::from_millis(20) {
            sum = (0..1_000_000).fold(sum, u64::wrapping_add);
        }
        let resident = resident_memory(own).expect("we run");
        assert!(resident > 1.0, "{sum}");
        // What is freed meanwhile is of other tests.
        assert!(peak_memory(own).expect("we run") >= resident);
    }
}
