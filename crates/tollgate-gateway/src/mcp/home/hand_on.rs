//! A request that goes on to another instance as it came, and its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, header};
use tokio::time::Instant;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::egress::Reach;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::ports::Peer;

use super::signed::{HANDED_ON, sign};
use crate::answer::{AnswerBody, Incomplete};
use crate::gate::Gate;
use crate::upstream::{SendError, UpstreamRequest, UpstreamResponse};

/// With this header an instance says that it is stopping, and did nothing.
pub(in crate::mcp) const DRAINING: &str = "x-tollgate-draining";

/// Instances are near each other.
const TO_CONNECT: Duration = Duration::from_secs(2);

/// What belongs to one connection (RFC 9110 §7.6.1), or is written anew.
const OF_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
];

/// Why a request was not handed on.
pub(in crate::mcp) enum NotHandedOn {
    /// The instance is stopping: it has done nothing, and what it kept for the client is over.
    Over,
    /// It was not answered.
    Failed(Fault),
}

/// Hands a request that came from `from` on to `peer`, and returns its answer, which may be `endless`.
pub(in crate::mcp) async fn hand_on(
    gate: &Arc<Gate>,
    snapshot: &Snapshot,
    peer: &Peer,
    (head, body): (&Parts, Bytes),
    (from, endless): (Option<IpAddr>, bool),
) -> Result<Response<AnswerBody>, NotHandedOn> {
    let fault = |class, why: String| {
        Fault::new(class, format!("the instance that holds the client's session does not answer: {why}"))
    };
    let away = |why: String| {
        let fault = fault(FaultClass::InstanceAway, why);
        NotHandedOn::Failed(Fault { retry_after: Some(Duration::from_secs(1)), ..fault })
    };
    let secret = snapshot.secrets.key.as_ref().ok_or_else(|| away("there is no `secrets_key`".to_owned()))?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri = format!("{}{path}", peer.url.trim_end_matches('/'))
        .parse()
        .map_err(|_| away("its `advertise_url` is no address".to_owned()))?;
    let mut headers = end_to_end(&head.headers);
    let signature = sign((secret, &peer.life), head, &body, from, gate.parts.clock.now());
    let mut signature = HeaderValue::try_from(signature).map_err(|error| away(error.to_string()))?;
    signature.set_sensitive(true);
    headers.insert(HeaderName::from_static(HANDED_ON), signature);
    let request = UpstreamRequest {
        deployment: Arc::from("instance"),
        provider: "instance",
        format: "mcp",
        stream: true,
        method: head.method.clone(),
        uri,
        headers,
        body,
        connect_timeout: TO_CONNECT,
        reach: Reach::Anywhere,
    };
    let answer = tokio::select! {
        answer = gate.parts.upstream.send(request) => answer,
        () = gone(gate, &peer.life, snapshot.timeouts.drain) => {
            Err(SendError::Broken("it has not been heard of since its lease ended".to_owned()))
        }
    };
    match answer {
        Ok(answer) if answer.headers.contains_key(DRAINING) => Err(NotHandedOn::Over),
        Ok(answer) => Ok(answered(gate, answer, endless)),
        Err(SendError::Connect(why)) => Err(away(why)),
        // It may have been done.
        Err(SendError::Broken(why)) => Err(NotHandedOn::Failed(fault(FaultClass::Lost, why))),
    }
}

/// Resolves when the instance has not been there for long enough: one that stops lets its calls end.
async fn gone(gate: &Gate, life: &str, patience: Duration) {
    const EVERY: Duration = Duration::from_secs(1);
    let mut since = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let there = gate.parts.peers.present().iter().any(|peer| &*peer.life == life);
        if there {
            since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= patience {
            return;
        }
    }
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    headers
}

/// The answer of the other instance, piece by piece as it comes; one that would never end ends when this gate stops.
fn answered(gate: &Gate, answer: UpstreamResponse, endless: bool) -> Response<AnswerBody> {
    let UpstreamResponse { status, headers, body } = answer;
    let stop = Box::pin(gate.stopping());
    let pieces = stream::unfold((body, stop), move |(mut body, mut stop)| async move {
        let piece = tokio::select! {
            piece = body.piece() => piece?,
            () = &mut stop, if endless => return None,
        };
        Some((piece.map_err(|_| Incomplete), (body, stop)))
    });
    let mut response = Response::new(AnswerBody::Events(Box::pin(pieces)));
    *response.status_mut() = status;
    *response.headers_mut() = end_to_end(&headers);
    response
}
