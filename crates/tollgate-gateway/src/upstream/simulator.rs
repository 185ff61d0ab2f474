//! The built-in simulator as an upstream: everything else goes to the one behind it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use tollgate_core::ports::Clock;
use tollgate_llm::formats;
use tollgate_llm::simulator::{Piece, play};

use super::{
    Boxed, Forwarding, Played, SendError, Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse,
};
use crate::inbound::ClientBody;

/// Answers for the simulator and passes everything else on.
pub struct WithSimulator<U> {
    clock: Arc<dyn Clock>,
    rest: U,
}

impl<U> std::fmt::Debug for WithSimulator<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WithSimulator")
    }
}

impl<U> WithSimulator<U> {
    /// The simulator, before `rest`.
    pub fn new(clock: Arc<dyn Clock>, rest: U) -> Self {
        Self { clock, rest }
    }
}

impl<U: Upstream> Upstream for WithSimulator<U> {
    fn send(&self, request: UpstreamRequest) -> Boxed<'_, Result<UpstreamResponse, SendError>> {
        let built_in =
            tollgate_llm::providers::find(request.provider).is_some_and(|provider| provider.built_in);
        if !built_in {
            return self.rest.send(request);
        }
        let created = self.clock.now().as_second();
        Box::pin(async move { simulate(&request, created).await })
    }

    fn forward(&self, request: Request<ClientBody>, connect_timeout: Duration) -> Forwarding<'_> {
        self.rest.forward(request, connect_timeout)
    }
}

async fn simulate(request: &UpstreamRequest, created: i64) -> Result<UpstreamResponse, SendError> {
    let broken = |what: &str| SendError::Broken(format!("the simulator {what}"));
    let surface = formats::find(request.format).and_then(|format| format.surface());
    let format = surface
        .and_then(|surface| surface.chat_client())
        .ok_or_else(|| broken("does not speak this format"))?;
    let body = std::str::from_utf8(&request.body).map_err(|_| broken("takes only UTF-8"))?;
    let script = play(format, body, request.stream, created);
    if script.pieces.first() == Some(&Piece::Hang) {
        std::future::pending::<()>().await;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(script.content_type));
    if let Some(seconds) = script.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(UpstreamResponse {
        status: StatusCode::from_u16(script.status).map_err(|_| broken("has no such status"))?,
        headers,
        body: UpstreamBody::Played(Played::new(script.pieces)),
    })
}
