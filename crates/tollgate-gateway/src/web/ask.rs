//! A proxy that carries an application's requests asks whether they may pass: nginx (`auth_request`), Caddy (`forward_auth`),
//! Traefik (`forwardAuth`). It passes the browser's headers on, and says what is asked for in `X-Forwarded-Method` and
//! `X-Forwarded-Uri`.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use tollgate_core::config::web::{IDENTITY_HEADER, WebApplication};
use tollgate_core::fault::{Fault, FaultClass};

use super::decide::{Asked, Passed};
use super::{Page, Visit, origin, redirect, sign_in_at};
use crate::answer::AnswerBody;
use crate::inbound::Inbound;

/// What is asked for, as proxies say it.
const URI: &str = "x-forwarded-uri";
const METHOD: &str = "x-forwarded-method";

impl Visit<'_> {
    /// Answers with who asks (200), or why they may not pass (401, 403). Where the proxy gives the answer to the browser,
    /// `redirects` sends that to sign in.
    pub(super) async fn asked(&self, inbound: &Inbound, redirects: bool) -> Response<AnswerBody> {
        let headers = &inbound.head.headers;
        let (method, uri) = match (said(headers, METHOD), said(headers, URI)) {
            (Ok(method), Ok(uri)) => (method, uri),
            (Err(fault), _) | (_, Err(fault)) => return self.refused(&fault, inbound.peer, &silent()),
        };
        // As it stands there: what is cut off here may be passed on.
        let path = uri.map(|uri| uri.split('?').next().unwrap_or_default());
        let asked = Asked { method, path, peer: inbound.peer };
        let parsed = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let from_own_page = check_socket(headers, self.application)
            .and_then(|()| origin::check(headers, parsed.as_ref(), self.application));
        let decided = match from_own_page {
            Ok(()) => self.decide(headers, &asked).await,
            Err(fault) => Err(fault),
        };
        match decided {
            Ok(passed) => {
                let mut response = Response::new(AnswerBody::whole(bytes::Bytes::new()));
                *response.status_mut() = StatusCode::OK;
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                self.say_who(passed, response.headers_mut());
                response
            }
            Err(fault) => {
                let method = parsed.unwrap_or_default();
                let page = Page::at(headers, &method, uri.unwrap_or("/"));
                match page.path.as_deref().filter(|_| redirects) {
                    Some(to) if fault.class == FaultClass::Unauthenticated => redirect(&sign_in_at(to)),
                    _ => self.refused(&only_no(fault), inbound.peer, &Page { path: None, ..page }),
                }
            }
        }
    }

    /// Says in `headers` who has `passed`, in each header by which the application is told: where there is nothing to say, that
    /// it is nothing. Of a header that is missing some proxies pass on what the browser has sent.
    fn say_who(&self, passed: Passed, headers: &mut HeaderMap) {
        let configured = self.application.headers.iter().map(|(name, _)| name.clone());
        for name in configured.chain([HeaderName::from_static(IDENTITY_HEADER)]) {
            headers.insert(name, HeaderValue::from_static(""));
        }
        if let Passed::Known(visitor) = passed {
            headers.extend(visitor.headers);
        }
    }
}

/// Refuses WebSockets of pages of other sites. Proxies keep `Upgrade` to themselves, and pass on what comes with it.
fn check_socket(headers: &HeaderMap, application: &WebApplication) -> Result<(), Fault> {
    let opens = ["sec-websocket-key", "sec-websocket-version"].iter().any(|name| headers.contains_key(*name));
    if opens { origin::check_socket(headers, application) } else { Ok(()) }
}

/// What a proxy says in the header `name`: once, or it was not the proxy alone.
fn said<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fault> {
    let mut lines = headers.get_all(name).iter();
    let wrong = || Fault::new(FaultClass::Forbidden, format!("`{name}` is there twice, or is no text"));
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// nginx knows two answers that say no (401 and 403), and takes others that do for a failure of its own.
fn only_no(fault: Fault) -> Fault {
    match fault.class {
        FaultClass::Unauthenticated | FaultClass::Forbidden => fault,
        _ if fault.status() < 500 => Fault::new(FaultClass::Forbidden, fault.message.to_string()),
        _ => fault,
    }
}

fn silent() -> Page {
    Page { is_shown: false, path: None }
}
