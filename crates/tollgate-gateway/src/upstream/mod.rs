//! What carries requests to upstreams, and answers back.

pub mod credentials;
mod deliver;
pub mod egress;
mod http_client;
mod in_time;
mod played;
mod resolver;
mod simulator;

pub use http_client::HttpClient;
pub use played::Played;
pub use simulator::WithSimulator;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use tollgate_core::egress::Reach;

use crate::inbound::ClientBody;

/// A request to an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// The deployment's id, for messages.
    pub deployment: std::sync::Arc<str>,
    /// The provider's name.
    pub provider: &'static str,
    /// The name of the format that the body is in.
    pub format: &'static str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// How: `POST` but for what tool servers say unasked, and the end of their sessions.
    pub method: Method,
    /// Where to.
    pub uri: Uri,
    /// With which headers, the credential among them.
    pub headers: HeaderMap,
    /// What.
    pub body: Bytes,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Which addresses it may be made to.
    pub reach: Reach,
}

/// The beginning of an upstream's answer.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it comes.
    pub body: UpstreamBody,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No connection: nothing was sent.
    Connect(String),
    /// The connection broke: it may have been sent.
    Broken(String),
}

/// A future that is boxed, as trait objects need it.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A web application's answer, on its way.
pub type Forwarding<'a> = Boxed<'a, Result<Response<Incoming>, SendError>>;

/// Carries requests to upstreams.
pub trait Upstream: Send + Sync {
    /// Sends `request` and waits for the head of the answer. Dropping the future cancels the request.
    fn send(&self, request: UpstreamRequest) -> Boxed<'_, Result<UpstreamResponse, SendError>>;

    /// Sends on a request that a browser has made of a web application, as it comes, to where the configuration has that.
    fn forward(&self, request: Request<ClientBody>, connect_timeout: Duration) -> Forwarding<'_>;
}

/// An upstream's body, as it comes. Dropping it cancels the rest.
#[derive(Debug)]
pub enum UpstreamBody {
    /// From a connection.
    Wire(Incoming),
    /// From a script.
    Played(Played),
}

impl UpstreamBody {
    /// The next piece; `Err` when the connection broke.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        match self {
            Self::Wire(incoming) => loop {
                return match std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    None => Poll::Ready(None),
                    Some(Err(error)) => Poll::Ready(Some(Err(reason(&error)))),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => Poll::Ready(Some(Ok(data))),
                        // Trailers say nothing that the gate needs.
                        Err(_) => continue,
                    },
                };
            },
            Self::Played(played) => played.poll_piece(cx),
        }
    }

    /// The next piece.
    pub async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        std::future::poll_fn(|cx| self.poll_piece(cx)).await
    }
}

/// An error with the reasons behind it, which its own text leaves out.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
