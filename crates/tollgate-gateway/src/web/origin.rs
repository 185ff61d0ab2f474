//! From which page a request comes: the browser's cookie goes along with what pages of neighbouring hosts send, too.

use http::{HeaderMap, Method, header};
use tollgate_core::config::web::WebApplication;
use tollgate_core::fault::{Fault, FaultClass};

/// Refuses what changes something, and a page of another origin has sent (Fetch Metadata; browsers that do not send it send
/// `Origin`). What is no browser says neither. `None` stands for a method that nobody says.
pub(super) fn check(
    headers: &HeaderMap,
    method: Option<&Method>,
    application: &WebApplication,
) -> Result<(), Fault> {
    if method.is_none_or(Method::is_safe) {
        return Ok(());
    }
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let own = match (said("sec-fetch-site"), said(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == application.url,
        (None, None) => true,
    };
    let why = "a page of another site may not do this in the name of whoever is signed in";
    if own { Ok(()) } else { Err(Fault::new(FaultClass::Forbidden, why)) }
}

/// Refuses a WebSocket that a page of another site opens: for those browsers know no rule of their own (RFC 6455 §10.2).
pub(super) fn check_socket(headers: &HeaderMap, application: &WebApplication) -> Result<(), Fault> {
    let url = application.url.as_bytes();
    if headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == url) {
        return Ok(());
    }
    let why = "a page of another site opens no WebSocket in the name of whoever is signed in";
    Err(Fault::new(FaultClass::Forbidden, why))
}
