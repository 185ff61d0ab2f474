//! `Idempotency-Key`: a request that is sent again, because its answer did not arrive, is carried out once. What was
//! answered is kept for a day, in memory, within limits; the same request gets the same answer. A secret is not kept: who
//! asks for a key again is told which one was made.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, request};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tollgate_core::ports::Clock;
use tollgate_core::principal::Principal;

use crate::error::ApiError;

/// The header.
const HEADER: &str = "idempotency-key";

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The most answers that are kept, and the most bytes of them: beyond that the oldest are forgotten.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

/// Whose key it is, and what it is.
type Name = (String, String);

/// A request, told from others.
type Fingerprint = [u8; 32];

/// How far a request is.
#[derive(Clone)]
enum Stage {
    /// It is being carried out.
    UnderWay,
    /// It was answered so.
    Answered(StatusCode, HeaderMap, Bytes),
    /// It was answered with a secret, of the holder with this name.
    Secret(String),
}

impl Stage {
    fn bytes(&self) -> usize {
        match self {
            Self::Answered(_, _, body) => body.len(),
            Self::UnderWay | Self::Secret(_) => 0,
        }
    }
}

struct Known {
    request: Fingerprint,
    at: Timestamp,
    stage: Stage,
}

#[derive(Default)]
struct Kept {
    known: HashMap<Name, Known>,
    /// In the order of their coming. A name that was forgotten meanwhile, and came again, stands here twice.
    order: VecDeque<(Timestamp, Name)>,
    bytes: usize,
}

impl Kept {
    /// Takes note of a request; what is known of it where it came before.
    fn come(&mut self, name: &Name, request: Fingerprint, now: Timestamp) -> Option<(bool, Stage)> {
        self.forget_old(now);
        if let Some(known) = self.known.get(name) {
            return Some((known.request == request, known.stage.clone()));
        }
        self.known.insert(name.clone(), Known { request, at: now, stage: Stage::UnderWay });
        self.order.push_back((now, name.clone()));
        None
    }

    /// Takes note of how it was answered; `None` where it may be carried out again.
    fn answered(&mut self, name: &Name, stage: Option<Stage>) {
        let Some(stage) = stage else { return self.forget(name) };
        if let Some(known) = self.known.get_mut(name) {
            self.bytes += stage.bytes();
            known.stage = stage;
        }
    }

    fn forget_old(&mut self, now: Timestamp) {
        let old = |at: &Timestamp| now.duration_since(*at) >= KEPT;
        while let Some((at, _)) = self.order.front()
            && (old(at) || self.order.len() >= MOST || self.bytes > MOST_BYTES)
        {
            let Some((at, name)) = self.order.pop_front() else { return };
            if self.known.get(&name).is_some_and(|known| known.at == at) {
                self.forget(&name);
            }
        }
    }

    fn forget(&mut self, name: &Name) {
        if let Some(gone) = self.known.remove(name) {
            self.bytes -= gone.stage.bytes();
        }
    }
}

/// What was answered to whom.
pub(crate) struct Answers {
    kept: Mutex<Kept>,
    clock: Arc<dyn Clock>,
}

impl Answers {
    /// None yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), clock })
    }
}

/// Carries out a request with a key once.
pub(crate) async fn once(State(answers): State<Arc<Answers>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let name = match name(&head) {
        Ok(Some(name)) => name,
        Ok(None) => return next.run(Request::from_parts(head, body)).await,
        Err(error) => return error.into_response(),
    };
    // It is in memory already, and within the gate's limit.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return ApiError::invalid("the body cannot be read").into_response();
    };
    let fingerprint = fingerprint(&head, &body);
    let before = answers.kept.lock().come(&name, fingerprint, answers.clock.now());
    if let Some((same, stage)) = before {
        return again(same, stage);
    }
    // Whoever goes away does not end what is being carried out: its outcome is known when they come again.
    let carrying_out = tokio::spawn(async move {
        // Nor does a defect leave it under way.
        let carried_out = tokio::spawn(next.run(Request::from_parts(head, Body::from(body)))).await;
        let (response, stage) = match carried_out {
            Ok(response) => kept(response).await,
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR.into_response(), None),
        };
        answers.kept.lock().answered(&name, stage);
        response
    });
    carrying_out.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The key of a request to which it applies.
fn name(head: &request::Parts) -> Result<Option<Name>, ApiError> {
    let key = head.headers.get(HEADER).filter(|_| head.method == Method::POST);
    let key = key.filter(|_| head.uri.path().starts_with("/api/v1/"));
    let (Some(key), Some(principal)) = (key, head.extensions.get::<Principal>()) else { return Ok(None) };
    let plain = |text: &&str| (1..=LONGEST).contains(&text.len()) && !text.contains('\t');
    let text = key.to_str().ok().filter(plain);
    let text = text.ok_or_else(|| {
        ApiError::invalid(format!("`Idempotency-Key` has 1 to {LONGEST} visible ASCII characters"))
    })?;
    let whose = format!("{}/{}", principal.sub.kind.name(), principal.sub.id);
    Ok(Some((whose, text.to_owned())))
}

fn fingerprint(head: &request::Parts, body: &Bytes) -> Fingerprint {
    let mut sum = Sha256::new();
    sum.update(head.uri.to_string());
    sum.update([0]);
    sum.update(body);
    sum.finalize().into()
}

/// The answer to a request that came before.
fn again(same: bool, stage: Stage) -> Response {
    if !same {
        let why = "this `Idempotency-Key` was sent with another request: each request has its own";
        return ApiError::of("Idempotency-Key", why).into_response();
    }
    match stage {
        Stage::UnderWay => {
            ApiError::taken("Idempotency-Key", "the same request is being carried out").into_response()
        }
        Stage::Secret(id) => {
            let why = format!(
                "the key `{id}` was made or rotated by the same request; it is shown once: rotate it for another"
            );
            ApiError::taken("Idempotency-Key", why).into_response()
        }
        Stage::Answered(status, headers, body) => (status, headers, body).into_response(),
    }
}

/// What is kept of an answer; `None` where nothing was done, so that it may be tried again.
async fn kept(response: Response) -> (Response, Option<Stage>) {
    if !response.status().is_success() {
        return (response, None);
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let shown: Value = serde_json::from_slice(&body).unwrap_or_default();
    let stage = if shown["key"].is_string() {
        Stage::Secret(shown["id"].as_str().unwrap_or_default().to_owned())
    } else {
        Stage::Answered(head.status, head.headers.clone(), body.clone())
    };
    (Response::from_parts(head, Body::from(body)), Some(stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_limits() {
        let mut kept = Kept::default();
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let name = |n: usize| ("master".to_owned(), n.to_string());
        let answer =
            |size: usize| Some(Stage::Answered(StatusCode::OK, HeaderMap::new(), vec![0; size].into()));
        for n in 0..MOST + 5 {
            assert!(kept.come(&name(n), [0; 32], at(0)).is_none());
            kept.answered(&name(n), answer(1));
        }
        assert!(kept.known.len() <= MOST && kept.bytes <= MOST, "the oldest are forgotten");
        assert!(kept.come(&name(0), [0; 32], at(1)).is_none());
        kept.answered(&name(0), answer(MOST_BYTES));
        assert!(
            kept.come(&name(MOST + 4), [0; 32], at(2)).is_none() && kept.known.len() == 2,
            "too many bytes"
        );
        kept.answered(&name(MOST + 4), answer(1));
        assert!(matches!(
            kept.come(&name(MOST + 4), [1; 32], at(86_401)),
            Some((false, Stage::Answered(..)))
        ));
        assert!(kept.come(&name(MOST + 4), [1; 32], at(86_402)).is_none(), "after a day it is another");
        kept.answered(&name(MOST + 4), None);
        assert!(
            kept.come(&name(MOST + 4), [2; 32], at(86_403)).is_none(),
            "what was not done may be tried again"
        );
        assert_eq!(kept.bytes, 0);
    }
}
