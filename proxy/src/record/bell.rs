//! How the runtime learns that librdkafka has something to report.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::bindings;
use rdkafka::producer::{BaseProducer, Producer as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::publish::{self, Reports};

/// How long a message that nobody waits for may wait for others to go with.
const LINGER: Duration = Duration::from_millis(5);

/// The end that librdkafka writes to, once for each time that its queue was served and has something again.
pub(super) struct Bell(OwnedFd);

impl Bell {
    /// A bell, and where it is heard.
    pub(super) fn new() -> io::Result<(Self, pipe::Receiver)> {
        let (sender, receiver) = pipe::pipe()?;
        // Without blocking: librdkafka rings under a lock, and a full pipe is heard all the same.
        Ok((Self(sender.into_nonblocking_fd()?), receiver))
    }
}

/// The queue of a client's reports, held.
struct MainQueue(*mut bindings::rd_kafka_queue_t);

// SAFETY: librdkafka's queues are reference-counted and locked inside: any thread may use one.
unsafe impl Send for MainQueue {}

impl MainQueue {
    /// Of a producer; it rings the producer's bell from now on.
    fn of(producer: &BaseProducer<Reports>) -> Self {
        let bell = &producer.context().bell;
        // SAFETY: the client is alive, for `producer` is borrowed. The queue that is returned is ours until `drop`.
        // librdkafka copies the byte before it returns. It writes to the descriptor when something is put into the queue,
        // which only the client's own threads and calls on the client do. rd_kafka_destroy ends these threads, and
        // `rdkafka::Client` calls it before it lets go of the context, which owns the descriptor.
        unsafe {
            let queue = bindings::rd_kafka_queue_get_main(producer.client().native_ptr());
            bindings::rd_kafka_queue_io_event_enable(queue, bell.0.as_raw_fd(), [1_u8].as_ptr().cast(), 1);
            Self(queue)
        }
    }

    fn is_empty(&self) -> bool {
        // SAFETY: we hold the queue.
        unsafe { bindings::rd_kafka_queue_length(self.0) == 0 }
    }
}

impl Drop for MainQueue {
    fn drop(&mut self) {
        // SAFETY: we hold the queue, and nothing uses it after this. Clients that are gone do not matter to it.
        unsafe { bindings::rd_kafka_queue_destroy(self.0) }
    }
}

/// Serves a producer's reports whenever its bell rings, and hands over what waits in its lanes, which stirs this. For as
/// long as anybody else has the producer.
pub(super) async fn serve(producer: Weak<BaseProducer<Reports>>, mut ringing: pipe::Receiver, stirred: Arc<Notify>) {
    let Some(queue) = producer.upgrade().map(|producer| MainQueue::of(&producer)) else {
        return;
    };
    let mut rings = [0; 64];
    // When what waits without hurry has waited long enough.
    let mut due: Option<Instant> = None;
    loop {
        let Some(served) = producer.upgrade() else { return };
        let is_due = due.take_if(|due| *due <= Instant::now()).is_some();
        let more = publish::serve(&served, is_due, || !queue.is_empty());
        due = match served.context().is_waiting() {
            true => due.or_else(|| Some(Instant::now() + LINGER)),
            false => None,
        };
        // It may have been replaced in the meantime. Its end waits for librdkafka's threads, which the runtime must not.
        if let Some(last) = Arc::into_inner(served) {
            tokio::task::spawn_blocking(move || drop(last));
            return;
        }
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        let read = tokio::select! {
            // What came since the queue was found empty has rung.
            read = ringing.read(&mut rings) => read,
            () = stirred.notified() => continue,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => continue,
        };
        match read {
            Ok(1..) => {}
            // The bell is gone, and so is its producer.
            Ok(0) => return,
            Err(error) => {
                tracing::error!(%error, "reports of the Kafka producer cannot be heard");
                // Nobody would be told any more: another one takes over, and this one's messages fail.
                if let Some(deaf) = producer.upgrade() {
                    deaf.context().give_up();
                }
                return;
            }
        }
    }
}
