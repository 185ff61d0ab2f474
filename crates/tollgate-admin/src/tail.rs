//! The journal as it grows.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use tollgate_core::query::Following;

use crate::Sources;

/// How often it is looked for what is new.
const LOOK: Duration = Duration::from_millis(100);

/// `GET /api/v1/tail`: every entry from now on, as server-sent events with the entry's number as id.
pub(crate) async fn tail(
    State(sources): State<Sources>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let live = std::sync::Arc::clone(&sources.live);
    let following = tokio::task::spawn_blocking(move || live.follow()).await.ok();
    let state = following.map(|following| (following, VecDeque::new()));
    Sse::new(unfold(state, next)).keep_alive(KeepAlive::default())
}

type Ready = VecDeque<(u64, Vec<u8>)>;
type Tailing = (Box<dyn Following>, Ready);

async fn next(state: Option<Tailing>) -> Option<(Result<Event, Infallible>, Option<Tailing>)> {
    let (mut following, mut ready) = state?;
    loop {
        if let Some((seq, line)) = ready.pop_front() {
            let event = Event::default().id(seq.to_string()).data(String::from_utf8_lossy(&line));
            return Some((Ok(event), Some((following, ready))));
        }
        let read = tokio::task::spawn_blocking(move || {
            let read = following.read();
            (following, read)
        });
        let (back, read) = read.await.ok()?;
        following = back;
        ready.extend(read.ok()?);
        if ready.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
