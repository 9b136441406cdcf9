//! Where a replay stands, and what each command makes of that.

use std::time::Duration;

use crate::serve::Frame;

/// The slowest and the fastest.
const SPEEDS: (f64, f64) = (0.125, 64.0);
/// Nothing for so long, in microseconds, is idle.
const IDLE: i64 = 2_000_000;

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    PlayOrPause,
    /// Frames on, or back.
    Step(i64),
    /// Seconds on, or back.
    Seek(i64),
    Faster,
    Slower,
    ToStart,
    ToEnd,
    /// Tenths of the whole.
    ToTenth(u8),
    /// Idle times are skipped, or not.
    SkipIdle,
    /// The payload whole, or the frames.
    Open,
    Quit,
}

/// A recording with a place in it.
pub(super) struct Tape {
    frames: Vec<Frame>,
    /// When each frame was, microseconds from the first. Invariant: never falls, as clocks may.
    times: Vec<i64>,
    /// Microseconds from the first frame. Invariant: from 0 to the last frame's time.
    at: i64,
    /// Invariant: a frame's index, or 0.
    here: usize,
    speed: f64,
    is_playing: bool,
    skips_idle: bool,
    is_open: bool,
}

impl Tape {
    pub(super) fn new(speed: f64) -> Self {
        Self {
            frames: Vec::new(),
            times: Vec::new(),
            at: 0,
            here: 0,
            speed: speed.clamp(SPEEDS.0, SPEEDS.1),
            is_playing: true,
            skips_idle: true,
            is_open: false,
        }
    }

    /// More frames, after those that are there.
    pub(super) fn add(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            let first = self.frames.first().unwrap_or(&frame).time.microseconds();
            let before = self.times.last().copied().unwrap_or(0);
            self.times.push(before.max(frame.time.microseconds() - first));
            self.frames.push(frame);
        }
    }

    /// Time goes by.
    pub(super) fn pass(&mut self, time: Duration) {
        if !self.is_playing || self.frames.is_empty() {
            return;
        }
        let passed = (time.as_micros() as f64 * self.speed) as i64;
        let mut at = self.at.saturating_add(passed);
        if self.skips_idle
            && let Some(next) = self.times.get(self.here + 1)
            && next - self.at > IDLE
        {
            at = at.max(next - IDLE / 4);
        }
        let before = self.here;
        self.go(at);
        // Steps among frames of one moment are not undone by time.
        self.here = self.here.max(before);
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::PlayOrPause => {
                self.is_playing = !self.is_playing;
                if self.is_playing && self.at >= self.end() {
                    self.go(0);
                    self.here = 0;
                }
            }
            Command::Step(by) => {
                self.is_playing = false;
                let last = self.frames.len().saturating_sub(1) as i64;
                self.here = (self.here as i64 + by).clamp(0, last) as usize;
                self.at = self.times.get(self.here).copied().unwrap_or(0);
            }
            Command::Seek(seconds) => self.go(self.at.saturating_add(seconds * 1_000_000)),
            Command::Faster => self.speed = (self.speed * 2.0).min(SPEEDS.1),
            Command::Slower => self.speed = (self.speed / 2.0).max(SPEEDS.0),
            Command::ToStart => {
                self.go(0);
                self.here = 0;
            }
            Command::ToEnd => self.go(i64::MAX),
            Command::ToTenth(tenths) => self.go(self.end() / 10 * i64::from(tenths)),
            Command::SkipIdle => self.skips_idle = !self.skips_idle,
            Command::Open => self.is_open = !self.is_open,
            Command::Quit => {}
        }
    }

    fn go(&mut self, at: i64) {
        self.at = at.clamp(0, self.end());
        let later = self.times.partition_point(|time| *time <= self.at);
        self.here = later.saturating_sub(1);
    }

    /// The last frame's time, in microseconds from the first.
    pub(super) fn end(&self) -> i64 {
        self.times.last().copied().unwrap_or(0)
    }

    pub(super) fn at(&self) -> i64 {
        self.at
    }

    /// The index of the frame that is current.
    pub(super) fn here(&self) -> usize {
        self.here
    }

    pub(super) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    pub(super) fn speed(&self) -> f64 {
        self.speed
    }

    pub(super) fn is_playing(&self) -> bool {
        self.is_playing
    }

    pub(super) fn skips_idle(&self) -> bool {
        self.skips_idle
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn frame(number: u64, time: i64) -> Frame {
        let time = jiff::Timestamp::from_microsecond(time).expect("a time").to_string();
        let id = "0198c0de-0000-7000-8000-000000000000";
        // From text, as it comes: identifiers are borrowed from it.
        let text = json!({
            "session_seq": number, "time": time, "kind": "message", "direction": "to_target", "ended": "",
            "exchange_id": id, "segment_id": id, "seq": 0, "rpc_kind": "request", "rpc_method": "tools/call",
            "rpc_id": "1", "rpc_name": "echo", "rpc_error_code": 0, "rpc_is_error": false, "http_method": "POST",
            "http_status": 0, "content_type": "", "sse_event": "", "sse_id": "", "decision_rule": "", "part_index": 0,
            "part_last": true, "payload_size": 2, "payload": "{}", "payload_stored": 2, "redaction": "unchanged",
            "redaction_reason": "", "redaction_rules": [], "truncated": false, "verdict": "intact", "gap_frames": 0,
            "frame_hash": "",
        });
        serde_json::from_str(&text.to_string()).expect("a frame")
    }

    fn tape(times: &[i64]) -> Tape {
        let mut tape = Tape::new(1.0);
        tape.add(
            times
                .iter()
                .enumerate()
                .map(|(index, time)| frame(index as u64 + 1, *time))
                .collect(),
        );
        tape
    }

    #[test]
    fn it_plays_at_its_speed_and_skips_what_is_idle() {
        let mut tape = tape(&[0, 1_000_000, 60_000_000]);
        tape.pass(Duration::from_millis(999));
        assert_eq!(tape.here(), 0);
        tape.pass(Duration::from_millis(1));
        assert_eq!(tape.here(), 1);
        tape.pass(Duration::from_millis(10));
        assert_eq!(tape.at(), 59_500_000, "shortly before what comes next");
        tape.obey(Command::Faster);
        tape.pass(Duration::from_millis(250));
        assert_eq!((tape.here(), tape.at()), (2, tape.end()));
    }

    #[test]
    fn steps_pause_and_go_frame_by_frame_within_one_moment() {
        let mut tape = tape(&[0, 0, 0, 5]);
        tape.obey(Command::ToStart);
        for expected in [1, 2, 3, 3] {
            tape.obey(Command::Step(1));
            assert_eq!((tape.here(), tape.is_playing()), (expected, false));
        }
        tape.obey(Command::Step(-3));
        assert_eq!(tape.here(), 0);
    }

    fn commands() -> impl Strategy<Value = Command> {
        prop_oneof![
            Just(Command::PlayOrPause),
            (-30_i64..30).prop_map(Command::Step),
            (-100_i64..100).prop_map(Command::Seek),
            Just(Command::Faster),
            Just(Command::Slower),
            Just(Command::ToStart),
            Just(Command::ToEnd),
            (0_u8..10).prop_map(Command::ToTenth),
            Just(Command::SkipIdle),
            Just(Command::Open),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_pressed_there_is_a_place(
            times in prop::collection::vec(0_i64..100_000_000, 0..20),
            pressed in prop::collection::vec((commands(), 0_u64..5000), 0..40),
        ) {
            let mut tape = tape(&times);
            for (command, milliseconds) in pressed {
                tape.obey(command);
                tape.pass(Duration::from_millis(milliseconds));
                prop_assert!((0..=tape.end()).contains(&tape.at()));
                prop_assert!(tape.here() < tape.frames().len().max(1));
                prop_assert!((SPEEDS.0..=SPEEDS.1).contains(&tape.speed()));
                prop_assert!(tape.times.get(tape.here()).is_none_or(|time| *time <= tape.at()));
            }
        }
    }
}
