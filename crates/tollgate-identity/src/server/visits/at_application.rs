//! What is the gate's own at an application's host: where a sign-in begins and ends, and a sign-out begins.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::web::{OWN_PATHS, WebApplication};
use tollgate_core::fault::Fault;

use super::cookie::{self, Visit};
use super::{ARRIVING, Arriving, GOING, Going};
use crate::server::discovery::endpoint;
use crate::server::form::Form;
use crate::server::reply::{Error, Reply, page, see_other};
use crate::server::{Call, IdentityServer, pages, random};

impl IdentityServer {
    /// Answers a request for what is the gate's own at the host of `application`.
    pub async fn at_application(
        &self,
        snapshot: &Snapshot,
        application: &WebApplication,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Reply {
        let (head, body) = request.into_parts();
        let answered = match (&snapshot.identity_server, head.uri.path().strip_prefix(OWN_PATHS)) {
            (Some(server), Some(what)) if head.method == Method::GET => {
                let form = Form::read(head.uri.query().unwrap_or_default().as_bytes());
                let form = form.map_err(|why| Error::new("invalid_request", why));
                form.and_then(|form| {
                    let call = self.call((snapshot, server), (&head, form, &body), peer);
                    match what {
                        "sign-in" => begin(&call, application),
                        // A code that somebody else could use does not stay in the address.
                        "callback" => Ok(end(&call, application)
                            .unwrap_or_else(|_| see_other(&format!("{OWN_PATHS}failed")))),
                        "failed" => Err(not_arrived()),
                        "sign-out" => Ok(leave(&call, application)),
                        "style.css" => Ok(pages::style()),
                        _ => Err(nothing_here()),
                    }
                })
            }
            _ => Err(nothing_here()),
        };
        let mut reply = answered.unwrap_or_else(|error| {
            page(error.status, &pages::refused_at(application, error.status, &error.why), None)
        });
        let headers = reply.headers_mut();
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        reply
    }
}

fn not_arrived() -> Error {
    let why = "this page is out of date, was not meant for this browser, or the browser keeps no cookies";
    Error::new("invalid_request", why)
}

fn nothing_here() -> Error {
    Error { status: StatusCode::NOT_FOUND, ..Error::new("invalid_request", "there is nothing here") }
}

/// `GET /.tollgate/sign-in`: sends the browser to where its user signs in.
fn begin(call: &Call<'_>, application: &WebApplication) -> Result<Reply, Error> {
    let known = cookie::going(&call.head.headers, application);
    // Of several windows each is on its way.
    let browser = known.map_or_else(random::name, Ok)?;
    let going = Going::to(application, call.form.get("to").unwrap_or("/"), &browser);
    let visit = endpoint(call.server, "visit");
    let mut reply = see_other(&format!("{visit}?for={}", call.carry(GOING, &going)?));
    cookie::keep_going(&mut reply, application, &browser);
    Ok(reply)
}

/// `GET /.tollgate/callback`: they have signed in.
fn end(call: &Call<'_>, application: &WebApplication) -> Result<Reply, Error> {
    let code = call.form.get("code").and_then(|text| call.carried::<Arriving>(ARRIVING, text));
    let browser = cookie::going(&call.head.headers, application);
    let arrives = code.zip(browser).filter(|(arriving, browser)| {
        let going = &arriving.going;
        *application.name == *going.application
            && application.url == going.url
            && random::same(&going.browser, browser)
    });
    let (Arriving { going, session }, _) = arrives.ok_or_else(not_arrived)?;
    let mut reply = see_other(&going.path);
    Visit { session }.keep(&mut reply, call.secrets, application)?;
    Ok(reply)
}

/// `GET /.tollgate/sign-out`: the visit ends, and the browser goes to where the session is ended.
fn leave(call: &Call<'_>, application: &WebApplication) -> Reply {
    let mut reply = see_other(&endpoint(call.server, "logout"));
    cookie::end(&mut reply, application);
    reply
}

/// A page that says why somebody is not let into `application`.
pub fn page_of(application: &WebApplication, fault: &Fault) -> Reply {
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page(status, &pages::refused_at(application, status, &fault.message), None)
}
