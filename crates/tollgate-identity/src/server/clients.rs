//! Who asks for tokens: an application of the configuration, one that has registered, one that has a document of its own,
//! or the gate's command line. And whether it is who it says (RFC 6749 §2.3).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use tollgate_core::config::identity::{Client, GrantKind, OWN_ISSUER, Server};

use super::reply::Error;
use super::{Call, IdentityServer, register};

/// A client that is known.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) client: Arc<Client>,
    /// Whether it has only said itself what it is.
    pub(crate) is_strange: bool,
}

/// The command line of the gate, as a client: it is run by people on their own machines.
pub(crate) fn command_line(server: &Server) -> Client {
    Client {
        name: "Tollgate's command line".to_owned(),
        grants: vec![GrantKind::AuthorizationCode, GrantKind::RefreshToken, GrantKind::DeviceCode],
        resources: vec![server.gate.to_string()],
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        ..stranger(server, OWN_ISSUER)
    }
}

/// A client that has no secret, and whom nobody knows: people are asked, and what it gets is good for tools only.
pub(crate) fn stranger(server: &Server, id: &str) -> Client {
    Client {
        id: id.to_owned(),
        name: id.to_owned(),
        secret: None,
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        grants: vec![GrantKind::AuthorizationCode, GrantKind::RefreshToken],
        resources: vec![format!("{}/mcp", server.gate)],
        audience: None,
        scopes: None,
        groups: None,
        consent: true,
        pkce: true,
        algorithm: server.algorithms.first().copied().unwrap_or_default(),
    }
}

impl IdentityServer {
    /// The client that is called `id`.
    pub(crate) async fn client(&self, call: &Call<'_>, id: &str) -> Result<Known, Error> {
        let unknown = || Error::new("invalid_client", "there is no such client");
        if let Some(client) = call.server.clients.iter().find(|client| client.id == id) {
            return Ok(Known { client: Arc::clone(client), is_strange: false });
        }
        if id == OWN_ISSUER {
            return Ok(Known { client: Arc::new(command_line(call.server)), is_strange: false });
        }
        if !call.server.mcp {
            return Err(unknown());
        }
        let client = if id.starts_with("https://") {
            self.documented(call, id).await?
        } else {
            Arc::new(register::registered(call, id).ok_or_else(unknown)?)
        };
        Ok(Known { client, is_strange: true })
    }

    /// The client that asks, which has proved who it is as far as it can: one that has a secret, by that.
    pub(crate) async fn authenticated(&self, call: &Call<'_>) -> Result<Known, Error> {
        let wrong = |why: &str| Error::new("invalid_client", why);
        let basic = basic(call)?;
        let in_body = (call.form.get("client_id"), call.form.get("client_secret"));
        let (id, secret) = match (&basic, in_body) {
            (Some(_), (_, Some(_))) => return Err(wrong("the secret is sent in two ways")),
            (Some((id, _)), (Some(other), _)) if id != other => {
                return Err(wrong("two clients are named"));
            }
            // Some programs try this way first, with no secret.
            (Some((id, secret)), _) => {
                (id.as_str(), Some(secret.as_str()).filter(|secret| !secret.is_empty()))
            }
            (None, (Some(id), secret)) => (id, secret),
            (None, (None, _)) => return Err(wrong("no client is named")),
        };
        let known = self.client(call, id).await?;
        match (&known.client.secret, secret) {
            // Many do not encode it before it is put into the header.
            (Some(own), Some(presented))
                if own.matches(presented.as_bytes())
                    || raw_secret(call).is_some_and(|raw| own.matches(raw.as_bytes())) =>
            {
                Ok(known)
            }
            (Some(_), Some(_)) => {
                tracing::info!(client = id, "an application has sent a wrong secret");
                Err(wrong("the secret is wrong"))
            }
            (Some(_), None) => Err(wrong("this client has a secret, and has not sent it")),
            (None, Some(_)) => Err(wrong("this client has no secret, and has sent one")),
            (None, None) => Ok(known),
        }
    }
}

/// A client's id and secret in `Authorization: Basic …`, each encoded as in a form before (RFC 6749 §2.3.1).
fn basic(call: &Call<'_>) -> Result<Option<(String, String)>, Error> {
    let Some(header) = call.head.headers.get(AUTHORIZATION) else { return Ok(None) };
    let unreadable = || Error::new("invalid_client", "the header `authorization` cannot be read");
    let (scheme, rest) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(unreadable)?;
    let (id, secret) = decoded.split_once(':').ok_or_else(unreadable)?;
    let plain = |text: &str| {
        // One value: what looks like several pairs is part of it.
        let text = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    Ok(Some((plain(id), plain(secret))))
}

/// The secret in `Authorization: Basic …` as it is written.
fn raw_secret(call: &Call<'_>) -> Option<String> {
    let (_, rest) = call.head.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, secret)| secret.to_owned())
}

/// Whether `asked` is the address `known` to which browsers are sent back: to the letter, but for the port of an address of
/// this machine (RFC 8252 §7.3).
pub(crate) fn is_redirect(known: &str, asked: &str) -> bool {
    known == asked
        || matches!((without_port(known), without_port(asked)), (Some(known), Some(asked)) if known == asked)
}

/// The parts of an address of this machine without its port.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "80"),
    };
    let local = matches!(host, "127.0.0.1" | "[::1]" | "localhost") && port.parse::<u16>().is_ok();
    local.then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_of_this_machine_may_differ() {
        let known = "http://127.0.0.1/callback";
        for good in
            ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"]
        {
            assert!(is_redirect(known, good), "{good}");
        }
        for wrong in [
            "http://127.0.0.1:80/callback/",
            "http://127.0.0.1/callback2",
            "http://127.0.0.1:1/callback?x=1",
            "http://localhost/callback",
            "http://127.0.0.1:1@evil.example/callback",
            "http://127.0.0.1:evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "https://127.0.0.1/callback",
            "http://127.0.0.1:70000/callback",
            "http://127.0.0.1:/callback",
        ] {
            assert!(!is_redirect(known, wrong), "{wrong}");
        }
        assert!(!is_redirect("https://app.example.com/cb", "https://app.example.com:444/cb"));
        assert!(!is_redirect("https://app.example.com/cb", "https://app.example.com/cb/../evil"));
        assert!(is_redirect("http://[::1]:3000/x", "http://[::1]:4000/x"));
    }
}
