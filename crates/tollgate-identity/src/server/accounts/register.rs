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

/// What a registration is answered with (RFC 7591 §3.2.1).
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    #[serde(default)]
    client_secret_expires_at: i64,
    token_endpoint_auth_method: Option<String>,
}

/// Where browsers come back to.
pub(super) fn back_at(server: &Server) -> String {
    format!("{}{}/oauth/connections/callback", server.gate, server.path)
}

/// The address of the document that says who the gate is.
fn document_at(server: &Server) -> String {
    format!("{}{}/oauth/connections/client.json", server.gate, server.path)
}

/// What the gate says of itself, registered with `method`.
fn said(server: &Server, method: &str) -> Value {
    json!({
        "client_name": "Tollgate",
        "client_uri": &*server.gate,
        "redirect_uris": [back_at(server)],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "application_type": "web",
    })
}

/// `GET /oauth/connections/client.json`.
pub(crate) fn document(server: &Server) -> Reply {
    let mut document = said(server, "none");
    document["client_id"] = document_at(server).into();
    public(&document)
}

impl IdentityServer {
    /// Who the gate is where `found` says that tokens come from.
    pub(super) async fn ours(
        &self,
        call: &Call<'_>,
        account: &AccountAuth,
        found: &Found,
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
        let name = client_name(&metadata.issuer, &back_at(call.server));
        if let Some(known) = self.store(call).read::<Ours>(&name).await? {
            return Ok(known);
        }
        let (ours, ends) = self.registered(call, found).await?;
        let store = self.store(call);
        // Somebody else may have registered it meanwhile: one of both is used from now on.
        store
            .change(&name, |known: Option<Ours>| {
                let ours = known.unwrap_or_else(|| ours.clone());
                Ok(Changed { document: ours.clone(), ends, result: ours })
            })
            .await
    }

    async fn registered(&self, call: &Call<'_>, found: &Found) -> Result<(Ours, Timestamp), Error> {
        let issuer = &found.metadata.issuer;
        let no = |why: String| {
            not_there(format!(
                "the gate cannot register at `{issuer}` ({why}); its id there goes into `auth.account.client_id`"
            ))
        };
        let Some(endpoint) = &found.metadata.registration_endpoint else {
            return Err(no("it takes no registrations".to_owned()));
        };
        let uri: Uri = endpoint.parse().map_err(|_| no("its address is none".to_owned()))?;
        let supported = &found.metadata.token_endpoint_auth_methods_supported;
        let method = ["none", "client_secret_basic", "client_secret_post"]
            .into_iter()
            .find(|method| supported.iter().any(|known| known == method))
            .unwrap_or("client_secret_basic");
        let fetch = self.fetch.get().and_then(std::sync::Weak::upgrade);
        let fetch = fetch.ok_or_else(|| Error::away("the gate is not ready"))?;
        let read = post_json(&*fetch, uri, &said(call.server, method), found.private).await.map_err(no)?;
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
