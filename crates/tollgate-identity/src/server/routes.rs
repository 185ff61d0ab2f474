//! Which path is what.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use tollgate_core::config::identity::Server;
use tollgate_core::config::snapshot::Snapshot;

use super::form::Form;
use super::reply::{Error, Reply, preflight};
use super::{Call, IdentityServer, accounts, pages};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Metadata,
    Keys,
    Authorize,
    Token,
    Introspect,
    Revoke,
    Userinfo,
    Register,
    DeviceAuthorization,
    Activate,
    SignIn,
    SignInCode,
    Elsewhere,
    Back,
    Enrol,
    Continue,
    Consent,
    Invitation,
    Account,
    Logout,
    Visit,
    Connections,
    Connected,
    ClientDocument,
    Style,
}

use Place::{
    Account, Activate, Authorize, Back, ClientDocument, Connected, Connections, Consent, Continue,
    DeviceAuthorization, Elsewhere, Enrol, Introspect, Invitation, Keys, Logout, Metadata, Register, Revoke,
    SignIn, SignInCode, Style, Token, Userinfo, Visit,
};

/// What takes which method. Pages are not asked for their heads only: some act.
const READ: &[Method] = &[Method::GET, Method::HEAD];
const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::POST];

/// Paths below that of the issuer, and whether people or programs ask there.
const PLACES: &[(&str, Place, &[Method], Asks)] = &[
    ("/.well-known/openid-configuration", Metadata, READ, Asks::Programs),
    ("/oauth/keys", Keys, READ, Asks::Programs),
    ("/oauth/authorize", Authorize, BOTH, Asks::People),
    ("/oauth/token", Token, POST, Asks::Programs),
    ("/oauth/introspect", Introspect, POST, Asks::Programs),
    ("/oauth/revoke", Revoke, POST, Asks::Programs),
    ("/oauth/userinfo", Userinfo, BOTH, Asks::Programs),
    ("/oauth/register", Register, POST, Asks::Programs),
    ("/oauth/device", DeviceAuthorization, POST, Asks::Programs),
    ("/oauth/activate", Activate, BOTH, Asks::People),
    ("/oauth/sign-in", SignIn, BOTH, Asks::People),
    ("/oauth/code", SignInCode, POST, Asks::People),
    ("/oauth/with", Elsewhere, GET, Asks::People),
    ("/oauth/with/callback", Back, GET, Asks::People),
    ("/oauth/enrol", Enrol, POST, Asks::People),
    ("/oauth/continue", Continue, GET, Asks::People),
    ("/oauth/consent", Consent, POST, Asks::People),
    ("/oauth/invitation", Invitation, BOTH, Asks::People),
    ("/oauth/account", Account, BOTH, Asks::People),
    ("/oauth/logout", Logout, BOTH, Asks::People),
    ("/oauth/connections", Connections, BOTH, Asks::People),
    ("/oauth/connections/client.json", ClientDocument, READ, Asks::Programs),
    ("/oauth/visit", Visit, GET, Asks::People),
    ("/oauth/style.css", Style, GET, Asks::People),
];

/// Who asks: an error is said in their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Programs,
    People,
}

/// Where the metadata of an issuer with a path is too: in front of the path (RFC 8414 §3.1).
const IN_FRONT: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/// What is at `path`, where it is one of the server's.
fn at(server: &Server, path: &str) -> Option<(Place, &'static [Method], Asks)> {
    let below = path.strip_prefix(&*server.path);
    let own = below.and_then(|below| PLACES.iter().find(|(known, ..)| *known == below));
    if let Some((_, place, methods, asks)) = own {
        return Some((*place, methods, *asks));
    }
    if below.is_some_and(|below| below.starts_with(accounts::CALLBACK)) {
        return Some((Connected, GET, Asks::People));
    }
    let in_front =
        IN_FRONT.iter().any(|front| path.strip_prefix(front).is_some_and(|rest| rest == &*server.path));
    in_front.then_some((Metadata, READ, Asks::Programs))
}

impl IdentityServer {
    /// Whether the server that `snapshot` configures answers at `path`.
    pub fn takes(snapshot: &Snapshot, path: &str) -> bool {
        snapshot.identity_server.as_ref().is_some_and(|server| at(server, path).is_some())
    }

    /// Answers a request of whoever is at `peer`. Its body was read whole, and is empty where it was not sent as a form or
    /// as JSON.
    pub async fn answer(&self, snapshot: &Snapshot, request: Request<Bytes>, peer: Option<IpAddr>) -> Reply {
        let (head, body) = request.into_parts();
        let server = snapshot.identity_server.as_ref();
        let Some((server, (place, methods, asks))) =
            server.and_then(|server| Some((server, at(server, head.uri.path())?)))
        else {
            return Error {
                status: StatusCode::NOT_FOUND,
                ..Error::new("invalid_request", "there is nothing here")
            }
            .into();
        };
        if head.method == Method::OPTIONS && asks == Asks::Programs {
            return preflight();
        }
        if !methods.contains(&head.method) {
            return wrong_method(methods);
        }
        let form = if head.method == Method::POST { form_of(&head, &body, place) } else { query_of(&head) };
        let answered = match form {
            Ok(form) => {
                let call = self.call((snapshot, server), (&head, form, &body), peer);
                self.at(place, &call).await
            }
            Err(why) => Err(Error::new("invalid_request", why)),
        };
        let mut reply = answered.unwrap_or_else(|error| match asks {
            Asks::Programs => error.into(),
            Asks::People => pages::refused(server, &error),
        });
        if reply.status() == StatusCode::TOO_MANY_REQUESTS {
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        reply
    }

    async fn at(&self, place: Place, call: &Call<'_>) -> Result<Reply, Error> {
        let posted = call.head.method == Method::POST;
        match place {
            Metadata => Ok(self.metadata(call)),
            Keys => Ok(self.keys()),
            Authorize => self.authorize(call).await,
            Token => self.token(call).await,
            Introspect => self.introspect(call).await,
            Revoke => self.revoke(call).await,
            Userinfo => self.userinfo(call).await,
            Register => self.register(call),
            DeviceAuthorization => self.authorize_device(call).await,
            Activate => self.activate(call, posted).await,
            SignIn if posted => self.sign_in(call).await,
            SignIn => self.sign_in_page(call).await,
            SignInCode => self.sign_in_with_code(call).await,
            Elsewhere => self.go_elsewhere(call).await,
            Back => self.back_from_elsewhere(call).await,
            Enrol => self.enrol(call).await,
            Continue => self.go_on(call).await,
            Consent => self.consented(call).await,
            Invitation => self.invitation(call, posted).await,
            Account => self.account(call, posted).await,
            Logout => self.logout(call, posted).await,
            Visit => self.visit(call).await,
            Connections => self.connections(call, posted).await,
            Connected => self.connected(call).await,
            ClientDocument => Ok(accounts::document(call)),
            Style => Ok(pages::style()),
        }
    }
}

/// The parameters of the query.
fn query_of(head: &http::request::Parts) -> Result<Form, String> {
    Form::read(head.uri.query().unwrap_or_default().as_bytes())
}

/// The parameters of a body that is a form. What a body says does not stand in addresses too (RFC 6749 §3.2, §2.3.1).
fn form_of(head: &http::request::Parts, body: &Bytes, place: Place) -> Result<Form, String> {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (kind.as_str(), place) {
        ("application/x-www-form-urlencoded", place) if place != Register => Form::read(body),
        // It is JSON, and read by whoever takes it.
        ("application/json", Register) => Ok(Form::default()),
        ("", Userinfo) if body.is_empty() => Ok(Form::default()),
        (_, Register) => Err("the body is sent as application/json".to_owned()),
        _ => Err("the body is sent as application/x-www-form-urlencoded".to_owned()),
    }
}

fn wrong_method(allowed: &[Method]) -> Reply {
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let why = format!("this path takes {}", names.join(", "));
    let mut reply: Reply =
        Error { status: StatusCode::METHOD_NOT_ALLOWED, ..Error::new("invalid_request", why) }.into();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        reply.headers_mut().insert(header::ALLOW, names);
    }
    reply
}
