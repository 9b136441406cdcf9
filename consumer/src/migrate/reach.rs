//! Whether Kafka can be reached at all, and if not, why: librdkafka's calls only say that they timed out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How long one attempt may take before what librdkafka said meanwhile is looked at.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Kafka does not serve us.
#[derive(Debug, thiserror::Error)]
#[error("{error}: {said}")]
pub struct Unreachable {
    /// What the last attempt came to.
    #[source]
    error: KafkaError,
    /// librdkafka's word on its connections: addresses and causes, and no secret.
    said: String,
}

/// Keeps what librdkafka says of its connections.
#[derive(Default)]
struct Heard(Mutex<Option<(RDKafkaErrorCode, String)>>);

impl Heard {
    fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Heard {
    fn error(&self, error: KafkaError, reason: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows from what was heard before, and says less.
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) if heard.is_some() => {}
            Some(code) => *heard = Some((code, reason.to_owned())),
            None => {}
        }
    }
}

impl ConsumerContext for Heard {}

/// Asks for metadata until brokers answer, or refuse, or `timeout` is over. Blocks.
///
/// # Errors
/// Why there is no answer.
pub(super) fn reach(config: &ClientConfig, timeout: Duration) -> Result<(), Unreachable> {
    let deadline = Instant::now() + timeout;
    let unreachable = |error, said: String| Unreachable { error, said };
    let client: BaseConsumer<Heard> = config
        .create_with_context(Heard::default())
        .map_err(|error| unreachable(error, "no client can be made of [kafka.options]".to_owned()))?;
    loop {
        let Err(error) = client.fetch_metadata(None, ATTEMPT) else {
            return Ok(());
        };
        // The call does not serve the callbacks.
        while client.poll(Duration::ZERO).is_some() {}
        let heard = client.context().last();
        let is_refusal = heard.as_ref().is_some_and(|(code, _)| refuses(*code));
        if is_refusal || Instant::now() >= deadline {
            let said = heard.map_or_else(|| "no broker answers".to_owned(), |(_, said)| said);
            return Err(unreachable(error, said));
        }
    }
}

/// Asking again would not help.
fn refuses(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL
    )
}
