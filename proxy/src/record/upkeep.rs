//! The task that keeps a writer: looks at Kafka, seals what is idle, states manifests, says goodbye.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout_at};

use super::durable::Pending;
use super::publish::KafkaPublisher;
use super::readiness::Readiness;
use super::statements::Statements;
use super::writer::Writer;
use super::{Copies, NotReady, RecorderSettings, TopicRole, Unfinished, draining, topics};

/// How often to look at what is due.
const TICK: Duration = Duration::from_secs(1);
/// How often to look at the topics while all is well.
const INSPECT: Duration = Duration::from_secs(60);
/// How often to state a manifest, and to look for idle segments.
const MANIFEST: Duration = Duration::from_secs(10);
/// A segment without frames for this long is sealed.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Frames of the backlog that are handed over before the last of them is acknowledged: few, so that a frame that
/// somebody waits for is not long behind them.
const BACKLOG_AT_ONCE: usize = 256;

/// Rounds of sealing at the end: one seals, one finds the seals durable, the others are for publishes that fail.
const ROUNDS: usize = 8;

/// A wish to end, and whom to tell.
pub(super) struct Goodbye {
    pub(super) deadline: Instant,
    pub(super) done: oneshot::Sender<Result<(), Unfinished>>,
}

pub(super) struct Upkeep {
    writer: Arc<Writer>,
    statements: Statements,
    settings: RecorderSettings,
    client: ClientConfig,
    inspected: Option<Instant>,
    stated: Instant,
    /// The last frame of the backlog that was handed over.
    draining: Option<Pending>,
}

impl Upkeep {
    pub(super) fn new(writer: Arc<Writer>, settings: RecorderSettings, client: ClientConfig) -> Self {
        let statements = Statements::open(&writer, &settings.instance);
        if let Some(spooling) = &writer.in_flight.spooling {
            spooling.introduce(statements.introduction().map(|statement| (writer.id, statement)));
        }
        Self {
            statements,
            writer,
            settings,
            client,
            inspected: None,
            stated: Instant::now(),
            draining: None,
        }
    }

    /// Until goodbye is said, or nobody is left to say it.
    pub(super) async fn run(mut self, mut goodbyes: mpsc::Receiver<Goodbye>) {
        let readiness = Arc::clone(&self.writer.in_flight.readiness);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Whatever upkeep is doing, goodbye cuts it short: statements under way are sent again, byte for byte.
            let goodbye = tokio::select! {
                biased;
                goodbye = goodbyes.recv() => goodbye,
                () = self.turn(&readiness, &mut ticks) => continue,
            };
            if let Some(Goodbye { deadline, done }) = goodbye {
                // Nobody may be waiting any more.
                let _ = done.send(self.end(deadline).await);
            }
            return;
        }
    }

    async fn turn(&mut self, readiness: &Readiness, ticks: &mut Interval) {
        let drained = async {
            match &mut self.draining {
                // A failure leaves its frames in the backlog.
                Some(pending) => drop(pending.await),
                None => std::future::pending().await,
            }
        };
        let alarmed = tokio::select! {
            () = readiness.alarm.notified() => true,
            _ = ticks.tick() => false,
            () = drained => {
                self.draining = None;
                false
            }
        };
        self.look_after(readiness, alarmed).await;
    }

    async fn look_after(&mut self, readiness: &Readiness, alarmed: bool) {
        if readiness.is_forbidden() {
            // A new producer would only be refused again.
            return;
        }
        if readiness.take_spoiled() {
            self.spool_from_now_on();
            self.replace_producer();
        }
        let due = self.inspected.is_none_or(|at| at.elapsed() >= INSPECT);
        if alarmed || due || readiness.check(Copies::One).is_err() {
            self.inspect().await;
        }
        if readiness.check(Copies::One).is_ok() && self.stated.elapsed() >= MANIFEST {
            self.stated = Instant::now();
            // Nobody waits for them: what fails is found broken by a later look.
            drop(self.writer.seal_unused(IDLE, "idle"));
            self.statements.segments_ended(&self.writer);
            self.statements.manifest(&self.writer);
            self.statements.send(&self.writer).await;
        }
        if readiness.check(Copies::One).is_ok() {
            draining::drain(&self.writer).await;
        }
        if self.draining.is_none() && readiness.check(Copies::One).is_ok() {
            self.draining = self.writer.hand_over_backlog(BACKLOG_AT_ONCE).map(Pending::new);
        }
    }

    /// Looks at the topics. A writer is ready only when the broker has its key: frames of a writer without one would
    /// prove nothing.
    async fn inspect(&mut self) {
        let (client, names, runtime) = (self.client.clone(), self.settings.topics.clone(), Handle::current());
        let looked = tokio::task::spawn_blocking(move || topics::inspect(&client, &names, &runtime)).await;
        // A panic in there says as little as no answer.
        let mut found = looked.unwrap_or(Err(NotReady::Away));
        if found.is_ok() {
            self.statements.send(&self.writer).await;
            if !self.statements.all_sent() {
                found = Err(NotReady::Away);
            } else if let Some(spooling) = &self.writer.in_flight.spooling {
                spooling.introduce(None);
            }
        }
        self.inspected = Some(Instant::now());
        self.writer.in_flight.readiness.inspected(found);
        if !self.writer.in_flight.readiness.is_ready() {
            self.spool_from_now_on();
        }
    }

    /// What Kafka has not acknowledged, and whatever comes next, goes to the spool, where there is one.
    fn spool_from_now_on(&self) {
        if let Some(spooling) = &self.writer.in_flight.spooling {
            spooling.kafka_is_away();
        }
    }

    fn replace_producer(&self) {
        let readiness = Arc::clone(&self.writer.in_flight.readiness);
        match KafkaPublisher::start(&self.settings, Arc::clone(&readiness)) {
            Ok(publisher) => {
                let old = self.writer.replace(Box::new(publisher));
                if old.is_forbidden() {
                    readiness.forbidden(TopicRole::Frames);
                }
                self.writer.in_flight.metrics.producer_replaced();
                tracing::info!("the Kafka producer was replaced");
                // Dropping it purges what it holds and waits for its thread.
                tokio::task::spawn_blocking(move || drop(old));
            }
            Err(error) => {
                tracing::error!(%error, "the Kafka producer could not be replaced, and will be tried again");
                readiness.spoiled();
            }
        }
    }

    /// Hands over what was kept, seals everything, states the last heads, says goodbye; as far as the deadline allows.
    async fn end(&mut self, deadline: Instant) -> Result<(), Unfinished> {
        let at = deadline.into();
        let _ = timeout_at(at, draining::drain(&self.writer)).await;
        // Half of the time for Kafka. What it has not acknowledged by then is better in the spool, where there is one.
        let half = (Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2).into();
        if timeout_at(half, self.seal_all()).await.is_err() {
            self.spool_from_now_on();
            // Out of time: what is not sealed or not acknowledged is counted below.
            let _ = timeout_at(at, self.seal_all()).await;
        }
        let left = Unfinished {
            segments: self.writer.slots.count(),
            unwaited: self.writer.in_flight.backlog.count(),
        };
        self.statements.segments_ended(&self.writer);
        self.statements.manifest(&self.writer);
        if left.is_nothing() {
            self.statements.goodbye(&self.writer);
        }
        let spooled = self.spool_statements().await;
        if !spooled {
            let _ = timeout_at(at, self.statements.send(&self.writer)).await;
        }
        if !left.is_nothing() || !(spooled || self.statements.all_sent()) {
            return Err(left);
        }
        Ok(())
    }

    /// While Kafka is away the last statements go the way of the frames. False where there is no such way.
    async fn spool_statements(&self) -> bool {
        let Some(spooling) = &self.writer.in_flight.spooling else {
            return false;
        };
        if !spooling.is_away() || self.statements.spool(&self.writer).is_err() {
            return false;
        }
        let until = spooling.spool.close_file();
        draining::closed(&self.writer, until).await;
        tracing::warn!(
            bytes = spooling.spool.bytes(),
            "Kafka is away; the spool is left for the next start"
        );
        true
    }

    async fn seal_all(&self) {
        for _ in 0..ROUNDS {
            if self.writer.in_flight.readiness.take_spoiled() {
                self.spool_from_now_on();
                self.replace_producer();
            }
            // Where a batch fails, its frames are handed over in the next round, to another producer.
            while let Some(last) = self.writer.hand_over_backlog(BACKLOG_AT_ONCE)
                && Pending::new(last).durable().await.is_ok()
            {}
            for delivery in self.writer.seal_unused(Duration::ZERO, "shutdown") {
                // A failure breaks its segment, which the next round names.
                let _ = Pending::new(delivery).durable().await;
            }
            if self.writer.slots.count() == 0 && self.writer.in_flight.backlog.count() == 0 {
                return;
            }
        }
    }
}
