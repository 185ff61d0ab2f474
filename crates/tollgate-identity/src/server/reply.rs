//! Answers: JSON for programs, pages for people, and the errors of OAuth (RFC 6749 §5.2, §4.1.2.1).

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use maud::Markup;
use serde_json::{Value, json};

/// An answer.
pub(crate) type Reply = Response<Bytes>;

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// What is for one program only.
pub(crate) fn json_reply(status: StatusCode, said: &Value) -> Reply {
    let mut reply = reply(status, "application/json", said.to_string());
    // Programs that are web pages ask too. They bring what they ask with in the request, never in cookies.
    let headers = reply.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate"));
    reply
}

/// What is for everybody.
pub(crate) fn public(said: &Value) -> Reply {
    let mut reply = json_reply(StatusCode::OK, said);
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    reply
}

/// The answer to a browser that asks whether a page of another origin may ask (CORS).
pub(crate) fn preflight() -> Reply {
    let mut reply = json_reply(StatusCode::NO_CONTENT, &Value::Null);
    *reply.body_mut() = Bytes::new();
    let headers = reply.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    let allowed = HeaderValue::from_static("authorization, *");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    reply
}

/// Something of a page: a style sheet.
pub(crate) fn style(text: &'static str) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/css; charset=utf-8", text);
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    reply
}

/// A page. Where its forms end elsewhere, at `ends_at`, that is not restricted: browsers hold all redirects behind it to the
/// same rule, and where an application sends them on is its own affair.
pub(crate) fn page(status: StatusCode, markup: &Markup, ends_at: Option<&str>) -> Reply {
    let mut reply = reply(status, "text/html; charset=utf-8", markup.0.clone());
    let headers = reply.headers_mut();
    let forms = if ends_at.is_some() { "" } else { "form-action 'self'; " };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; {forms}frame-ancestors 'none'; base-uri 'none'"
    );
    let set = |headers: &mut http::HeaderMap, name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(headers, header::CONTENT_SECURITY_POLICY, &policy);
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, header::REFERRER_POLICY, "same-origin");
    reply
}

/// `uri` with `query` behind what it has of one.
pub(crate) fn with_query(uri: &str, query: &str) -> String {
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{query}")
}

/// Sends the browser on, with GET (RFC 9110 §15.4.4).
pub(crate) fn see_other(to: &str) -> Reply {
    let mut reply = reply(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Bytes::new());
    match HeaderValue::from_str(to) {
        Ok(to) => {
            reply.headers_mut().insert(header::LOCATION, to);
            reply
        }
        Err(_) => Error::new("server_error", "the address to go to cannot be written").into(),
    }
}

/// Gives the browser a cookie, or takes it away where `value` is empty.
pub(crate) fn set_cookie(reply: &mut Reply, name: &str, value: &str, secure: bool, lasts_s: Option<u64>) {
    let secure = if secure { "; Secure" } else { "" };
    let lasts = match lasts_s {
        _ if value.is_empty() => "; Max-Age=0".to_owned(),
        Some(seconds) => format!("; Max-Age={seconds}"),
        None => String::new(),
    };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{lasts}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        reply.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Why something is not done, as OAuth says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) why: String,
}

impl Error {
    pub(crate) fn new(code: &'static str, why: impl Into<String>) -> Self {
        let status = match code {
            "invalid_client" | "invalid_token" => StatusCode::UNAUTHORIZED,
            "access_denied" | "insufficient_scope" => StatusCode::FORBIDDEN,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, code, why: why.into() }
    }

    /// What the server needs is away.
    pub(crate) fn away(why: impl std::fmt::Display) -> Self {
        tracing::warn!(%why, "the authorization server cannot answer");
        Self::new(
            "temporarily_unavailable",
            "what this server keeps cannot be read or written now; try again in a moment",
        )
    }
}

impl From<tollgate_core::query::QueryError> for Error {
    fn from(error: tollgate_core::query::QueryError) -> Self {
        Self::away(error)
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        let said = json!({ "error": error.code, "error_description": ascii(&error.why) });
        let mut reply = json_reply(error.status, &said);
        // Of the two ways in which clients prove who they are, the one that is a scheme (RFC 6749 §5.2).
        let scheme = match error.code {
            "invalid_token" => "Bearer error=\"invalid_token\"",
            "insufficient_scope" => "Bearer error=\"insufficient_scope\"",
            _ if error.status == StatusCode::UNAUTHORIZED => "Basic realm=\"client\"",
            _ => return reply,
        };
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        reply
    }
}

/// The answer to whoever has brought nothing, and how to bring it (RFC 6750 §3.1: no error is said then).
pub(crate) fn challenged(scheme: &'static str) -> Reply {
    let mut reply = json_reply(StatusCode::UNAUTHORIZED, &json!({}));
    reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    reply
}

/// `text` as a description of an error may be written (RFC 6749 §5.2).
pub(crate) fn ascii(text: &str) -> String {
    let plain = |c: char| match c {
        '"' => '\'',
        '\\' => '/',
        '\u{20}'..='\u{7e}' => c,
        _ => '?',
    };
    text.chars().map(plain).collect()
}
