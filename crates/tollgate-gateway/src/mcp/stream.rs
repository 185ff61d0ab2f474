//! An answer that is not there yet, behind what the client is asked before, in one stream.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::Response;
use tokio::sync::mpsc;

use super::events::{ALIVE, QUIET, event, response};
use crate::answer::{AnswerBody, Events, Incomplete};

/// An answer that is on its way.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;

/// How far a stream is.
enum At {
    First(String, Answering, mpsc::Receiver<String>),
    Waits(Answering, mpsc::Receiver<String>),
    Streams(Events),
    Over,
}

/// The stream of `first`, what else is asked, and the answer.
pub(super) fn of(first: String, answering: Answering, asks: mpsc::Receiver<String>) -> Response<AnswerBody> {
    response(Box::pin(stream::unfold(At::First(first, answering, asks), next)))
}

async fn next(at: At) -> Option<(Result<Bytes, Incomplete>, At)> {
    match at {
        At::First(first, answering, asks) => Some((Ok(event(&first)), At::Waits(answering, asks))),
        At::Waits(mut answering, mut asks) => {
            let answer = tokio::select! {
                answer = &mut answering => answer,
                Some(asked) = asks.recv() => return Some((Ok(event(&asked)), At::Waits(answering, asks))),
                () = tokio::time::sleep(QUIET) => {
                    return Some((Ok(Bytes::from_static(ALIVE)), At::Waits(answering, asks)));
                }
            };
            match answer.into_body() {
                AnswerBody::Whole(Some(body)) => Some((Ok(event(&String::from_utf8_lossy(&body))), At::Over)),
                AnswerBody::Events(mut events) => {
                    let piece = events.next().await?;
                    Some((piece, At::Streams(events)))
                }
                _ => None,
            }
        }
        At::Streams(mut events) => {
            let piece = events.next().await?;
            Some((piece, At::Streams(events)))
        }
        At::Over => None,
    }
}
