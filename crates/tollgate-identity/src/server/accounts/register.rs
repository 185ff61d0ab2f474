//! Who the gate is at an authorization server: what the configuration says, the address of a document that says it (OAuth
//! Client ID Metadata Document), or what it is registered as (RFC 7591).

use http::{HeaderValue, Method, Request, Uri, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_core::config::identity::Server;
use tollgate_core::config::tools::AccountAuth;
use tollgate_core::identity::Fetch;

use super::discover::Found;
use super::keep::{Hidden, client_name};
use super::not_there;
use crate::server::discovery::endpoint;
use crate::server::reply::{Error, Reply, public};
use crate::server::store::Changed;
use crate::server::{Call, IdentityServer};

/// A registration of which nobody says how long it lasts is made anew after that.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Who the gate is at an authorization server.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Ours {
    pub(super) id: String,
    pub(super) secret: Option<Hidden>,
    /// Whether the secret goes into the form, and not into a header.
    pub(super) in_form: bool,
}

/// As what the gate is registered for one tool server, the last at the end.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Registrations {
    all: Vec<Ours>,
    /// Whether nobody has come back since somebody was sent there as the last.
    waiting: bool,
    /// When the last ends.
    ends: Timestamp,
}

/// So many are kept: somebody may be on the way as an earlier one.
const MOST: usize = 5;

/// What a registration is answered with (RFC 7591 §3.2.1).
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    #[serde(default)]
    client_secret_expires_at: i64,
    token_endpoint_auth_method: Option<String>,
}

/// Where browsers come back to from `tool_server`, and from no other: what one of them sends on to another is nothing there
/// (mix-up, RFC 9700 §4.4.2).
pub(super) fn back_at(server: &Server, tool_server: &str) -> String {
    format!("{}{CALLBACK}{tool_server}", server.issuer)
}

/// Below this browsers come back, before the name of the tool server.
pub(crate) const CALLBACK: &str = "/oauth/connections/callback/";

/// The address of the document that says who the gate is.
fn document_at(server: &Server) -> String {
    endpoint(server, "connections/client.json")
}

/// What the gate says of itself, registered with `method`.
fn said(server: &Server, method: &str, back: &[String]) -> Value {
    json!({
        "client_name": "Tollgate",
        "client_uri": &*server.gate,
        "redirect_uris": back,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "application_type": "web",
    })
}

/// `GET /oauth/connections/client.json`.
pub(crate) fn document(call: &Call<'_>) -> Reply {
    let server = call.server;
    let known = call.tool_servers.values().filter(|known| known.account().is_some());
    let back: Vec<String> = known.map(|known| back_at(server, &known.name)).collect();
    let mut document = said(server, "none", &back);
    document["client_id"] = document_at(server).into();
    public(&document)
}

impl IdentityServer {
    /// Who the gate is where `found` says that tokens come from; or was, when it began as `begun_as`.
    pub(super) async fn ours(
        &self,
        call: &Call<'_>,
        (tool_server, account): (&str, &AccountAuth),
        found: &Found,
        begun_as: Option<&str>,
    ) -> Result<Ours, Error> {
        let metadata = &found.metadata;
        let in_form = prefers_form(&metadata.token_endpoint_auth_methods_supported);
        if let Some((id, secret)) = &account.client {
            let secret = secret.as_ref().map(|secret| Hidden::new(secret.expose().to_owned()));
            return Ok(Ours { id: id.clone(), secret, in_form });
        }
        // Only what others can fetch.
        if metadata.client_id_metadata_document_supported && call.server.is_secure() {
            return Ok(Ours { id: document_at(call.server), secret: None, in_form });
        }
        let name = client_name(&metadata.issuer, &back_at(call.server, tool_server));
        let known = self.store(call).read::<Registrations>(&name).await?.unwrap_or_default();
        if let Some(id) = begun_as {
            let ours = known.all.into_iter().find(|ours| ours.id == id);
            return ours
                .ok_or_else(|| not_there("the gate is registered anew there; begin again".to_owned()));
        }
        // Whoever was sent there last has not come back: it may not know the gate any more, and would tell nobody else.
        let anew = known.waiting && self.rate.take("registrations at a server", &metadata.issuer, 5).is_ok();
        let last = known.all.last().filter(|_| !anew && call.now < known.ends).cloned();
        let (ours, ends) = match last {
            Some(last) => (last, known.ends),
            None => self.registered(call, tool_server, found).await?,
        };
        let change = |known: Option<Registrations>| {
            let mut known = known.unwrap_or_default();
            if known.all.last().is_none_or(|last| last.id != ours.id) {
                known.all.push(ours.clone());
            }
            if known.all.len() > MOST {
                known.all.remove(0);
            }
            let document = Registrations { waiting: true, ends, ..known };
            Ok(Changed { document, ends, result: () })
        };
        self.store(call).change(&name, change).await?;
        Ok(ours)
    }

    /// Notes that somebody has come back from where `found` says: the gate is known there.
    pub(super) async fn is_known_there(
        &self,
        call: &Call<'_>,
        tool_server: &str,
        found: &Found,
    ) -> Result<(), Error> {
        let name = client_name(&found.metadata.issuer, &back_at(call.server, tool_server));
        if self.store(call).read::<Registrations>(&name).await?.is_none() {
            return Ok(());
        }
        let change = |known: Option<Registrations>| {
            let document = Registrations { waiting: false, ..known.unwrap_or_default() };
            Ok(Changed { ends: document.ends, document, result: () })
        };
        self.store(call).change(&name, change).await
    }

    async fn registered(
        &self,
        call: &Call<'_>,
        tool_server: &str,
        found: &Found,
    ) -> Result<(Ours, Timestamp), Error> {
        let issuer = &found.metadata.issuer;
        let no = |why: String| {
            not_there(format!(
                "the gate cannot register at `{issuer}` ({why}); its id there goes into `auth.account.client_id`"
            ))
        };
        let Some(endpoint) = &found.registration else {
            return Err(no("it takes no registrations".to_owned()));
        };
        let uri: Uri = endpoint.uri.parse().map_err(|_| no("its address is none".to_owned()))?;
        let supported = &found.metadata.token_endpoint_auth_methods_supported;
        let method = ["none", "client_secret_basic", "client_secret_post"]
            .into_iter()
            .find(|method| supported.iter().any(|known| known == method))
            .unwrap_or("client_secret_basic");
        let fetch = self.fetch()?;
        let said = said(call.server, method, &[back_at(call.server, tool_server)]);
        let read = post_json(&*fetch, uri, &said, endpoint.private).await.map_err(no)?;
        let method = read.token_endpoint_auth_method.as_deref().unwrap_or(method);
        let ends = match read.client_secret_expires_at {
            at if at > 0 => Timestamp::from_second(at).unwrap_or(call.now),
            _ => call.now + LASTS,
        };
        let secret = read.client_secret.filter(|_| method != "none").map(Hidden::new);
        Ok((Ours { id: read.client_id, secret, in_form: method == "client_secret_post" }, ends))
    }
}

/// Whether a secret goes into the form: only where a header is not taken.
fn prefers_form(supported: &[String]) -> bool {
    let takes = |method: &str| supported.iter().any(|known| known == method);
    takes("client_secret_post") && !takes("client_secret_basic")
}

async fn post_json(fetch: &dyn Fetch, uri: Uri, said: &Value, private: bool) -> Result<Registered, String> {
    let mut request = Request::new(said.to_string().into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let answer = fetch.ask(request, private).await?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status().as_u16()));
    }
    serde_json::from_slice(answer.body()).map_err(|_| "its answer cannot be read".to_owned())
}
