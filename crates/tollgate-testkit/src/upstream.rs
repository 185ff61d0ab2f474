//! Upstreams that do what a test says.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;
use tollgate_gateway::inbound::ClientBody;
use tollgate_gateway::upstream::{
    Boxed, Forwarding, Played, SendError, Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse,
};
use tollgate_llm::simulator::Piece;

/// What an upstream does with one request.
#[derive(Debug)]
pub enum Reply {
    /// No connection.
    NoConnection,
    /// The connection breaks before an answer.
    Broken,
    /// Nothing, ever.
    Hang,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        pieces: Vec<Piece>,
    },
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, "application/json", body.to_string())
    }

    /// Any answer in one piece.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::pieces(status, content_type, vec![Piece::Send(body.into())])
    }

    /// A stream of these pieces.
    pub fn stream(pieces: Vec<Piece>) -> Self {
        Self::pieces(200, "text/event-stream", pieces)
    }

    /// An OpenAI stream of these chunks, with its end.
    pub fn openai_stream(chunks: &[Value]) -> Self {
        let mut pieces: Vec<Piece> =
            chunks.iter().map(|chunk| Piece::Send(format!("data: {chunk}\n\n").into_bytes())).collect();
        pieces.push(Piece::Send(b"data: [DONE]\n\n".to_vec()));
        Self::stream(pieces)
    }

    fn pieces(status: u16, content_type: &str, pieces: Vec<Piece>) -> Self {
        Self::Answer { status, headers: vec![("content-type", content_type.to_owned())], pieces }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    /// The same, after a while.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let Self::Answer { pieces, .. } = &mut self {
            pieces.insert(0, Piece::Wait(wait));
        }
        self
    }
}

/// Upstreams that do what a test says, by deployment.
#[derive(Debug, Default)]
pub struct Scripted {
    replies: Mutex<HashMap<String, VecDeque<Reply>>>,
    requests: Mutex<Vec<UpstreamRequest>>,
    /// Counts the bodies that are still being read.
    open: Arc<()>,
}

impl Scripted {
    /// The next request to a deployment whose id begins with `deployment` gets `reply`.
    pub fn on(&self, deployment: &str, reply: Reply) {
        self.replies.lock().entry(deployment.to_owned()).or_default().push_back(reply);
    }

    /// Forgets what `deployment` would answer.
    pub fn clear(&self, deployment: &str) {
        self.replies.lock().remove(deployment);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<UpstreamRequest> {
        self.requests.lock().clone()
    }

    /// The deployments that were asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.requests.lock().iter().map(|request| request.deployment.to_string()).collect()
    }

    /// The body of the last request.
    pub fn last_body(&self) -> Value {
        let requests = self.requests.lock();
        requests.last().and_then(|r| serde_json::from_slice(&r.body).ok()).unwrap_or_default()
    }

    /// Requests that are under way and have not been dropped.
    pub fn under_way(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }
}

impl Upstream for Scripted {
    /// A script has no connection to carry what comes as it comes.
    fn forward(&self, _: Request<ClientBody>, _: Duration) -> Forwarding<'_> {
        Box::pin(std::future::ready(Err(SendError::Connect("a script forwards nothing".to_owned()))))
    }

    fn send(&self, request: UpstreamRequest) -> Boxed<'_, Result<UpstreamResponse, SendError>> {
        let reply = {
            let mut replies = self.replies.lock();
            let mut queues: Vec<_> = replies
                .iter_mut()
                .filter(|(id, queue)| request.deployment.starts_with(id.as_str()) && !queue.is_empty())
                .collect();
            queues.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
            queues.first_mut().and_then(|(_, queue)| queue.pop_front())
        };
        let deployment = request.deployment.to_string();
        self.requests.lock().push(request);
        let open = Arc::clone(&self.open);
        Box::pin(async move {
            let _open = open;
            match reply {
                None => Err(SendError::Broken(format!("the test has no reply for {deployment}"))),
                Some(Reply::NoConnection) => Err(SendError::Connect("connection refused".to_owned())),
                Some(Reply::Broken) => Err(SendError::Broken("connection reset".to_owned())),
                Some(Reply::Hang) => std::future::pending().await,
                Some(Reply::Answer { status, headers, pieces }) => {
                    let mut map = HeaderMap::new();
                    for (name, value) in headers {
                        if let Ok(value) = HeaderValue::from_str(&value) {
                            map.insert(HeaderName::from_static(name), value);
                        }
                    }
                    let status =
                        StatusCode::from_u16(status).map_err(|e| SendError::Broken(e.to_string()))?;
                    Ok(UpstreamResponse {
                        status,
                        headers: map,
                        body: UpstreamBody::Played(Played::new(pieces)),
                    })
                }
            }
        })
    }
}
