//! Where the frames of spooled targets go: to Kafka, or while that is away to the spool.
//!
//! While Kafka is there it has them, and their bytes are kept here until it says so. When it goes away, those it has not
//! acknowledged are appended to the spool in the order in which they were handed over, and everything after them goes there
//! too: under each session key the spool is in order, and what Kafka had all the same is in the topic twice, byte for byte,
//! which readers drop. Whoever waits is told as soon as either has the frame. No segment ends because of it.
//!
//! When Kafka is back the spool is drained, and frames go on to its end until it is nearly empty. The last lap closes the gap
//! without a pause: what is appended during it is remembered as well, and is handed to Kafka behind the last drained record,
//! under one lock; from then on frames go to Kafka again. The files of the last lap stay until Kafka has all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tapedeck_schemas::SessionKey;
use uuid::Uuid;

use super::backlog::SealedFrame;
use super::durable::Delivery;
use super::metrics::Metrics;
use super::{NotRecorded, SpooledTargets, TopicRole};
use crate::spool::{Entry, Spool, SpoolError};

/// What an entry of the spool takes besides the payload, about: a frame that has room is refused rarely afterwards.
const HEADROOM: usize = 2_048;

#[derive(Debug)]
pub(super) struct Spooling {
    pub(super) spool: Spool,
    /// Grows only: what a session key's frames wait for must not change while some of them wait.
    targets: RwLock<SpooledTargets>,
    route: Mutex<Route>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Route {
    way: Way,
    last_number: u64,
    /// The writer's key, as a statement for the control topic, until Kafka or the spool has it: frames of a writer without
    /// one would prove nothing.
    introduction: Option<(Uuid, Vec<u8>)>,
}

#[derive(Debug)]
enum Way {
    /// To Kafka. What it has not acknowledged, in the order of the calls.
    Kafka(BTreeMap<u64, Arc<Handed>>),
    Spool,
    /// To the spool, the rest of which is being drained. What was appended meanwhile.
    LastLap(Vec<Arc<Handed>>),
}

/// A frame on one of the ways.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) key: SessionKey,
    pub(super) sealed: Arc<SealedFrame>,
    pub(super) delivery: Arc<Delivery>,
}

/// What the caller of [`Spooling::take`] has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Publish it.
    Publish,
    /// Nothing.
    Wait,
}

impl Spooling {
    /// Where the spool has something, a process before this one has left it, and it goes first.
    pub(super) fn new(spool: Spool, targets: SpooledTargets, metrics: Metrics) -> Self {
        let way = if spool.bytes() == 0 {
            Way::Kafka(BTreeMap::new())
        } else {
            Way::Spool
        };
        metrics.spool(spool.bytes());
        Self {
            spool,
            targets: RwLock::new(targets),
            route: Mutex::new(Route {
                way,
                last_number: 0,
                introduction: None,
            }),
            metrics,
        }
    }

    /// Whether frames of this target may be spooled.
    pub(super) fn covers(&self, target: &str) -> bool {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets.0.contains(target)
    }

    /// From now on this target's frames may be spooled. There are none of it yet.
    pub(super) fn cover(&self, target: &str) {
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        targets.0.insert(target.to_owned());
    }

    /// The statement that has to be on record before any frame of this writer. None: Kafka has it.
    pub(super) fn introduce(&self, introduction: Option<(Uuid, Vec<u8>)>) {
        self.route().introduction = introduction;
    }

    /// A number for a frame, by which its reports are known.
    pub(super) fn number(&self) -> u64 {
        let mut route = self.route();
        route.last_number += 1;
        route.last_number
    }

    /// Refuses a frame of about this size where it would have to go to the spool and find no room.
    pub(super) fn admit(&self, kafka_is_ready: bool, payload: usize) -> Result<(), NotRecorded> {
        let goes_to_kafka = kafka_is_ready && matches!(self.route().way, Way::Kafka(_));
        if goes_to_kafka || self.spool.has_room(payload + HEADROOM) {
            Ok(())
        } else {
            Err(NotRecorded::SpoolFull)
        }
    }

    /// Takes a frame. The caller holds the lock of its session key's slot until it has done what is next.
    pub(super) fn take(&self, number: u64, handed: Handed, kafka_is_ready: bool) -> Result<Next, NotRecorded> {
        let handed = Arc::new(handed);
        let mut route = self.route();
        let refused = if kafka_is_ready {
            Vec::new()
        } else {
            self.spill(&mut route)
        };
        let next = match &mut route.way {
            Way::Kafka(under_way) => {
                under_way.insert(number, Arc::clone(&handed));
                Ok(Next::Publish)
            }
            Way::Spool | Way::LastLap(_) => self.append(&mut route, &handed).map(|()| {
                if let Way::LastLap(meanwhile) = &mut route.way {
                    meanwhile.push(handed);
                }
                Next::Wait
            }),
        };
        drop(route);
        settle(refused);
        next
    }

    /// Kafka has it, or refuses this very frame.
    pub(super) fn reported(&self, number: u64) {
        if let Way::Kafka(under_way) = &mut self.route().way {
            under_way.remove(&number);
        }
    }

    /// Kafka did not acknowledge it. One that is no longer under way is in the spool already.
    pub(super) fn failed(&self, number: u64) {
        let mut route = self.route();
        let is_under_way = matches!(&route.way, Way::Kafka(under_way) if under_way.contains_key(&number));
        let refused = if is_under_way {
            self.spill(&mut route)
        } else {
            Vec::new()
        };
        drop(route);
        settle(refused);
    }

    /// Kafka is away: all that it has not acknowledged goes to the spool, and so does everything from now on.
    pub(super) fn kafka_is_away(&self) {
        let mut route = self.route();
        let refused = self.spill(&mut route);
        drop(route);
        settle(refused);
    }

    /// Whether there is something to drain before frames go to Kafka again.
    pub(super) fn is_away(&self) -> bool {
        !matches!(self.route().way, Way::Kafka(_))
    }

    /// From now on what is appended is remembered as well.
    pub(super) fn begin_last_lap(&self) {
        let mut route = self.route();
        if matches!(route.way, Way::Spool) {
            route.way = Way::LastLap(Vec::new());
        }
    }

    /// Everything that was in the spool when the last lap began has been handed to Kafka and acknowledged: `publish`es what
    /// came during it, and frames go to Kafka again. Gives the place at which the spool's file is
    /// closed: what is appended later, should Kafka go away at once, is in another. None where Kafka went away in between.
    pub(super) fn end_last_lap(&self, mut publish: impl FnMut(&Handed)) -> Option<u64> {
        let mut route = self.route();
        let Way::LastLap(meanwhile) = &route.way else {
            return None;
        };
        meanwhile.iter().for_each(|handed| publish(handed));
        route.way = Way::Kafka(BTreeMap::new());
        Some(self.spool.close_file())
    }

    /// Tells the metric what is in the spool.
    pub(super) fn measure(&self) {
        self.metrics.spool(self.spool.bytes());
    }

    /// A record of this writer's control topic, to the spool's end.
    pub(super) fn append_statement(&self, writer: Uuid, value: &[u8]) -> Result<(), SpoolError> {
        let entry = Entry {
            topic: TopicRole::Control,
            key: writer.as_bytes(),
            value,
        };
        self.spool.append(entry, Box::new(|_| {}))
    }

    /// Sends everything the way of the spool; the frames for which that has no room.
    fn spill(&self, route: &mut Route) -> Vec<(Arc<Handed>, NotRecorded)> {
        let under_way = match std::mem::replace(&mut route.way, Way::Spool) {
            Way::Kafka(under_way) => under_way,
            // What came during the lap is in the spool.
            Way::Spool | Way::LastLap(_) => return Vec::new(),
        };
        let mut refused = Vec::new();
        for handed in under_way.into_values() {
            if let Err(why) = self.append(route, &handed) {
                refused.push((handed, why));
            }
        }
        refused
    }

    fn append(&self, route: &mut Route, handed: &Handed) -> Result<(), NotRecorded> {
        if let Some((writer, statement)) = &route.introduction {
            self.append_statement(*writer, statement)?;
            route.introduction = None;
        }
        let entry = Entry {
            topic: TopicRole::Frames,
            key: handed.key.as_bytes(),
            value: &handed.sealed.value,
        };
        let delivery = Arc::clone(&handed.delivery);
        self.spool.append(
            entry,
            Box::new(move |outcome| delivery.settle(outcome.map_err(NotRecorded::from))),
        )?;
        self.metrics.spooled(self.spool.bytes());
        Ok(())
    }

    fn route(&self) -> MutexGuard<'_, Route> {
        // Nothing under this lock can panic half way through a change.
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not under the route's lock: whoever waits may go on at once.
fn settle(refused: Vec<(Arc<Handed>, NotRecorded)>) {
    for (handed, why) in refused {
        handed.delivery.settle(Err(why));
    }
}
