//! Waiting for something to become true.

use std::time::Duration;

use anyhow::bail;
use tapedeck_dev::services::Service;
use tokio::time::{Instant, sleep};

/// Longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok(value)`. The error says what is still missing.
///
/// # Errors
/// When it is still missing after 90 s; or at once when asking itself fails.
pub async fn until<T, F>(ask: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Result<T, String>>>,
{
    within(PATIENCE, ask).await
}

/// As [`until`], with a deadline of one's own.
///
/// # Errors
/// As [`until`].
pub async fn within<T, F>(patience: Duration, mut ask: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Result<T, String>>>,
{
    let deadline = Instant::now() + patience;
    loop {
        match ask().await? {
            Ok(value) => return Ok(value),
            Err(missing) if Instant::now() >= deadline => bail!("after {patience:?}: {missing}"),
            Err(_) => sleep(LOOK).await,
        }
    }
}

/// Waits until a series at `/metrics`, named as it stands there, has this value.
///
/// # Errors
/// As [`until`], or when the service does not answer.
pub async fn metric_is(service: &Service, series: &str, value: &str) -> anyhow::Result<()> {
    until(async || {
        Ok(match service.metric(series).await? {
            Some(is) if is == value => Ok(()),
            Some(is) => Err(format!("{series} is {is}, not {value}")),
            None => Err(format!("there is no {series}")),
        })
    })
    .await
}
