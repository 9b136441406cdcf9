//! Starts processes that the kernel kills when we die.
//!
//! `PR_SET_PDEATHSIG` is tied to the *thread* that forked, not to its process: a child started from a worker thread of an
//! async runtime, or from a test's thread, would be killed when that thread ends. So one thread, which ends only with the
//! process, starts them all.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

struct Job {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Invariant: never taken out again, so the thread that listens never ends.
static JOBS: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// Starts `command` as the leader of its own process group, without any of our files, to be killed when we die.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    let parent = getpid();
    command.process_group(0);
    // SAFETY: `bind_life` runs in the child between fork and exec, where only async-signal-safe functions may be called.
    // It makes three system calls, and neither allocates nor takes locks.
    unsafe { command.pre_exec(move || bind_life(parent)) };

    let (reply, answer) = channel();
    jobs()?.send(Job { command, reply }).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn bind_life(parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        // The parent died between fork and prctl: no signal will come.
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // C libraries open files that exec would hand on. A socket or pipe that a child holds open, too, never reports its
    // other end as gone.
    // SAFETY: marks descriptors from 3 on as close-on-exec; closes and invalidates none. Where the kernel is older than
    // 5.11 it fails and changes nothing.
    unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
    Ok(())
}

fn jobs() -> io::Result<Sender<Job>> {
    let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(jobs) = &*jobs {
        return Ok(jobs.clone());
    }
    let (sender, receiver) = channel::<Job>();
    thread::Builder::new().name("spawner".to_owned()).spawn(move || {
        for Job { mut command, reply } in receiver {
            // Who asked waits for the reply; it is gone only if its thread was, and then so is the child.
            let _ = reply.send(command.spawn());
        }
    })?;
    Ok(jobs.insert(sender).clone())
}
