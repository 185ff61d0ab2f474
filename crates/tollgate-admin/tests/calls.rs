//! The API over sources of a test's own: what it answers, and how it refuses.

mod support;

use std::sync::{Arc, Mutex};

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tollgate_admin::router;
use tollgate_core::call::CallId;
use tollgate_core::query::{
    Answering, CallFilter, CallPage, CallStory, Following, Live, QueryError, Records, Spend, SpendFilter,
    TraceStory,
};
use tower::ServiceExt;

use support::{read, request, sources};

/// Answers what it is told to, and remembers what it was asked.
#[derive(Default)]
struct Told {
    away: bool,
    asked: Mutex<Vec<CallFilter>>,
}

impl Records for Told {
    fn calls(&self, filter: CallFilter) -> Answering<'_, CallPage> {
        Box::pin(async move {
            if self.away {
                return Err(QueryError("the index is not open yet".to_owned()));
            }
            self.asked.lock().map_err(|e| QueryError(e.to_string()))?.push(filter);
            Ok(CallPage::default())
        })
    }

    fn call(&self, _: CallId) -> Answering<'_, Option<CallStory>> {
        Box::pin(async { Ok(None) })
    }

    fn trace(&self, _: String) -> Answering<'_, Option<TraceStory>> {
        Box::pin(async { Ok(None) })
    }

    fn spend(&self, _: SpendFilter) -> Answering<'_, Spend> {
        Box::pin(async { Ok(Spend::default()) })
    }
}

struct Lines(Vec<&'static str>);

impl Following for Lines {
    fn read(&mut self) -> std::io::Result<Vec<(u64, Vec<u8>)>> {
        Ok(self.0.drain(..).enumerate().map(|(at, line)| (at as u64 + 1, line.as_bytes().to_vec())).collect())
    }
}

impl Live for Told {
    fn follow(&self) -> Box<dyn Following> {
        Box::new(Lines(vec!["{\"entry\":\"event\"}", "{\"entry\":\"closed\"}"]))
    }

    fn aside(&self, _: &str, name: &str) -> Result<Vec<u8>, QueryError> {
        if name == "there" { Ok(b"[]".to_vec()) } else { Err(QueryError("it is not there".to_owned())) }
    }
}

async fn get(told: &Arc<Told>, path: &str) -> (StatusCode, Value) {
    let sources = sources(Arc::clone(told) as Arc<_>, Arc::clone(told) as Arc<_>);
    let Ok(response) = router(sources).oneshot(request("GET", path, None, None)).await;
    read(response).await
}

#[tokio::test]
async fn a_query_is_a_filter_and_nothing_else() {
    let told = Arc::new(Told::default());
    let (status, body) = get(&told, "/api/v1/calls?model=gpt-4o&limit=5&since=2026-01-01T00:00:00Z").await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "calls": [] })));
    let asked = told.asked.lock().unwrap().remove(0);
    assert_eq!((asked.model.as_deref(), asked.limit()), (Some("gpt-4o"), 5));
    for query in ["modell=x", "limit=many", "since=yesterday"] {
        let (status, body) = get(&told, &format!("/api/v1/calls?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
    }
    assert_eq!(CallFilter { limit: Some(1_000_000), ..CallFilter::default() }.limit(), 1_000);
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let told = Arc::new(Told::default());
    let id = CallId::new();
    for (path, status) in [
        (format!("/api/v1/calls/{id}"), StatusCode::NOT_FOUND),
        ("/api/v1/calls/none".to_owned(), StatusCode::BAD_REQUEST),
        (format!("/api/v1/traces/{id}"), StatusCode::NOT_FOUND),
        ("/api/v1/content/i/x".to_owned(), StatusCode::NOT_FOUND),
        ("/api/v1/content/i/there".to_owned(), StatusCode::OK),
        ("/api/v2".to_owned(), StatusCode::NOT_FOUND),
    ] {
        let (got, body) = get(&told, &path).await;
        assert_eq!(got, status, "{path}: {body}");
        assert!(status == StatusCode::OK || body["detail"].is_string(), "{path}: {body}");
    }
    let away = Arc::new(Told { away: true, ..Told::default() });
    let (status, body) = get(&away, "/api/v1/calls").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body["detail"].to_string().contains("not open"));
}

#[tokio::test]
async fn the_journal_is_followed_as_events() {
    let told = Arc::new(Told::default());
    let sources = sources(Arc::clone(&told) as Arc<_>, told as Arc<_>);
    let Ok(response) = router(sources).oneshot(request("GET", "/api/v1/tail", None, None)).await;
    let mut body = response.into_body();
    let mut text = String::new();
    while text.matches("\n\n").count() < 2 {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
    }
    assert_eq!(text, "id: 1\ndata: {\"entry\":\"event\"}\n\nid: 2\ndata: {\"entry\":\"closed\"}\n\n");
}
