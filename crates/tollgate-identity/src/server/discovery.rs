//! What the server says of itself (OpenID Connect Discovery 1.0 §3, RFC 8414 §2), and its keys.

use serde_json::{Value, json};
use tollgate_core::config::identity::{GrantKind, SCOPES, Server};

use super::reply::{Reply, public};
use super::{Call, IdentityServer};

/// The address of one of the server's places.
pub(crate) fn endpoint(server: &Server, name: &str) -> String {
    format!("{}/oauth/{name}", server.issuer)
}

impl IdentityServer {
    pub(super) fn metadata(&self, call: &Call<'_>) -> Reply {
        public(&metadata(call.server))
    }

    pub(super) fn keys(&self) -> Reply {
        public(&self.signing.published())
    }
}

/// Every scope that may be granted.
pub(crate) fn scopes(server: &Server) -> Vec<&str> {
    let mut scopes = own_scopes(server);
    scopes.extend(server.tool_scopes.iter().map(String::as_str));
    scopes
}

/// Those that say something of people.
fn own_scopes(server: &Server) -> Vec<&str> {
    let claims = server.claims.iter().map(|claim| claim.scope.as_str());
    let mut scopes: Vec<&str> = SCOPES.into_iter().chain(claims).collect();
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|scope| seen.insert(*scope));
    scopes
}

fn metadata(server: &Server) -> Value {
    let at = |name: &str| endpoint(server, name);
    let algorithms: Vec<&str> = server.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    let own = server.claims.iter().map(|claim| claim.name.as_str());
    let claims = ["sub", "name", "preferred_username", "updated_at", "email", "email_verified", "groups"];
    let claims: Vec<&str> = claims.into_iter().chain(own).collect();
    let methods = ["client_secret_basic", "client_secret_post"];
    let mut said = json!({
        "issuer": &*server.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "jwks_uri": at("keys"),
        "userinfo_endpoint": at("userinfo"),
        "end_session_endpoint": at("logout"),
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "device_authorization_endpoint": at("device"),
        // Not those of tools: clients would ask for all of them at once. What a tool wants is said when it is called.
        "scopes_supported": own_scopes(server),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GrantKind::ALL.map(GrantKind::name),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": [methods[0], methods[1], "none"],
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": [methods[0], methods[1], "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "claims_supported": claims,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": ["en"],
    });
    if server.mcp {
        said["registration_endpoint"] = at("register").into();
        said["client_id_metadata_document_supported"] = true.into();
    }
    said
}
