//! `[limits]`: what one query and one user may cost.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use tapedeck_config::{ByteSize, Section};

/// What one query and one user may cost, and how long a browser stays signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time of one query in ClickHouse.
    pub time: Duration,
    /// Rows that one query may read.
    pub rows: u64,
    /// Bytes that one query may read, uncompressed.
    pub bytes: u64,
    /// Memory of one query in ClickHouse, bytes.
    pub memory: u64,
    /// Queries of one user at once; more wait for a moment, then are refused.
    pub queries_per_user: u32,
    /// Live streams of one user at once.
    pub streams_per_user: u32,
    /// Exports of one user at once.
    pub exports_per_user: u32,
    /// Time of one export.
    pub export_time: Duration,
    /// A browser's session ends after so long.
    pub session: Duration,
    /// Or when it was not used for so long.
    pub session_idle: Duration,
}

impl Limits {
    /// What holds unless the file says otherwise.
    const DEFAULT: Self = Self {
        time: Duration::from_secs(10),
        rows: 200_000_000,
        bytes: 16 << 30,
        memory: 2 << 30,
        queries_per_user: 4,
        streams_per_user: 8,
        exports_per_user: 2,
        export_time: Duration::from_secs(3600),
        session: Duration::from_secs(8 * 3600),
        session_idle: Duration::from_secs(3600),
    };

    pub(super) fn read(section: Option<&Section<'_>>) -> Self {
        let Some(section) = section else { return Self::DEFAULT };
        let time = |key, default: Duration| {
            let given = section.field::<Duration>(key).and_then(|time| match time.as_millis() {
                100..=86_400_000 => Ok(time),
                _ => Err("it must be from 100ms to 1d"),
            });
            given.or(default)
        };
        let size = |key, default: u64| {
            let given = section.field::<ByteSize>(key).and_then(|size| match size.as_u64() {
                size @ 1_048_576.. => Ok(size),
                _ => Err("it must be 1MiB or more"),
            });
            given.or(default)
        };
        let count = |key, default: u32| {
            let given = section
                .field::<NonZeroU32>(key)
                .and_then(|number| Ok::<_, &str>(number.get()));
            given.or(default)
        };
        let rows = section
            .field::<NonZeroU64>("rows")
            .and_then(|number| Ok::<_, &str>(number.get()));
        let default = Self::DEFAULT;
        Self {
            time: time("time", default.time),
            rows: rows.or(default.rows),
            bytes: size("bytes", default.bytes),
            memory: size("memory", default.memory),
            queries_per_user: count("queries_per_user", default.queries_per_user),
            streams_per_user: count("streams_per_user", default.streams_per_user),
            exports_per_user: count("exports_per_user", default.exports_per_user),
            export_time: time("export_time", default.export_time),
            session: time("session", default.session),
            session_idle: time("session_idle", default.session_idle),
        }
    }
}
