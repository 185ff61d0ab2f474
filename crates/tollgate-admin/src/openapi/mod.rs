//! The description of `/api/v1` (OpenAPI 3.1), made of the table of routes and of the types themselves, and a page that
//! shows it. Both are the same for everybody and hold nothing of this gate, so that anybody may read them.

mod additions;
mod approvals;
mod contracts;
mod logins;
mod page;
mod routes;
mod schemas;

use std::sync::LazyLock;

use axum::response::IntoResponse;
use http::header;
use serde_json::{Map, Value, json};

use self::routes::{Described, described};
use crate::routes::Route;
use crate::who::Needs;

/// Where the description is.
pub(crate) const DOCUMENT: &str = "/api/openapi.json";

/// Where the page is.
pub(crate) const PAGE: &str = "/api/docs";

/// Both, made once: whoever asks need not be known, so asking must cost nothing.
static MADE: LazyLock<(String, String)> = LazyLock::new(|| {
    let document = made();
    (document.to_string(), page::html(&document))
});

/// `GET /api/openapi.json`.
pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], MADE.0.as_str())
}

/// `GET /api/docs`: the same, to be read. It shows texts and loads nothing, from here or from elsewhere.
pub(crate) async fn page() -> impl IntoResponse {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, MADE.1.as_str())
}

/// The description. A route that `routes.rs` beside this file says nothing of is not in it, which a test forbids.
fn made() -> Value {
    let mut paths = Map::new();
    for route in crate::routes::all() {
        let Some(said) = described(route.method.as_str(), &route.path) else { continue };
        let method = route.method.as_str().to_lowercase();
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        path[method] = operation(&route, said);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate: the management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A key of the gate goes into `Authorization: Bearer KEY`. What is wrong is a problem (RFC 9457).",
        },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas::all(),
        },
    })
}

fn operation(route: &Route, said: &Described) -> Value {
    let mut operation = json!({
        "summary": said.summary,
        "description": needs(route.needs),
        "tags": [route.path.split('/').nth(3).unwrap_or_default()],
        "parameters": parameters(route, said),
        "responses": responses(said),
    });
    if let Some(asks) = said.asks {
        operation["requestBody"] = json!({ "required": true, "content": content("application/json", asks) });
    }
    operation
}

/// Who may use a route, in words.
fn needs(needs: Needs) -> &'static str {
    match needs {
        Needs::ToAudit => "For admins and auditors.",
        Needs::ToSeeOwn => "For everybody: the answer holds what they may see.",
        Needs::ToManageKeys => "For admins, and for team admins with the keys of their team's members.",
        Needs::ToManage => "For admins.",
        Needs::Nothing => "For anybody.",
    }
}

fn parameters(route: &Route, said: &Described) -> Vec<Value> {
    let text = |place: &str, name: &str, why: &str| {
        let schema = match name {
            "Idempotency-Key" => {
                json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" })
            }
            "If-Match" => json!({ "type": "string", "pattern": "^(\\*|\"[0-9]+\")$" }),
            _ => json!({ "type": "string" }),
        };
        json!({ "in": place, "name": name, "required": place == "path", "description": why, "schema": schema })
    };
    let named = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = named.map(|name| text("path", name, "")).collect();
    all.extend(said.query.iter().flat_map(|query| schemas::query(*query)));
    if route.method == http::Method::POST {
        all.push(text(
            "header",
            "Idempotency-Key",
            "A request with the same key is carried out once within a day.",
        ));
    }
    if said.versioned {
        all.push(text(
            "header",
            "If-Match",
            "The `ETag` of what is to be changed; where it is another by now, 412.",
        ));
    }
    all
}

fn responses(said: &Described) -> Value {
    let done = match said.answers {
        "" => json!({ "description": "Done." }),
        "text/event-stream" => json!({
            "description": "Entries of the journal as they are written.",
            "content": { "text/event-stream": { "schema": { "type": "string" } } },
        }),
        answers => json!({ "description": "Done.", "content": content("application/json", answers) }),
    };
    let problem =
        json!({ "description": "Why not.", "content": content("application/problem+json", "Problem") });
    json!({ said.status.to_string(): done, "default": problem })
}

fn content(kind: &str, schema: &str) -> Value {
    json!({ kind: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}
