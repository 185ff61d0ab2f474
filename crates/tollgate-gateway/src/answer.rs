//! The body of an answer to a client: whole, or relayed piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::relay::Relay;
use crate::serve::ManagedBody;

/// The body of an answer.
pub enum AnswerBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Relayed from an upstream.
    Relayed(Box<Relay>),
    /// Events, as they happen.
    Events(Events),
    /// From a web application, as it comes; it is cut off where whoever it is for may not have it any more.
    Forwarded(Incoming, Option<Over>),
    /// From the management API.
    Managed(ManagedBody),
}

/// Resolves when an answer is over before its end.
pub type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Events, as they happen.
pub type Events = Pin<Box<dyn Stream<Item = Result<Bytes, Incomplete>> + Send>>;

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Relayed(_) => "Relayed",
            Self::Events(_) => "Events",
            Self::Forwarded(..) => "Forwarded",
            Self::Managed(_) => "Managed",
        })
    }
}

impl AnswerBody {
    /// A whole body.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// `body`, until `over`.
    pub(crate) fn watched(body: Incoming, over: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Forwarded(body, Some(Box::pin(over)))
    }
}

/// A relayed answer that could not be completed. The connection is closed, so that the client notices.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer could not be completed")]
pub struct Incomplete;

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Self::Relayed(relay) => {
                relay.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Events(events) => {
                events.as_mut().poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Forwarded(body, over) => match (Pin::new(body).poll_frame(cx), over) {
                (Poll::Pending, Some(over)) => {
                    std::task::ready!(over.as_mut().poll(cx));
                    Poll::Ready(Some(Err(Incomplete)))
                }
                (frame, _) => frame.map(|frame| frame.map(|frame| frame.map_err(|_| Incomplete))),
            },
            Self::Managed(body) => {
                body.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|_| Incomplete)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relayed(relay) => relay.is_finished(),
            Self::Events(_) => false,
            Self::Forwarded(body, _) => body.is_end_stream(),
            Self::Managed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Relayed(_) | Self::Events(_) => SizeHint::default(),
            Self::Forwarded(body, _) => body.size_hint(),
            Self::Managed(body) => body.size_hint(),
        }
    }
}
