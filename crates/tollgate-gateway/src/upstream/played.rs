//! A body that follows a script: pieces, pauses, and breaks.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Sleep;
use tollgate_llm::simulator::Piece;

/// A body that follows a script.
#[derive(Debug)]
pub struct Played {
    pieces: VecDeque<Piece>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Played {
    /// A body of `pieces`.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self { pieces: pieces.into_iter().collect(), pause: None }
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Send(bytes)) => return Poll::Ready(Some(Ok(bytes.into()))),
                Some(Piece::Wait(duration)) => self.pause = Some(Box::pin(tokio::time::sleep(duration))),
                Some(Piece::Cut) => return Poll::Ready(Some(Err("the connection was cut".to_owned()))),
                Some(Piece::Hang) => {
                    self.pieces.push_front(Piece::Hang);
                    return Poll::Pending;
                }
            }
        }
    }
}
