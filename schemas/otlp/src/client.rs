//! The way to the collector.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use reqwest::redirect;
use tokio::runtime::Handle;

/// How long the collector may take for one batch.
const TIME: Duration = Duration::from_secs(10);

/// Sends from the service's runtime what the SDK's own thread, which has none, hands over.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

impl Client {
    /// Must be called within a Tokio runtime.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(TIME)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            runtime: Handle::current(),
        })
    }
}

impl HttpClient for Client {
    // Written as `async_trait` would have it, of which this is the only use.
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let request = reqwest::Request::try_from(request)?;
            let answer = http.execute(request).await?.error_for_status()?;
            let status = answer.status();
            let mut response = Response::new(answer.bytes().await?);
            *response.status_mut() = status;
            Ok::<_, reqwest::Error>(response)
        });
        // The SDK logs what went wrong, and a collector's URL may have a key in it.
        Box::pin(async move { Ok(sent.await?.map_err(reqwest::Error::without_url)?) })
    }
}
