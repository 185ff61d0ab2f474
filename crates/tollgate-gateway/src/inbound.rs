//! A request as it comes in, its body not yet read.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::fault::{Fault, FaultClass};

use crate::gathered::Gathered;

/// A request as it comes in.
#[derive(Debug)]
pub struct Inbound {
    /// Method, address and headers.
    pub head: Parts,
    /// The body.
    pub body: ClientBody,
    /// When it came.
    pub arrived: Instant,
    /// From where; `None` in tests without a socket.
    pub peer: Option<IpAddr>,
}

/// A request's body.
#[derive(Debug)]
pub enum ClientBody {
    /// On the wire.
    Wire(Incoming),
    /// Here already.
    Memory(Bytes),
}

impl Inbound {
    /// The first value of the header `name`, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

impl ClientBody {
    /// The whole body, within the limits of `snapshot`.
    pub async fn read(self, snapshot: &Snapshot) -> Result<Bytes, Fault> {
        self.read_up_to(snapshot.limits.request_body_bytes, snapshot).await
    }

    /// The whole body of a stranger, of whom nothing long is expected.
    pub(crate) async fn read_small(self, snapshot: &Snapshot) -> Result<Bytes, Fault> {
        const SMALL: usize = 64 << 10;
        self.read_up_to(snapshot.limits.request_body_bytes.min(SMALL), snapshot).await
    }

    async fn read_up_to(self, limit: usize, snapshot: &Snapshot) -> Result<Bytes, Fault> {
        match self {
            Self::Memory(bytes) if bytes.len() > limit => Err(too_large(limit)),
            Self::Memory(bytes) => Ok(bytes),
            Self::Wire(incoming) => {
                let deadline = snapshot.timeouts.request;
                match tokio::time::timeout(deadline, collect(incoming, limit)).await {
                    Ok(read) => read,
                    Err(_) => Err(Fault::new(
                        FaultClass::SlowRequest,
                        format!(
                            "the request body did not arrive within {} ms (timeouts.request_ms)",
                            deadline.as_millis()
                        ),
                    )),
                }
            }
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Wire(incoming) => Pin::new(incoming).poll_frame(cx),
            Self::Memory(bytes) => {
                let all = std::mem::take(bytes);
                Poll::Ready((!all.is_empty()).then(|| Ok(Frame::data(all))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(incoming) => incoming.is_end_stream(),
            Self::Memory(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(incoming) => incoming.size_hint(),
            Self::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

async fn collect(mut incoming: Incoming, limit: usize) -> Result<Bytes, Fault> {
    if incoming.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let mut gathered = Gathered::new(limit);
    while let Some(frame) = incoming.frame().await {
        let frame =
            frame.map_err(|e| Fault::new(FaultClass::ClientGone, format!("the request broke off: {e}")))?;
        if let Ok(data) = frame.into_data() {
            gathered.push(data).map_err(|_| too_large(limit))?;
        }
    }
    Ok(gathered.finish())
}

fn too_large(limit: usize) -> Fault {
    Fault::new(
        FaultClass::TooLarge,
        format!("the request body is larger than {limit} bytes (limits.request_body_bytes)"),
    )
}
