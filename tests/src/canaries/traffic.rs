//! Canaries on their way: calls through the proxy, what is no call, and records that are no frames.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use futures_util::future::try_join_all;
use http::Method;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::messages::Exchange;
use super::plan::Canary;
use crate::{Client, Deck};

/// Calls at once.
const CALLERS: usize = 6;

/// Makes all calls, and holds each answer against what the target was told to say.
///
/// # Errors
/// A call is not answered, or not as the target did.
pub(super) async fn call(deck: &Deck, exchanges: &[Exchange]) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let callers = (0..CALLERS).map(async |_| {
        let mut client = deck.client("planter", "alice").await?;
        client.initialize().await?;
        while let Some(exchange) = exchanges.get(next.fetch_add(1, Ordering::Relaxed)) {
            let client = match &exchange.user_agent {
                Some(agent) => client.clone().with("user-agent", agent)?,
                None => client.clone(),
            };
            let answer = client.send(Method::POST, Some(exchange.request.clone())).await?;
            let as_told = answer.status == exchange.reply.status && answer.body == exchange.reply.body();
            ensure!(
                as_told,
                "{:?} was answered {}: {}",
                exchange.request,
                answer.status,
                answer.text()
            );
        }
        Ok(())
    });
    try_join_all(callers).await?;
    Ok(())
}

/// Plants canaries where nothing of them is recorded: header fields that no frame has, credentials that are refused, and
/// a URL's query.
///
/// # Errors
/// There is no answer.
pub(super) async fn knock(deck: &Deck, canaries: &[Canary]) -> anyhow::Result<()> {
    let signed_in = deck.client("planter", "alice").await?;
    let endpoint = deck.proxy.endpoint("planter");
    for (number, canary) in canaries.iter().enumerate() {
        let text = canary.text();
        let body = Client::initialization(1).to_string();
        let client = match number % 4 {
            0 => signed_in.clone().with("x-api-key", &text)?,
            1 => signed_in.clone().with("cookie", &format!("sid={text}"))?,
            2 => Client::bearer(&endpoint, &text)?,
            _ => {
                let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
                Client::anonymous(&format!("{endpoint}?access_token={query}"))
            }
        };
        client.send(Method::POST, Some(body)).await?;
    }
    Ok(())
}

/// Writes records to the raw topic that are no frames, each with a canary.
///
/// # Errors
/// The broker does not take them.
pub(super) async fn scribble(deck: &Deck, canaries: &[Canary]) -> anyhow::Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &deck.kafka.brokers)
        .create()?;
    let topic = deck.kafka.frames();
    for canary in canaries {
        let text = canary.text();
        let record = FutureRecord::to(&topic).key(&text).payload(&text);
        producer
            .send(record, Duration::from_secs(30))
            .await
            .map_err(|(error, _)| anyhow!(error))
            .context("a record that is no frame")?;
    }
    Ok(())
}
