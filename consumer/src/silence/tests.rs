//! A world with a clock, a log, a control topic and writers that live, die and part, against the two state machines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use uuid::Uuid;

use super::{Gone, Hearing, Watch, Word};

const SILENCE: Duration = Duration::from_secs(60);

fn id(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time passes, in seconds; writers that live state their manifests meanwhile, and the consumer listens.
    Pass(u64),
    /// Time passes and nobody listens: the brokers or the consumer are away.
    Away(u64),
    /// A writer records a frame.
    Frame(u8),
    /// A writer is killed, or says goodbye.
    Kill(u8),
    Stop(u8),
    /// The partition loads so many frames, or looks at its log's end.
    Load(usize),
    Look,
    /// The consumer is killed, and another begins.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..40).prop_map(Step::Pass),
        1 => (1_u64..200).prop_map(Step::Away),
        6 => (0_u8..4).prop_map(Step::Frame),
        1 => (0_u8..4).prop_map(Step::Kill),
        1 => (0_u8..4).prop_map(Step::Stop),
        4 => (1_usize..6).prop_map(Step::Load),
        4 => Just(Step::Look),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    Killed,
    Stopped,
}

struct World {
    now: Instant,
    fates: [Fate; 4],
    /// Goodbyes are in the topic for good; who listens anew reads them again.
    goodbyes: BTreeSet<u8>,
    /// When each writer last stated something.
    spoke: [Instant; 4],
    log: Vec<u8>,
    hearing: Hearing,
    watch: Watch,
    loaded: usize,
    /// The table: how many frames of a writer were loaded when it was settled.
    settled: BTreeMap<u8, usize>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            fates: [Fate::Lives; 4],
            goodbyes: BTreeSet::new(),
            spoke: [now; 4],
            log: Vec::new(),
            hearing: Hearing::new(SILENCE),
            watch: Watch::default(),
            loaded: 0,
            settled: BTreeMap::new(),
        }
    }

    fn pass(&mut self, seconds: u64, listening: bool) {
        for second in 0..seconds {
            self.now += Duration::from_secs(1);
            let states = second % 10 == 0;
            for number in 0..4_u8 {
                let lives = self.fates[usize::from(number)] == Fate::Lives;
                // While the brokers are away nobody can state anything.
                if lives && states && listening {
                    self.spoke[usize::from(number)] = self.now;
                    self.hearing.heard(id(number), self.now);
                }
            }
            if listening && second % 5 == 0 {
                self.goodbyes
                    .iter()
                    .for_each(|number| self.hearing.stopped(id(*number)));
                self.hearing.looked(self.now);
            }
        }
    }

    fn loaded_of(&self, number: u8) -> usize {
        self.log[..self.loaded]
            .iter()
            .filter(|writer| **writer == number)
            .count()
    }

    fn load(&mut self, count: usize) -> Result<(), TestCaseError> {
        let end = (self.loaded + count).min(self.log.len());
        for writer in &self.log[self.loaded..end] {
            self.watch.saw(id(*writer));
        }
        self.loaded = end;
        self.settle()
    }

    fn look(&mut self) -> Result<(), TestCaseError> {
        let gone = self.watch.gone(|writer| self.hearing.word(writer));
        self.watch.until(self.log.len() as i64, gone);
        self.settle()
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        let gone = self.watch.take(self.loaded as i64, |writer| self.hearing.word(writer));
        for Gone { writer, stopped } in gone {
            let number = writer.as_bytes()[0];
            let fate = self.fates[usize::from(number)];
            prop_assert_eq!(stopped, fate == Fate::Stopped);
            if !stopped {
                prop_assert_ne!(fate, Fate::Lives, "a writer that speaks was taken for gone");
                let spoke = self.spoke[usize::from(number)];
                prop_assert!(
                    self.now.duration_since(spoke) >= SILENCE,
                    "it was not silent for the span"
                );
            }
            let all = self.log.iter().filter(|writer| **writer == number).count();
            prop_assert_eq!(self.loaded_of(number), all, "frames of it are still to come");
            let before = self.settled.insert(number, all);
            prop_assert!(before.is_none_or(|before| before < all), "it was settled twice");
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.hearing = Hearing::new(SILENCE);
        let unsettled = (0..4).filter(|number| {
            let loaded = self.loaded_of(*number);
            loaded > self.settled.get(number).copied().unwrap_or(0)
        });
        self.watch = Watch::new(unsettled.map(id).collect::<Vec<_>>());
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(seconds) => self.pass(seconds, true),
            Step::Away(seconds) => self.pass(seconds, false),
            Step::Frame(number) if self.fates[usize::from(number)] == Fate::Lives => self.log.push(number),
            Step::Frame(_) => {}
            Step::Kill(number) => {
                let fate = &mut self.fates[usize::from(number)];
                if *fate == Fate::Lives {
                    *fate = Fate::Killed;
                }
            }
            Step::Stop(number) => {
                let fate = &mut self.fates[usize::from(number)];
                if *fate == Fate::Lives {
                    *fate = Fate::Stopped;
                    self.goodbyes.insert(number);
                    self.hearing.stopped(id(number));
                }
            }
            Step::Load(count) => self.load(count)?,
            Step::Look => self.look()?,
            Step::Restart => self.restart(),
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn whoever_is_gone_is_settled_once_with_all_its_frames_and_nobody_else(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step)?;
        }
        // The faults have stopped.
        world.load(usize::MAX / 2)?;
        world.pass(2 * SILENCE.as_secs(), true);
        world.look()?;
        world.look()?;
        for number in 0..4 {
            let frames = world.loaded_of(number);
            let gone = world.fates[usize::from(number)] != Fate::Lives && frames > 0;
            prop_assert_eq!(gone, world.settled.contains_key(&number));
        }
    }
}

#[test]
fn a_writer_never_heard_is_silent_only_after_the_span() {
    let mut hearing = Hearing::new(SILENCE);
    let start = Instant::now();
    assert_eq!(hearing.word(id(1)), Word::Speaks, "nobody has listened yet");
    for second in (0..=59).step_by(1) {
        hearing.looked(start + Duration::from_secs(second));
        assert_eq!(hearing.word(id(1)), Word::Speaks);
    }
    hearing.looked(start + SILENCE);
    assert_eq!(hearing.word(id(1)), Word::Silent);
    hearing.heard(id(1), start + SILENCE);
    assert_eq!(hearing.word(id(1)), Word::Speaks, "it was only cut off");
}

#[test]
fn after_an_outage_everybody_has_the_whole_span_again() {
    let mut hearing = Hearing::new(SILENCE);
    let start = Instant::now();
    hearing.looked(start);
    hearing.looked(start + Duration::from_secs(3600));
    assert_eq!(hearing.word(id(1)), Word::Speaks);
    for second in 3600..3659 {
        hearing.looked(start + Duration::from_secs(second));
    }
    hearing.interrupted();
    hearing.looked(start + Duration::from_secs(3661));
    assert_eq!(hearing.word(id(1)), Word::Speaks);
}

#[test]
fn goodbyes_that_are_remembered_are_bounded() {
    let mut hearing = Hearing::new(SILENCE);
    for number in 0..20_000_u128 {
        hearing.stopped(Uuid::from_u128(number));
    }
    assert_eq!(hearing.word(Uuid::from_u128(19_999)), Word::Stopped);
    assert_eq!(hearing.word(Uuid::from_u128(0)), Word::Speaks);
}
