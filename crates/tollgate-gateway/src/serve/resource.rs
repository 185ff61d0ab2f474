//! Where to get tokens for the gate (RFC 9728): for anybody, as whoever asks has none yet.

use http::{HeaderValue, Response, header};
use serde_json::json;
use tollgate_core::config::identity::LONGEST_PATH;

use crate::answer::AnswerBody;
use crate::gate::Gate;

/// The metadata of the resource at `path`, where it may be one: the gate itself, or an address at which clients find tools.
/// Whether there is something at that address is for whoever may use it.
pub(super) fn metadata(gate: &Gate, path: &str) -> Option<Response<AnswerBody>> {
    let identity = &gate.runtime().snapshot.identity;
    let of_tools = path.strip_prefix("/mcp").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let url =
        identity.url.as_ref().filter(|_| (path.is_empty() || of_tools) && path.len() <= LONGEST_PATH)?;
    if identity.issuers.is_empty() {
        return None;
    }
    // No scopes: clients would ask for all of them at once. What a tool wants besides is said when it is called.
    let said = json!({
        "resource": format!("{url}{path}"),
        "authorization_servers": identity.issuers.iter().map(|issuer| &*issuer.issuer).collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
        "resource_name": "Tollgate",
    });
    let mut response = Response::new(AnswerBody::whole(said.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Clients that are web pages read it too; there is nothing in it that is not for everybody.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Some(response)
}
