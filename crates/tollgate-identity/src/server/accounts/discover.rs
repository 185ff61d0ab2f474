//! Where a tool server's tokens come from: what it says when it is asked without one (RFC 9728), and what the authorization
//! server that it names says of itself (RFC 8414). What a server says leads to addresses that are public, or to its own.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_core::config::identity::is_within;
use tollgate_core::config::tools::{AccountAuth, ToolServer, Url};
use tollgate_core::identity::Fetch;

use super::keep::Endpoint;
use super::not_there;
use crate::server::IdentityServer;
use crate::server::reply::Error;

/// What an authorization server says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) client_id_metadata_document_supported: bool,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// What a protected resource says of itself (RFC 9728 §2).
#[derive(Debug, Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Where a tool server's tokens come from.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) metadata: Metadata,
    /// What tokens are for.
    pub(super) resource: String,
    /// What they must allow, as the server says.
    pub(super) scope: Option<String>,
    pub(super) token: Endpoint,
    pub(super) registration: Option<Endpoint>,
    pub(super) revocation: Option<Endpoint>,
}

/// Whom the configuration has named, by scheme and authority: they may be anywhere.
struct Trusted(Vec<Uri>);

impl Trusted {
    fn holds(&self, uri: &Uri) -> bool {
        self.0.iter().any(|known| known.scheme() == uri.scheme() && known.authority() == uri.authority())
    }

    fn endpoint(&self, text: &str) -> Result<Endpoint, String> {
        let (_, private) = self.check(text)?;
        Ok(Endpoint { uri: text.to_owned(), private })
    }

    /// The address `text`, where it may be asked, and whether it may be one inside.
    fn check(&self, text: &str) -> Result<(Uri, bool), String> {
        let uri: Uri = text.parse().map_err(|_| format!("`{text}` is no address"))?;
        let private = self.holds(&uri);
        match uri.scheme_str() {
            Some("https") => Ok((uri, private)),
            Some("http") if private => Ok((uri, private)),
            _ => Err(format!("`{text}` is not encrypted")),
        }
    }
}

impl IdentityServer {
    /// Where tokens of `server` come from.
    pub(super) async fn found(
        &self,
        server: &ToolServer,
        (url, account): (&Url, &AccountAuth),
    ) -> Result<Arc<Found>, Error> {
        let name = format!("{} {} {:?}", server.name, url.uri, account.issuer);
        if let Some(found) = self.accounts.found.get(&name) {
            return Ok(found);
        }
        let fetch = self.fetch()?;
        let found = look(&*fetch, url, account).await.map_err(|why| {
            not_there(format!("`{}` does not say where its tokens come from: {why}", server.name))
        })?;
        let found = Arc::new(found);
        self.accounts.found.insert(name, Arc::clone(&found));
        Ok(found)
    }
}

async fn look(fetch: &dyn Fetch, url: &Url, account: &AccountAuth) -> Result<Found, String> {
    let configured: Option<Uri> = account.issuer.as_ref().and_then(|issuer| issuer.parse().ok());
    let trusted = Trusted([url.uri.clone()].into_iter().chain(configured).collect());
    let address = url.uri.to_string();
    let challenge = challenge(fetch, &url.uri).await?;
    let said = challenge.as_deref().and_then(|text| parameter(text, "resource_metadata"));
    let resource = resource(fetch, &trusted, &url.uri, said).await;
    let (resource, issuers, scopes) = match resource {
        Some(read) if is_within(&address, read.resource.trim_end_matches('/')) => {
            (read.resource, read.authorization_servers, read.scopes_supported)
        }
        Some(read) => return Err(format!("its metadata is that of `{}`", read.resource)),
        // As servers of 2025-03-26 do: the server is its own authorization server.
        None => (address.clone(), Vec::new(), Vec::new()),
    };
    let origin = || address.strip_suffix(url.uri.path_and_query().map_or("", |path| path.as_str()));
    let issuer = account.issuer.clone().or_else(|| issuers.first().cloned());
    let issuer = issuer.or_else(|| origin().map(str::to_owned)).ok_or("it names no authorization server")?;
    let metadata = metadata(fetch, &trusted, &issuer).await?;
    let asked = challenge.as_deref().and_then(|text| parameter(text, "scope"));
    let all = || (!scopes.is_empty()).then(|| scopes.join(" "));
    let endpoint = |text: &Option<String>| text.as_ref().map(|text| trusted.endpoint(text)).transpose();
    Ok(Found {
        token: trusted.endpoint(&metadata.token_endpoint)?,
        registration: endpoint(&metadata.registration_endpoint)?,
        revocation: endpoint(&metadata.revocation_endpoint)?,
        metadata,
        resource,
        scope: asked.or_else(all),
    })
}

/// What the server says to whoever comes without a token (RFC 9728 §5.1); `None` where it says nothing.
async fn challenge(fetch: &dyn Fetch, uri: &Uri) -> Result<Option<String>, String> {
    let mut request = Request::new(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    // The configuration says where the server is.
    let answer = fetch.ask(request, true).await?;
    let said = answer.headers().get(header::WWW_AUTHENTICATE).and_then(|said| said.to_str().ok());
    Ok(said.map(str::to_owned))
}

/// A parameter of a challenge (RFC 9110 §11.6.1), where it is written with quotes, as these are.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while let Some(at) = rest.find(name) {
        let before = rest[..at].chars().next_back().is_none_or(|c| c == ' ' || c == ',');
        let after = rest[at + name.len()..].trim_start();
        if let Some(value) = after.strip_prefix('=').map(str::trim_start).filter(|_| before) {
            let value = value.strip_prefix('"')?;
            return value.split_once('"').map(|(value, _)| value.to_owned());
        }
        rest = &rest[at + name.len()..];
    }
    None
}

async fn resource(
    fetch: &dyn Fetch,
    trusted: &Trusted,
    server: &Uri,
    said: Option<String>,
) -> Option<Resource> {
    let origin = format!("{}://{}", server.scheme_str()?, server.authority()?);
    let path = server.path().trim_end_matches('/');
    let usual = ["/.well-known/oauth-protected-resource".to_owned()];
    let below = usual.iter().map(|place| format!("{origin}{place}{path}"));
    let root = usual.iter().map(|place| format!("{origin}{place}"));
    let mut places: Vec<String> = said.into_iter().chain(below).chain(root).collect();
    places.dedup();
    for place in places {
        if let Ok(read) = document(fetch, trusted, &place).await {
            return Some(read);
        }
    }
    None
}

/// What `issuer` says of itself, from where RFC 8414 and OpenID Connect have it.
async fn metadata(fetch: &dyn Fetch, trusted: &Trusted, issuer: &str) -> Result<Metadata, String> {
    let bare = issuer.trim_end_matches('/');
    let (uri, _) = trusted.check(bare)?;
    let path = uri.path().trim_end_matches('/');
    let origin = bare.strip_suffix(path).unwrap_or(bare);
    let places = [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{bare}/.well-known/openid-configuration"),
    ];
    let mut why = String::new();
    for place in places {
        match document::<Metadata>(fetch, trusted, &place).await {
            Ok(read) if read.issuer.trim_end_matches('/') == bare => {
                return usable(read, trusted);
            }
            // Whoever answers for another would be asked for its tokens (RFC 8414 §3.3).
            Ok(read) => return Err(format!("the metadata of `{issuer}` is that of `{}`", read.issuer)),
            Err(error) => why = error,
        }
    }
    Err(format!("`{issuer}` has no metadata: {why}"))
}

fn usable(read: Metadata, trusted: &Trusted) -> Result<Metadata, String> {
    // Without it whoever sees the code could use it (MCP, authorization).
    if !read.code_challenge_methods_supported.iter().any(|method| method == "S256") {
        return Err(format!("`{}` knows no PKCE with S256", read.issuer));
    }
    trusted.check(&read.authorization_endpoint)?;
    Ok(read)
}

async fn document<T: DeserializeOwned>(
    fetch: &dyn Fetch,
    trusted: &Trusted,
    place: &str,
) -> Result<T, String> {
    let (uri, private) = trusted.check(place)?;
    let text = fetch.fetch(uri, private).await?;
    serde_json::from_slice(&text).map_err(|why| format!("{place}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_as_it_is_written() {
        let text = r#"Bearer error="x", resource_metadata="https://a.example/m", scope="read write""#;
        assert_eq!(parameter(text, "resource_metadata").as_deref(), Some("https://a.example/m"));
        assert_eq!(parameter(text, "scope").as_deref(), Some("read write"));
        assert_eq!(parameter(r#"Bearer my_scope="x""#, "scope"), None);
        assert_eq!(parameter("Bearer scope=", "scope"), None);
        assert_eq!(parameter("Bearer", "scope"), None);
    }

    /// An attack: a tool server names an authorization server inside.
    #[test]
    fn what_a_server_says_leads_to_public_addresses_or_to_its_own() {
        let trusted = Trusted(vec![Uri::from_static("http://tools.internal:8080/mcp")]);
        let check = |text: &str| trusted.check(text).map(|(_, private)| private);
        assert_eq!(check("http://tools.internal:8080/x"), Ok(true));
        assert_eq!(check("https://login.example.com"), Ok(false));
        for wrong in
            ["http://login.example.com", "http://tools.internal/x", "file:///etc/passwd", "", "ftp://a.b"]
        {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
