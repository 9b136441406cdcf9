//! Time that a thread has worked.

use std::time::Duration;

/// The processor time of this thread (POSIX.1-2024 `clock_gettime`, `CLOCK_THREAD_CPUTIME_ID`), to the nanosecond.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn spent() -> Duration {
    use std::ffi::{c_int, c_long};

    /// Linux has this number on every architecture.
    const CLOCK_THREAD_CPUTIME_ID: c_int = 3;

    #[repr(C)]
    struct Timespec {
        seconds: c_long,
        nanos: c_long,
    }

    unsafe extern "C" {
        fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    }

    let mut time = Timespec { seconds: 0, nanos: 0 };
    // SAFETY: the C library that std links has this function, with these types where pointers have 64 bits; it writes
    // to nothing but `time`, which lives until it returns.
    let code = unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0, "Linux has had a clock for each thread since 2.6.12");
    Duration::new(time.seconds.unsigned_abs(), u32::try_from(time.nanos).unwrap_or(0))
}

/// Where there is no such clock, the time.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn spent() -> Duration {
    use std::{sync::OnceLock, time::Instant};

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
